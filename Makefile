# Every target works on a bare machine with Python 3.11 or newer: it makes .venv first.
PYTHON ?= python3
BIN := .venv/bin
MODEL ?= local:smollm2
STAMP := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help install pipeline test check docs bench clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with proact and everything that its tests need.

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,eval,plot,dev]'
	@touch $@

pipeline: install ## Play the demo tasks with the embedded model, run the tests, price it, and build pairs. No key.
	@$(BIN)/proact models fetch
	@$(BIN)/proact generate --mode dataset --split demo --model $(MODEL) --max-completion-tokens 256 || test $$? -eq 3 \
	  || exit $$?; test ! -e data/logs/trajectories.failures.jsonl \
	  || echo "some trajectories are missing (data/logs/trajectories.failures.jsonl says why); going on without them"
	@$(BIN)/proact reward || test $$? -eq 3

test: install ## Run the tests.
	$(BIN)/python -m pytest

check: install ## Format check, lint, types and tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

docs: install ## Write the generated pages anew.
	$(BIN)/python tests/generated.py

bench: install ## Measure against named peers and the physical floor.
	$(BIN)/python bench/calls.py

clean: ## Remove what make and the tests have made; data stays.
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
