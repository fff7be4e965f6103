#!/usr/bin/env bash
# The fuzz target and its seeds as OSS-Fuzz and ClusterFuzzLite build them: compiler, flags and engine
# come from the environment, and what is built goes to $OUT. Here, with clang:
#   CC=clang CXX=clang++ OUT=/tmp/out CXXFLAGS="-O1 -fsanitize=address,fuzzer-no-link" \
#   LIB_FUZZING_ENGINE=-fsanitize=fuzzer scripts/oss_fuzz.sh [OPTION OF CMAKE ...]
source "$(dirname "$0")/common.sh"
: "${OUT:?where to}" "${LIB_FUZZING_ENGINE:?what links the engine}"
work=${WORK:-$ROOT/build/oss-fuzz}
cmake -S . -B "$work" -DPYVOC_FUZZ=engine "-DPYVOC_FUZZ_ENGINE=$LIB_FUZZING_ENGINE" \
  -DPYVOC_TIERS=avx2,neon -DPYVOC_BUILD_TOOLS=OFF -DPYVOC_BUILD_SHARED=OFF "$@"
cmake --build "$work" -j "$JOBS" --target pyvoc_fuzz_model
mkdir -p "$OUT"
cp "$work/tests/fuzz/pyvoc_fuzz_model" "$OUT/"
python3 - "$OUT/pyvoc_fuzz_model_seed_corpus.zip" <<'END'
import pathlib
import sys
import zipfile

golden = pathlib.Path("tests/golden")
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as file:
    for path in sorted(golden.rglob("*.gguf")):
        file.write(path, "-".join(path.relative_to(golden).parts))
END
printf '[libfuzzer]\nmax_len = 1048576\ntimeout = 60\n\n[asan]\nallocator_may_return_null = 1\n' \
  >"$OUT/pyvoc_fuzz_model.options"
