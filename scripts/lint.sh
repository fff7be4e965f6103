#!/usr/bin/env bash
# Style and types. lint.sh --fix rewrites what can be rewritten.
source "$(dirname "$0")/common.sh"
python_code=(pyvoc tests examples mobile benchmarks scripts recipes)
mapfile -t python_code < <(for p in "${python_code[@]}"; do [[ -e $p ]] && echo "$p"; done)
mapfile -t native_code < <(find csrc python_bindings tools tests examples mobile benchmarks -type f \
  \( -name '*.h' -o -name '*.hpp' -o -name '*.cc' -o -name '*.c' -o -name '*.inl' \) | sort)
if [[ ${1:-} == --fix ]]; then
  ruff check --fix "${python_code[@]}"
  ruff format "${python_code[@]}"
  clang-format -i "${native_code[@]}"
  exit
fi
failed=0
check() {
  heading "$1"
  shift
  "$@" || failed=1
}
check "ruff check" ruff check "${python_code[@]}"
check "ruff format" ruff format --check "${python_code[@]}"
check "mypy --strict" mypy --strict pyvoc
check "clang-format" clang-format --dry-run -Werror "${native_code[@]}"
exit $failed
