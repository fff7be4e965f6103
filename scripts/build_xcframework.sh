#!/usr/bin/env bash
# build_xcframework.sh: CPyvoc.xcframework beside mobile/apple/Package.swift: the static library for
# iOS, its simulator and macOS, with headers and a module map. Needs a Mac with Xcode and CMake.
# MODELS=fargan has that family alone. Untested for want of a Mac (docs/mobile.md).
source "$(dirname "$0")/common.sh"
[[ $(uname) == Darwin ]] || { echo "build_xcframework.sh: needs macOS with Xcode" >&2; exit 1; }
work=build/apple
out=mobile/apple/CPyvoc.xcframework
rm -rf "$work" "$out"
mkdir -p "$work/include"
cp -r csrc/include/pyvoc mobile/apple/module.modulemap "$work/include"

# slice NAME SYSTEM SDK TARGET ARCHITECTURE ...: one library of several architectures. Each is a build
# of its own, as kernels' flags are one processor's; CMake must be told which.
frameworks=()
slice() {
  local name=$1 system=$2 sdk=$3 target=$4 arch parts=()
  shift 4
  for arch in "$@"; do
    cmake -S . -B "$work/$name-$arch" -DCMAKE_BUILD_TYPE=MinSizeRel -DCMAKE_SYSTEM_NAME="$system" \
      -DCMAKE_SYSTEM_PROCESSOR="$arch" -DCMAKE_OSX_ARCHITECTURES="$arch" \
      -DCMAKE_OSX_SYSROOT="$sdk" -DCMAKE_OSX_DEPLOYMENT_TARGET="$target" \
      -DPYVOC_MODELS="${MODELS:-}" -DPYVOC_BUILD_SHARED=OFF -DPYVOC_BUILD_TOOLS=OFF \
      -DPYVOC_INSTALL=OFF -DPYVOC_EXCEPTIONS=OFF
    cmake --build "$work/$name-$arch" --parallel "$JOBS"
    parts+=("$work/$name-$arch/csrc/libpyvoc.a")
  done
  mkdir -p "$work/$name"
  lipo -create "${parts[@]}" -output "$work/$name/libpyvoc.a"
  frameworks+=(-library "$work/$name/libpyvoc.a" -headers "$work/include")
}
slice ios iOS iphoneos 13.0 arm64
slice simulator iOS iphonesimulator 13.0 arm64 x86_64
slice macos Darwin macosx 11.0 arm64 x86_64
xcodebuild -create-xcframework "${frameworks[@]}" -output "$out"
