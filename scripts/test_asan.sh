#!/usr/bin/env bash
# The native tests, the corpus of corrupted models among them, under the address and
# undefined-behaviour sanitizers.
source "$(dirname "$0")/common.sh"
if ! need libgtest-dev=/usr/src/googletest/CMakeLists.txt; then
  skip asan "GoogleTest's sources are missing (libgtest-dev)"
  exit
fi
heading "sanitizers: build"
# A vector tier beside the scalar one: the others are the same templates, and instrumented they take
# longer to compile than all the rest. What they write beyond is seen by the fences of their tests.
configure build/asan -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1" \
  -DPYVOC_SANITIZE=address,undefined -DPYVOC_TIERS=avx2,neon -DPYVOC_FUZZ=main
ninja -C build/asan -j "$JOBS" --quiet
heading "sanitizers: run"
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
failed=0
run_native asan build/asan || failed=1
run_probes asan build/asan || failed=1
# A short form of `make fuzz`, the same every time. What a model asks for in vain is an error.
export ASAN_OPTIONS=$ASAN_OPTIONS:allocator_may_return_null=1
find tests/golden -name '*.gguf' -print0 | sort -z |
  xargs -0 build/asan/tests/fuzz/pyvoc_fuzz_model 2000 1 || failed=1
exit $failed
