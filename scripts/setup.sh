#!/usr/bin/env bash
# setup.sh [EXTRAS]: a virtual environment in .venv with pyvoc built from this checkout.
# EXTRAS: the optional dependencies, e.g. "dev" (the default) or "convert,plot,soxr".
source "$(dirname "$0")/common.sh"
extras=${1:-dev}
python=${PYTHON:-python3}

if ! command -v "$python" >/dev/null; then
  echo "no $python: install Python 3.10 or newer" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
  echo "pyvoc needs Python 3.10 or newer; $("$python" --version) is $(command -v "$python")" >&2
  echo "name another one: make PYTHON=python3.11 ..." >&2
  exit 1
fi
if ! command -v "${CXX:-c++}" >/dev/null && ! need g++=c++; then
  echo "pyvoc needs a C++17 compiler (or set CXX)" >&2
  exit 1
fi
if [[ ! -x $VENV/bin/pip ]]; then
  rm -rf "$VENV"
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null && ! need python3-venv=/nonexistent; then
    echo "$python cannot make virtual environments: its venv and ensurepip modules are a package" >&2
    echo "of their own on Debian and Ubuntu (python3-venv)" >&2
    exit 1
  fi
  heading "virtual environment: $VENV"
  "$python" -m venv "$VENV"
fi
# Objects that were compiled once are taken from ccache's store where there is one.
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
heading "pip install .[$extras]"
"$VENV/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt ".[$extras]"
