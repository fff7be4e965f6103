#!/usr/bin/env bash
# Every operation on files of everything that writes, killed and failed (tests/faults); streams of
# HOURS of sound through each family (tests/soak/long_stream.cc), default 1; threads
# (scripts/test_threads.sh); then models fuzzed for a while (scripts/fuzz.sh).
source "$(dirname "$0")/common.sh"
heading "soak: kills and failures"
mkdir -p build/faults
cc -shared -fPIC -O1 tests/faults/shim.c -o build/faults/shim.so -ldl
for program in inject folders; do
  LD_PRELOAD=$PWD/build/faults/shim.so python "tests/faults/$program.py" \
    "$PWD/build/faults/shim.so" "$PWD/build/faults/out" "${MOST:-1000000}"
done
heading "soak: ${HOURS:-1} h of sound each"
build_native
for model in fargan/odd.int8 hifigan/odd.f32 melgan/odd.f32 waveglow/early.bf16 tree_sparse.int8 wavernn/mol.int8; do
  build/native/tests/soak/pyvoc_soak_long_stream "$(python -c "print(3600 * ${HOURS:-1})")" \
    "tests/golden/$model.gguf"
done
scripts/test_threads.sh
scripts/fuzz.sh
