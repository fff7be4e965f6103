#!/usr/bin/env bash
# Models as no one would write them, under the sanitizers (tests/fuzz). With clang, libFuzzer, which
# learns from coverage; else the target's own loop. Then files for the readers that are written in
# Python. SECONDS_EACH=3600 make fuzz; what is found stays in build/fuzz/found. With libFuzzer the
# curve of coverage is in build/fuzz/coverage.tsv.
source "$(dirname "$0")/common.sh"
SECONDS_EACH=${SECONDS_EACH:-300}
compiler=$(compgen -c clang++ | grep -E '^clang\+\+(-[0-9]+)?$' | sort -V | tail -n 1 || true)
options=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1"
  -DPYVOC_SANITIZE=address,undefined -DPYVOC_TIERS=avx2,neon -DPYVOC_BUILD_TOOLS=OFF)
launcher=
if command -v ccache >/dev/null; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
kind=main
if [[ -n $compiler ]]; then
  kind=libfuzzer
  options+=("-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_C_COMPILER=${compiler/++/}")
fi
heading "fuzz: build ($kind)"
cmake -S . -B build/fuzz -G Ninja -DPYVOC_FUZZ=$kind ${launcher:+"$launcher"} "${options[@]}" \
  >build/fuzz.log 2>&1 || { cat build/fuzz.log; exit 1; }
ninja -C build/fuzz -j "$JOBS" --quiet pyvoc_fuzz_model
heading "fuzz: run, $SECONDS_EACH s"
mkdir -p build/fuzz/corpus build/fuzz/found
find tests/golden tests/fuzz/kept -name '*.gguf' | while read -r file; do
  cp -n "$file" "build/fuzz/corpus/$(echo "${file#tests/golden/}" | tr / -)"
done
export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
target=build/fuzz/tests/fuzz/pyvoc_fuzz_model
if [[ $kind == libfuzzer ]]; then
  # A change may ask for much and be given it: what a model may take is bounded by its file.
  "$target" -max_total_time="$SECONDS_EACH" -max_len=1048576 -rss_limit_mb=4096 -timeout=60 \
    -artifact_prefix=build/fuzz/found/ -print_final_stats=1 build/fuzz/corpus \
    2>&1 | tee build/fuzz/run.log
  {
    printf 'executions\tedges\tfeatures\tcorpus\n'
    sed -nE 's/^#([0-9]+).*cov: ([0-9]+) ft: ([0-9]+) corp: ([0-9]+).*/\1\t\2\t\3\t\4/p' build/fuzz/run.log
  } >build/fuzz/coverage.tsv
else
  end=$((SECONDS + SECONDS_EACH))
  while ((SECONDS < end)); do
    PYVOC_FUZZ_KEEP=build/fuzz/found "$target" 2000 $((RANDOM * 32768 + RANDOM)) build/fuzz/corpus/*
  done
fi
heading "fuzz: readers in Python, $SECONDS_EACH s"
kinds=$(grep -cE '^    "[a-z0-9]+": Reader\(' tests/fuzz/readers.py)
python tests/fuzz/readers.py build/fuzz/found 100 $((SECONDS_EACH / kinds)) "$((RANDOM * 32768 + RANDOM))"
