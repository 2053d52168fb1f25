#!/usr/bin/env bash
# Prepares .venv: the pinned packages of requirements/dev.txt and the two distributions, editable.
# Needs Python 3.11 or newer. `uv` is taken from the PATH, else from the package index.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: Python 3.11 or newer is needed; name it with PYTHON=..." >&2
    exit 1
}

find_uv() {
    command -v uv && return
    local home=build/uv pin
    pin=$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements/dev.txt)
    if [ ! -x "$home/bin/uv" ]; then
        "$python" -m pip --version >/dev/null 2>&1 || {
            echo "setup: neither uv nor pip was found; install either, or python3-venv and python3-pip" >&2
            return 1
        }
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$home" "$pin" >&2
    fi
    echo "$PWD/$home/bin/uv"
}

uv=$(find_uv)
"$uv" venv --quiet --allow-existing --python "$python" .venv
export VIRTUAL_ENV=$PWD/.venv
"$uv" pip sync --quiet --require-hashes requirements/dev.txt
"$uv" pip install --quiet --no-deps --no-build-isolation --editable clients/python --editable server
echo "setup: ready; .venv/bin/penstock-server and .venv/bin/penstock are there"
