#!/usr/bin/env bash
# pytest on the installed package (not on ./pyvoc, which lacks the compiled module).
source "$(dirname "$0")/common.sh"
need pkg-config=pkg-config || true # one way of the C API test; it skips without
heading "pytest"
if [[ -f build/native/csrc/libpyvoc.a ]]; then export PYVOC_NATIVE_BUILD=$ROOT/build/native; fi
pytest --junitxml="$RESULTS/pytest.xml" "$@"
