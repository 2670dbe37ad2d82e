#!/bin/sh
# Builds meltlake's wheel, with the build tools of the lock in an environment that is thrown away. From the repository root:
#   deploy/install/wheel.sh PYTHON FOLDER
set -eu
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$1" -m venv "$tools"
"$tools/bin/python" -m pip install --no-cache-dir --disable-pip-version-check --quiet --constraint requirements.lock hatchling
"$tools/bin/python" -m hatchling build --target wheel --directory "$2"
