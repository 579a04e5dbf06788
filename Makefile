# Needs Python >= 3.11, make and a shell; everything else goes to .venv and .tox in this directory.
#
#   make demo        the demo, until Ctrl-C; ONCE=1: its sample work, then out
#   make test        the tests on one cell of the matrix; PYTEST_ARGS="-k retry" goes to pytest
#   make test-ends   the tests on the oldest and the newest cell
#   make test-all    the tests on all cells that this machine can run
#   make test-browser  the tests of the admin in Chromium, which it installs on Debian
#   make screenshots   the pictures of the documentation
#   make bench       the benchmarks; BENCH_ARGS="--quick", "--only a,c --rounds 3" …
#   make lint types docs clean
#
# PYTHON=/path/to/python chooses the interpreter of .venv.

.DEFAULT_GOAL := help
.PHONY: help demo test test-ends test-all test-browser screenshots lint types docs bench clean
.DELETE_ON_ERROR:

PYTHON ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
ONCE ?=

BIN := .venv/bin
TOX := $(BIN)/python -m tox run
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

help:
	@sed -n 's/^#   //p' Makefile

demo: .venv/demo.stamp
	DJANGO_SETTINGS_MODULE=testproject.settings $(BIN)/python manage.py demo $(if $(ONCE),--once)

test: .venv/tox.stamp
	$(BIN)/python .ci/matrix.py one $(PYTEST_ARGS)

test-ends: .venv/tox.stamp
	$(BIN)/python .ci/matrix.py ends $(PYTEST_ARGS)

test-all: .venv/tox.stamp
	$(BIN)/python .ci/matrix.py all $(PYTEST_ARGS)

test-browser: .venv/tox.stamp
	@command -v chromium >/dev/null || .ci/install chromium
	$(TOX) -e browser -- tests/browser $(PYTEST_ARGS)

screenshots: .venv/tox.stamp
	@command -v chromium >/dev/null || .ci/install chromium
	$(TOX) -e browser -- tests/browser/screenshots.py

lint types docs: .venv/tox.stamp
	$(TOX) -e $@

bench: .venv/bench.stamp
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# A kept server's data may have had to go elsewhere: then .demo/home points at them.
clean:
	if [ -L .demo/home ]; then rm -rf "$$(readlink .demo/home)"; fi
	rm -rf .demo .venv .tox .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is younger than what it was made from; a step that fails leaves none and is done again.
.venv/venv.stamp:
	@set -e; \
	for python in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3 python); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "creating .venv with $$python"; \
	        "$$python" -m venv --clear .venv; \
	        touch $@; \
	        exit 0; \
	    fi; \
	done; \
	echo "No Python >= 3.11 with the venv module was found$(if $(PYTHON), at PYTHON=$(PYTHON))." >&2; \
	echo "Install one (on Debian: python3 and python3-venv), or say which: make PYTHON=/path/to/python …" >&2; \
	exit 1

.venv/tox.stamp: .venv/venv.stamp
	$(PIP) 'tox>=4.20'
	@touch $@

.venv/demo.stamp: .venv/venv.stamp setup.cfg pyproject.toml
	$(PIP) --editable '.[demo]'
	@touch $@

.venv/bench.stamp: .venv/venv.stamp setup.cfg pyproject.toml
	$(PIP) --editable '.[test]'
	@touch $@
