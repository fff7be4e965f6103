#!/usr/bin/env bash
# The native tests on processors that this machine is not, by emulation: that the kernels of each
# tier are right, and that dispatch picks the tier it should.
source "$(dirname "$0")/common.sh"
if ! need libgtest-dev=/usr/src/googletest/CMakeLists.txt \
  g++-aarch64-linux-gnu=aarch64-linux-gnu-g++ qemu-user=qemu-aarch64; then
  skip arm "the cross compiler or the emulator is missing (g++-aarch64-linux-gnu, qemu-user)"
  exit
fi
heading "aarch64: build"
configure build/aarch64 -DCMAKE_BUILD_TYPE=Release -DPYVOC_WERROR=ON \
  -DCMAKE_TOOLCHAIN_FILE="$ROOT/cmake/aarch64-linux-gnu.cmake"
ninja -C build/aarch64 -j "$JOBS" --quiet

failed=0
# The last one runs the kernels of the one before it: there, what is asked is which tier it takes.
for triple in cortex-a53=neon= neoverse-n1=neon_dotprod= max=neon_dotprod=Resolve.*; do
  IFS== read -r cpu tier filter <<<"$triple"
  heading "aarch64: $cpu, which has $tier"
  export QEMU_CPU=$cpu PYVOC_EXPECT_TIER=$tier GTEST_FILTER=${filter:-$EMULATED_FILTER}
  run_native "arm-$QEMU_CPU" build/aarch64 qemu-aarch64 -L /usr/aarch64-linux-gnu || failed=1
  run_probes "arm-$QEMU_CPU" build/aarch64 || failed=1
done
unset QEMU_CPU
heading "aarch64: instructions per second of audio"
OMP_NUM_THREADS=1 python scripts/arm_instructions.py build/aarch64 \
  --junit "$RESULTS/arm-instructions.xml" || failed=1

# The x86-64 build on older processors. Emulated fused multiply-adds are slow, so what only repeats
# kernels over many inputs is left to a real processor (test_native.sh).
REPEATED='*Training*:*Rates/*:RealFft*:Denoiser*:*ChunksDoNotMatter*:*SameBits*:*ChangeNoBit*:*DilatedConv*'
if [[ $(uname -m) == x86_64 ]]; then
  build_native
  for pair in Nehalem=scalar Haswell=avx2; do
    heading "x86-64: ${pair%=*}, which has ${pair#*=}"
    export PYVOC_EXPECT_TIER=${pair#*=} GTEST_FILTER=$EMULATED_FILTER:$REPEATED
    run_native "x86-${pair%=*}" build/native qemu-x86_64 -cpu "${pair%=*}" \
      2> >(grep -v "TCG doesn't support" >&2) || failed=1
  done
fi
exit $failed
