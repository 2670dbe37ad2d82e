"""Numbers of a simulation beside those of an AIMD run, as rows of `agreement`. Curves are `comparison`'s.

Both runs go through the same estimators; the floor is the standard error of the difference, from the blocks of both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.observables.comparison import require_one_dynamics
from operators.observables.findings import Row
from operators.observables.order import neighbourhoods
from operators.physics.agreement import LARGEST_FLOOR_PERCENT, Estimate, judged_difference
from operators.physics.diffusion import Diffusion, Window, einstein_diffusion, fit_window
from operators.physics.first_shell import FirstShell
from operators.physics.msd import mean_squared_displacement
from operators.physics.rdf import TOTAL, RadialDistribution
from operators.physics.short_range_order import first_minimum_angstrom
from operators.physics.thermodynamics import (
    densities_g_per_cm3,
    mean_over_run,
    n_independent_blocks,
    pressures_gpa,
)
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Trajectory

LARGEST_PRESSURE_ERROR_GPA = 0.5
"""Potentials that learnt no virials are wrong by 1.8 GPa (DP-1 of the paper); a larger error bar could hide them."""
LARGEST_ORDER_ERROR = 0.05
"""Of a Warren-Cowley parameter: a third of what Al and Ni have in the equiatomic melt with Cu."""


@dataclass(frozen=True, slots=True)
class Melt:
    """A run and what is next to what in it."""

    frames: Trajectory
    curves: RadialDistribution | None = None
    """In independent blocks; None where it has none."""


def pressure_rows(simulation: Trajectory, aimd: Trajectory) -> list[Row]:
    """Agreement of mean pressures; none where one of the runs has no stress."""
    own, its = (_mean(run, pressures_gpa(run)) for run in (simulation, aimd))
    return [*_row("pressure_gpa", own, its, largest_error=LARGEST_PRESSURE_ERROR_GPA)]


def density_rows(simulation: Trajectory, aimd: Trajectory, *, why_not: str | None = None) -> list[Row]:
    """Agreement of the density at constant pressure with that of AIMD; undecided where that is no prediction of it.

    Parameters
    ----------
    simulation, aimd
        The two runs.
    why_not
        Why the densities of the two runs cannot be judged as they are.
    """
    own, its = (_mean(run, densities_g_per_cm3(run)) for run in (simulation, aimd))
    rows = [*_row("density_g_per_cm3", own, its)]
    return rows if why_not is None else [row | {"z": None, "verdict": "undecided", "reason": why_not} for row in rows]


def order_rows(simulation: Melt, aimd: Melt) -> list[Row]:
    """Agreement of first peaks, neighbours and chemical order of every pair that both runs have.

    Neighbours are counted up to one distance in both runs, the first minimum of AIMD's total g: a melt's minimum is so
    flat that two samples of it have theirs 0.05 angstrom apart, which alone makes 3 % of a coordination number.
    """
    if simulation.curves is None or aimd.curves is None:
        return []
    r_min = first_minimum_angstrom(aimd.curves.r_angstrom, aimd.curves.curve(TOTAL))
    own, its = (
        {shell.order.pair: shell for shell in neighbourhoods(curves, frames, r_min_angstrom=r_min)}
        for curves, frames in ((simulation.curves, simulation.frames), (aimd.curves, aimd.frames))
    )
    rows: list[Row] = []
    for pair in sorted(own.keys() & its.keys()):
        centre, neighbour = pair.split("-")
        if centre <= neighbour:  # around the other one, it is the same neighbours
            rows += _shell_rows(pair, own[pair], its[pair])
    return rows


def diffusion_rows(simulation: Trajectory, aimd: Trajectory) -> list[Row]:
    """Agreement of the diffusion coefficients of every element, from one window of lags in both runs.

    Raises
    ------
    MeltlakeError
        If the cells differ in size, which slows diffusion by itself, or atoms cannot be followed.
    """
    require_one_dynamics(aimd)
    if simulation.n_atoms != aimd.n_atoms:
        raise MeltlakeError(
            f"Diffusion of {simulation.run_id} and {aimd.run_id}: needed cells of one size, found "
            f"{simulation.n_atoms} and {aimd.n_atoms} atoms.",
            "Compare a twin; `transport` has coefficients corrected for the size of the cell.",
        )
    window = fit_window(min(float(np.ptp(run.time_fs)) for run in (simulation, aimd)))
    own, its = (_diffusion(run, window) for run in (simulation, aimd))
    rows: list[Row] = []
    for element in sorted(own.keys() & its.keys()):
        rows += _diffusion_row(own[element], its[element])
    return rows


def _diffusion(frames: Trajectory, window: Window) -> dict[str, Diffusion]:
    msd = mean_squared_displacement(
        frames.atomic_numbers,
        frames.positions_angstrom,
        cells=frames.cell_angstrom,
        time_fs=frames.time_fs,
        longest_lag_fs=window.until_fs,
        n_blocks=n_independent_blocks(frames),
    )
    return {one.element: one for one in einstein_diffusion(msd, window)}


def _diffusion_row(own: Diffusion, its: Diffusion) -> Iterator[Row]:
    observable = f"diffusion_angstrom2_per_ps {own.element}"
    if own.diffusion_angstrom2_per_ps is not None and its.diffusion_angstrom2_per_ps is not None:
        yield from _row(
            observable,
            Estimate(value=own.diffusion_angstrom2_per_ps, error=_or_nan(own.error_angstrom2_per_ps)),
            Estimate(value=its.diffusion_angstrom2_per_ps, error=_or_nan(its.error_angstrom2_per_ps)),
        )
        return
    yield {
        "observable": observable,
        "measure": "difference",
        "value_aimd": its.diffusion_angstrom2_per_ps,
        "value_dnnp": own.diffusion_angstrom2_per_ps,
        "verdict": "undecided",
        "reason": own.reason or its.reason,
    }


def _shell_rows(pair: str, own: FirstShell, its: FirstShell) -> Iterator[Row]:
    def estimates(quantity: str, error: str) -> tuple[Estimate, Estimate]:
        one, other = (
            Estimate(value=getattr(shell.order, quantity), error=getattr(shell, error)) for shell in (own, its)
        )
        return one, other

    yield from _row(f"coordination {pair}", *estimates("coordination", "coordination_error"))
    order = estimates("warren_cowley", "warren_cowley_error")
    yield from _row(f"warren_cowley {pair}", *order, largest_error=LARGEST_ORDER_ERROR)
    yield from _row(f"first_peak_angstrom {pair}", *estimates("first_peak_angstrom", "first_peak_error_angstrom"))
    yield from _row(f"first_peak_height {pair}", *estimates("first_peak_height", "first_peak_height_error"))


def _mean(frames: Trajectory, series: Floats) -> Estimate:
    value, error = mean_over_run(frames, series)
    return Estimate(value=value, error=error)


def _row(observable: str, own: Estimate, its: Estimate, *, largest_error: float | None = None) -> Iterator[Row]:
    """The row, if both runs have the number; with percentages where no largest error is said in its unit."""
    if np.isnan(own.value) or np.isnan(its.value):
        return
    limit = abs(its.value) * LARGEST_FLOOR_PERCENT / 100 if largest_error is None else largest_error
    found = judged_difference(own, its, largest_error=limit)
    in_percent = 100 / abs(its.value) if largest_error is None and its.value else np.nan
    yield {
        "observable": observable,
        "measure": "difference",
        "value_aimd": its.value,
        "value_dnnp": own.value,
        "difference": found.difference,
        "difference_error": found.error,
        "l1_percent": abs(found.difference) * in_percent,
        "floor_percent": found.error * in_percent,
        "z": found.z,
        "verdict": found.verdict,
        "reason": found.reason,
    }


def _or_nan(error: float | None) -> float:
    return np.nan if error is None else error
