#!/usr/bin/env bash
# pytest on the installed package. Run from build/, so that neither pytest nor a `python -m` below
# it finds ./pyvoc, which lacks the compiled module. Arguments (absolute paths) go to pytest.
source "$(dirname "$0")/common.sh"
need pkg-config=pkg-config || true # one way of the C API test; it skips without
heading "pytest"
if [[ -f build/native/csrc/libpyvoc.a ]]; then export PYVOC_NATIVE_BUILD=$ROOT/build/native; fi
if [[ -x build/native/tools/dump_data/dump_data ]]; then
  export PYVOC_DUMP_DATA=$ROOT/build/native/tools/dump_data/dump_data
fi
if (($# == 0)); then set -- "$ROOT/tests/python"; fi
cd build
pytest -c "$ROOT/pyproject.toml" --rootdir "$ROOT" --junitxml="$RESULTS/pytest.xml" "$@"
