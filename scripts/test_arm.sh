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
# The last one runs the kernels of the one before it, but for products of int8 and bfloat16.
PRODUCTS='Resolve.*:Bf16*:Tiers/Kernels.*neon_i8mm*_i8*:Tiers/Kernels.*neon_bf16_gated_conv_bf16'
for triple in cortex-a53=neon= neoverse-n1=neon_dotprod= max=neon_i8mm="$PRODUCTS"; do
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

# 32 bits: the kernels, and a model of each family. Cortex-A9 has vectors, but no fused products.
# on_armhf RUN PROGRAM CPU TIER FILTER
on_armhf() {
  heading "armhf: $2 on $3, which has $4"
  PROGRAMS=$2 QEMU_CPU=$3 PYVOC_EXPECT_TIER=$4 GTEST_FILTER=$5 \
    run_native "armhf-$1" build/armhf qemu-arm -L /usr/arm-linux-gnueabihf || failed=1
}
if need g++-arm-linux-gnueabihf=arm-linux-gnueabihf-g++; then
  heading "armhf: build"
  configure build/armhf -DCMAKE_BUILD_TYPE=Release -DPYVOC_WERROR=ON \
    -DCMAKE_TOOLCHAIN_FILE="$ROOT/cmake/arm-linux-gnueabihf.cmake"
  ninja -C build/armhf -j "$JOBS" --quiet pyvoc_static pyvoc_kernel_tests pyvoc_realtime_tests
  models=$(printf ':*StreamDoesNotAllocate/*%s' tree_sparse_int8 fargan_even_int8 \
    hifigan_paired_f32 melgan_zero_f32 waveglow_early_f32 wavernn_mol_int8)
  on_armhf kernels pyvoc_kernel_tests cortex-a7 neon '*'
  on_armhf older pyvoc_kernel_tests cortex-a9 scalar 'Resolve.*'
  on_armhf models pyvoc_realtime_tests cortex-a7 neon "${models#:}"
  heading "armhf: instructions per second of audio"
  OMP_NUM_THREADS=1 python scripts/arm_instructions.py build/armhf --machine arm \
    --junit "$RESULTS/armhf-instructions.xml" || failed=1
else
  skip armhf "the cross compiler is missing (g++-arm-linux-gnueabihf)" || failed=1
fi

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
