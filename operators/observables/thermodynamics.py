"""The row of `thermodynamics`: means of a run. Its number of frames marks the run as observed."""

from dataclasses import asdict

from operators.observables.findings import Row
from operators.physics.thermodynamics import thermodynamics
from schemas.frames import Trajectory


def thermodynamics_row(frames: Trajectory) -> Row:
    """Means over the averaged frames; NaN without any."""
    return {"n_frames": frames.n_frames, "n_averaged": frames.n_averaged} | asdict(thermodynamics(frames))
