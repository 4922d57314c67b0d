#!/bin/sh
# Fails on an #include that points up. Usage: tools/layers.sh [ROOT], ROOT being the project's folder.
# The table is the one in README.md: a folder may include itself and what stands to its right.
set -eu
cd "${1:-.}"

# shellcheck disable=SC2016 # the program is awk's
find base wal store engine workflows tools features tests \
    -name node_modules -prune -o -type f \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null |
    LC_ALL=C sort | xargs -r awk '
BEGIN {
    # layer -> what it may include, by prefix
    may["base"]        = "base/"
    may["wal"]         = "wal/ base/"
    may["store"]       = "store/ wal/ base/"
    may["engine/core"] = "engine/core/ base/error.h base/bytes.h base/table.h base/nearest.h base/slab.h base/status.h"
    may["engine"]      = "engine/ store/ wal/ base/"
    may["workflows"]   = "workflows/ engine/wf.h"
    may["tools"]       = "tools/ workflows/ engine/ store/ wal/ base/"
    may["features"]    = "features/ tests/lib/ workflows/ engine/ store/ wal/ base/"
    may["tests"]       = "tests/ tools/ workflows/ engine/ store/ wal/ base/"

    # header -> the only files that may include it (tests/ and features/ may include everything)
    only["^lmdb\\.h$"]         = "^store/snapshot_lmdb[a-z_]*\\.c$"
    only["^libdeflate\\.h$"]        = "^store/archive[a-z_]*\\.c$"
    only["\\.pb-c\\.h$"]       = "^engine/codec[a-z_]*\\.[ch]$"
    only["^protobuf-c/"]       = "^engine/codec[a-z_]*\\.[ch]$"
    only["^engine/codec_[a-z_]+\\.h$"] = "^engine/codec[a-z_]*\\.[ch]$" # inside the codec: they show pb-c
    only["^yaml\\.h$"]         = "^engine/definition_yaml[a-z_]*\\.[ch]$"
    only["^jansson\\.h$"]      = "^tools/"
    only["^openssl/"]          = "^(wal/|store/|engine/(digest|signature)\\.c$)"
    only["^xxhash\\.h$"]       = "^base/"
    only["^cmocka\\.h$"]       = "^$"

    # what the pure core must not reach for: disk, clock, random, threads
    impure = "^(time|unistd|fcntl|pthread|threads|semaphore|signal|dirent|sys/.*)\\.h$"
}

function layer_of(path) {
    if (path ~ /^engine\/core\//)
        return "engine/core"
    sub(/\/.*/, "", path)
    return path
}

# "a/b/../c.h" -> "a/c.h"
function normal(path) {
    while (path ~ /(^|\/)\.\//)
        sub(/\.\//, "", path)
    while (match(path, /[^\/.]+\/\.\.\//))
        path = substr(path, 1, RSTART - 1) substr(path, RSTART + RLENGTH)
    return path
}

function complain(why) {
    printf "%s:%d: %s\n", FILENAME, FNR, why
    bad++
}

function check_arrow(target,    layer, n, i, prefix) {
    layer = layer_of(FILENAME)
    n = split(may[layer], prefix, " ")
    for (i = 1; i <= n; i++)
        if (index(target, prefix[i]) == 1)
            return
    complain(layer "/ may not include " target " (only " may[layer] ")")
}

function check_single(target,    header) {
    if (FILENAME ~ /^(tests|features)\//)
        return
    for (header in only)
        if (target ~ header && FILENAME !~ only[header])
            complain(target " may be included by " (only[header] == "^$" ? "tests/" : only[header]) " only")
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    target = $0
    sub(/^[^<"]*[<"]/, "", target)
    quoted = $0 ~ /^[^<"]*"/
    sub(/[>"].*$/, "", target)
    target = normal(target)

    known = target ~ /^(base|wal|store|engine|workflows|tools|features|tests)\//
    if (!known && quoted && target !~ /\.pb-c\.h$/) {
        # relative to the including file
        here = FILENAME
        sub(/[^\/]*$/, "", here)
        target = normal(here target)
        known = 1
    }
    if (known && target !~ /\.pb-c\.h$/)
        check_arrow(target)
    check_single(target)
    if (layer_of(FILENAME) == "engine/core" && target ~ impure)
        complain("engine/core/ is pure and may not include <" target ">")
}

END {
    if (bad) {
        printf "layers: %d include%s against the layers\n", bad, bad == 1 ? "" : "s"
        exit 1
    }
}' >&2
