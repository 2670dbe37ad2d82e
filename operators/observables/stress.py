"""Fluctuations of a run's pressure tensor, as rows of `stress_autocorrelation`, and replicas put together from them.

The viscosity that they give is `transport`'s.
"""

from collections.abc import Sequence

import numpy as np

from operators.observables.comparison import LARGEST_STEP_FS
from operators.observables.findings import Row
from operators.physics.blocks import standard_error
from operators.physics.cells import volumes_angstrom3
from operators.physics.motion import CentralDifferences, Moves, sampling_fs
from operators.physics.thermodynamics import mean_temperature_k
from operators.physics.viscosity import StressAutocorrelation, pressure_tensors_gpa, stress_autocorrelation
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Trajectory, Vectors
from schemas.rows import real

LONGEST_LAG_FS = 1e4
"""Ten correlation times of the stress are far shorter in a melt that flows."""

_SAME_CELL = 1e-6
_ROUNDING_FS = 1e-3
_FEWEST_FRAMES = 42
"""Forty for ten blocks, and two that central differences take."""


def stress_of(
    frames: Trajectory, virials_ev: Floats, *, between: tuple[Floats, Floats] | None = None
) -> StressAutocorrelation:
    """Autocorrelation of the pressure tensor of a run at constant volume, kinetic part included.

    Parameters
    ----------
    frames
        The run from where it is equilibrated on; velocities, or a frame every 5 fs for central differences.
    virials_ev
        (n_frames, 3, 3), eV, of these frames; NaN where one has none.
    between
        Times and pressure tensors of a simulation that kept them more often than its frames.

    Raises
    ------
    MeltlakeError
        If the cell changes, a frame has no stress, or velocities cannot be told.
    """
    where = f"A stress autocorrelation of run {frames.run_id}"
    if frames.n_frames < _FEWEST_FRAMES:
        raise MeltlakeError(
            f"{where} needed {_FEWEST_FRAMES} frames or more, found {frames.n_frames}.", "Use a longer run."
        )
    changes = np.abs(frames.cell_angstrom - frames.cell_angstrom[0]).max()
    if not changes <= _SAME_CELL * np.abs(frames.cell_angstrom).max():
        raise MeltlakeError(
            f"{where} needed a cell that stays as it is, found one that changes.", "Simulate at constant volume."
        )
    if n_without := int(np.isnan(virials_ev).any(axis=(1, 2)).sum()):
        raise MeltlakeError(
            f"{where} needed the stress of every frame, found {n_without} of {frames.n_frames} without.",
            "Repeat the run with the stress (ISIF = 2 or 3).",
        )
    temperature_k = mean_temperature_k(frames)
    if np.isnan(temperature_k):
        raise MeltlakeError(f"{where} needed a temperature, found none.", "Use a run whose files tell its temperature.")
    time_fs, tensors = _tensors(frames, virials_ev, where) if between is None else _inside(frames, *between)
    return stress_autocorrelation(
        tensors,
        time_fs=time_fs,
        volume_angstrom3=float(volumes_angstrom3(frames.cell_angstrom[:1])[0]),
        temperature_k=temperature_k,
    )


def _tensors(frames: Trajectory, virials_ev: Floats, where: str) -> tuple[Floats, Floats]:
    """Times and pressure tensors of the frames."""
    velocities, inner = _velocities(frames, where)
    tensors = pressure_tensors_gpa(
        virials_ev[inner],
        frames.cell_angstrom[inner],
        masses_amu=masses_amu(frames.atomic_numbers),
        velocities=velocities,
    )
    return frames.time_fs[inner], tensors


def _inside(frames: Trajectory, time_fs: Floats, tensors: Floats) -> tuple[Floats, Floats]:
    """Those from the first of the frames to the last."""
    inside = (time_fs > frames.time_fs[0] - _ROUNDING_FS) & (time_fs < frames.time_fs[-1] + _ROUNDING_FS)
    return time_fs[inside], tensors[inside]


def _velocities(frames: Trajectory, where: str) -> tuple[Floats | Vectors, slice]:
    """Velocities and the frames that have them."""
    if frames.velocities_angstrom_per_fs is not None:
        return frames.velocities_angstrom_per_fs, slice(None)
    step_fs = sampling_fs(frames.time_fs, what=where)
    if step_fs > LARGEST_STEP_FS:
        raise MeltlakeError(
            f"{where} needed velocities or a frame every {LARGEST_STEP_FS:.0f} fs, found a frame every {step_fs:g} fs.",
            "Save the run more often.",
        )
    moves = Moves(
        positions=frames.positions_angstrom,
        cells=frames.cell_angstrom,
        masses_amu=masses_amu(frames.atomic_numbers),
        what=where,
    )
    return CentralDifferences(moves, step_fs), slice(1, -1)


def stress_rows(stress: StressAutocorrelation) -> list[Row]:
    """Rows of `stress_autocorrelation`."""
    inside = stress.lag_fs <= LONGEST_LAG_FS * (1 + 1e-9)
    mean, errors = stress.gpa2, standard_error(stress.block_gpa2)
    running, running_errors = (
        stress.viscosity_mpa_s(mean),
        standard_error(stress.viscosity_mpa_s(stress.block_gpa2)),
    )
    return [
        {
            "lag_fs": float(stress.lag_fs[lag]),
            "correlation_gpa2": float(mean[lag]),
            "correlation_error_gpa2": float(errors[lag]),
            "viscosity_mpa_s": float(running[lag]),
            "viscosity_error_mpa_s": float(running_errors[lag]),
            "block_gpa2": stress.block_gpa2[:, lag].tolist(),
            "volume_angstrom3": stress.volume_angstrom3,
            "temperature_k": stress.temperature_k,
            "duration_fs": stress.duration_fs,
        }
        for lag in np.flatnonzero(inside)
    ]


def stress_from_rows(rows: Sequence[Row]) -> StressAutocorrelation:
    """What the rows of one run were made from, up to their longest lag."""
    ordered = sorted(rows, key=lambda row: real(row, "lag_fs"))
    return StressAutocorrelation(
        lag_fs=np.array([real(row, "lag_fs") for row in ordered]),
        block_gpa2=np.array([row["block_gpa2"] for row in ordered], dtype=np.float64).T,
        volume_angstrom3=real(ordered[0], "volume_angstrom3"),
        temperature_k=real(ordered[0], "temperature_k"),
        duration_fs=real(ordered[0], "duration_fs"),
    )
