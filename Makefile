# Everything that is needed sets itself up; see README.md.
SHELL := /bin/bash
PY := .venv/bin/python
PYTHON ?= python3
PORT ?= 8000
# Without compiled files each start reads every package again, which takes seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run stack check test test-unit test-e2e chaos bench fix schema build setup-run setup-dev browser

run: setup-run
	@exec $(PY) -m orchestrator.embedded --port $(PORT)

setup-run:
	@bash scripts/setup.sh run

setup-dev:
	@bash scripts/setup.sh dev

browser:
	@bash scripts/browser.sh

check: setup-dev
	@bash scripts/check.sh

test: setup-dev browser
	@bash scripts/test.sh

test-unit: setup-dev
	@.venv/bin/pytest tests/unit -q

test-e2e: setup-dev browser
	@.venv/bin/pytest tests/e2e -q -n 2 --dist loadfile --no-loadscope-reorder

chaos: setup-dev
	@BATON_EXAMPLES=10000 .venv/bin/pytest tests/unit/core/test_planner_properties.py tests/unit/core/test_continuation.py -q -n 2 --timeout 1800
	@bash scripts/faketime.sh
	@BATON_TEST_PROFILE=sqlite .venv/bin/pytest tests/chaos -q -m "nightly or not nightly"
	@BATON_TEST_PROFILE=postgres .venv/bin/pytest tests/chaos -q -m "nightly or not nightly"

bench: setup-dev browser
	@$(PY) -m benchmarks.run

stack: setup-dev
	@exec $(PY) -m scripts.stack --port $(PORT)

fix: setup-dev
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

schema: setup-dev
	@$(PY) designer/canvas/generate_schema.py
	@$(PY) scripts/lifecycles.py

build:
	@bash scripts/node.sh build
