# The door to Switchyard.  `make` lists what it can do.

PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-for-$(notdir $(PYTHON))
LOCK := $(BIN)/uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

# Some hundred processes of the fleet and its tests import the same modules: let Python keep them compiled.
unexport PYTHONDONTWRITEBYTECODE

CONCEPTS := -m concept tests/unit tests/contract tests/faults tests/guide tests/acceptance --notes-of-concepts=var/concepts.jsonl

.DEFAULT_GOAL := help
.PHONY: help venv demo up down status test test-unit test-contract test-guide guide-table test-containers test-faults test-upstream test-chaos chaos bench check lock clean brokers servers

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP)-run ## Make the virtual environment (.venv); choose a Python with PYTHON=python3.13

demo: venv brokers ## Run both workflows on the examples, from nothing, and leave nothing running
	@$(BIN)/yard demo

up: venv brokers ## Start the fleet and leave it running
	@$(BIN)/yard up

down: venv ## Stop the fleet
	@$(BIN)/yard down

status: venv ## Show what runs
	@$(BIN)/yard status

test: $(STAMP)-flower servers ## Run the tests, against real brokers, five files at a time; the pages of the guide are followed by test-guide
	@$(BIN)/python -m pytest --ignore=tests/guide/test_pages.py --numprocesses 5 --dist loadfile --no-loadscope-reorder

test-unit: $(STAMP)-dev ## Run the tests that need no broker
	@$(BIN)/python -m pytest -m "not brokers"

test-contract: $(STAMP)-flower servers ## Run the contract suite on the installed brokers, then on those of compose.yaml
	@$(BIN)/python -m pytest tests/contract --servers=local
	@$(BIN)/python -m pytest tests/contract --servers=containers

test-guide: $(STAMP)-flower servers ## Follow every page of docs/guide, block by block
	@$(BIN)/python -m pytest tests/guide

guide-table: $(STAMP)-flower servers ## Run the tests of every concept, going on where it stopped, and write the table of docs/guide; ONLY="-k beat" says which
	@$(BIN)/python -m pytest $(CONCEPTS) --numprocesses 2 --dist loadfile $(ONLY); \
	 $(BIN)/python -m pytest $(CONCEPTS) --write-guide-table --quiet --quiet

test-faults: $(STAMP)-dev servers ## Kill, freeze and cut off workers and servers; send them rubbish
	@$(BIN)/python -m pytest tests/faults --numprocesses 3 --dist loadfile

test-containers: $(STAMP)-dev ## Run the fleet of compose.yaml through its tests, and print how long that took
	@$(BIN)/python -m pytest tests/containers --durations=5

test-upstream: $(STAMP)-dev brokers ## Run Celery's own integration tests over three brokers
	@tests/upstream/run

test-chaos: $(STAMP)-dev brokers ## Kill workers and brokers under load, for an hour, and count what was lost; CHAOS="--help" says how to choose
	@$(BIN)/python -m tests.chaos $(CHAOS)

chaos: venv brokers ## Strike a fleet with faults while it works, for half an hour, and count what is lost or repeated; CHAOS="campaign --minutes 5" says how
	@$(BIN)/yard chaos $(or $(CHAOS),mixed --minutes 30 --recipients 20000 --files 500 --chords 50 --mails 200)

bench: $(STAMP)-dev brokers ## Measure everything beside its peers, and write docs/performance.md; BENCH="--only chord" says which
	@benchmarks/peers/install
	@$(BIN)/python -m benchmarks $(BENCH)

check: $(STAMP)-dev ## Lint, format, types, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: venv ## Pin all dependencies anew, with hashes
	@$(BIN)/python -m pip --quiet install uv
	@$(LOCK) --output-file requirements/run.txt
	@$(LOCK) --extra dev --output-file requirements/dev.txt
	@$(BIN)/uv pip compile requirements/flower.in --no-deps --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet \
		--output-file requirements/flower.txt

clean: ## Remove the virtual environment and all caches; what the fleet wrote stays
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find shared services tests examples -name __pycache__ -prune -exec rm -rf {} +

brokers:
	@deploy/local/get-brokers

servers:
	@deploy/local/get-servers redis rabbitmq postgresql memcached prometheus chromium

$(STAMP)-%: requirements/%.txt pyproject.toml
	@deploy/local/make-venv $(PYTHON) $(VENV) $<
	@touch $@

$(STAMP)-flower: requirements/flower.txt $(STAMP)-dev
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --upgrade --require-hashes \
		--target $(VENV)/flower --requirement $<
	@touch $@
