# SPDX-License-Identifier: Apache-2.0
# Every target gets the machine ready by itself (scripts/setup); `make` alone lists them.

PYTHON := .venv/bin/python
# Worker processes and further options of pytest: make test PYTEST_ARGS='-k pin -x'
JOBS ?= auto
PYTEST_ARGS ?=
# Decides which rows of the long tables are tried, another third with each commit: all of them with make test SAMPLE=
SAMPLE ?= $(shell git rev-parse --short HEAD 2>/dev/null || date +%F)
# Options of the bench: make bench BENCH_ARGS='--rounds 60', or --help for all of them
BENCH_ARGS ?=
# Options of the crash points: make crash CRASH_ARGS='--verb register --sample 20', or --help for all of them
CRASH_ARGS ?=
# Options of the soak: make soak SOAK_ARGS='--seed 7', or --help for all of them
SOAK_ARGS ?=
# Options of the fleet: make load LOAD_ARGS='--hosts 3000', or --help for all of them
LOAD_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint unit pytest py36 sandbox bench bypasses errors crash soak load rpm clean setup

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: setup ## a make-believe AlmaLinux 9.2 host registers, upgrades, goes to FIPS and comes back
	@$(PYTHON) -m tests.sandbox.demo

# All three at once: the two short ones fill what the workers of the long one leave.
test: setup ## lint, the tests on real dnf, rpm and gpg, and the library's on Python 3.6
	@$(MAKE) --no-print-directory --jobs=3 lint py36 pytest

lint: setup ## ruff, mypy --strict on the library, vermin for Python 3.6
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m mypy
	@.venv/bin/vermin --target=3.6- --violations --no-tips --quiet tuxcare_lib dnf-plugins

unit: setup ## the library's unit tests alone, in seconds
	@$(PYTHON) -m pytest -q tests/unit $(PYTEST_ARGS)

sandbox: setup ## the vendor's services and hosts to try commands on by hand, until Ctrl-C
	@$(PYTHON) -m tests.sandbox.interactive

bypasses: setup ## every attempt to get past the pin, with the plugin and without it, in some ten minutes; writes docs/bypasses.md
	@$(PYTHON) -m tests.integration.bypass

errors: setup ## every way in which register can fail, in some three minutes; writes docs/errors.md
	@$(PYTHON) -m tests.integration.failures

bench: setup ## what the plugin costs other dnf commands, in some eight minutes; writes docs/bench.md and docs/bench.svg
	@$(PYTHON) -m tests.bench $(BENCH_ARGS)

crash: setup ## every changing verb dies, and is refused, at each of its system calls, in an hour; writes docs/crash.md
	@$(PYTHON) -m tests.crash --output docs $(CRASH_ARGS)

soak: setup ## 200 random sequences of verbs, edits, other commands, kills and server faults, in some twenty minutes
	@$(PYTHON) -m tests.soak $(SOAK_ARGS)

load: setup ## a thousand hosts register at once with a service that throttles, in some ten minutes; writes docs/load.md and docs/load.svg
	@$(PYTHON) -m tests.load $(LOAD_ARGS)

rpm: setup ## build/rpm/…/dnf-plugin-tuxcare-….rpm
	@scripts/build-rpm

clean: ## removes what make made in this folder (the sandbox's packages stay in ~/.cache/tuxcare-sandbox)
	rm -rf .venv .venv-py36 build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- parts of the above ---------------------------------------------------------------------------------------------

setup:
	@scripts/setup

pytest: setup
	@$(PYTHON) -m pytest -n $(JOBS) --dist loadfile --sample='$(SAMPLE)' $(PYTEST_ARGS)

py36: setup
	@if ! ls tests/unit/test_*.py >/dev/null 2>&1; then echo "There are no unit tests yet."; exit 0; fi; \
	status=0; scripts/setup py36 || status=$$?; \
	if [ $$status -eq 3 ]; then echo "The library's unit tests on Python 3.6 are skipped."; \
	elif [ $$status -ne 0 ]; then exit $$status; \
	elif .venv-py36/bin/python -B -m pytest -q -p no:cacheprovider tests/unit >build/py36.log 2>&1; then \
	echo; echo "Python 3.6: $$(tail -n 1 build/py36.log)"; \
	else echo; sed -n '/^==/,$$p' build/py36.log; echo "Failed on Python 3.6; build/py36.log says it once more."; exit 1; fi
