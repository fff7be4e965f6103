#!/usr/bin/env bash
# Every test, stage by stage; a stage that fails does not stop the next. The last line is
# "N passed, N failed". test.sh [COMMAND ...]: the command sets up the environment first.
source "$(dirname "$0")/common.sh"
rm -rf "$RESULTS"
mkdir -p "$RESULTS"
stage() {
  local name=$1 start=$SECONDS code=0
  shift
  "$@" || code=$?
  echo "$code $((SECONDS - start))" >"$RESULTS/$name.stage"
}
if (($#)); then
  stage setup "$@"
  if [[ $(<"$RESULTS/setup.stage") != 0\ * ]]; then
    echo "the environment could not be set up: nothing was tested"
    echo "0 passed, 1 failed"
    exit 1
  fi
fi
stage lint scripts/lint.sh
stage native scripts/test_native.sh
stage compilers scripts/test_compilers.sh
stage asan scripts/test_asan.sh
stage arm scripts/test_arm.sh
stage pytest scripts/test_python.sh
if [[ -n ${PYVOC_TEST_ONEDNN:-} ]]; then stage onednn scripts/test_onednn.sh; fi
python "$ROOT/scripts/summary.py" "$RESULTS"
