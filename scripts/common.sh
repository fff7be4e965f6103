# Sourced by the other scripts: paths, headings, the system packages that the tests need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
VENV=${VENV:-$ROOT/.venv}
export PATH="$VENV/bin:$PATH"
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
RESULTS=$ROOT/build/results # what summary.py counts
mkdir -p "$RESULTS"

heading() { printf '\n==== %s\n' "$*"; }

# missing PACKAGE=FILE-OR-COMMAND ...: the packages whose file or command is not there.
missing() {
  local pair
  for pair in "$@"; do
    if [[ ${pair#*=} == /* ]]; then
      [[ -e ${pair#*=} ]] || printf '%s ' "${pair%%=*}"
    else
      command -v "${pair#*=}" >/dev/null || printf '%s ' "${pair%%=*}"
    fi
  done
}

# need PACKAGE=FILE-OR-COMMAND ...: installs what is missing with apt where that is possible;
# otherwise says what to install and returns 1.
need() {
  local wanted sudo=()
  wanted=$(missing "$@")
  [[ -z $wanted ]] && return 0
  if [[ $(id -u) -ne 0 ]]; then sudo=(sudo -n); fi
  if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
    echo "installing $wanted"
    local log=$ROOT/build/apt.log
    # shellcheck disable=SC2086
    if "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive bash -c "
        apt-get install -y --no-install-recommends $wanted ||
        { apt-get update && apt-get install -y --no-install-recommends $wanted; }" >"$log" 2>&1; then
      return 0
    fi
    tail -n 5 "$log"
  fi
  echo "missing, and not installable from here: $wanted"
  echo "on Debian or Ubuntu: sudo apt-get install $wanted"
  return 1
}

# skip STAGE REASON: a stage that this machine cannot run. An error where PYVOC_REQUIRE_ALL is set.
skip() {
  echo "SKIPPED $1: $2"
  echo "$2" >"$RESULTS/$1.skipped"
  [[ -z ${PYVOC_REQUIRE_ALL:-} ]]
}

# configure BUILD OPTION ...: a CMake build of the tests, through ccache where that is there; its
# output is shown when it fails.
configure() {
  local build=$1 launcher=
  shift
  if command -v ccache >/dev/null; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
  # -Wno-deprecated: GoogleTest 1.12 asks for an old CMake.
  cmake -S . -B "$build" -G Ninja -Wno-deprecated -DPYVOC_BUILD_TESTS=ON \
    ${launcher:+"$launcher"} "$@" >"$build.log" 2>&1 ||
    { cat "$build.log"; return 1; }
}

build_native() {
  configure build/native -DCMAKE_BUILD_TYPE=Release -DPYVOC_BUILD_EXAMPLES=ON -DPYVOC_WERROR=ON \
    -DPYVOC_SOAK=ON
  ninja -C build/native -j "$JOBS" --quiet
}

# What is left out under emulation and on lower tiers: slow or bound to real time, and no more
# telling than on the machine itself.
# QEMU's user mode cannot emulate the fork of a process that has threads.
EMULATED_FILTER='-CorruptModels.*:Dump.*:Gguf.Many*:ModelMemory.*:*Live*:*/Realtime.*:Team.IsDestroyedInAForkedChild'

# run_native NAME BUILD [WORD ...]: the GoogleTest programs of a build (PROGRAMS), in as many parts as
# there are JOBS, side by side; the words (an emulator) come before a program. Counts are left for summary.py.
run_native() {
  local name=$1 build=$2 program pids=() code=0 i tmp
  shift 2
  rm -rf "${RESULTS:?}/$name"
  mkdir -p "$RESULTS/$name"
  tmp=$(mktemp -d)
  for program in ${PROGRAMS:-pyvoc_tests pyvoc_realtime_tests}; do
    for ((i = 0; i < JOBS; ++i)); do
      TMPDIR=$tmp GTEST_TOTAL_SHARDS=$JOBS GTEST_SHARD_INDEX=$i GTEST_BRIEF=1 \
        GTEST_OUTPUT="json:$RESULTS/$name/$program.$i.json" \
        "$@" "$build/tests/native/$program" &
      pids+=($!)
    done
  done
  for i in "${pids[@]}"; do wait "$i" || code=1; done
  rm -rf "$tmp"
  return $code
}

# run_probes NAME BUILD: the tests that need a process per case, and the short forms of tests/soak.
run_probes() {
  ctest --test-dir "$2" --output-on-failure -R '^(isa|soak)_' --output-junit "$RESULTS/$1.xml"
}
