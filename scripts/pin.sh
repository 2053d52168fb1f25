#!/usr/bin/env bash
# Pins every dependency, with hashes and without any index's address, in requirements/*.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

pin() { # sources..., then the output
    local output=${*: -1} sources=("${@:1:$#-1}")
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --no-header --prerelease if-necessary-or-explicit \
        --no-emit-package penstock "${sources[@]}" --output-file "$output"
}

pin clients/python/pyproject.toml requirements/client.txt
pin clients/python/pyproject.toml server/pyproject.toml requirements/server.txt
pin clients/python/pyproject.toml server/pyproject.toml requirements/dev.in requirements/dev.txt
pin requirements/kfp.in requirements/kfp.txt
pin requirements/kfp-oldest.in requirements/kfp-oldest.txt
