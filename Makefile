# On a fresh machine: `make demo` and `make test`. Needed: Python 3.11 to 3.13, make, a C library. No root.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON := $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

# Real VASP runs to take along: make demo LANDING=path/to/runs
LANDING ?=

# A part of the benchmarks, or a smaller data set: make bench BENCH="outcar headline --frames 3000"
BENCH ?=

# Where to write what the study found: make study PAGE=docs/study.md
PAGE ?=

.PHONY: install demo test lint bench study format clean

demo: $(READY)
	$(BIN)/meltlake demo $(if $(LANDING),--real "$(LANDING)")

# The environment alone.
install: $(READY)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	$(BIN)/python -m tests.benchmarks $(BENCH)

# Three quarters of an hour on two cores; goes on where it was killed. Its lake is .meltlake/study.
study: $(READY)
	$(BIN)/python -m tests.study $(if $(PAGE),--page "$(PAGE)")

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .meltlake

# uv installs in seconds what takes pip minutes; the versions are those of requirements.lock.
$(READY): pyproject.toml requirements.lock
	@[ -n "$(PYTHON)" ] || { echo "meltlake needs Python 3.11, 3.12 or 3.13; none of them was found."; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON); the first time takes a minute or two."
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)

# The peers that `make bench` runs beside ours, without changing a version that is locked.
$(VENV)/.bench: $(READY)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints requirements.lock -r pyproject.toml --extra bench
	@touch $@
