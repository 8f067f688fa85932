# Penstock: every command a person needs. `make` alone prints them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
FAST_TESTS := $(wildcard tests/fundamentals tests/unit tests/properties)
# Each test process has an environment of its own; a file's tests stay together. Tests of a cluster
# wait half of their time, so that three processes fill two cores.
TEST_PROCESSES ?= 3
PYTEST := $(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES) --no-loadscope-reorder
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11

##@ Start here

.PHONY: help
help: ## Print this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Show the main job: a good revision climbs, a bad one is rolled back (ARGS=--keep leaves it running)
	@$(BIN)/python -m penstock_dev.demo $(ARGS)

.PHONY: test
test: setup ## Run all tests but those on kind: unit, properties, integration, repository (ARGS="-k word" picks some)
	@$(BIN)/python tools/programs.py helm promtool prometheus
	@$(PYTEST) --ignore=tests/e2e $(ARGS)

.PHONY: setup
setup: venv ## Prepare everything demo and test need: .venv, and the control plane's programs; the first time takes minutes
	@$(BIN)/python tools/programs.py

.PHONY: venv
venv:
	@for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" tools/setup.py; \
	  fi; \
	done; \
	echo "No Python 3.11 or newer (tried: $(PYTHONS)). Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1

##@ Measuring it

.PHONY: bench
bench: ## Both benches, one after the other; the second also where the first misses a goal
	@$(MAKE) --keep-going --jobs=1 bench-runtime bench-operator

.PHONY: bench-runtime
bench-runtime: venv ## What a task costs, beside queue libraries and the bare SDK; under 5 min (ARGS=--full: longer)
	@$(BIN)/python tools/peers.py
	@$(BIN)/python -m penstock_bench.runtime $(ARGS)

.PHONY: bench-operator
bench-operator: setup ## What the operator costs, beside Argo Rollouts and Deployments; under 5 min (ARGS=--full: 1,000 agents)
	@$(BIN)/python -m penstock_bench.operators $(ARGS)

.PHONY: bench-rollout
bench-rollout: venv ## What a rollout decides, beside rules that others use; under 5 min (ARGS=--full: hours, and goes on where it was)
	@$(BIN)/python -m penstock_bench.rollouts $(ARGS)

##@ On kind

.PHONY: kind-up
kind-up: venv ## Make the kind cluster `penstock`; without a registry from a node image built here (first time 15 min)
	@$(BIN)/python -m penstock_dev.kind up

.PHONY: kind-down
kind-down: venv ## Remove the kind cluster, and the engine if it was started for it; what was built stays cached
	@$(BIN)/python -m penstock_dev.kind down

.PHONY: kind-node-image
kind-node-image: venv ## Build the node image from Debian packages and Go modules, and keep it as one file
	@$(BIN)/python -m penstock_dev.kind node-image

.PHONY: deploy
deploy: venv ## Build the images, load them into kind, install or upgrade with Helm (ARGS go to helm)
	@$(BIN)/python -m penstock_dev.kind deploy $(ARGS)

.PHONY: e2e
e2e: venv ## Run the end-to-end tests against what `make deploy` put into the kind cluster (ARGS go to pytest)
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

##@ While working on it

.PHONY: check
check: venv ## Everything that must be clean before a change lands; under 90 s
	@$(MAKE) --keep-going --output-sync=target -j$(JOBS) \
	  check-tests check-types check-format check-style check-imports check-generated check-tree

.PHONY: format
format: venv ## Format the code and apply safe fixes
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix .

.PHONY: generate
generate: venv ## Write what is generated from the code: crds/ and docs/reference/
	@$(BIN)/python tools/generate.py

.PHONY: lock
lock: venv ## Write requirements.lock from pyproject.toml (ARGS=--upgrade takes the newest versions)
	@$(BIN)/python tools/lock.py $(ARGS)

.PHONY: clean
clean: ## Remove what the commands above have made in this folder, .venv included
	@rm -rf .venv .bench build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The parts of `make check`; each is quiet unless it has something to say.

.PHONY: check-tests check-types check-format check-style check-imports check-generated check-tree

check-tests:
	@echo "check: fast tests" && $(PYTEST) --quiet --durations=0 --durations-min=5 $(FAST_TESTS)

check-types:
	@echo "check: types" && $(BIN)/mypy --no-error-summary

check-format:
	@echo "check: format" && $(BIN)/ruff format --quiet --diff .

check-style:
	@echo "check: style" && $(BIN)/ruff check --quiet .

check-imports:
	@echo "check: imports" && { said=$$($(BIN)/lint-imports 2>&1) || { echo "$$said"; exit 1; }; }

check-generated:
	@echo "check: generated files" && $(BIN)/python tools/generate.py --check

check-tree:
	@echo "check: the tree" && $(BIN)/python -m pytest --quiet --durations=0 --durations-min=5 tests/repo
