#!/bin/sh
# Installs what Airflow's own containers run, plans and results page included, and nothing that computes.
# The image and its test run this same script, from the repository root:
#   deploy/install/control.sh PYTHON WHEEL
set -eu
# The lock is complete; meltlake's own dependencies (ASE, Great Expectations, matplotlib ...) are for pods.
"$1" -m pip install --no-cache-dir --disable-pip-version-check --no-deps --requirement deploy/install/control.lock "$2"
