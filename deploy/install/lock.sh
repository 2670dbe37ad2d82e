#!/bin/sh
# Writes the locks of the images again, after a change of pyproject.toml or requirements.lock; needs uv. From the repository root:
#   deploy/install/lock.sh
# What the tests ran with binds what the images get: no package is in two versions.
set -eu
lock() {
    uv pip compile --quiet --no-header --no-annotate --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --constraints requirements.lock "$@"
}
lock --group pyproject.toml:control --output-file deploy/install/control.lock
lock pyproject.toml --extra runner --output-file deploy/install/runner.lock
lock pyproject.toml --extra gpu --output-file deploy/install/runner-gpu.lock
