#!/usr/bin/env bash
# Lint, types, import directions, migrations, canvas. Prints the name of each step and stops at the first failure.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."
export BATON_HOME="${BATON_HOME:-$(mktemp -d)}"
step() { printf '\033[1m== %s\033[0m\n' "$1"; }
step "ruff"; .venv/bin/ruff check . ; .venv/bin/ruff format --check .
step "import directions"; .venv/bin/lint-imports
step "types"; .venv/bin/mypy .
step "django"; .venv/bin/python manage.py check
step "migrations"; .venv/bin/python manage.py makemigrations --check --dry-run
step "canvas"; bash scripts/node.sh check
