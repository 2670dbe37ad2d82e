#!/bin/sh
# Installs what pods run: meltlake with DeePMD-kit and LAMMPS, for CPUs (runner) or for NVIDIA GPUs (runner-gpu).
# The images and their test run this same script, from the repository root:
#   deploy/install/runner.sh PYTHON WHEEL runner|runner-gpu
set -eu
"$1" -m pip install --no-cache-dir --disable-pip-version-check --no-deps --requirement "deploy/install/$3.lock" "$2"
"$1" -m pip check
