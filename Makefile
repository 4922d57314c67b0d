# wf: one makefile, not recursive. `make help` lists the targets. Everything made goes below build/:
# build/gen (generated C), build/<variant> (objects and programs of one compiler and one SAN=).
#
#   make                         the library, wfctl and wfbench (build/release/)
#   make test                    every suite that takes seconds
#   make test SAN=thread         the same under a sanitizer; SAN=address,undefined likewise
#   make test ONLY=wal           only the programs whose name holds "wal"
#   make CC=clang WERROR=1       another compiler, warnings are errors (CI=true does that too)

ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
PREFIX ?= /usr/local
DESTDIR ?=
ONLY ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(JOBS)
endif
MAKEFLAGS += --no-builtin-rules --output-sync=target
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

# --- variant ------------------------------------------------------------------------------------

comma := ,
COMPILER := $(notdir $(firstword $(CC)))
VARIANT := $(if $(filter-out gcc cc,$(COMPILER)),$(COMPILER)-)$(if $(SAN),$(subst $(comma),-,$(SAN)),release)
B := build/$(VARIANT)
GEN := build/gen

WARNINGS := -Wall -Wextra -Wconversion -Wswitch-enum -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Werror=implicit-function-declaration $(if $(filter-out 0 false,$(WERROR) $(CI)),-Werror)
CFLAGS ?= -O2 -g
# gcc takes every text that we cut on purpose for a mistake.
WARNINGS += $(if $(findstring clang,$(COMPILER)),,-Wno-format-truncation)
HARDENING := -fstack-protector-strong $(if $(SAN)$(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
ALL_CFLAGS := -std=gnu11 $(CFLAGS) -fno-omit-frame-pointer -D_GNU_SOURCE $(HARDENING) $(WARNINGS) \
	-fPIC -fvisibility=hidden -pthread -I. -I$(GEN) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
ALL_LDFLAGS := $(LDFLAGS) -pthread -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN))
LIBS := -llmdb -lprotobuf-c -ldeflate -lyaml -lcrypto
TOOL_LIBS := -ljansson $(LIBS)
TEST_LIBS := -lcmocka $(TOOL_LIBS)

# --- packages -----------------------------------------------------------------------------------

BUILD_PACKAGES := gcc libc6-dev binutils pkg-config liblmdb-dev libprotobuf-c-dev protobuf-c-compiler \
	libdeflate-dev libyaml-dev libssl-dev libxxhash-dev libjansson-dev
# wfbench measures the ledger beside SQLite; nothing else has to do with it.
BUILD_PACKAGES += libsqlite3-dev
TEST_PACKAGES := libcmocka-dev clang libclang-rt-14-dev strace $(if $(filter valgrind,$(MAKECMDGOALS)),valgrind)
LINT_PACKAGES := clang clang-format clang-tidy shellcheck
# Outside Debian 12 the sanitizer runtime comes with another name, or with clang itself.
ifneq ($(shell . /etc/os-release 2>/dev/null && echo $$ID$$VERSION_ID),debian12)
TEST_PACKAGES := $(filter-out libclang-rt-14-dev,$(TEST_PACKAGES))
endif

# `make` alone only builds; the targets below first install what is missing.
GOALS := $(if $(MAKECMDGOALS),$(MAKECMDGOALS),all)
NEEDS_LINT := $(filter lint format deps,$(GOALS))
# lint reads the tests too, and they include cmocka.
NEEDS_TEST := $(filter test test-long fuzz sim valgrind syscalls damage bench mutants check lint deps,$(GOALS))
NEEDS_BUILD := $(filter demo test test-long fuzz sim valgrind syscalls damage bench mutants check lint deps,$(GOALS))
PACKAGES := $(sort $(if $(NEEDS_BUILD),$(BUILD_PACKAGES)) $(if $(NEEDS_TEST),$(TEST_PACKAGES)) \
	$(if $(NEEDS_LINT),$(LINT_PACKAGES)))

# --- sources ------------------------------------------------------------------------------------

