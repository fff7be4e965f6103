#!/usr/bin/env bash
# build_web.sh [FOLDER [FAMILIES]]: the web package, its page and the bundled voices in one folder
# that any server of files can serve (build/web). FAMILIES (lpcnet,fargan) builds a module with those
# alone; otherwise there are two modules, one of all families and one for the bundled voices.
source "$(dirname "$0")/common.sh"
need emscripten=emcc ninja-build=ninja cmake=cmake ||
  { echo "build_web.sh: the module is made by emscripten's compiler, emcc"; exit 1; }
# Debian's emscripten finds its JavaScript tools only with Debian's own node.
[[ -d /usr/share/nodejs ]] && export NODE_PATH=/usr/share/nodejs${NODE_PATH:+:$NODE_PATH}
out=${1:-build/web}
families=${2:-}

module() { # module NAME FAMILIES: $out/wasm/NAME.wasm, nothing but what the families need
  local build=build/web-module${2:+-${2//,/-}} launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  mkdir -p build
  emcmake cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=MinSizeRel -DPYVOC_MODELS="$2" \
    -DPYVOC_SCALAR=OFF -DPYVOC_EXCEPTIONS=OFF -DPYVOC_FOLDS=OFF -DPYVOC_DENOISER=OFF \
    -DPYVOC_BUILD_TOOLS=OFF -DPYVOC_INSTALL=OFF "${launcher[@]}" >"$build.log" 2>&1 ||
    { cat "$build.log"; return 1; }
  ninja -C "$build" -j "$JOBS" --quiet pyvoc_web
  cp "$build/web/pyvoc.wasm" "$out/wasm/$1.wasm"
  printf '%s: %d bytes, %d with gzip\n' "$out/wasm/$1.wasm" "$(stat -c %s "$out/wasm/$1.wasm")" \
    "$(gzip -9c "$out/wasm/$1.wasm" | wc -c)"
}

mkdir -p "$out/wasm" "$out/voices"
cp -r web/src web/page web/index.html web/package.json web/README.md LICENSE "$out"
cp pyvoc/voices/*.{gguf,md} pyvoc/voices/{demo.flac,mit.txt} "$out/voices"
cp web/voices.json "$out/voices/index.json"
if [[ -n $families ]]; then
  module pyvoc "$families"
else
  module pyvoc-fargan-lpcnet fargan,lpcnet
  module pyvoc ""
fi
