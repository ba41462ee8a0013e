#!/usr/bin/env bash
# The fault tests bend the clocks of workers with libfaketime; as root it is installed from the
# system's packages. Without it those tests are skipped.
set -euo pipefail
shopt -s nullglob
found=(/usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib*/faketime/libfaketimeMT.so.1)
if [ ${#found[@]} -gt 0 ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "[set-up] installing libfaketime"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq libfaketime >/dev/null
else
  echo "Tests with wrong clocks are skipped: install libfaketime (apt-get install -y libfaketime)." >&2
fi
