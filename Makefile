# Every target works on a bare machine with Python 3.11 or newer: it makes .venv first.
PYTHON ?= python3
BIN := .venv/bin
MODEL ?= local:smollm2
STAMP := .venv/installed
TRAIN := .venv/installed-train
ALPHA ?= 0.3
STATES ?= 1560
OUT ?= outputs/keyring-$(ALPHA)-$(STATES)
TEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
LEARN ?= --n-states $(STATES) --n-test 144 --replicates 64 --loss reward --full --depth 17 --layers 5 \
  --epochs 2 --batch-size 8 --lr 0.0005

.DEFAULT_GOAL := help
.PHONY: help install install-train pipeline train test check docs bench clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with proact and everything that its tests need.

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,eval,plot,dev]'
	@touch $@

install-train: $(TRAIN) ## Add what training needs: the pinned torch first, else several gigabytes come along.

$(TRAIN): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train]'
	@touch $@

# Exit code 3 says that some records are missing; everything that follows works without them.
ON := || { code=$$?; test $$code -eq 3 || exit $$code; echo "some are missing, going on without them"; }
PLAY := $(BIN)/proact generate --mode dataset --split demo --model $(MODEL) --max-completion-tokens 256
JUDGE := $(BIN)/proact judge
OTHERS := calibrated always-clarify always-execute

pipeline: install ## Play the demo tasks with the embedded model, run the tests, price, judge and compare. No key.
	@$(BIN)/proact models fetch
	@$(PLAY) $(ON)
	@$(JUDGE) feedback effort --model $(MODEL) --max-completion-tokens 128 $(ON)
	@for policy in $(OTHERS); do \
	  $(PLAY) --policy $$policy --branches 1 --out data/logs/others.jsonl --json >/dev/null $(ON); done
	@$(JUDGE) effort --in data/logs/others.jsonl --out data/logs/others_verdicts.jsonl --json >/dev/null $(ON)
	@$(BIN)/proact reward --trajectories data/logs/others.jsonl --rewards data/logs/others_rewards.jsonl \
	  --out data/dpo/others_pairs.jsonl --json >/dev/null $(ON)
	@$(BIN)/proact reward $(ON)
	@$(BIN)/proact eval data/logs/trajectories.jsonl data/logs/others.jsonl \
	  --rewards data/logs/rewards.jsonl --rewards data/logs/others_rewards.jsonl $(ON)

train: install-train ## Learn when to ask where the best policy is known. ALPHA=0.6: dear questions; STATES=3120: more to learn from.
	@$(BIN)/proact models fetch
	@$(BIN)/proact iterate --rounds 1 --world keyring --alpha $(ALPHA) --out $(OUT) $(LEARN)
	@$(BIN)/proact eval $(foreach m,always-clarify always-execute optimal:$(ALPHA),\
	  --method $(m)=$(OUT)/baselines/$(m)-test.jsonl \
	  --rewards $(OUT)/baselines/$(m)-test-rewards.jsonl) \
	  --method learned=$(OUT)/round-1/round-1-test.jsonl \
	  --rewards $(OUT)/round-1/round-1-test-rewards.jsonl --out $(OUT)/eval

test: install ## Run the tests, on as many cores as there are up to four.
	$(TEST)

check: install ## Format check, lint, types and tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TEST)

docs: install ## Write the generated pages anew.
	$(BIN)/python tests/generated.py

bench: install ## Measure against named peers and the physical floor; MBPP=FILE measures the sandbox too.
	$(BIN)/python bench/start.py
	$(BIN)/python bench/calls.py
	$(BIN)/python bench/sweep.py
	@test -z "$(MBPP)" || $(BIN)/python bench/sandbox.py --mbpp $(MBPP)

clean: ## Remove what make and the tests have made; data stays.
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
