"""Rows of `agreement`: the AIMD runs that a simulation is compared with. How far things lie apart: `comparison`."""

from collections.abc import Mapping, Sequence

import numpy as np

from lake.delta import Lake
from lake.frames import trajectory
from operators.observables.comparison import (
    rdf_rows,
    require_one_temperature,
    sample_ratio,
    undecided,
    vacf_rows,
)
from operators.observables.differences import Melt, density_rows, diffusion_rows, order_rows, pressure_rows
from operators.observables.findings import Findings, Row
from operators.observables.motion import in_equilibrium
from operators.observables.order import radial_distribution, whole_frames
from operators.observables.partners import of_one_melt, parent_of, partners
from operators.physics.blocks import FEWEST_BLOCKS
from operators.physics.cells import volumes_angstrom3
from operators.physics.thermodynamics import mean_over_run, mean_temperature_k, n_independent_blocks
from schemas.frames import Trajectory
from schemas.pairing import AMBIENT_GPA, LARGEST_DIFFERENCE_IN_DENSITY
from schemas.rows import real_or_none

LARGEST_DIFFERENCE_FOR_PRESSURE = 1e-3
"""Between cells whose pressures are: a metallic melt that is denser by so much has 0.1 GPa more."""


def agreement_rows(lake: Lake, run: Row, simulation: Melt, found: Findings) -> list[Row]:
    """Rows of `agreement` with every AIMD run that a simulation can be compared with.

    That is the run it started from, where that has the same composition; otherwise every AIMD run of the composition
    at one temperature, as the view `run_pairs` has it. A pair of which nothing can be compared has one row, which says
    why: whoever looks for pairs that were never compared does not find it again.
    """
    rows: list[Row] = []
    for aimd_run in _partners(lake, run, simulation.frames, found):
        origin = {
            "aimd_run_id": aimd_run["run_id"],
            "aimd_n_frames": aimd_run["n_frames"],
            "aimd_averaged_id": aimd_run["averaged_id"],
            "potential_id": run["potential_id"],
        }
        rows += [origin | row for row in _rows_beside(lake, aimd_run, run, simulation, found=found)]
    return rows


def _partners(lake: Lake, run: Row, simulation: Trajectory, found: Findings) -> Sequence[Mapping[str, object]]:
    runs = {row["run_id"]: row for row in lake.rows("runs").to_pylist()}
    means = lake.rows("thermodynamics", columns=["run_id", "temperature_k"]).to_pylist()
    known_k = {row["run_id"]: real_or_none(row, "temperature_k") for row in means}
    own_k = mean_temperature_k(simulation)
    chosen = partners(run, runs, own_k=own_k, known_k=known_k)
    if not chosen:
        if parent_of(run, runs) is None and run["parent_run_id"] is not None:
            found.skipped.append(f"The lake's table runs has no {run['parent_run_id']}.")
        found.skipped.append(
            _nobody(run, own_k, {str(one["run_id"]): known_k.get(one["run_id"]) for one in of_one_melt(run, runs)})
        )
    return chosen


def _nobody(run: Row, own_k: float, kelvin: Mapping[str, float | None]) -> str:
    told = [
        f"{name} at {its_k:.0f} K" if its_k is not None else f"{name} not observed" for name, its_k in kelvin.items()
    ]
    return (
        f"Simulation {run['run_id']}: needed one composition, and an AIMD run of it that was observed and has its mean "
        f"temperature, found {run['composition']} at {own_k:.0f} K and {', '.join(told) or 'no AIMD run of it'}."
    )


def _rows_beside(
    lake: Lake, aimd_run: Mapping[str, object], run: Row, simulation: Melt, *, found: Findings
) -> list[Row]:
    """Rows of one pair; one at least."""
    n_said = len(found.skipped)
    aimd = found.attempt(lambda: _of_one_temperature(lake, aimd_run, simulation.frames))
    rows = [] if aimd is None else _compared(run, aimd_run, simulation, aimd=aimd, found=found)
    if aimd is not None:
        found.skipped += undecided(rows, simulation.frames, aimd)
    if rows:
        return rows
    reasons = found.skipped[n_said:] or ["the two runs have no observable in common"]
    return [{"observable": "none", "measure": "none", "verdict": "undecided", "reason": reasons[0]}]


