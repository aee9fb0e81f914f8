# Two commands set everything up by themselves: make run, make test. The rest needs one of them first, or does it too.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet
ONLY ?=

.PHONY: run test check bench prove help clean
.DEFAULT_GOAL := help

help:  ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(VENV)/.run  ## play a session of real bars with the shipped strategies
	@$(BIN)/stratd backtest session_configs/demo.json

# Whole sessions are played without coverage, which takes as long again and is enough without them.
SESSIONS = tests/replay tests/stress tests/contract

test: $(VENV)/.dev  ## run all tests, with coverage
	@$(BIN)/python -m pytest -q $(SESSIONS)
	@$(BIN)/python -m pytest --cov --cov-report=term -q $(SESSIONS:%=--ignore=%)

check: $(VENV)/.dev  ## lint, types, layers, the docs' examples
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/docs

bench: $(VENV)/.dev  ## measure every claim (make bench ONLY=w1 for one) and rewrite bench/README.md
	$(BIN)/python bench/run.py $(ONLY) --date "$$(date -u +%F)"

prove: $(VENV)/.dev  ## long proofs: minutes to hours
	$(BIN)/python -m pytest -q -m prove --override-ini=addopts= --timeout=3600

clean:  ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov results bench/out

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "stratd needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; say which with make run PYTHON=python3.12")'
	@echo "stratd: making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "stratd: Python's venv module is not there; installing Debian's python3-venv"; \
	    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); \
	  else \
	    echo "stratd: Python's venv module is not there; install it (Debian: sudo apt install python3-venv) and try again"; exit 1; \
	  fi; }
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml constraints.txt
	@echo "stratd: installing what it needs (numpy, numba, pyarrow, ...; about 150 MB, once)"
	@$(PIP) -c constraints.txt -e .
	@echo "stratd: compiling kernels (once)"
	@$(BIN)/stratd warm session_configs/demo.json
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "stratd: installing what the tests need (once)"
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@
