#!/usr/bin/env bash
# The native tests on this machine's processor.
source "$(dirname "$0")/common.sh"
if ! need libgtest-dev=/usr/src/googletest/CMakeLists.txt; then
  skip native "GoogleTest's sources are missing (libgtest-dev)"
  exit
fi
heading "native tests: build"
build_native
heading "native tests: run"
failed=0
run_native native build/native || failed=1
run_probes native build/native || failed=1
exit $failed