SCHEMAS := $(wildcard engine/schema/*.proto)
SCHEMA_C := $(SCHEMAS:%.proto=$(GEN)/%.pb-c.c)
LIB_SOURCES := $(wildcard base/*.c wal/*.c store/*.c engine/*.c engine/core/*.c) $(SCHEMA_C)
DEFINITIONS := $(wildcard workflows/*/*.yaml)
WORKFLOW_SOURCES := $(wildcard workflows/*.c workflows/*/*.c) $(DEFINITIONS:%.yaml=$(GEN)/%.c)
ifneq ($(wildcard tools/wfctl/*.c),)
WFCTL_SOURCES := $(wildcard tools/wfctl/*.c)
else
WFCTL_SOURCES := $(wildcard tools/main.c tools/cmd_*.c)
endif
WFBENCH_SOURCES := $(wildcard tools/wfbench/*.c)
TESTLIB_SOURCES := $(wildcard tests/lib/*.c)

# One program for each file; a folder's files without a main() are linked into all its programs.
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
BENCH_SOURCES := $(wildcard tests/bench/bench_*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_HELPERS := $(filter-out $(FUZZ_SOURCES),$(wildcard tests/fuzz/*.c))
SUITES := sim crash syscalls damage cli golden
SUITE_FILES := $(wildcard $(SUITES:%=tests/%/*.c))
open_paren := (
SUITE_SOURCES := $(if $(SUITE_FILES),$(shell grep -l '^int main$(open_paren)' $(SUITE_FILES)))
SUITE_HELPERS := $(filter-out $(SUITE_SOURCES),$(SUITE_FILES))
# What is installed is never a sanitizer's build.
SCRIPTS := $(filter-out $(if $(SAN),tests/install/%),$(wildcard tests/*/test_*.sh))

objects = $(patsubst %.c,$B/%.o,$(patsubst build/%,%,$1))
LIB_OBJECTS := $(call objects,$(LIB_SOURCES))
WORKFLOW_OBJECTS := $(call objects,$(WORKFLOW_SOURCES))
WFCTL_OBJECTS := $(call objects,$(WFCTL_SOURCES))
WFBENCH_OBJECTS := $(call objects,$(WFBENCH_SOURCES))
TESTLIB_OBJECTS := $(call objects,$(TESTLIB_SOURCES))

UNIT_PROGRAMS := $(UNIT_SOURCES:%.c=$B/%)
SUITE_PROGRAMS := $(SUITE_SOURCES:%.c=$B/%)
BENCH_PROGRAMS := $(BENCH_SOURCES:%.c=$B/%)
FUZZ_PROGRAMS := $(FUZZ_SOURCES:%.c=build/fuzz/%)

VERSION := $(or $(shell sed -n 's/^.define WF_VERSION "\(.*\)"$$/\1/p' engine/wf.h 2>/dev/null),0.1.0)
SONAME := libwf.so.0
WFCTL := $(if $(WFCTL_SOURCES),$B/wfctl)
WFBENCH := $(if $(WFBENCH_SOURCES),$B/wfbench)
LIBRARY := $B/libwf.a $B/libwf.so

.PHONY: all help test test-long check fuzz sim valgrind syscalls damage bench mutants lint format demo install uninstall deps clean FORCE

## all: the library (libwf.a, libwf.so), wfctl and wfbench, below build/release/
all: $(LIBRARY) $(WFCTL) $(WFBENCH) $(if $(WFCTL),build/wfctl) $(if $(WFBENCH),build/wfbench)

# Short names for the last variant that was built.
build/wfctl: $(WFCTL) FORCE
	@ln -sfn $(VARIANT)/wfctl $@
build/wfbench: $(WFBENCH) FORCE
	@ln -sfn $(VARIANT)/wfbench $@

# --- rules --------------------------------------------------------------------------------------

ifneq ($(filter clean uninstall help,$(GOALS)),$(GOALS))
# Rebuild all objects of a variant when its flags change.
FLAGS_NOW := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)
ifneq ($(file <$B/flags),$(FLAGS_NOW))
$(shell mkdir -p $B)
$(file >$B/flags,$(FLAGS_NOW))
endif
endif

