#!/usr/bin/env bash
# The end-to-end tests need Chromium; as root it is installed from the system's packages.
set -euo pipefail
browser="${BATON_CHROMIUM:-/usr/bin/chromium}"
if [ -x "$browser" ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "[set-up] installing chromium"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq chromium >/dev/null
else
  echo "The end-to-end tests need Chromium: install it (apt-get install -y chromium) or set BATON_CHROMIUM." >&2
  exit 1
fi
