#!/usr/bin/env bash
# Make or refresh the virtual environment from a lock. Usage: setup.sh run|dev
# A stamp of the lock's hash skips everything at the second call.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/.."
lock="requirements/${1:?run or dev}.lock"
python="${PYTHON:-python3}"

missing=()
command -v "$python" >/dev/null 2>&1 || missing+=(python3)
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  echo "Baton needs: ${missing[*]}. Install with: apt-get install -y git make python3 python3-venv" >&2
  exit 1
fi
"$python" - <<'PY' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"Baton needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
PY

stamp=".venv/.baton-$(sha256sum "$lock" | cut -c1-16)-$1"
# dev.lock holds everything of run.lock, so a dev environment also serves `make run`.
dev_stamp=".venv/.baton-$(sha256sum requirements/dev.lock | cut -c1-16)-dev"
if [ -f "$stamp" ] || [ -f "$dev_stamp" ]; then exit 0; fi

say() { printf '\033[2m[set-up]\033[0m %s\n' "$*"; }
if [ ! -x .venv/bin/python ]; then
  say "creating .venv"
  "$python" -m venv .venv
fi
say "installing packages from $lock (hash-checked)"
installed=""
if .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.lock; then
  if .venv/bin/uv pip sync -q --compile-bytecode --require-hashes --python .venv/bin/python "$lock" requirements/uv.lock; then
    installed=uv
  fi
fi
if [ -z "$installed" ]; then
  say "uv could not reach the index; using pip"
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$lock"
fi
rm -f .venv/.baton-*
touch "$stamp"
say "done"