GENERATED := $(SCHEMA_C)
$B/%.o: %.c $B/flags | deps-present $(GENERATED)
	@mkdir -p $(@D)
	$(Q_CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Generated C is not held to our warnings.
$B/gen/%.o: $(GEN)/%.c $B/flags | deps-present
	@mkdir -p $(@D)
	$(Q_CC)$(CC) $(ALL_CFLAGS) -w -MMD -MP -c -o $@ $<

$(GEN)/%.pb-c.c: %.proto | deps-present
	@mkdir -p $(GEN)
	$(Q_GEN)protoc-c --proto_path=. --c_out=$(GEN) $<

$(GEN)/%.c: %.yaml tools/embed.sh
	@mkdir -p $(@D)
	$(Q_GEN)tools/embed.sh $< >$@

# All of the library as one relocatable object whose only global names are wf_*.
$B/libwf.o: $(LIB_OBJECTS)
	$(Q_LD)ld -r -o $@ $^
	@objcopy --localize-hidden --wildcard --keep-global-symbol='wf_*' $@

$B/libwf.a: $B/libwf.o
	@rm -f $@
	$(Q_AR)ar qcsD $@ $<

$B/libwf.so: $(LIB_OBJECTS) tools/libwf.map
	$(Q_LD)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=tools/libwf.map $(ALL_LDFLAGS) \
		-o $@ $(LIB_OBJECTS) $(LIBS)
	@ln -sfn libwf.so $B/$(SONAME)

# What programs of this tree link with: everything, internal names included.
$B/internal.a: $(LIB_OBJECTS) $(WORKFLOW_OBJECTS)
	@rm -f $@
	$(Q_AR)ar qcsD $@ $^

$B/testlib.a: $(TESTLIB_OBJECTS)
	@rm -f $@
	$(Q_AR)ar qcsD $@ $^

# wfctl's parts, for tests that look at one of them from inside.
$B/wfctl.a: $(filter-out %/main.o,$(WFCTL_OBJECTS))
	@rm -f $@
	$(Q_AR)ar qcsD $@ $^

$B/wfctl: $(WFCTL_OBJECTS) $B/internal.a
	$(Q_LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TOOL_LIBS)

$B/wfbench: $(WFBENCH_OBJECTS) $B/internal.a
	$(Q_LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TOOL_LIBS) -lsqlite3

# A test's own linker flags stand in a comment of its source: /* link: -Wl,--wrap=malloc */
own_flags = $(shell sed -n 's,^/\* link: \(.*\) \*/$$,\1,p' $(patsubst $B/%,%.c,$@))
link_test = $(Q_LD)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(own_flags) \
	-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LIBS)

$(UNIT_PROGRAMS) $(BENCH_PROGRAMS): %: %.o $B/testlib.a $B/internal.a
	$(link_test)

define suite_rule
$(filter $B/tests/$1/%,$(SUITE_PROGRAMS)): %: %.o $(call objects,$(filter tests/$1/%,$(SUITE_HELPERS))) \
		$(if $(filter cli,$1),$B/wfctl.a) $B/testlib.a $B/internal.a
	$$(link_test)
endef
$(foreach suite,$(SUITES),$(if $(filter $B/tests/$(suite)/%,$(SUITE_PROGRAMS)),$(eval $(call suite_rule,$(suite)))))

# Fuzz targets: clang, a tree of objects of their own.
FUZZ_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -D_GNU_SOURCE -pthread -I. -I$(GEN) -w \
	-fno-sanitize-recover=all
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/%.o,$(patsubst build/%,%,\
	$(LIB_SOURCES) $(WORKFLOW_SOURCES) $(TESTLIB_SOURCES) $(FUZZ_HELPERS) \
	$(filter-out %/main.c,$(WFCTL_SOURCES))))

build/fuzz/gen/%.o: $(GEN)/%.c | deps-present
	@mkdir -p $(@D)
	$(Q_CC)clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP -c -o $@ $<
build/fuzz/%.o: %.c | deps-present $(GENERATED)
	@mkdir -p $(@D)
	$(Q_CC)clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP -c -o $@ $<
build/fuzz/all.a: $(FUZZ_OBJECTS)
	@rm -f $@
	$(Q_AR)ar qcsD $@ $^
$(FUZZ_PROGRAMS): %: %.o build/fuzz/all.a
	$(Q_LD)clang -pthread -fsanitize=fuzzer,address,undefined -o $@ $^ $(TEST_LIBS)

# Short lines unless V=1.
ifneq ($(V),1)
Q_CC = @echo "CC    $@";
Q_LD = @echo "LD    $@";
Q_AR = @echo "AR    $@";
Q_GEN = @echo "GEN   $@";
endif

.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)

# --- packages -----------------------------------------------------------------------------------

## deps: install the Debian packages that are missing, for build, test and lint
deps: deps-present

.PHONY: deps-present
deps-present:
	@$(if $(PACKAGES),tools/deps.sh $(PACKAGES))

# --- tests --------------------------------------------------------------------------------------

