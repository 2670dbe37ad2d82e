"""The row of `thermodynamics`: means of a run. It is written last, and marks the run as observed."""

from dataclasses import asdict

import numpy as np

from operators.observables.findings import Row
from operators.physics.cells import volumes_angstrom3
from operators.physics.compressibility import compressibility
from operators.physics.enthalpy import enthalpy
from operators.physics.thermodynamics import Thermodynamics, thermodynamics
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory
from schemas.tables import OBSERVABLES_VERSION
from schemas.units import GPA_PER_EV_PER_ANGSTROM3


def thermodynamics_row(frames: Trajectory, *, pressure_target_gpa: float | None = None) -> Row:
    """Means over the averaged frames; NaN without any.

    Parameters
    ----------
    frames
        The run.
    pressure_target_gpa
        What its barostat holds; None at constant volume.
    """
    means = thermodynamics(frames)
    return {
        "n_frames": frames.n_frames,
        "n_averaged": frames.n_averaged,
        "averaged_fs": frames.averaged_fs,
        **asdict(means),
        **_enthalpy_columns(frames, means, pressure_target_gpa),
        **({} if pressure_target_gpa is None else asdict(compressibility(frames))),
        "observables_version": OBSERVABLES_VERSION,
    }


def _enthalpy_columns(frames: Trajectory, means: Thermodynamics, target_gpa: float | None) -> Row:
    pressure = means.pressure_gpa if target_gpa is None else target_gpa
    try:
        found = enthalpy(frames, pressure_gpa=pressure)
    except MeltlakeError:  # without temperature or stress; the columns beside say so
        return {}
    error = found.error_ev_per_atom
    if target_gpa is None:  # what is not known of the pressure is not known of its work
        with np.errstate(all="ignore"):  # an accepted frame may have a cell without a volume
            volume = float(np.nanmean(volumes_angstrom3(frames.cell_angstrom[frames.averaged]))) / frames.n_atoms
        error = float(np.hypot(error, volume * means.pressure_error_gpa / GPA_PER_EV_PER_ANGSTROM3))
    return {
        "enthalpy_ev_per_atom": found.enthalpy_ev_per_atom,
        "enthalpy_error_ev_per_atom": error,
        "enthalpy_pressure_gpa": pressure,
    }
