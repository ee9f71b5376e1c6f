# One door: `make demo` and `make test` work on a fresh clone with nothing but Python and make.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help set-up set-up-development demo fields plan validate erase test soak check bench ui docs screenshots lock clean
# Targets share .venv and .demo: never two at once.
.NOTPARALLEL:

python := .venv/bin/python
# Options for the program behind a target: make test ARGS="-k banking"
ARGS ?=

export PYTHONPATH := $(CURDIR)/include:$(CURDIR)/plugins
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONSAFEPATH

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

set-up: ## Make .venv with what pipeline and demo run on (the other targets do it themselves)
	@scripts/set_up.sh runtime

set-up-development:
	@scripts/set_up.sh development

demo: set-up ## Run the sync through Airflow, from the sandbox into a SQLite file
	@$(python) scripts/demo.py $(ARGS)

ui: set-up-development ## Start Airflow with its user interface, the DAGs and the sandbox
	@$(python) scripts/ui.py $(ARGS)

test: set-up-development ## Run all tests
	@$(python) -P -m pytest -n logical --dist loadgroup $(ARGS)

fields: set-up ## List what can be selected: make fields ARGS="contact --all"
	@$(python) scripts/selected_fields.py fields $(ARGS)

plan: set-up ## Tell what the fields file would change, and change nothing
	@$(python) scripts/selected_fields.py plan $(ARGS)

validate: set-up ## Check item by item whether the sync can run: make validate ARGS=--facts
	@$(python) scripts/validate.py $(ARGS)

erase: set-up ## Empty what the store has of a contact, for ever: make erase ARGS="<id>"
	@$(python) scripts/erase_contact.py $(ARGS)

# Histories that `make soak` plays.
N ?= 2000

soak: set-up-development ## Play N random histories against the oracle: make soak N=2000
	@$(python) tests/support/history_soak.py $(N) $(ARGS)

check: set-up-development ## Lint, formatting, types, import rules, the lock, generated docs
	@failed=; \
	run() { echo "-- $$*"; "$$@" || failed="$$failed [$$*]"; }; \
	run $(python) -m ruff check .; \
	run $(python) -m ruff format --check .; \
	run $(python) -m mypy; \
	run $(python) .venv/bin/lint-imports; \
	run $(python) scripts/lock.py --check; \
	if [ -f scripts/generate_docs.py ]; then run $(python) scripts/generate_docs.py --check; fi; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

bench: set-up-development ## Measure speed and memory beside a plain loop; takes half an hour
	@$(python) benchmarks/run.py $(ARGS)

docs: set-up-development ## Write the generated pages anew: settings, store, codes and metrics
	@$(python) scripts/generate_docs.py $(ARGS)

screenshots: set-up-development ## Make the pictures of the page in docs/images anew
	@PYTHONPATH="$$PYTHONPATH:$(CURDIR)/scripts" $(python) tests/support/page_pictures.py $(ARGS)

lock: set-up-development ## Re-make requirements.txt from the groups of pyproject.toml (ARGS=--upgrade)
	@$(python) scripts/lock.py $(ARGS)

clean: ## Remove caches and what demo, ui and bench wrote (.venv stays: rm -rf .venv)
	rm -rf .demo .ui .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf .coverage .coverage.* htmlcov
	find . -name '.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
