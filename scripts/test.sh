#!/usr/bin/env bash
# All tests but the nightly ones: unit, integration (SQLite, PostgreSQL and Redis), end to end.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."
.venv/bin/pytest tests -q -n 2 --dist loadgroup -m "not nightly" "$@"
