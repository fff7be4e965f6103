#!/usr/bin/env bash
# pytest on the installed package. Run from build/, so that neither pytest nor a `python -m` below
# it finds ./pyvoc, which lacks the compiled module. Arguments (absolute paths) go to pytest.
source "$(dirname "$0")/common.sh"
need pkg-config=pkg-config || true # one way of the C API test; it skips without
# Live sound without a sound card; the tests skip without.
port_audio=$(find /usr/lib /usr/local/lib -name 'libportaudio.so.2' -print -quit 2>/dev/null || true)
need "libportaudio2=${port_audio:-/usr/lib/libportaudio.so.2}" jackd2=jackd || true
# The page of `pyvoc evaluate --page`, in a browser; the tests skip without.
command -v chromium-browser google-chrome >/dev/null || need chromium=chromium || true
# The WebAssembly module and its package; the tests skip without.
need emscripten=emcc nodejs=node || true
# Kotlin over JNI; the tests skip without.
need default-jdk-headless=javac kotlin=kotlinc || true
heading "pytest"
if [[ -f build/native/csrc/libpyvoc.a ]]; then export PYVOC_NATIVE_BUILD=$ROOT/build/native; fi
if [[ -x build/native/tools/dump_data/dump_data ]]; then
  export PYVOC_DUMP_DATA=$ROOT/build/native/tools/dump_data/dump_data
fi
cd build
run() { # run NAME OPTION ...
  pytest -c "$ROOT/pyproject.toml" --rootdir "$ROOT" --junitxml="$RESULTS/$1.xml" "${@:2}"
}
if (($#)); then
  run pytest "$@"
  exit
fi
live=$ROOT/tests/python/live/test_live_devices.py # sound in real time: nothing runs beside it
failed=0
run pytest -n "$JOBS" --dist loadfile --ignore "$live" "$ROOT/tests/python" || failed=1
heading "pytest: live sound"
run live "$live" || failed=1
exit $failed
