"""What the lake is told of a simulation beside its frames: how it went, its committee, its pressure. No LAMMPS here."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lake.readers.lammps_tables import THERMO_TABLE, force_deviations, pressure_tensors, thermo_rows
from operators.physics.drift import Drift, drift
from schemas.frames import Floats
from schemas.simulation import SimulationCard, StartTest
from schemas.units import FS_PER_PS, MEV_PER_EV

Row = Mapping[str, object]

_SHORTEST_FOR_DRIFT_FS = FS_PER_PS
"""Verlet's own energy sways as long after velocities were drawn."""


def performance_row(folder: Path, card: SimulationCard, potential: Row) -> dict[str, object]:
    """The row of `performance`."""
    test = card.start_test or StartTest()
    found, siblings = _drift(folder, card), (*card.committee, *card.committee_left_out)
    _, deviations = _in_production(card, *force_deviations(folder))
    return {
        "run_id": card.run_id,
        "potential_id": card.potential_id,
        "composition": card.composition,
        "protocol": card.plan.protocol,
        "ns_per_day": card.ns_per_day,
        "n_atoms": card.n_atoms,
        "hardware": card.hardware,
        "backend": potential["backend"],
        "precision": potential["precision"],
        "compressed": potential["compressed"],
        "lammps_version": card.lammps_version,
        "time_step_fs": card.plan.time_step_fs,
        "n_steps": card.n_steps_timed,
        "n_steps_done": card.n_steps_done,
        "outcome": card.told_outcome,
        "start_energy_difference_mev_per_atom": _finite(test.energy_difference_mev_per_atom),
        "start_force_difference_mev_per_angstrom": _finite(test.force_difference_mev_per_angstrom),
        "start_pressure_difference_gpa": _finite(test.pressure_difference_gpa),
        "start_force_rmse_mev_per_angstrom": _mev(test.force_rmse_ev_per_angstrom),
        "start_force_error_frac": _finite(test.force_error_frac),
        "drift_mev_per_atom_per_ps": _finite(found.mev_per_atom_per_ps),
        "drift_error_mev_per_atom_per_ps": _finite(found.error_mev_per_atom_per_ps),
        "committee_ids": [card.potential_id, *siblings] if siblings else None,
        "mean_max_deviation_force_mev_per_angstrom": _mev(deviations[:, 0].mean()) if len(deviations) else None,
        "max_deviation_force_mev_per_angstrom": _mev(deviations[:, 0].max()) if len(deviations) else None,
    }


def deviation_rows(folder: Path, card: SimulationCard) -> list[dict[str, object]]:
    """Rows of `model_deviations`: the committee at some of the saved frames."""
    plan = card.plan
    steps, deviations = _in_production(card, *force_deviations(folder))
    return [
        {
            "frame": int(since) // plan.steps_per_frame if since % plan.steps_per_frame == 0 else None,
            "time_fs": float(since * plan.time_step_fs),
            "max_deviation_force_mev_per_angstrom": _mev(largest),
            "min_deviation_force_mev_per_angstrom": _mev(smallest),
            "mean_deviation_force_mev_per_angstrom": _mev(mean),
        }
        for since, (largest, smallest, mean) in zip(steps - plan.n_equilibration_steps, deviations, strict=True)
    ]


def pressure_rows(folder: Path, card: SimulationCard) -> Iterator[dict[str, object]]:
    """Rows of `pressure_tensors`."""
    plan = card.plan
    steps, tensors = pressure_tensors(folder)
    for step, tensor in zip(steps, tensors, strict=True):
        since = int(step) - plan.n_equilibration_steps
        yield {"time_fs": since * plan.time_step_fs, "pressure_gpa": tensor.ravel().tolist()}


def _in_production(card: SimulationCard, steps: np.ndarray, values: Floats) -> tuple[np.ndarray, Floats]:
    behind = steps >= card.plan.n_equilibration_steps
    return steps[behind], values[behind]


def _drift(folder: Path, card: SimulationCard) -> Drift:
    rows = thermo_rows(folder / THERMO_TABLE)
    _, rows = _in_production(card, rows[:, 0], rows)
    steps, last = np.unique(rows[::-1, 0], return_index=True)
    time_fs = steps * card.plan.time_step_fs
    if not card.plan.keeps_frames or len(steps) < 3 or np.ptp(time_fs) < _SHORTEST_FOR_DRIFT_FS:
        return Drift(np.nan, np.nan)
    return drift(rows[::-1][last, 3], time_fs, n_atoms=card.n_atoms)


def _mev(value_ev: float | None) -> float | None:
    return None if value_ev is None else _finite(float(value_ev) * MEV_PER_EV)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
