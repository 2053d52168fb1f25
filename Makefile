# Everything a contributor runs, one target each. `make help` lists them by their comments.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m
PYTEST_WORKERS ?= 2
BENCH ?=

.PHONY: help setup demo test conformance e2e-kubernetes simulate simulate-jobs chaos chaos-kubernetes check lint types generate verify bench rootfs run

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 20

setup: .venv/.ready ## Prepare everything into .venv

.venv/.ready: requirements/dev.txt pyproject.toml server/pyproject.toml clients/python/pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh
	@touch $@

demo: setup ## Run the example pipeline on a server of its own and watch it end
	@$(BIN)/python scripts/demo.py

test: setup ## Run the tests
	$(RUN) pytest -n $(PYTEST_WORKERS)

conformance: setup ## Run every pipeline of the corpus, and our own, to its end; and some by KFP's SDK
	$(RUN) pytest -m "" tests/conformance/test_corpus.py tests/conformance/test_own_pipelines.py \
		tests/compat/test_sdk_corpus.py

e2e-kubernetes: setup ## Run the tests that need a Kubernetes cluster: that of KUBECONFIG
	@test -n "$${KUBECONFIG:-}" || { echo "e2e-kubernetes: set KUBECONFIG to the kubeconfig of a cluster" >&2; exit 1; }
	$(RUN) pytest -n $(PYTEST_WORKERS) --dist loadfile -m kubernetes tests/kubernetes tests/conformance/test_launchers.py

SEEDS ?= 300
START ?= 0
simulate: setup ## Play SEEDS worlds in which much goes wrong, from seed START on
	PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation --seeds $(SEEDS) --start $(START)

simulate-jobs: setup ## Play SEEDS worlds in which much goes wrong with jobs, on a Postgres of its own, from seed START on
	$(BIN)/python -m tests.jobs --seeds $(SEEDS) --start $(START)

ROUNDS ?= 20
chaos: setup ## Play ROUNDS rounds of faults on real servers and a real Postgres, from seed START on
	$(RUN) tests.chaos --rounds $(ROUNDS) --start $(START)

chaos-kubernetes: setup ## The same on real servers and the cluster of KUBECONFIG
	@test -n "$${KUBECONFIG:-}" || { echo "chaos-kubernetes: set KUBECONFIG to the kubeconfig of a cluster" >&2; exit 1; }
	$(RUN) tests.kubernetes.chaos --rounds $(ROUNDS) --start $(START)

check: lint types verify test ## Run every check: lint, types, layers, generated code, tests

lint: setup ## Check style, formatting and the layer contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## Check types
	$(BIN)/mypy

generate: setup ## Regenerate the code made from proto/
	$(BIN)/python scripts/generate.py

verify: setup ## Check that generated code is current, and lint, format and compatibility of proto/
	$(BIN)/python scripts/verify.py

bench: setup ## Measure against the floors of docs/benchmarks.md (BENCH="chain latency ...")
	$(RUN) tests.bench $(BENCH)

rootfs: setup ## Make the root file system of the container image in build/rootfs
	$(BIN)/python deploy/docker/rootfs.py build/rootfs

run: setup ## Run a server on ./penstock-data
	$(BIN)/penstock-server serve --data-dir penstock-data