def _of_one_temperature(lake: Lake, aimd_run: Mapping[str, object], simulation: Trajectory) -> Trajectory:
    aimd = trajectory(lake, str(aimd_run["run_id"]))
    require_one_temperature(simulation, aimd)
    return aimd


def _compared(
    run: Row, aimd_run: Mapping[str, object], simulation: Melt, *, aimd: Trajectory, found: Findings
) -> list[Row]:
    frames = simulation.frames
    if run["protocol"] == "npt":
        return found.attempt(lambda: density_rows(frames, aimd, why_not=_other_pressure(run, aimd_run))) or []
    moving, its_moving = in_equilibrium(frames), in_equilibrium(aimd)
    rows = _order_rows(simulation, aimd, found)
    rows += found.attempt(lambda: vacf_rows(moving, its_moving)) or []
    rows += found.attempt(lambda: diffusion_rows(moving, its_moving)) or []
    pressures = found.attempt(lambda: pressure_rows(frames, aimd)) or []
    return [
        *_of_one_density(rows, frames, aimd, largest=LARGEST_DIFFERENCE_IN_DENSITY),
        *_of_one_density(pressures, frames, aimd, largest=LARGEST_DIFFERENCE_FOR_PRESSURE),
    ]


def _other_pressure(run: Row, aimd_run: Mapping[str, object]) -> str | None:
    """Why a density at constant pressure cannot be compared with that of an AIMD run."""
    if aimd_run["ensemble"] != "npt":
        return "the density of the AIMD run was imposed: the view attribution brings it to the simulation's pressure"
    own, its = (real_or_none(one, "pressure_target_gpa") or 0.0 for one in (run, aimd_run))
    return f"simulated at {own:g} GPa, AIMD at {its:g} GPa" if abs(own - its) >= AMBIENT_GPA else None


def _order_rows(simulation: Melt, aimd: Trajectory, found: Findings) -> list[Row]:
    """Of radial distribution functions and what is read off them."""
    if (curves := simulation.curves) is None:
        return []
    whole = whole_frames(aimd)
    its_curves = found.attempt(lambda: radial_distribution(aimd, whole, n_blocks=_n_blocks(aimd)))
    if its_curves is None:
        return []
    sampled_fs, ratio = min(simulation.frames.averaged_fs, aimd.averaged_fs), sample_ratio(aimd, simulation.frames)
    rows = found.attempt(lambda: rdf_rows(curves, its_curves, sampled_fs=sampled_fs, sample_ratio=ratio)) or []
    return rows + (found.attempt(lambda: order_rows(simulation, Melt(aimd, its_curves))) or [])


def _of_one_density(rows: Sequence[Row], simulation: Trajectory, aimd: Trajectory, *, largest: float) -> list[Row]:
    """The rows, without verdicts where the cells were not the same: that is not the potential's doing."""
    own, its = (_volume_per_atom_angstrom3(run) for run in (simulation, aimd))
    denser = its / own - 1
    if not abs(denser) > largest:
        return list(rows)
    reason = f"the simulated melt was given a density that is off by {100 * denser:+.2f} %, above {100 * largest:g} %"
    return [row | {"z": None, "verdict": "undecided", "reason": reason} for row in rows]


def _volume_per_atom_angstrom3(frames: Trajectory) -> float:
    with np.errstate(all="ignore"):  # a rejected frame may have a cell without a volume
        return mean_over_run(frames, volumes_angstrom3(frames.cell_angstrom))[0] / frames.n_atoms


def _n_blocks(aimd: Trajectory) -> int:
    """As many blocks as give errors, in an even number, so that halves are halves."""
    n_blocks = n_independent_blocks(aimd)
    return n_blocks - n_blocks % 2 if n_blocks > FEWEST_BLOCKS else n_blocks
