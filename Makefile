# Everything a newcomer runs. `make help` lists it; the first target that needs Python builds .venv by itself.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Stamps: a second run finds them newer than the locks and does nothing.
RUNTIME := $(VENV)/.runtime
TOOLS := $(VENV)/.tools
ARGS ?=
# "full": what is run once a release, not on every change.
SLOW ?=
# Processes of `make test`; the tests wait more than they work, so more than cores. 0: one, with its output.
JOBS ?= 4
# The same for `make slow`, whose tests start whole systems.
SLOW_JOBS ?= 2
# Folder of files with hourly candles, for calibrate.
CANDLES ?= candles
# Of the first of the series of calibrate-gate.
SEED ?= 0
# What builds the image, its name, and for which architectures; none: that of this machine.
BUILDER ?= $(firstword $(foreach name,docker podman buildah,$(shell command -v $(name))))
IMAGE ?= sonic:0.2.0
PLATFORM ?=
# Where protos-export writes, and why a release may break its clients.
TO ?= build/protos
BREAKING ?=

export PYTHONPATH := $(CURDIR):$(CURDIR)/protos/stubs
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Every server is a process of its own: compiled once, they start from the cache.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run dev cycle db test slow kills call-kills soak calibrate calibrate-gate check lint types imports protos protos-check protos-export commands-page release bench profile overview pictures lock monitoring image sbom clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME) ## the whole system on this machine, database included (ARGS="--help")
	@$(BIN)/sonic up $(ARGS)

dev: $(TOOLS) ## the same, and a server whose code changes is started again (ARGS=...)
	@$(BIN)/sonic up --reload $(ARGS)

cycle: $(RUNTIME) ## one cycle (ARGS=...); fails when the cycle fails, make naming its exit code
	@$(BIN)/sonic cycle $(ARGS)

db: $(RUNTIME) ## roles, schemas and migrations in the database of DATABASE_URL
	@$(BIN)/sonic db init $(ARGS)

test: $(TOOLS) ## every rule and server, four minutes on two cores (ARGS="tests/unit -k alert"; JOBS=0 for one process)
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder -p no:schemathesis $(ARGS)

slow: $(TOOLS) ## whole systems, kills, the console, the page in Chromium, properties in full; 25 minutes (SLOW=full: more)
	@$(BIN)/python -m pytest -q -n $(SLOW_JOBS) --dist loadfile -p no:schemathesis -m "slow or hypothesis" --hypothesis-profile=full tests $(ARGS)
	@if [ "$(SLOW)" = full ]; then $(BIN)/python -m tests.chaos.kills; fi

soak: $(TOOLS) ## thousands of cycles with faults: what grows; a quarter of an hour for 2000 (ARGS="--cycles 2000 --positions 1000 --seed 0")
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

kills: $(TOOLS) ## xcom killed 100 times at each moment of a delivery, some ten minutes (ARGS=10)
	@$(BIN)/python -m tests.chaos.kills $(ARGS)

calibrate: $(RUNTIME) ## what the touch probability said on files of hourly candles, and what happened (CANDLES=folder)
	@$(BIN)/sonic calibration --candles "$(CANDLES)" $(ARGS)

call-kills: $(TOOLS) ## xcom killed 1000 times while it calls people, half an hour (ARGS="--kills 50 --at-once 1")
	@$(BIN)/python -m tests.chaos.call_kills $(ARGS)

calibrate-gate: $(TOOLS) ## how often the gate of withdrawals triggers, beside its limits (SEED=7)
	@$(BIN)/python -m tests.bench.gate_calibration --seed $(SEED)

check: lint types imports protos-check test ## what CI runs
	@echo "check: clean"

lint: $(TOOLS) ## ruff: rules and format
	@echo "lint"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

types: $(TOOLS) ## mypy, strict
	@echo "types"
	@$(BIN)/mypy --no-error-summary

imports: $(TOOLS) ## who may import whom
	@echo "imports"
	@$(BIN)/lint-imports > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }

pictures: $(TOOLS) ## docs/pictures from the demo in a browser (ARGS="thresholds alerts": only these)
	@$(BIN)/python -m tests.browser.pictures $(ARGS)

overview: $(TOOLS) ## the dashboard over 5,000 positions: when it is there, whether it grows; idle machine (ARGS="--cycles 720")
	@$(BIN)/python -m tests.browser.large $(ARGS)

commands-page: $(TOOLS) ## docs/commands.md from the commands themselves
	@$(BIN)/python -m services.cli.schema.page > docs/commands.md

protos: $(TOOLS) ## generate protos/stubs from protos/sonic
	@echo "protos"
	@$(BIN)/buf format --write protos
	@$(BIN)/python protos/generate.py

protos-check: $(TOOLS)
	@echo "protos: drift, lint, format, breaking"
	@$(BIN)/python protos/generate.py --check

protos-export: $(TOOLS) ## sources with all they import, for any protobuf tool (TO=build/protos)
	@$(BIN)/python protos/generate.py --export $(TO)
	@echo "protos: $(TO)"

# By the environment: a reason is prose, with quotes and backticks that no shell is to read.
release: export BREAKING := $(BREAKING)
release: $(TOOLS) ## record the present protos as released; later ones must stay compatible (BREAKING="reason")
	@$(BIN)/python protos/generate.py --release --breaking "$$BREAKING"

bench: $(TOOLS) ## every performance goal beside its reference, ten minutes (ARGS="--only G6,G7 --full --write --help")
	@$(BIN)/python -m tests.bench $(ARGS)

profile: $(TOOLS) ## where a cycle, a crash, a read, a page, a notification and a start spend their time; five minutes (ARGS=--write)
	@$(BIN)/python -m tests.bench.profile $(ARGS)

PIP_COMPILE = $(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-header --no-annotate \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

lock: $(TOOLS) ## pin again what requirements*.in ask for (run it on Python 3.11; ARGS=--upgrade)
	@echo "lock"
	@$(PIP_COMPILE) $(ARGS) --output-file requirements.lock requirements.in
	@$(PIP_COMPILE) $(ARGS) --output-file requirements-dev.lock requirements-dev.in
	@$(PIP_COMPILE) $(ARGS) --output-file requirements-sbom.lock requirements-sbom.in

monitoring: $(TOOLS) ## rules and dashboard as the component `monitoring` holds them, from deploy/prometheus and deploy/grafana
	@$(BIN)/python -m tests.unit.deploy.monitoring

image: ## the image, by docker, podman or buildah, whichever is here (IMAGE=registry/sonic:0.2.0 PLATFORM=linux/amd64,linux/arm64)
	@test -n "$(BUILDER)" || { echo "make image: install docker, podman or buildah (the last needs no engine)" >&2; exit 1; }
	@$(BUILDER) build $(if $(PLATFORM),--platform $(PLATFORM)) --file deploy/Dockerfile --tag $(IMAGE) \
		$(if $(filter buildah podman,$(notdir $(BUILDER))),--ignorefile deploy/Dockerfile.dockerignore --format docker) .

sbom: ## what the image's Python packages are, as CycloneDX, in build/sonic.cdx.json
	@$(PYTHON) -m venv build/sbom
	@build/sbom/bin/pip install --quiet --require-hashes -r requirements-sbom.lock
	@build/sbom/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--validate --of JSON -o build/sonic.cdx.json requirements.lock
	@echo "build/sonic.cdx.json"

clean: ## remove everything built; data and databases stay
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sonic needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; \
		exit 1; }
	@echo "environment: $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "packages"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(TOOLS): requirements-dev.lock $(RUNTIME)
	@echo "packages for building and testing"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
