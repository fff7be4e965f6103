#!/usr/bin/env bash
# What runs side by side (tests/soak/threads.cc: streams of one model, helpers, the live engine), its
# kernels instrumented too, under the thread sanitizer. SECONDS_EACH=600 make test-threads.
source "$(dirname "$0")/common.sh"
heading "threads: build"
launcher=
if command -v ccache >/dev/null; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
# The scalar tier alone: what it reads and writes is what the others do.
cmake -S . -B build/tsan -G Ninja -DPYVOC_SOAK=ON ${launcher:+"$launcher"} -DCMAKE_BUILD_TYPE=Debug \
  "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1" -DPYVOC_SANITIZE=thread -DPYVOC_TIERS=scalar \
  -DPYVOC_BUILD_TOOLS=OFF >build/tsan.log 2>&1 || { cat build/tsan.log; exit 1; }
ninja -C build/tsan -j "$JOBS" --quiet pyvoc_soak_threads
models=(tree_sparse.int8 fargan/odd.int8 hifigan/odd.f32 melgan/odd.f32 waveglow/early.f32 wavernn/mol.int8)
models=("${models[@]/#/tests/golden/}")
heading "threads: run, ${SECONDS_EACH:-30} s"
TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" \
  build/tsan/tests/soak/pyvoc_soak_threads "${SECONDS_EACH:-30}" "${models[@]/%/.gguf}"
