# secrets-cache. Every target sets up what it needs, from nothing but python3 >= 3.11, make and a package index; the layer
# that ships also needs the interpreter that uv downloads.

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
CORE := 'secrets_cache/core/*,secrets_cache/config/*'
HOST := $(shell uname -m | sed 's/aarch64/arm64/')
ARCH ?= $(HOST)
INTERPRETER ?= uv
BUILD_LAYER = $(BIN)/python -m tools.layer $(if $(PYTHON_VERSION),--python-version $(PYTHON_VERSION))
# What the demo, the tests and the benchmarks run: the layer that ships, where its interpreter can be had.
TESTED := .cache/layer
# How many processes run the tests. More than two cores can keep busy: many tests wait.
WORKERS ?= 4
PYTEST_ARGUMENTS = --numprocesses=$(WORKERS) $(PYTEST)
SOURCES := $(shell find secrets_cache extensions wrapper tools/layer requirements/runtime.txt -type f -not -name '*.pyc')
KEPT = $(wildcard .cache/python/cpython-*-$(shell uname -m)-gnu/.)
# actionlint is a Go program, locked in requirements/go.mod. Without Go, `make workflows` does without it, but not in CI.
GO ?= $(shell command -v go 2> /dev/null)
ACTIONLINT := .cache/actionlint
MINOR = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# For a version of Python that is not that of .venv, an environment of its own.
UNIT = $(if $(filter-out $(call MINOR,$(BIN)/python 2> /dev/null),$(call MINOR,$(PYTHON))),$(VENV)/unit/$(call MINOR,$(PYTHON)),$(VENV))
SHELL_SCRIPTS := extensions/secrets-cache deploy.sh example_function/shell/bootstrap example_function/environment/second_layer/second-example-layer bench/baselines/plain-extension .ci/run
DOCKERFILES := example_function/Dockerfile tools/release/Dockerfile

# Byte code is written even where a machine says otherwise: a run starts hundreds of interpreters.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: FORCE help demo test unit promises fuzz soak bench fleet layer release github-release publish image lint workflows actionlint format lock endpoints namespaces languages clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# It shows the same with any interpreter.
demo: OR_ANOTHER := --or-another
demo: $(EMULATOR) $(TESTED)/$(HOST) ## a function, the extension and a Secrets Manager, all on this machine
	@cat $(TESTED)/$(HOST)
	@$(BIN)/python -m tools.demo

test: $(EMULATOR) $(TESTED)/$(HOST) $(TESTED)/arm64 $(VENV)/deploy/.ready $(VENV)/release/.ready ## all tests; WORKERS=4 PYTEST=
	@cat $(TESTED)/$(HOST)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGUMENTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage report --include=$(CORE) --fail-under=100

unit: $(READY) ## the tests of the package's modules alone; PYTHON= another version of Python, 3.11 to 3.14; WORKERS=4
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "PYTHON: $(PYTHON) does not run, or is older than Python 3.11. Try: make unit PYTHON=python3.12"; exit 1; }
	@$(MAKE) --no-print-directory $(UNIT)/.ready
	$(UNIT)/bin/python -m pytest tests/unit $(PYTEST_ARGUMENTS)

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
	@$(BUILD_LAYER) --arch $(ARCH) --interpreter $(INTERPRETER) --output dist

# VERSION, COMPARE and REPOSITORY come through the environment: no shell and no make parses what a tag is called.
release: $(READY) $(VENV)/release/.ready ## everything that a release holds, in dist/; VERSION=X.Y.Z COMPARE=FOLDER
	@$(BIN)/python -m tools.release $${PYTHON_VERSION:+--python-version "$$PYTHON_VERSION"} \
	  $${COMPARE:+--compare "$$COMPARE"} $${REPOSITORY:+--repository "$$REPOSITORY"} -- "$$VERSION"

# It runs with a token that may write to the repository: the standard library is enough for it, and make parses no VERSION.
github-release: ## what `make release` left in dist/, as a release on GitHub; VERSION=X.Y.Z
	@$(PYTHON) -m tools.release.github -- "$$VERSION"

publish: $(READY) ## the zips in dist/ as layer versions; REGIONS="eu-west-1 us-east-1" PUBLIC=1 LAYER_NAME= VERSION=
	@$(BIN)/python -m tools.publish --regions="$$REGIONS" --public="$$PUBLIC" --version="$$VERSION" \
	  --layer-name="$${LAYER_NAME:-secrets-cache}"

image: $(READY) ## the layer at /opt and `serve` as a sidecar, by docker; IMAGE=ghcr.io/owner/name PUSH=1
	@$(BIN)/python -m tools.release.image --image="$${IMAGE:-secrets-cache}" --push="$$PUSH"

lint: $(READY) workflows ## format, lint, types, import layers, shell scripts, Dockerfiles, spelling, workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/shfmt --diff --indent 2 $(SHELL_SCRIPTS)
	$(BIN)/hadolint $(DOCKERFILES)
	$(BIN)/codespell

workflows: $(READY) actionlint ## lint what GitHub reads: workflows, Dependabot, issue forms
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/zizmor --offline --quiet --strict-collection --persona auditor .