# Programs of one thread, which takes them minutes under a detector of races, and nothing to detect.
ONE_THREAD := $(addprefix $B/tests/,crash/damage_log crash/damage_store sim/sim_rollback sim/test_history)
# Fuzz targets have sanitizers of their own.
QUICK := $(UNIT_PROGRAMS) $(filter-out $(if $(filter thread,$(SAN)),$(ONE_THREAD)),$(SUITE_PROGRAMS)) \
	$(SCRIPTS) $(if $(SAN),,$(FUZZ_PROGRAMS))
PICKED = $(if $(ONLY),$(foreach program,$1,$(if $(findstring $(ONLY),$(program)),$(program))),$1)
TEST_ENV = BUILD="$(CURDIR)/$B" WFCTL="$(CURDIR)/$B/wfctl" CC="$(CC)" SAN="$(SAN)"

## test: install what is missing, build, run every suite that takes seconds (ONLY=part of a name)
test: $(if $(ONLY),,all) $(filter-out $(SCRIPTS),$(call PICKED,$(QUICK)))
	@$(TEST_ENV) tests/run.sh $(call PICKED,$(QUICK))

## test-long: the same suites at full size: crash kills by the ten thousand, long fuzzing, big logs
test-long: all $(filter-out $(SCRIPTS),$(QUICK))
	@$(TEST_ENV) WF_TEST_LONG=1 tests/run.sh $(QUICK)

## check: the unit tests only
check: $(call PICKED,$(UNIT_PROGRAMS))
	@$(TEST_ENV) tests/run.sh $(call PICKED,$(UNIT_PROGRAMS))

## fuzz: each fuzz target, the committed corpus first, then for FUZZ_SECONDS (30)
FUZZ_SECONDS ?= 30
fuzz: $(call PICKED,$(FUZZ_PROGRAMS))
	@$(TEST_ENV) WF_FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run.sh $(call PICKED,$(FUZZ_PROGRAMS))

## sim: crash the log and the engine on a simulated disk (SEED=, SIM_STATES=)
SIM_PROGRAMS := $(filter $B/tests/sim/%,$(SUITE_PROGRAMS))
sim: $(SIM_PROGRAMS)
	@set -e; for program in $^; do SAN="$(SAN)" $$program; done

## valgrind: the unit tests under memcheck; misuse of memory and leaks are failures (ONLY=part of a name)
valgrind: $(call PICKED,$(UNIT_PROGRAMS))
	@$(TEST_ENV) AUDIT_EDITS=100 WF_TEST_UNDER=tests/valgrind.sh WF_TEST_TIMEOUT=1800 \
		tests/run.sh $(call PICKED,$(UNIT_PROGRAMS))

## syscalls: fail the system calls of a store at work one by one (strace); full disks (SYSCALL_RUNS=)
syscalls: all $B/tests/crash/rotate_stream
	@$(TEST_ENV) tests/crash/test_syscalls.sh

## damage: flip, cut, move and drop parts of every file of a store (DAMAGE_FULL=1: all cases)
DAMAGE_PROGRAMS := $(filter $B/tests/crash/damage_%,$(SUITE_PROGRAMS))
damage: $(DAMAGE_PROGRAMS)
	@set -e; for program in $^; do $$program; done

## bench: wfbench's table, and the benchmarks of tests/bench
bench: $(WFBENCH) $(BENCH_PROGRAMS)
	@set -e; for program in $^; do ./$$program; done

## mutants: plant each bug of tests/mutants in a copy; a test must notice every one (MUTANTS=parts of names)
mutants: deps-present
	+@$(TEST_ENV) MUTANTS="$(MUTANTS)" tests/mutants/run.sh # +: make does not hold its output back

# --- lint ---------------------------------------------------------------------------------------

