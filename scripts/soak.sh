#!/usr/bin/env bash
# Every operation on files of everything that writes, killed and failed (tests/faults); then models
# fuzzed for a while (scripts/fuzz.sh).
source "$(dirname "$0")/common.sh"
heading "soak: kills and failures"
mkdir -p build/faults
cc -shared -fPIC -O1 tests/faults/shim.c -o build/faults/shim.so -ldl
LD_PRELOAD=$PWD/build/faults/shim.so python tests/faults/inject.py \
  "$PWD/build/faults/shim.so" "$PWD/build/faults/out" "${MOST:-1000000}"
scripts/fuzz.sh
