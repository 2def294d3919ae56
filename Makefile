# The chores of those who change Circus. Variables: PYTHON, WORKERS (how many tests run side by side), ARGS (for pytest).

PYTHON ?= python3
# Unit tests use the processor; tests of real programs wait for them, so that many fit on one core.
UNIT_WORKERS ?= 2
WORKERS ?= 8
ARGS ?=

PYTEST = $(PYTHON) -m pytest
COVERAGE = $(PYTHON) -m coverage
UNIT_TESTS = tests/unit $(wildcard tests/test_*.py)
PURE = $$($(PYTHON) tests/layers.py pure)

.DEFAULT_GOAL = help
.PHONY: help test unit real lint types cover pages bench

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

test: lint types real-untraced cover  ## everything that decides whether a change lands, each test once

unit:  ## tests without processes, clocks and sockets
	$(PYTEST) -n $(UNIT_WORKERS) $(UNIT_TESTS) $(ARGS)

real:  ## tests with real processes
	$(PYTEST) -n $(WORKERS) tests/real $(ARGS)

lint:  ## style
	$(PYTHON) -m ruff check .

types:  ## types
	$(PYTHON) -m mypy

# What measuring would change or slow down is tested without it.
.PHONY: real-untraced
real-untraced:
	$(PYTEST) -n $(WORKERS) -m untraced tests/real $(ARGS)

# Words, data and decisions are held to the unit tests alone: what they do must not need a process to be seen.
cover:  ## coverage: all branches of what decides by unit tests, nine tenths of the rest by all tests
	rm -f .coverage .coverage.*
	$(COVERAGE) run -m pytest -n $(UNIT_WORKERS) $(UNIT_TESTS) $(ARGS)
	$(COVERAGE) combine --quiet
	$(COVERAGE) report --skip-covered --precision=2 --fail-under=100 --include="$(PURE)"
	$(COVERAGE) run -m pytest -n $(WORKERS) -m "not untraced" tests/real $(ARGS)
	$(COVERAGE) combine --quiet --append
	$(COVERAGE) report --skip-covered --fail-under=90 --omit="$(PURE)"

pages:  ## write docs/reference anew from the tables in the code
	$(PYTHON) -m circus.reference

bench:  ## measure beside other supervisors (ARGS: see benchmarks/README.md)
	$(PYTHON) benchmarks/run.py $(ARGS)
