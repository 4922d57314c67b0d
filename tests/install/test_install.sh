#!/bin/bash
# `make install` into an empty folder gives a library that stands alone: the README's demo compiles with
# what pkg-config says and runs, shared and static; nothing but wf_* is visible; uninstall removes it all.
set -uo pipefail
unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL MFLAGS
cc=${CC:-cc}
read -ra cc <<<"$cc"
here=$PWD
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
prefix=/opt/wf
root=$dest$prefix
passed=0
failed=0

# check NAME COMMAND…: the command succeeds.
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $name"
        printf '%s\n' "$said" | tail -n 40
    fi
}

check "make install" make -C "$here" install CC="${cc[*]}" PREFIX="$prefix" DESTDIR="$dest"

everything_is_there() {
    local file
    for file in include/wf.h lib/libwf.a lib/libwf.so lib/libwf.so.0 lib/pkgconfig/wf.pc bin/wfctl \
        share/man/man1/wfctl.1 share/man/man3/wf.3 share/bash-completion/completions/wfctl; do
        [ -s "$root/$file" ] || { echo "$file is missing or empty" && return 1; }
    done
}
check "every file is installed" everything_is_there

export PKG_CONFIG_LIBDIR=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
flags() { pkg-config "$@" wf; }

work=$dest/work
mkdir "$work"
cd "$work" || exit 1
awk '/^```c$/ { on = 1; next } on && /^```/ { exit } on' "$here/README.md" >demo.c

the_demo_is_short() {
    local lines
    lines=$(grep -c . demo.c)
    if [ "$lines" -lt 10 ] || [ "$lines" -gt 40 ]; then
        echo "README.md's first C block has $lines lines"
        return 1
    fi
}
check "README.md has a demo of about thirty lines" the_demo_is_short

# shellcheck disable=SC2046 # pkg-config gives a list of words
compile() { "${cc[@]}" -Wall -Wextra -Werror "$@" $(flags --cflags); }
# shellcheck disable=SC2046
demo_shared() { compile -o demo demo.c $(flags --libs) && LD_LIBRARY_PATH=$root/lib ./demo; }
# As README.md has it for another PREFIX, without LD_LIBRARY_PATH.
# shellcheck disable=SC2046
demo_rpath() { compile -o demo-rpath demo.c $(flags --libs) -Wl,-rpath,"$root/lib" && ./demo-rpath; }
# shellcheck disable=SC2046
demo_static() {
    mkdir -p static && cd static &&
        compile -o demo ../demo.c "$root/lib/libwf.a" $(flags --libs --static | sed 's/-lwf//') && ./demo
}
# Run twice: the second time it finds the store of the first.
check "the demo compiles and runs with libwf.so" demo_shared
check "the demo runs again on the store that it left" demo_shared
check "the demo finds libwf.so by an rpath" demo_rpath
check "the demo compiles and runs with libwf.a" demo_static

# The example of wf(3), as man shows it.
sed -n '/^\.SH EXAMPLE/,/^\.EE/p' "$here/docs/man/wf.3" | sed '/^\./d; s/\\e/\\/g; s/\\-/-/g' >example.c
# shellcheck disable=SC2046
man_example() { compile -o example example.c $(flags --libs) && LD_LIBRARY_PATH=$root/lib ./example | grep -x 'o-17: completed'; }
check "the example of wf(3) compiles and runs" man_example
check "and once more on the store that it left" man_example

printf '#include <wf.h>\nint main(void) { return wf_version() == 0; }\n' >header.c
check "the header stands alone as strict C11" compile -std=c11 -pedantic -fsyntax-only header.c
cxx_flags() { flags --cflags; }
if command -v clang >/dev/null 2>&1; then
    # shellcheck disable=SC2046
    header_in_cxx() { clang -x c++ -Wall -Wextra -Werror -fsyntax-only header.c $(cxx_flags); }
    check "the header is good C++ too" header_in_cxx
fi
no_inner_include() { ! grep -n '#include "' "$root/include/wf.h"; }
check "the header includes none of ours" no_inner_include

only_wf() {
    local names
    names=$("$@" | awk 'NF == 3 { print $3 }')
    [ -n "$names" ] || { echo "no symbols at all" && return 1; }
    ! grep -v '^wf_' <<<"$names"
}
check "libwf.so exports wf_* only" only_wf nm -D --defined-only "$root/lib/libwf.so"
check "libwf.a defines no global but wf_*" only_wf nm -g --defined-only "$root/lib/libwf.a"

everything_declared_is_exported() {
    local name status=0
    for name in $(tr '\n' ' ' <"$root/include/wf.h" | grep -oE 'WF_API [^;(]*' | grep -oE 'wf_[a-z_]+ *$'); do
        nm -D --defined-only "$root/lib/libwf.so" | grep -q " $name$" || { echo "$name is declared and not exported" && status=1; }
    done
    return $status
}
check "every function of the header is in the library" everything_declared_is_exported
soname() { readelf -d "$root/lib/libwf.so" | grep -q 'SONAME.*\[libwf.so.0\]'; }
check "the soname is libwf.so.0" soname
check "wfctl runs from where it was installed" "$root/bin/wfctl" --version

cd "$here" || exit 1
nothing_is_left() {
    make uninstall PREFIX="$prefix" DESTDIR="$dest" && ! find "$root" ! -type d | grep .
}
check "make uninstall leaves nothing behind" nothing_is_left

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
