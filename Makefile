# secrets-cache. Every target sets up what it needs, from nothing but python3 >= 3.11, make and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMULATOR := .cache/emulator/aws-lambda-rie
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras
PIP := -m pip --disable-pip-version-check
# Runs a command, a dot every two seconds; shows what it said only if it fails.
define quietly
	@printf '%s ' $(1); mkdir -p .cache; ( $(2) ) > .cache/setup.log 2>&1 & setup=$$!; \
	while kill -0 $$setup 2> /dev/null; do printf .; sleep 2; done; echo; \
	wait $$setup || { cat .cache/setup.log; exit 1; }
endef
# atheris, where there is a wheel of it; elsewhere `make fuzz` says that it goes without.
GUIDE = $(shell $(PYTHON) -c 'import platform as p, sys; print("$(VENV)/fuzz/.ready" * (sys.version_info[1] in (11, 12, 13) \
  and (p.system(), p.machine(), p.python_implementation(), p.libc_ver()[0]) == ("Linux", "x86_64", "CPython", "glibc")))')
CORE := 'secrets_cache/cache.py,secrets_cache/entries.py,secrets_cache/freshness.py,secrets_cache/config/*'
HOST := $(shell uname -m | sed 's/aarch64/arm64/')
ARCH ?= $(HOST)
INTERPRETER ?= uv
LAYER = $(BIN)/python -m tools.layer $(if $(PYTHON_VERSION),--python-version $(PYTHON_VERSION))
# What the demo, the tests and the benchmarks run: the layer that ships, where its interpreter can be had.
TESTED := .cache/layer
SOURCES := $(shell find secrets_cache extensions wrapper tools/layer requirements/runtime.txt -type f -not -name '*.pyc') \
  $(wildcard .cache/python/cpython-*)
SHELL_SCRIPTS := extensions/secrets-cache deploy.sh example_function/shell/bootstrap bench/baselines/plain-extension .ci/run

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: FORCE help demo test promises fuzz soak bench fleet layer lint format lock clean

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(EMULATOR) $(TESTED)/$(HOST) ## a function, the extension and a Secrets Manager, all on this machine
	@cat $(TESTED)/$(HOST)
	@$(BIN)/python -m tools.demo

test: $(EMULATOR) $(TESTED)/$(HOST) $(TESTED)/arm64 $(VENV)/deploy/.ready $(VENV)/release/.ready ## all tests
	@cat $(TESTED)/$(HOST)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PYTEST)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage report --include=$(CORE) --fail-under=100

bench: $(EMULATOR) $(TESTED)/$(HOST) $(VENV)/bench/.ready ## the benchmarks: a table, bench/results/; QUICK=1 for a short run
	@cat $(TESTED)/$(HOST)
	@$(BIN)/python -m bench $(if $(QUICK),--quick)
	@$(VENV)/bench/bin/python -m bench.picture

fleet: $(READY) $(VENV)/bench/.ready ## a simulation: up to 50,000 environments against AWS's quotas; QUICK=1 for a few
	@$(BIN)/python -m bench.fleet $(if $(QUICK),--quick)
	@$(VENV)/bench/bin/python -m bench.fleet.picture

promises: $(READY) ## break each promise of docs/reliability.md in a copy; its tests must notice
	@$(BIN)/python -m tools.promises

fuzz: $(READY) $(GUIDE) ## targets guided by coverage, property tests with ever new examples; MINUTES=10
	@$(BIN)/python -m tools.fuzz --minutes $(or $(MINUTES),10)

soak: $(READY) $(if $(LAYER),$(TESTED)/$(HOST)) ## everything at once for minutes, each answer judged; MINUTES=10 SEED= LAYER=1
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(LAYER),--layer)

layer: $(READY) ## dist/secrets-cache-layer-ARCH.zip; ARCH=x86_64|arm64 PYTHON_VERSION= INTERPRETER=uv|local
	@$(LAYER) --arch $(ARCH) --interpreter $(INTERPRETER) --output dist

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
	$(LOCK) --upgrade requirements/bench.in --output-file requirements/bench.txt
	$(LOCK) --upgrade requirements/release.in --output-file requirements/release.txt
	$(LOCK) --upgrade requirements/fuzz.in --output-file requirements/fuzz.txt

clean: ## remove what was built
	rm -rf $(VENV) .cache dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "secrets-cache needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	$(call quietly,"Setting up $(VENV) from locked versions; this takes a minute or two",$(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python $(PIP) install --require-hashes --requirement requirements/dev.txt && \
	  $(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .)
	@touch $@

# Each file holds the line that says which interpreter the layer beside it has.
$(TESTED)/$(HOST): $(READY) $(SOURCES) $(TESTED)/version
	@echo "Building the layer ..."
	@$(LAYER) --interpreter best --quiet --output $(TESTED) > $@
# The other architecture, for the tests under emulation. Where it cannot be built, they say so.
$(filter-out $(TESTED)/$(HOST),$(TESTED)/arm64): $(READY) $(SOURCES) $(TESTED)/version
	@$(LAYER) --arch arm64 --interpreter best --quiet --output $(TESTED) > $@ 2>&1 || true
$(TESTED)/version: FORCE
	@mkdir -p $(@D); echo '$(PYTHON_VERSION)' | cmp -s - $@ || echo '$(PYTHON_VERSION)' > $@

# The AWS CLI allows one version of botocore only, and what draws pictures is of no use elsewhere: an environment each.
$(VENV)/%/.ready: requirements/%.txt $(READY)
	$(call quietly,"Setting up $(VENV)/$*",$(PYTHON) -m venv $(VENV)/$* && \
	  $(VENV)/$*/bin/python $(PIP) install --require-hashes --requirement $<)
	@touch $@

$(EMULATOR): requirements/emulator.txt $(READY)
	$(call quietly,"Fetching AWS's Runtime Interface Emulator",$(BIN)/python $(PIP) download --no-deps \
	  --only-binary :all: --require-hashes --requirement $< --dest .cache/emulator)
	@$(BIN)/python -m tools.emulator extract .cache/emulator $@
