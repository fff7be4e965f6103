#!/usr/bin/env bash
# build_aar.sh [OUT.aar]: the Android archive, with the NDK in ANDROID_NDK_HOME (27 or newer) and
# kotlinc. ABIS="arm64-v8a" leaves out the emulator's; MODELS=fargan has that family alone. Untested
# for want of an NDK: what it calls is tested with the desktop's compilers (docs/mobile.md).
source "$(dirname "$0")/common.sh"
ndk=${ANDROID_NDK_HOME:?names the folder of an Android NDK}
api=21
out=${1:-build/pyvoc.aar}
need kotlin=kotlinc cmake=cmake ninja-build=ninja
libraries=()
for abi in ${ABIS:-arm64-v8a x86_64}; do
  heading "$abi"
  options=()
  # Every AArch64 has NEON: the kernels for processors without are left out.
  if [[ $abi == arm64-v8a ]]; then options=(-DPYVOC_SCALAR=OFF); fi
  cmake -S mobile/android -B "build/android-$abi" -G Ninja -DCMAKE_BUILD_TYPE=MinSizeRel \
    -DCMAKE_TOOLCHAIN_FILE="$ndk/build/cmake/android.toolchain.cmake" -DANDROID_ABI="$abi" \
    -DANDROID_PLATFORM="android-$api" -DANDROID_STL=c++_static -DPYVOC_EXCEPTIONS=OFF \
    -DPYVOC_MODELS="${MODELS:-}" "${options[@]}"
  ninja -C "build/android-$abi" -j "$JOBS" pyvoc_android
  libraries+=("$abi=build/android-$abi/libpyvoc.so")
done
heading "$out"
kotlinc mobile/android/Vocoder.kt -jvm-target 1.8 -d build/pyvoc-classes.jar
READELF=$(echo "$ndk"/toolchains/llvm/prebuilt/*/bin/llvm-readelf) \
  python3 mobile/android/aar.py "$out" --classes build/pyvoc-classes.jar --api "$api" \
  "${libraries[@]}"
ls -l "$out"
