"""Means of the run that a simulation starts from: its pressure, and its volume. The frame is `start_frame`'s.

The pressure tells how far a barostat has to go; a twin of a run at constant pressure takes its mean volume.
"""

import numpy as np

from lake.delta import Lake
from lake.frames import trajectory
from operators.physics.cells import volumes_angstrom3
from operators.physics.thermodynamics import pressures_gpa
from schemas.frames import Floats


def mean_pressure_gpa(lake: Lake, run_id: str) -> float | None:
    """Virial and kinetic part, mean over averaged frames; None where no frame has a stress."""
    frames = trajectory(lake, run_id)
    with np.errstate(all="ignore"):  # a rejected frame may have a cell without a volume
        return _mean(pressures_gpa(frames)[frames.averaged])


def mean_volume_angstrom3(lake: Lake, run_id: str) -> float | None:
    """Mean over averaged frames; None where none of them has a cell."""
    frames = trajectory(lake, run_id)
    return _mean(volumes_angstrom3(frames.cell_angstrom[frames.averaged]))


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
