#!/usr/bin/env bash
# Pins every dependency, with hashes and without any index's address, in requirements/*.txt.
# The image has what the server has at the same versions, less what image-without.txt names.
set -euo pipefail
cd "$(dirname "$0")/.."

pin() { # sources and options..., then the output
    local output=${*: -1} sources=("${@:1:$#-1}")
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --no-header --prerelease if-necessary-or-explicit \
        --no-emit-package penstock "${sources[@]}" --output-file "$output"
}

pin clients/python/pyproject.toml requirements/client.txt
pin clients/python/pyproject.toml server/pyproject.toml requirements/server.txt
pin clients/python/pyproject.toml server/pyproject.toml requirements/dev.in requirements/dev.txt
pin --constraints requirements/server.txt --override requirements/image-without.txt \
    clients/python/pyproject.toml server/pyproject.toml requirements/image.txt
pin --constraints requirements/dev.txt requirements/image-build.in requirements/image-build.txt
pin requirements/kfp.in requirements/kfp.txt
pin requirements/kfp-oldest.in requirements/kfp-oldest.txt
