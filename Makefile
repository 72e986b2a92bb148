# Works with only make and a Python >= 3.11 (with venv and pip); everything lands in .venv.
# `make demo`, `make test`: the two commands of the README.  PYTHON=... picks another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
PYTEST_ARGS ?= -q -n 3 --dist worksteal
FORMATTED := src tests fixtures bench

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast hosts browser viewers collector lint format bench fixtures clean

help:
	@echo "make demo    trace a sample component that uses files, sockets, clocks and randomness"
	@echo "make test    run the tests          make test-fast   without the slow ones"
	@echo "make lint    ruff and mypy          make format      let ruff rewrite"
	@echo "make hosts   install the hosts and wasm-tools that tests use (make test does, too)"
	@echo "make viewers get the Firefox Profiler and speedscope for the tests; needs npm"
	@echo "make browser install Debian's Chromium for the tests of pages; needs root"
	@echo "make collector  build the OpenTelemetry Collector that tests use; needs Go"
	@echo "make bench   measure the cost of probes, of weaving and of the gate"
	@echo "make clean   remove .venv and everything built"

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "whamm-cm needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@echo "creating $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)

# The stamps make a second run free: pip is asked again only when pyproject.toml changed.
$(VENV)/.run: pyproject.toml | $(PY)
	@echo "installing whamm-cm" >&2
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(PY)
	@echo "installing whamm-cm and what its tests need" >&2
	@$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.run

# Real hosts and wasm-tools, pinned with hashes; without them the tests that use them are skipped.
OLD_WASH := 2.7 2.8 2.9
$(VENV)/.hosts: tests/hosts/requirements.txt $(OLD_WASH:%=tests/hosts/wash-%.txt) | $(VENV)/.test
	@echo "installing hosts for the tests" >&2
	@rm -rf $(VENV)/hosts
	@$(PIP) --require-hashes -r tests/hosts/requirements.txt && \
	  (for old in $(OLD_WASH); do $(PIP) --require-hashes --target $(VENV)/hosts/wash-$$old \
	    -r tests/hosts/wash-$$old.txt || exit 1; done) && \
	  touch $@ || echo "not all hosts can be installed here; tests that need them are skipped" >&2

# The OpenTelemetry Collector, as far as tests need it; without Go those are skipped.
$(BIN)/otelcol: tests/collector/main.go tests/collector/go.mod tests/collector/go.sum | $(PY)
	@command -v go >/dev/null || { echo "no Go here: tests that need a collector are skipped" >&2; \
	  exit 0; }; \
	echo "building a collector for the tests" >&2; \
	(cd tests/collector && go build -trimpath -ldflags='-s -w' -o $(abspath $@) .) || \
	  echo "it cannot be built here: tests that need a collector are skipped" >&2

# A real registry, unpacked and not installed: nothing of it is started by the system.
$(VENV)/.registry: | $(VENV)/.test
	@echo "unpacking Debian's docker-registry for the tests" >&2
	@mkdir -p $(VENV)/registry && cd $(VENV)/registry && apt-get download docker-registry \
	  >/dev/null 2>&1 && dpkg -x docker-registry_*.deb . && touch ../.registry || \
	  echo "it cannot be had here; tests that need it are skipped" >&2

# Viewers whose own code reads what we write, pinned with hashes; without npm tests skip those.
$(VENV)/.viewers: tests/viewers/packages.sha256 | $(PY)
	@command -v npm >/dev/null || { echo "no npm here: tests of viewers are skipped" >&2; exit 0; }; \
	echo "getting viewers for the tests" >&2; \
	rm -rf $(VENV)/viewers && mkdir -p $(VENV)/viewers && cd $(VENV)/viewers && \
	npm pack --silent @firefox-devtools/profiler-cli@0.10.0 speedscope@1.25.0 >/dev/null && \
	sha256sum --quiet -c $(abspath $<) && for file in *.tgz; do folder=$${file%-*}; \
	  mkdir $$folder && tar -xzf $$file -C $$folder || exit 1; done && touch ../.viewers || \
	  echo "they cannot be had here: tests of viewers are skipped" >&2

viewers: $(VENV)/.viewers

# Chromium opens the pages we make; tests say what it is called elsewhere (tests/page/browser.py).
browser:
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome; do \
	  [ -n "$$name" ] && command -v "$$name" >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Chromium for the tests" >&2; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    chromium fonts-dejavu-core >/dev/null && exit 0; \
	fi; \
	echo "NO CHROMIUM: it is not here and cannot be installed (that needs Debian and root)." >&2; \
	echo "Tests that open pages are skipped; CHROMIUM=/path/to/it names another one." >&2

demo: $(VENV)/.run
	@$(PY) -m fixtures.demo

test: $(VENV)/.test $(VENV)/.hosts $(VENV)/.registry
	@$(PY) -m pytest $(PYTEST_ARGS)

hosts: $(VENV)/.hosts $(VENV)/.registry

collector: $(BIN)/otelcol

test-fast: $(VENV)/.test $(VENV)/.hosts $(VENV)/.registry
	@$(PY) -m pytest $(PYTEST_ARGS) -m "not slow"

lint: $(VENV)/.test
	@status=0; \
	$(BIN)/ruff check --quiet $(wildcard $(FORMATTED)) || status=1; \
	$(BIN)/ruff format --quiet --check $(wildcard $(FORMATTED)) || status=1; \
	$(BIN)/mypy --no-error-summary src || status=1; \
	exit $$status

format: $(VENV)/.test
	@$(BIN)/ruff check --quiet --fix $(wildcard $(FORMATTED))
	@$(BIN)/ruff format --quiet $(wildcard $(FORMATTED))

bench: $(VENV)/.test $(VENV)/.hosts
	@$(PY) -m bench.boundary
	@$(PY) -m bench.guard
	@$(PY) -m bench.tasks
	@$(PY) -m bench.reader
	@$(PY) -m bench.weave
	@$(PY) -m bench.opcodes
	@$(PY) -m bench.gate
	@$(PY) -m bench.serve

fixtures: $(VENV)/.test
	@$(PY) -m fixtures.build --all

clean:
	@rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	@rm -rf src/*.egg-info
	@find src tests fixtures bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null; true
