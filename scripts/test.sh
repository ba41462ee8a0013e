#!/usr/bin/env bash
# All tests but the nightly ones: unit, integration and faults on SQLite and on private PostgreSQL and
# Redis servers, then the browser. Stops at the first part that fails.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."
part() { printf '\033[1m== %s\033[0m\n' "$1"; }
run() { .venv/bin/pytest -q -m "not nightly" "$@"; }
part "unit"; run tests/unit -n 2
# A file stays with one worker, which makes its world once. More workers than cores: those that begin with
# the files that kill processes (`tests/conftest.py`) do little but wait.
part "integration and faults on SQLite"; BATON_TEST_PROFILE=sqlite run tests/integration tests/chaos -n 3 --dist loadfile --no-loadscope-reorder
# What touches locks, statements, triggers, workers and files runs on both; pages and API on one. One worker
# more than cores: tests wait for the servers, and for what they have killed to be missed.
both=(test_databases.py approvals audit deployment files invoke/test_invoke.py runs)
part "integration and faults on PostgreSQL and Redis"
BATON_TEST_PROFILE=postgres run "${both[@]/#/tests/integration/}" tests/chaos -n 3
# Two servers and two browsers; the tests of one file stay together and in order.
part "journeys in Chromium"; BATON_TEST_PROFILE=sqlite run tests/e2e -n 2 --dist loadfile --no-loadscope-reorder
