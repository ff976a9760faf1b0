# Set-up and everyday commands; `make` alone lists them. Each one first brings .venv to the state
# that requirements.lock asks for: minutes the first time, a fraction of a second after that.
#
#   make demo PYTHON=/opt/python3.12/bin/python    another Python to make .venv with
#   make test ARGS="tests/gossip -x"               more arguments for the command behind a target
#   PIP_EXTRA_INDEX_URL=... make demo              pip's own variables are passed through

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format types imports wheel bench docs lock clean distclean

BIN := .venv/bin
ARGS ?=
export PYTHON

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## make or update .venv, nothing else
	@python=$$(sh .ci/find-python) && "$$python" .ci/set_up.py

demo: setup ## six gateways on this machine learn together; writes demo/report.html
	@$(BIN)/hedgerow demo $(ARGS)

test: setup ## run every test but that of the built wheel
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## check style and formatting (ruff)
	@status=0; $(BIN)/ruff check . || status=1; $(BIN)/ruff format --check . || status=1; \
		exit $$status

format: setup ## format, and mend what ruff can mend
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

types: setup ## check types (mypy, strict)
	@$(BIN)/mypy

imports: setup ## check which room imports which (import-linter)
	@$(BIN)/lint-imports --no-logo

wheel: setup ## build the wheel into dist/, install it in a clean environment, try it there
	@rm -rf dist && $(BIN)/python -m build --no-isolation --wheel . >/dev/null && ls dist
	@HEDGEROW_WHEEL=$$(ls dist/*.whl) $(BIN)/python -m pytest -m 'wheel or not wheel' \
		tests/meta/test_wheel.py $(ARGS)

bench: setup ## run every benchmark
	@set -e; for script in benchmarks/[a-z]*.py; do \
		echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

docs: setup ## rewrite what docs/ takes from the code: the settings
	@$(BIN)/python .ci/docs.py

lock: setup ## solve pyproject.toml anew into requirements.lock
	@$(BIN)/python .ci/lock.py && $(MAKE) --no-print-directory setup

clean: ## remove what runs and builds leave behind, but not .venv
	@rm -rf build dist demo .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	@rm -rf .venv