OUR_C := $(wildcard base/*.[ch] wal/*.[ch] store/*.[ch] engine/*.[ch] engine/core/*.[ch] \
	workflows/*.[ch] workflows/*/*.[ch] tools/*.[ch] tools/*/*.[ch] tests/*/*.[ch] features/steps/*.[ch])
OUR_SCRIPTS = $(wildcard tools/*.sh tests/*.sh tests/*/*.sh .ci/run tools/completion/*.bash)
LINT_STAMPS := $(patsubst %.c,build/lint/%.ok,$(filter %.c,$(OUR_C)))

## lint: formatting, layers, clang's warnings and clang-tidy, shellcheck
lint: lint-format lint-layers lint-scripts $(LINT_STAMPS)
	@echo "lint: clean"

.PHONY: lint-format lint-layers lint-scripts
# Another version of clang-format formats otherwise: then only say so.
lint-format: | deps-present
	@case "$$(clang-format --version 2>/dev/null)" in \
	*"version 14."*) clang-format --dry-run -Werror $(OUR_C) ;; \
	*) echo "lint: clang-format 14 is not here, formatting is not checked" ;; esac
lint-layers:
	@tools/layers.sh
lint-scripts: | deps-present
	@shellcheck -x $(OUR_SCRIPTS)

# gcc's warnings are errors in CI's build; here clang gives its own, then clang-tidy (.clang-tidy).
LINT_FLAGS := $(filter-out -Werror -Wno-format-truncation,$(ALL_CFLAGS))
LINT_KNOWS = $(if $(filter base/error.c,$<),,-include tools/lint_errors.h)
# The analyzer cannot know that cmocka's assertions do not return.
LINT_CHECKS = $(if $(filter tests/%,$<),--checks=-clang-analyzer-*$(comma)-cert-err34-c)
LINT_NOISE := warnings generated|Suppressed|header-filter|system-headers|warnings treated as errors
build/lint/%.ok: %.c .clang-tidy tools/lint_errors.h | deps-present $(GENERATED)
	@mkdir -p $(@D)
	@echo "LINT  $<"
	@clang $(LINT_FLAGS) -Werror -fsyntax-only -MMD -MP -MT $@ -MF $(@:.ok=.d) $<
	@clang-tidy --quiet $(LINT_CHECKS) $< -- $(LINT_FLAGS) $(LINT_KNOWS) >$(@:.ok=.log) 2>&1 || \
		{ grep -vE '$(LINT_NOISE)' $(@:.ok=.log); exit 1; }
	@touch $@

## format: rewrite every C file as .clang-format says
format: | deps-present
	clang-format -i $(OUR_C)

# --- demo, install ------------------------------------------------------------------------------

## demo: build, then tell the story in the terminal: kill -9 in the middle, and nothing is lost
demo: all
	@WFCTL="$(CURDIR)/$B/wfctl" tools/demo.sh

INCLUDE_DIR = $(DESTDIR)$(PREFIX)/include
LIB_DIR = $(DESTDIR)$(PREFIX)/lib
BIN_DIR = $(DESTDIR)$(PREFIX)/bin
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man
COMPLETION_DIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions

## install: header, libraries, wf.pc, wfctl, man pages, completion (PREFIX=/usr/local, DESTDIR=)
install: all
	install -d $(INCLUDE_DIR) $(LIB_DIR)/pkgconfig $(BIN_DIR) $(MAN_DIR)/man1 $(MAN_DIR)/man3 $(COMPLETION_DIR)
	sed -e '/^#include "base\/status.h"/{r base/status.h' -e 'd;}' engine/wf.h >$(INCLUDE_DIR)/wf.h
	chmod 644 $(INCLUDE_DIR)/wf.h
	install -m 644 $B/libwf.a $(LIB_DIR)/libwf.a
	install -m 755 $B/libwf.so $(LIB_DIR)/libwf.so.$(VERSION)
	ln -sfn libwf.so.$(VERSION) $(LIB_DIR)/$(SONAME)
	ln -sfn $(SONAME) $(LIB_DIR)/libwf.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LIBS)|' tools/wf.pc.in \
		>$(LIB_DIR)/pkgconfig/wf.pc
	install -m 755 $B/wfctl $(BIN_DIR)/wfctl
	install -m 644 $(wildcard docs/man/*.1) $(MAN_DIR)/man1/
	install -m 644 $(wildcard docs/man/*.3) $(MAN_DIR)/man3/
	install -m 644 tools/completion/wfctl.bash $(COMPLETION_DIR)/wfctl
	$(if $(DESTDIR),,-ldconfig 2>/dev/null)

## uninstall: remove what install put there
uninstall:
	rm -f $(INCLUDE_DIR)/wf.h $(LIB_DIR)/libwf.a $(LIB_DIR)/libwf.so $(LIB_DIR)/$(SONAME) \
		$(LIB_DIR)/libwf.so.$(VERSION) $(LIB_DIR)/pkgconfig/wf.pc $(BIN_DIR)/wfctl \
		$(patsubst docs/man/%,$(MAN_DIR)/man1/%,$(wildcard docs/man/*.1)) \
		$(patsubst docs/man/%,$(MAN_DIR)/man3/%,$(wildcard docs/man/*.3)) $(COMPLETION_DIR)/wfctl

## clean: remove build/
clean:
	rm -rf build

## help: this list
help:
	@sed -n 's/^## \([a-z-]*\): \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done
