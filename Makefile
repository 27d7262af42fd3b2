# Two commands on a fresh machine: `make art` makes the first works, `make test` passes the tests.
# They need Python 3.11 or newer, make, and a package index that pip can reach; nothing is installed outside .venv.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p >/dev/null && \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
IDEA   ?= 秋夜江上的孤舟

.PHONY: help art studio test check slow clean constraints
.DEFAULT_GOAL := help

help:
	@echo "make art      set up and make a first suite, out/suite: poem, painting, music, film"
	@echo "make studio   set up and open the studio in the browser"
	@echo "make test     set up and pass the tests"
	@echo "make check    lint, types, import contract, documents"
	@echo "make slow     the tests that take minutes"
	@echo "make clean    take away .venv, out and every cache"

art: $(VENV)/.stamp-art
	@mkdir -p out
	@$(BIN)/danqing suite "$(IDEA)" --size 512 --seed 1 --force -o out/suite

studio: $(VENV)/.stamp-art
	@$(BIN)/danqing studio

# On every core; the tests of one file stay together, since they share what is dear to set up.
test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

slow: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -m slow --timeout=3600

check: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m 'not slow' tests/docs

# One stamp for what people need, one for what the checks need on top; either is instant when nothing has changed.
$(VENV)/.stamp-art: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Danqing into $(VENV) …"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Danqing and its checks into $(VENV) …"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.stamp-art

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
	    echo "Danqing needs Python 3.11 or newer and found none. Install one from https://www.python.org/downloads/," \
	         "or name yours: make art PYTHON=/path/to/python3" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Danqing needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name a newer one: make art PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Pins what is in .venv now, without the local part of a version (torch 2.13.0+cpu), which no index but one knows.
constraints: $(VENV)/.stamp-dev
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable --exclude pip \
	    --exclude setuptools | sed 's/+[a-z0-9.]*$$//'; } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
