# What one does with this tree. `make help` lists it.

VENV        ?= .venv
DATA        ?= data
SERVER_NAME ?= localhost
PORT        ?=
# Further options of `weft serve`, for example ARGS="--set logging.level=debug"
ARGS        ?=
# Further options of pytest, for example PYTEST_ARGS="-k sync"
PYTEST_ARGS ?=

bin    := $(VENV)/bin
pip    := $(bin)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# One order of sets in every run, so that a seed of the simulator means the same run.
pytest := PYTHONHASHSEED=0 $(bin)/python -m pytest -n auto $(PYTEST_ARGS)
# The specification's machine-readable files, where they are at hand.
spec   := $(wildcard $(or $(WEFT_SPEC),../shared/spec)/endpoints.json)
# Tests that take many minutes or need more than Python have folders and targets of their own.
apart  := tests/clients tests/fuzz tests/interop
# Schedules that `make simulate` runs: one seed, or the first and the last.
SEEDS  ?= 1-20

.DEFAULT_GOAL := help
.PHONY: help run test check fix bench docs test-slow test-twins test-twins-federation test-clients test-interop test-fuzz test-simulation simulate

help: ## lists what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: $(VENV)/for-running ## starts a server on http://127.0.0.1:8008, data in ./data (PORT=, DATA=, SERVER_NAME=)
	@$(bin)/weft init --if-missing --data '$(DATA)' --server-name '$(SERVER_NAME)'
	@$(bin)/weft serve --data '$(DATA)' $(if $(PORT),--set listeners.0.port=$(PORT)) $(ARGS)

test: $(VENV)/for-working ## runs the tests that a change needs, in minutes
	@scripts/have-postgres
	$(pytest) -m 'not slow' $(addprefix --ignore=,$(apart))

check: $(VENV)/for-working ## style, types, the order of layers, and whether generated pages are current
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports --no-logo
	$(bin)/python scripts/docs.py --check
	$(if $(spec),$(bin)/python scripts/spec_coverage.py --check)

fix: $(VENV)/for-working ## mends what can be mended by itself
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

docs: $(VENV)/for-working ## makes the generated pages anew
	$(bin)/python scripts/docs.py
	$(if $(spec),$(bin)/python scripts/spec_coverage.py)

test-slow: $(VENV)/for-working ## the tests that take many seconds each
	@scripts/have-postgres
	$(pytest) -m slow $(addprefix --ignore=,$(apart) tests/simulation)

test-simulation: $(VENV)/for-working ## hundreds of schedules of faults: servers that crash, networks that part
	$(pytest) -m slow tests/simulation

simulate: $(VENV)/for-working ## runs schedules of faults, a line each (SEEDS=1-200; SEEDS=57 ARGS=--trace shows one)
	@PYTHONHASHSEED=0 $(bin)/python -m weft.testing.simulation $(SEEDS) $(ARGS)

test-twins: $(VENV)/for-working ## the module tests against two processes on one PostgreSQL database
	@scripts/have-postgres
	WEFT_TWINS=1 $(pytest) tests/modules

# Chosen by what they ask for: tests whose servers are never twins are left out (tests/federation/conftest.py).
test-twins-federation: $(VENV)/for-working ## several servers, one of which is two processes on one database
	@scripts/have-postgres
	WEFT_TWINS=1 $(pytest) -m 'not slow' tests/federation

test-clients: $(VENV)/for-working ## unmodified clients against a running server: matrix-nio, matrix-js-sdk, a browser
	@scripts/have-clients
	$(bin)/python -m pytest $(PYTEST_ARGS) tests/clients

test-interop: $(VENV)/for-working ## conversations with Synapse, over real connections
	@scripts/have-synapse $(bin)/python
	@scripts/have-clients
	$(bin)/python -m pytest $(PYTEST_ARGS) tests/interop

test-fuzz: $(VENV)/for-working ## hostile input to every endpoint
	$(pytest) tests/fuzz

bench: $(VENV)/for-working ## measures Weft side by side with Synapse and writes benchmarks/RESULTS.md; wants a quiet machine (ARGS="--quick")
	$(bin)/python -m benchmarks $(or $(ARGS),--write)

$(bin)/python:
	@scripts/make-venv $(VENV)

$(VENV)/for-running: pyproject.toml constraints.txt | $(bin)/python
	@echo 'Installing Weft into $(VENV).'
	@$(pip) -e '.[server]'
	@touch $@

$(VENV)/for-working: pyproject.toml constraints.txt | $(bin)/python
	@echo 'Installing Weft and its tools into $(VENV).'
	@$(pip) -e '.[server,dev]'
	@touch $@ $(VENV)/for-running
