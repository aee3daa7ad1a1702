# Two commands do everything: `make demo` and `make test`. The set-up itself is compose/bootstrap.py.
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
UV ?= uv
TOCSIN_DATA_DIR ?= .tocsin
BIN := .venv/bin
RUN := $(BIN)/python -m compose.cli

.DEFAULT_GOAL := help
.PHONY: help demo up test test-faults check lint format docs bench bench-full bench-peer lock clean-data clean python runtime development

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: runtime ## set up, start everything, fire an alert and show what becomes of it
	@$(RUN) demo

up: runtime ## set up and start everything, nothing fired
	@$(RUN) up

test: development ## every test, against a real broker and a real database
	@$(BIN)/python -m pytest

test-faults: development ## every fault at every point, then hundreds of kills; up to 90 minutes, goes on where it was
	@$(BIN)/python -m pytest -o python_files='long_*.py' tests/faults
	@$(BIN)/python -m tests.faults --docs $(FAULTS)

check: lint test ## the whole ritual: format, lint, types, import rules, tests

lint: development ## all of it but the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports

format: development ## rewrite the code in the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: development ## write the generated reference and the configuration schema anew
	@$(BIN)/python -m compose.reference

bench: development ## how fast, in three minutes; ONLY=pages for one measure
	@$(BIN)/python -m tests.bench $(ONLY)

bench-full: development ## longer, again with 100,000 open alerts; fills in docs/explanation/speed.md
	@$(BIN)/python -m tests.bench --full --docs $(ONLY)

bench-peer: development ## the same load on GoAlert (needs Go and an installed Postgres)
	@$(BIN)/python -m tests.bench.peer --docs

lock: ## write the hashed requirements and Kafka's jar hashes anew (needs uv and network)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	cd compose/embedded && ../../$(BIN)/python -m jgo --resolver python lock

clean-data: ## remove the data directory; the next start begins empty
	@test ! -e "$(TOCSIN_DATA_DIR)" || { $(PYTHON) compose/bootstrap.py && $(BIN)/python -m compose.datadir "$(TOCSIN_DATA_DIR)"; }

clean: ## remove the environment and all caches, not the data
	rm -rf .venv .venv.old .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

runtime: python
	@$(PYTHON) compose/bootstrap.py

development: python
	@$(PYTHON) compose/bootstrap.py --dev

python:
	@command -v $(PYTHON) >/dev/null || { echo "make: Python 3.11 or newer is needed (Debian: apt install python3 python3-venv)."; exit 1; }
