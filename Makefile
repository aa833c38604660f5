# `make report` and `make test` need only make and Python 3.11 to 3.13: they call `setup` first.
# Another Python: `make setup PYTHON=/path/to/python3.12`.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && command -v "$$p" && break; done)
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE # start-up is slow when every process compiles its imports
UV = $(shell uv --version >/dev/null 2>&1 && echo uv || echo $(BIN)/uv)
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)

.DEFAULT_GOAL := help
.PHONY: help setup report test lint format book edition bench sync lock clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: .venv/.stamp ## make .venv with the pinned packages and this one

# uv installs the 6 GB in well under a minute where pip alone takes several.
.venv/.stamp: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found:" \
		"install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/pip || "$(PYTHON)" -m venv .venv
	$(UV) --version >/dev/null 2>&1 || $(BIN)/pip install --quiet uv==$(UV_VERSION)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

report: setup ## train on the built-in corpus and build the report
	$(BIN)/repro report --preset demo --out build/report

test: setup ## unit tests, then every notebook
	$(BIN)/pytest
	JUPYTER_PATH=$(CURDIR)/.venv/share/jupyter $(BIN)/pytest --nbmake notebooks

lint: setup ## formatting, style, types; notebooks in step with their scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy repro
	$(BIN)/pytest -q tests/test_notebooks.py

format: setup ## mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

book: setup ## build the published edition in book/ as it stands
	$(BIN)/jupyter-book build book/ -W --keep-going

edition: setup ## run the notebooks again and publish them in book/report
	$(BIN)/python -c 'from repro.report.edition import build_edition; build_edition()'

bench: setup ## measure speed beside the usual way and the hardware
	$(BIN)/repro bench

sync: setup ## bring each notebook into step with its script
	$(BIN)/jupytext --quiet --to ipynb --update notebooks/*.py

# Resolved once for Python 3.11 to 3.13 on every platform; the file names no address, so any
# mirror of the package index will do.
lock: setup ## pin every package anew in requirements.lock
	$(UV) pip compile pyproject.toml --extra dev --extra cluster --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet -o requirements.lock

clean: ## remove what was built, and .venv
	rm -rf .venv build book/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
