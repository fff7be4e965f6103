#!/usr/bin/env bash
# The runtime's sources under every clang that is installed, read and not compiled: warnings are
# errors. From clang 19 on the real-time marker is a part of a function's type, and from clang 20 on
# every call of a marked function is checked (-Wfunction-effects). A distribution that has no clang
# 20 can take the one in the wheel `ziglang` (pip install ziglang). gcc is what the other tests use.
source "$(dirname "$0")/common.sh"
heading "other compilers"
compilers=()
for compiler in clang++ clang++-{14..30}; do
  if command -v "$compiler" >/dev/null; then compilers+=("$compiler"); fi
done
if python -c 'import ziglang' 2>/dev/null; then compilers+=("python -m ziglang clang"); fi
if ((${#compilers[@]} == 0)); then
  skip compilers "no clang is installed"
  exit
fi
families=$(find csrc/models -mindepth 1 -maxdepth 1 -type d -printf 'PYVOC_FAMILY(%f) ')
failed=0
for name in "${compilers[@]}"; do
  read -ra compiler <<<"$name"
  if [[ $name == *ziglang* ]]; then # the system's C++ library, with the compiler's own headers
    compiler+=(--driver-mode=g++ -nostdlibinc -Wno-unused-command-line-argument)
    own=$(python -c 'import ziglang; print(ziglang.__path__[0])')/lib/include
    while read -r folder; do
      if [[ $folder == */lib/gcc/* && $folder == */include ]]; then folder=$own; fi
      compiler+=(-isystem "$folder")
    done < <(g++ -E -x c++ -v /dev/null 2>&1 | sed -n 's/^ \(\/.*include.*\)/\1/p' | grep -v ' ')
  fi
  flags=(-std=c++17 -fsyntax-only -Wall -Wextra -Werror -Wno-psabi -Wno-error=deprecated-declarations)
  flags+=(-Icsrc -Icsrc/include -DPYVOC_HAVE_SCALAR=1 "-DPYVOC_FAMILIES=$families")
  if ! echo | "${compiler[@]}" -Werror -Wfunction-effects -x c++ -fsyntax-only - 2>/dev/null; then
    flags+=(-Wno-unknown-warning-option)
  fi
  flags+=(-Wfunction-effects)
  "${compiler[@]}" --version | head -n 1
  "${compiler[@]}" "${flags[@]}" csrc/kernels/tiers/scalar.cc || failed=1 # the others are the same templates
  find csrc -name '*.cc' -not -path '*/kernels/tiers/*' -not -path '*/onednn/*' -print0 |
    xargs -0 -P "$JOBS" -n 8 "${compiler[@]}" "${flags[@]}" || failed=1
done
exit $failed
