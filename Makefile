# make demo        set up, then the main job: a sentence -> features -> speech, by every bundled voice
# make test        set up, then every test; the last line is "N passed, N failed"
# make lint        style and types            make format   rewrites what can be rewritten
# make bench       speed on this machine      make clean    removes what was built, not .venv
# make test-native test-asan test-arm test-python: one stage of `make test`
# make fuzz        models as no one would write them, under the sanitizers, SECONDS_EACH=300
# make soak        kills and failures at every operation on files, HOURS=1 of sound through each
#                  family, threads under their sanitizer, then fuzz
# make web         the JavaScript package and its page in build/web, to be served as files
# make wheel       wheels for the Pythons at hand in dist/, audited, installed and heard
# make docs        the documentation as a site in build/docs/site
# make test-onednn convolutions on oneDNN, downloaded; PYVOC_TEST_ONEDNN=1 make test does that too
#
# Needs Python 3.10 with venv and a C++17 compiler. The tests also want a few Debian packages, which
# they install when run as root or with sudo. PYTHON=python3.12, JOBS=4, VENV=... choose others.
PYTHON ?= python3
export VENV ?= $(CURDIR)/.venv
export PYTHON

SOURCES := $(shell find csrc python_bindings pyvoc -type f -not -name '*.pyc' 2>/dev/null) CMakeLists.txt
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check

.PHONY: demo test lint format bench test-native test-asan test-arm test-python test-onednn \
  test-compilers test-threads fuzz soak web wheel docs clean

demo: $(VENV)/.demo
	$(VENV)/bin/python examples/demo.py

test:
	@scripts/test.sh $(MAKE) --no-print-directory $(VENV)/.installed

lint: $(VENV)/.dev
	@scripts/lint.sh

format: $(VENV)/.dev
	@scripts/lint.sh --fix

bench: $(VENV)/.installed
	$(VENV)/bin/pyvoc bench --precision f32,bf16,int8

test-native: $(VENV)/.dev
	@scripts/test_native.sh

test-asan: $(VENV)/.dev
	@scripts/test_asan.sh

test-arm: $(VENV)/.dev
	@scripts/test_arm.sh

test-python: $(VENV)/.installed
	@scripts/test_python.sh

test-onednn: $(VENV)/.dev
	@scripts/test_onednn.sh

test-compilers:
	@scripts/test_compilers.sh

test-threads:
	@scripts/test_threads.sh

fuzz:
	@scripts/fuzz.sh

soak: $(VENV)/.installed
	@scripts/soak.sh

web:
	@scripts/build_web.sh

wheel:
	@scripts/build_wheels.sh

docs: $(VENV)/.docs
	@scripts/build_docs.sh

# Environment and package with the tools of the tests; then the package alone when sources change.
$(VENV)/.dev: pyproject.toml constraints.txt scripts/setup.sh
	@mkdir -p build && scripts/setup.sh dev
	@touch $@ $(VENV)/.installed

$(VENV)/.installed: $(VENV)/.dev $(SOURCES)
	@if [ -n "$$(find $(SOURCES) -newer $@ -print -quit)" ]; then \
	  $(PIP) --force-reinstall --no-deps . && touch $@; fi

# With less: what the demo needs.
$(VENV)/.demo: pyproject.toml scripts/setup.sh $(SOURCES)
	@mkdir -p build && scripts/setup.sh plot,soxr
	@touch $@

# And what the site needs.
$(VENV)/.docs: pyproject.toml constraints.txt scripts/setup.sh $(SOURCES)
	@mkdir -p build && scripts/setup.sh docs
	@touch $@

clean:
	rm -rf build dist demo_out
