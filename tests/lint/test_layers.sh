#!/bin/sh
# tools/layers.sh lets every allowed include pass and names file and line of each that points up.
set -eu
layers=$PWD/tools/layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/base" "$tree/wal" "$tree/store" "$tree/engine/core" "$tree/workflows/loan" "$tree/tools/wfctl" "$tree/tests/unit"
passed=0
failed=0

# expect pass|fail FILE INCLUDE: with only that one line in the tree, the script says so.
expect() {
    printf '\n#include %s\n' "$3" >"$tree/$2"
    if said=$("$layers" "$tree" 2>&1); then got=pass; else got=fail; fi
    case $got$said in
    "$1") passed=$((passed + 1)) ;;
    fail"$2:2: "*) if [ "$1" = fail ]; then passed=$((passed + 1)); else got=wrong; fi ;;
    *) got=wrong ;;
    esac
    if [ "$got" = wrong ]; then
        failed=$((failed + 1))
        echo "expected $1: $2 including $3; said: $said"
    fi
    rm "$tree/$2"
}

expect pass base/a.c '"base/io.h"'
expect pass base/a.c '<stdio.h>'
expect fail base/a.c '"wal/wal.h"'
expect fail base/a.c '"../wal/wal.h"'
expect fail base/a.c '<wal/wal.h>'
expect pass wal/a.c '"base/io.h"'
expect pass wal/a.c '"wal.h"'
expect pass wal/a.c '<openssl/sha.h>'
expect fail wal/a.c '"store/snapshot.h"'
expect pass store/a.c '"wal/wal.h"'
expect fail store/a.c '"engine/wf.h"'
expect fail store/a.c '"engine/core/state.h"'
expect pass engine/a.c '"store/snapshot.h"'
expect pass engine/a.c '"engine/core/state.h"'
expect fail engine/a.c '"workflows/loan/loan.h"'
expect fail engine/a.c '  "tests/lib/sim_io.h"'
expect pass engine/core/a.c '"base/table.h"'
expect pass engine/core/a.c '"engine/core/state.h"'
expect fail engine/core/a.c '"base/io.h"'
expect fail engine/core/a.c '"engine/wf.h"'
expect fail engine/core/a.c '"../codec.h"'
expect fail engine/core/a.c '<time.h>'
expect fail engine/core/a.c '<sys/random.h>'
expect pass workflows/loan/a.c '"engine/wf.h"'
expect pass workflows/loan/a.c '"workflows/loan/loan.h"'
expect fail workflows/loan/a.c '"engine/core/state.h"'
expect fail workflows/loan/a.c '"base/bytes.h"'
expect pass tools/wfctl/a.c '"engine/wf.h"'
expect fail tools/wfctl/a.c '"tests/lib/sim_io.h"'
expect pass tests/unit/a.c '"tools/wfctl/args.h"'

# Headers that one file alone includes.
expect pass store/snapshot_lmdb.c '<lmdb.h>'
expect fail store/snapshot.c '<lmdb.h>'
expect pass store/archive_reader.c '<libdeflate.h>'
expect fail wal/a.c '<libdeflate.h>'
expect pass engine/codec.c '"engine/schema/record.pb-c.h"'
expect fail engine/recover.c '"engine/schema/record.pb-c.h"'
expect pass engine/codec_definition.h '"engine/schema/record.pb-c.h"'
expect fail engine/recover.c '"engine/codec_definition.h"'
expect pass engine/recover.c '"engine/codec.h"'
expect pass engine/digest.c '<openssl/sha.h>'
expect fail engine/recover.c '<openssl/sha.h>'
expect fail engine/core/a.c '"engine/schema/record.pb-c.h"'
expect pass engine/definition_yaml.c '<yaml.h>'
expect fail engine/definition.c '<yaml.h>'
expect pass tools/wfctl/a.c '<jansson.h>'
expect fail engine/a.c '<jansson.h>'
expect fail base/a.c '<cmocka.h>'
expect pass tests/unit/a.c '<lmdb.h>'

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
