#!/usr/bin/env bash
# Convolutions on oneDNN: a build with PYVOC_ONEDNN, the native tests and pytest that force it. Not
# a part of `make test` unless PYVOC_TEST_ONEDNN is set: it downloads 40 MB.
# PYVOC_ONEDNN_ROOT: an installed oneDNN >= 3 (include/, lib/) to use instead.
source "$(dirname "$0")/common.sh"
work=$ROOT/build/onednn
root=${PYVOC_ONEDNN_ROOT:-$work/venv}
mkdir -p "$work"
if [[ ! -e $root/include/oneapi/dnnl/dnnl.h ]]; then
  heading "oneDNN: pip install onednn-devel-cpu-gomp"
  python -m venv "$root"
  if ! "$root/bin/pip" install --quiet --disable-pip-version-check onednn-devel-cpu-gomp; then
    skip onednn "onednn-devel-cpu-gomp could not be installed"
    exit
  fi
fi
export PYVOC_ONEDNN_LIBRARY=$root/lib/libdnnl.so.3
failed=0

if need libgtest-dev=/usr/src/googletest/CMakeLists.txt; then
  heading "oneDNN: native tests"
  configure "$work/native" -DCMAKE_BUILD_TYPE=Release -DPYVOC_WERROR=ON -DPYVOC_BUILD_TOOLS=OFF \
    -DPYVOC_ONEDNN=ON "-DPYVOC_ONEDNN_ROOT=$root"
  ninja -C "$work/native" -j "$JOBS" --quiet pyvoc_tests
  rm -rf "$RESULTS/onednn"
  "$work/native/tests/native/pyvoc_tests" --gtest_brief=1 "--gtest_filter=*ConvTest*" \
    "--gtest_output=json:$RESULTS/onednn/" || failed=1
fi

heading "oneDNN: pytest"
"$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --upgrade \
  --target "$work/site" -C build-dir="$work/wheel" -C cmake.define.PYVOC_ONEDNN=ON \
  -C "cmake.define.PYVOC_ONEDNN_ROOT=$root" .
cd "$work"
PYTHONPATH=$work/site pytest -c "$ROOT/pyproject.toml" --rootdir "$ROOT" -rs \
  --junitxml="$RESULTS/onednn.xml" "$ROOT/tests/python/runtime/test_backends.py" || failed=1
exit $failed
