# Everything starts here: `make help`. Needs Python 3.11 to 3.13 with its venv module, and no root.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000

VENV := .venv
RUN := $(VENV)/bin/python
# Tests and checks keep their database apart from the site's.
# Not below var: a site closes its own folder to the user that another site's database runs as.
TEST_VAR := $(abspath var-test)
# Each file stays on one worker, and all of torch on one (tests/conftest.py schedules them).
PYTEST := $(VENV)/bin/pytest -n 3 --no-loadscope-reorder

# Sites that tests start are dozens of processes, each of which would compile every module where this is set.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-fast lint bench check-python

help: ## Show this list
	@echo "Konomi: teach a language model what good output is."
	@echo
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'
	@echo
	@echo "  Another port: make demo PORT=8010    Another data folder: KONOMI_VAR=/path make serve"

demo: $(VENV)/.installed ## Start the site with the hotel concierge's demonstration (Ctrl-C stops it, not a training)
	@$(RUN) manage.py demo --host $(HOST) --port $(PORT)

serve: $(VENV)/.installed ## Start the site: web, background worker, database (Ctrl-C stops it, not a training)
	@$(RUN) manage.py serve --host $(HOST) --port $(PORT)

test: lint ## Run all checks and all tests
	KONOMI_VAR=$(TEST_VAR) $(PYTEST)

test-fast: $(VENV)/.installed-test ## Run the tests for work in progress: no browser, engines, stories or walks, and no slow files
	KONOMI_VAR=$(TEST_VAR) $(PYTEST) -m "not browser and not torch and not story" \
	  --ignore=tests/engine --ignore=tests/stories --ignore=tests/walks

# Steps of lint that need nothing of one another; -O prints the output of each as a whole.
LINT := style layout types templates imports migrations scripts prose licences
.PHONY: messages coverage $(LINT:%=lint-%)

lint: $(VENV)/.installed-test ## Check style, layout, types, templates, imports, migrations, scripts, prose and licences
	@$(MAKE) --no-print-directory --jobs=4 --keep-going --output-sync=target $(LINT:%=lint-%)

lint-style:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

lint-layout:
	$(RUN) -m tests.lint.layout

# The address is never used: the settings would start the embedded server otherwise, and mypy does not stop it.
lint-types:
	DATABASE_URL=postgresql://nobody@localhost/none $(VENV)/bin/mypy

lint-templates:
	find templates -name '*.html' -print0 | xargs -0 $(VENV)/bin/djade --target-version 5.2 --check

lint-imports:
	$(VENV)/bin/lint-imports

lint-migrations:
	KONOMI_VAR=$(TEST_VAR) $(RUN) manage.py makemigrations --check --dry-run

lint-scripts:
	$(VENV)/bin/oxlint --quiet static/js

lint-prose:
	$(RUN) -m tests.lint.prose

lint-licences:
	$(RUN) -m tests.lint.licences

coverage: $(VENV)/.installed-test ## Run all tests and report which lines they reach (var/coverage/html)
	KONOMI_VAR=$(TEST_VAR) $(PYTEST) --cov --cov-report=html --cov-report=term

messages: $(VENV)/.installed ## Collect the sentences to translate, and compile the translations (needs gettext)
	KONOMI_VAR=$(TEST_VAR) $(RUN) manage.py makemessages --all --no-wrap --no-obsolete --add-location=file \
	  --ignore=.venv --ignore=var --ignore=tests
	KONOMI_VAR=$(TEST_VAR) $(RUN) manage.py compilemessages --ignore=.venv --ignore=var

bench: $(VENV)/.installed-test ## Run the benchmarks and write docs/benchmarks.md
	$(RUN) -m tests.benchmarks

$(VENV)/bin/python: | check-python
	$(PYTHON) -m venv $(VENV)

# One stamp for what runs the site and one for what tests it; both are as new as the files that name the packages.
$(VENV)/.installed: pyproject.toml deploy/constraints.txt | $(VENV)/bin/python
	@echo "Installing (a few minutes the first time) …"
	$(RUN) -m pip install --progress-bar off -c deploy/constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml deploy/constraints.txt | $(VENV)/bin/python
	@echo "Installing, with what the tests need (a few minutes the first time) …"
	$(RUN) -m pip install --progress-bar off -c deploy/constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.installed

check-python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not on this machine. Debian: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Konomi needs Python 3.11, 3.12 or 3.13; $(PYTHON) is `$(PYTHON) --version`."; \
	  echo "Name another one: make demo PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. Debian keeps it in a package of its own: apt install python3-venv"; exit 1; }
