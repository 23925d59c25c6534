# The few commands of the project. Everything they make lies in .sandbox/ (removed by `make down`) and in the cache,
# which other checkouts share.
STACK ?= dev
CACHE := $(or $(ML_PLATFORM_CACHE),$(HOME)/.cache/ml-platform)
LOCK := $(shell sha256sum requirements-dev.txt | cut -c1-12)
VENV := $(CACHE)/venv/$(LOCK)
PYTHON := $(VENV)/bin/python
PEERS := $(CACHE)/bench/$(shell sha256sum bench/requirements.txt | cut -c1-12)
export PYTHONPYCACHEPREFIX := $(CACHE)/pycache
export MYPY_CACHE_DIR := $(CACHE)/mypy
export RUFF_CACHE_DIR := $(CACHE)/ruff
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis

.DEFAULT_GOAL := help
.PHONY: help up preview check policy down status crds tools images prune env test unit engine e2e lint format golden bench lock

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "STACK=dev (default) or prod."

up: $(VENV)/.ready ## deploy the stack; dev brings its own cluster
	@$(PYTHON) -m sandbox up $(STACK)

preview: $(VENV)/.ready ## show what `up` would do, judged by the policy pack
	@$(PYTHON) -m sandbox preview $(STACK)

check: lint ## what a pull request is checked by; BASE=commit tells what changes, REPORT=file keeps the report
	@$(PYTHON) -m sandbox check $(STACK)

policy: $(VENV)/.ready ## judge plain manifests by the policy pack: FILES="a.yaml folder"; CONFIG=stack takes its choices
	@$(PYTHON) -m policies.manifests $(if $(CONFIG),--stack $(CONFIG)) $(FILES)

down: $(VENV)/.ready ## remove the sandbox: cluster, state, every process
	@$(PYTHON) -m sandbox down $(STACK)

status: $(VENV)/.ready ## show the sandbox's processes, their memory and logs
	@$(PYTHON) -m sandbox status $(STACK)

crds: $(VENV)/.ready ## apply the pinned CRDs to the stack's cluster
	@$(PYTHON) -m sandbox crds $(STACK)

tools: $(VENV)/.ready ## obtain the pinned tools (about 35 minutes where they have to be built, once)
	@$(PYTHON) -m sandbox tools

images: $(VENV)/.ready ## build the images of real pods, once; needs root (WATCHING=no: not those of Prometheus, Loki, Jaeger)
	@$(PYTHON) -m sandbox images

prune: $(VENV)/.ready ## free the cache of tools, images and packages that this checkout does not pin and nothing runs
	@$(PYTHON) -m sandbox prune

env: $(VENV)/.ready ## print shell commands: eval "$$(make env)"
	@$(PYTHON) -m sandbox env

test: unit engine ## run every test but those on a real node

unit: tools ## run the tests that need no cluster
	$(PYTHON) -m pytest -m "not engine" -n auto

engine: tools ## run the tests on the real engine and a real API server
	$(PYTHON) -m pytest -m engine

e2e: images ## run the tests on a real node with real pods (needs root)
	$(PYTHON) -m pytest -m e2e --durations=20 --durations-min=20

lint: $(VENV)/.ready ## check style, types and the layers of the code
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

format: $(VENV)/.ready ## rewrite the code in the project's style
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

golden: tools ## rewrite the golden files; read the diff before you commit it
	UPDATE_GOLDEN=1 $(PYTHON) -m pytest -q tests/golden

bench: $(VENV)/.ready $(PEERS)/.ready ## measure the policy pack beside conftest and Pulumi's SDK; RUNS=5, JSON=file keeps every run
	@PYTHONPATH=$(PEERS) $(PYTHON) -m bench $(if $(RUNS),--runs $(RUNS)) $(if $(JSON),--json $(JSON))

lock: $(VENV)/.ready ## resolve requirements*.in again
	$(VENV)/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  requirements.in -o requirements.txt
	$(VENV)/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  -c requirements.txt requirements-dev.in -o requirements-dev.txt

# The directory is named by the lock, so it is never out of date.
$(VENV)/.ready:
	@echo "python packages: installing into $(VENV)"
	@rm -rf $(VENV) && python3 -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# What is measured beside the pack is wanted nowhere else.
$(PEERS)/.ready: $(VENV)/.ready
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(PEERS) \
	  -r bench/requirements.txt
	@touch $@
