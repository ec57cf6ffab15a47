# secrets-cache. Every target sets up what it needs, from nothing but python3 >= 3.11, make and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMULATOR := .cache/emulator/aws-lambda-rie
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CORE := 'secrets_cache/cache.py,secrets_cache/entries.py,secrets_cache/freshness.py,secrets_cache/config/*'
ARCH ?= $(shell uname -m | sed 's/aarch64/arm64/')
INTERPRETER ?= uv
# What the demo and the tests run: this machine's interpreter, so that a package index is all they need.
LOCAL_LAYER := .cache/layer
SOURCES := $(shell find secrets_cache extensions tools/layer requirements/runtime.txt -type f -not -name '*.pyc')
SHELL_SCRIPTS := extensions/secrets-cache deploy.sh example_function/shell/bootstrap .ci/run

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test layer lint format lock clean

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) $(EMULATOR) $(LOCAL_LAYER)/.ready ## a function, the extension and a Secrets Manager, all on this machine
	@$(BIN)/python -m tools.demo

test: $(READY) $(EMULATOR) $(LOCAL_LAYER)/.ready $(VENV)/deploy/.ready ## all tests
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PYTEST)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage report --include=$(CORE) --fail-under=100

layer: $(READY) ## dist/secrets-cache-layer-ARCH.zip; ARCH=x86_64|arm64, INTERPRETER=uv|local
	@$(BIN)/python -m tools.layer --arch $(ARCH) --interpreter $(INTERPRETER) --output dist

lint: $(READY) ## format, lint, types, import layers, shell scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/shfmt --diff --indent 2 $(SHELL_SCRIPTS)

format: $(READY) ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/shfmt --write --indent 2 $(SHELL_SCRIPTS)

lock: $(READY) ## lock the newest versions that fit pyproject.toml
	$(LOCK) --upgrade pyproject.toml --output-file requirements/runtime.txt
	$(LOCK) --upgrade --group dev --constraints requirements/runtime.txt pyproject.toml --output-file requirements/dev.txt
	$(LOCK) --upgrade --no-deps requirements/emulator.in --output-file requirements/emulator.txt
	$(LOCK) --upgrade requirements/deploy.in --output-file requirements/deploy.txt

clean: ## remove what was built
	rm -rf $(VENV) .cache dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "secrets-cache needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) from locked versions; this takes a minute or two ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(LOCAL_LAYER)/.ready: $(READY) $(SOURCES)
	@$(BIN)/python -m tools.layer --interpreter local --output $(LOCAL_LAYER)
	@touch $@

# The AWS CLI allows one version of botocore only, so it has an environment of its own.
$(VENV)/deploy/.ready: requirements/deploy.txt $(READY)
	@echo "Setting up the AWS CLI and the checkers of the examples ..."
	@$(PYTHON) -m venv $(VENV)/deploy
	@$(VENV)/deploy/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	@touch $@

$(EMULATOR): requirements/emulator.txt $(READY)
	@echo "Fetching AWS's Runtime Interface Emulator ..."
	@$(PIP) download --no-deps --only-binary :all: --require-hashes --requirement $< --dest .cache/emulator
	@$(BIN)/python -m tools.emulator extract .cache/emulator $@