# It gives what it finds in `run:` lines to shellcheck.
actionlint: $(READY) $(if $(GO),$(ACTIONLINT))
	$(if $(GO),PATH="$(CURDIR)/$(BIN):$$PATH" $(ACTIONLINT) .github/workflows/*.yml,@echo "actionlint: there is no go in PATH to build it with: $(if $(CI),install Go,skipped; CI has it)"; test -z "$$CI")

format: $(READY) ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/shfmt --write --indent 2 $(SHELL_SCRIPTS)

lock: $(READY) ## lock the newest versions that fit pyproject.toml
	$(LOCK) --upgrade --group layer --output-file requirements/runtime.txt
	$(LOCK) --upgrade --group dev --constraints requirements/runtime.txt pyproject.toml --output-file requirements/dev.txt
	$(LOCK) --upgrade --no-deps requirements/emulator.in --output-file requirements/emulator.txt
	$(LOCK) --upgrade requirements/deploy.in --output-file requirements/deploy.txt
	$(LOCK) --upgrade requirements/bench.in --output-file requirements/bench.txt
	$(LOCK) --upgrade requirements/release.in --output-file requirements/release.txt
	$(LOCK) --upgrade requirements/fuzz.in --output-file requirements/fuzz.txt

endpoints: $(READY) ## write secrets_cache/aws/endpoint_table.py anew, after an update of botocore
	$(BIN)/python -m tools.endpoints

# The emulator has an /opt of its own by a user namespace, which Ubuntu from 24.04 on allows to nobody but root.
RESTRICTION := /proc/sys/kernel/apparmor_restrict_unprivileged_userns
namespaces: ## let each user have namespaces, as the emulator needs, until the next start; for Ubuntu 24.04, by sudo
	@if [ -e $(RESTRICTION) ]; then echo 0 | sudo tee $(RESTRICTION); else echo "Nothing to do: this machine has no $(RESTRICTION)"; fi

# In Debian and Ubuntu. C# runs on Mono: .NET itself is in neither.
LANGUAGES := ruby mono-mcs mono-runtime libmono-system-net-http4.0-cil
languages: ## install the languages of the tests that machines seldom have, Ruby and C#; for Debian and Ubuntu, by sudo
	@set -e; for tool in ruby mcs mono; do command -v $$tool > /dev/null || missing=$$tool; done; \
	if [ -n "$$missing" ]; then \
	  sudo=$$(test "$$(id -u)" = 0 || echo sudo); \
	  $$sudo apt-get update --quiet=2; \
	  $$sudo apt-get install --quiet=2 --yes --no-install-recommends $(LANGUAGES) > /dev/null; \
	fi

clean: ## remove what was built
	rm -rf $(VENV) .cache dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "secrets-cache needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	$(call quietly,"Setting up $(VENV) from locked versions; this takes a minute or two",$(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python $(PIP) install --require-hashes --requirement requirements/dev.txt && \
	  $(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .)
	@touch $@

$(ACTIONLINT): requirements/go.mod requirements/go.sum
	$(call quietly,"Building actionlint",cd requirements && $(GO) build -mod=readonly -o ../$@ github.com/rhysd/actionlint/cmd/actionlint)
	@touch $@

# Each file holds the line that says which interpreter the layer beside it has.
$(TESTED)/$(HOST): $(READY) $(SOURCES) $(KEPT) $(TESTED)/version
	@echo "Building the layer ..."
	@$(BUILD_LAYER) --interpreter best $(OR_ANOTHER) --quiet --output $(TESTED) > $@
# The other architecture, for the tests under emulation. Where it cannot be built, they say so.
$(filter-out $(TESTED)/$(HOST),$(TESTED)/arm64): $(READY) $(SOURCES) $(wildcard .cache/python/cpython-*/.) $(TESTED)/version
	@$(BUILD_LAYER) --arch arm64 --interpreter best --quiet --output $(TESTED) > $@ 2>&1 || { cat $@; exit 1; }
$(TESTED)/version: FORCE
	@mkdir -p $(@D); echo '$(PYTHON_VERSION)' | cmp -s - $@ || echo '$(PYTHON_VERSION)' > $@

$(VENV)/unit/%/.ready: requirements/dev.txt pyproject.toml
	$(call quietly,"Setting up $(@D)",$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(@D) && \
	  $(BIN)/uv pip install --quiet --python $(@D) --require-hashes --requirement requirements/dev.txt && \
	  $(BIN)/uv pip install --quiet --python $(@D) --no-deps --no-build-isolation --editable .)
	@touch $@

# The AWS CLI allows one version of botocore only, and what draws pictures is of no use elsewhere: an environment each.
$(VENV)/%/.ready: requirements/%.txt $(READY)
	$(call quietly,"Setting up $(VENV)/$*",$(PYTHON) -m venv $(VENV)/$* && \
	  $(VENV)/$*/bin/python $(PIP) install --require-hashes --requirement $<)
	@touch $@

$(EMULATOR): requirements/emulator.txt $(READY)
	$(call quietly,"Fetching AWS's Runtime Interface Emulator",$(BIN)/python $(PIP) download --no-deps \
	  --only-binary :all: --require-hashes --requirement $< --dest .cache/emulator)
	@$(BIN)/python -m tools.emulator extract .cache/emulator $@
