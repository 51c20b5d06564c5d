#!/usr/bin/env bash
# Installs what muster is measured beside and the machine has not: Redis and
# PostgreSQL from Debian's packages, without starting either, and DuckDB for
# Python in a directory of its own, which is the first argument. What can't be
# had is left out, with a word: the harness measures the others.
set -euo pipefail

venv=${1:?the directory for the Python environment}

# without_services runs a command during which no package starts a service.
without_services() {
  local policy=/usr/sbin/policy-rc.d made=
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod +x "$policy"
    made=1
  fi
  local status=0
  "$@" || status=$?
  [[ -z $made ]] || "${root[@]}" rm -f "$policy"
  return "$status"
}

root=(env DEBIAN_FRONTEND=noninteractive)
((EUID == 0)) || root=(sudo -n "${root[@]}")

packages=()
command -v redis-server >/dev/null || packages+=(redis-server)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v initdb >/dev/null || packages+=(postgresql)
"$venv/bin/python" -c 'import duckdb' 2>/dev/null || python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)

if ((${#packages[@]} > 0)); then
  echo "installing ${packages[*]}" >&2
  if command -v apt-get >/dev/null && "${root[@]}" true; then
    timeout 120 "${root[@]}" apt-get update -qq || echo 'the lists of packages are as old as they were' >&2
    without_services timeout 600 "${root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2 ||
      echo "not all of ${packages[*]} can be installed: those that need them are left out" >&2
  else
    echo "${packages[*]} can't be installed here: those that need them are left out" >&2
  fi
fi

if ! "$venv/bin/python" -c 'import duckdb' 2>/dev/null; then
  echo "installing duckdb in $venv" >&2
  { timeout 120 python3 -m venv "$venv" && timeout 300 "$venv/bin/pip" install --quiet duckdb==2.0.0; } >&2 ||
    echo 'duckdb can not be installed: it is left out' >&2
fi
