#!/usr/bin/env bash
# The native tests on this machine's processor: its best tier, then lower ones.
source "$(dirname "$0")/common.sh"
if ! need libgtest-dev=/usr/src/googletest/CMakeLists.txt; then
  skip native "GoogleTest's sources are missing (libgtest-dev)"
  exit
fi
need libasound2-dev=/usr/include/alsa/asoundlib.h || true # an example; it is left out without
heading "native tests: build"
build_native
heading "native tests: run"
failed=0
run_native native build/native || failed=1
run_probes native build/native || failed=1
for isa in scalar avx2; do
  if PYVOC_ISA=$isa build/native/tests/native/pyvoc_isa_probe | grep -q "tier: $isa"; then
    heading "native tests: tier $isa"
    PYVOC_ISA=$isa GTEST_FILTER=$EMULATED_FILTER run_native "native-$isa" build/native || failed=1
  fi
done
exit $failed
