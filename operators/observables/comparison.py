"""A simulation beside the AIMD run that it started from: rows of `agreement`. Curves of a single run are `observe`'s.

Both runs go through the same estimators at the same bins and the same sampling; the floor is that of the AIMD run.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from operators.physics.agreement import (
    LAG_UP_TO_FS,
    LARGEST_FLOOR_PERCENT,
    R_FROM_ANGSTROM,
    judged,
    l1_percent,
    rms_percent,
)
from operators.physics.blocks import SHORTEST_RUN_FS
from operators.physics.motion import sampling_fs
from operators.physics.rdf import RadialDistribution
from operators.physics.thermodynamics import canonical_spread_k, mean_temperature_k
from operators.physics.vacf import VelocityAutocorrelation, vacf_from_positions
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory

LARGEST_STEP_FS = 5.001
"""5 fs and what rounding adds. Central differences over it lose 2 % of <v^2>, over 20 fs already 26 %."""

_LARGEST_TEMPERATURE_SHARE = 0.1
"""Small cells fluctuate by more; a melt that is hotter by a tenth is another melt."""
_EVEN_TO_FS = 1e-3

RunRow = Mapping[str, object]
Row = dict[str, object]


def require_comparable(simulation: RunRow, aimd: RunRow) -> None:
    """Refuse to compare what would differ for other reasons than the potential.

    Raises
    ------
    MeltlakeError
        If the two runs differ in composition.
    """
    where = f"Simulation {simulation['run_id']} and run {aimd['run_id']}"
    if simulation["composition"] != aimd["composition"]:
        raise MeltlakeError(
            f"{where}: needed one composition, found {simulation['composition']} and {aimd['composition']}.",
            "Simulate the composition of the run.",
        )


def require_one_temperature(simulation: Trajectory, aimd: Trajectory) -> None:
    """Refuse to compare melts of different temperatures, as their accepted frames have them.

    The means may differ by what the temperature of a single frame of the AIMD cell fluctuates by in the canonical
    ensemble, T sqrt(2 / 3N), and by a tenth at most: 60 K for 512 atoms at 1673 K, where 100 K do not yet show in g(r).

    Raises
    ------
    MeltlakeError
        If a temperature is not known, or they differ by more.
    """
    where = f"Simulation {simulation.run_id} and run {aimd.run_id}"
    own, its = mean_temperature_k(simulation), mean_temperature_k(aimd)
    if np.isnan(own) or np.isnan(its):
        unknown = " and ".join(run.run_id for run, mean in ((simulation, own), (aimd, its)) if np.isnan(mean))
        raise MeltlakeError(
            f"{where}: needed one temperature, found that of {unknown} unknown.",
            "Compare molecular dynamics runs whose files tell their temperature.",
        )
    allowed = min(canonical_spread_k(its, n_atoms=aimd.n_atoms), _LARGEST_TEMPERATURE_SHARE * its)
    if abs(own - its) > allowed:
        raise MeltlakeError(
            f"{where}: needed one temperature within {allowed:.0f} K, found means of {own:.0f} and {its:.0f} K.",
            "Simulate at the temperature that the AIMD run has, not the one it was meant to have.",
        )


def require_one_dynamics(trajectory: Trajectory) -> None:
    """Refuse the motion of an AIMD run whose atoms a machine-learned force field moved.

    Raises
    ------
    MeltlakeError
        If VASP's own force field gave the forces of some frames.
    """
    if n_learned := int((trajectory.label_source == "vasp_mlff").sum()):
        raise MeltlakeError(
            f"Velocity autocorrelation of run {trajectory.run_id}: needed atoms moved by one kind of forces, found "
            f"{n_learned} of {trajectory.n_frames} frames moved by VASP's machine-learned force field.",
            "Use a run without ML_FF.",
        )


def rdf_rows(simulation: RadialDistribution, aimd: RadialDistribution, *, sampled_fs: float) -> list[Row]:
    """Agreement of every pair's radial distribution function, from 1.5 angstrom to the end of the shorter curve.

    Parameters
    ----------
    simulation, aimd
        Curves of the two runs, on the same bins.
    sampled_fs
        Length of the shorter run, accepted frames only, fs.

    Raises
    ------
    MeltlakeError
        If the AIMD run has a single accepted frame, so that no floor can be measured.
    """
    n_bins = min(len(simulation.r_angstrom), len(aimd.r_angstrom))
    inside = np.flatnonzero(aimd.r_angstrom[:n_bins] >= R_FROM_ANGSTROM)
    first, second = aimd.halves
    rows = []
    for slot, pair in enumerate(aimd.pairs):
        reference = aimd.g[slot, inside]
        if pair in simulation.pairs and reference.any():
            distance = l1_percent(simulation.curve(pair)[inside], reference)
            between_halves = l1_percent(first[slot, inside], second[slot, inside])
            rows.append(_row(f"rdf {pair}", distance, between_halves, sampled_fs=sampled_fs))
    return rows


def vacf_rows(simulation: Trajectory, aimd: Trajectory) -> list[Row]:
    """Agreement of every element's velocity autocorrelation up to 0.6 ps, both from central differences.

    Raises
    ------
    MeltlakeError
        If the runs have no common sampling of at most 5 fs, the AIMD run is too short to be halved, or its atoms were
        moved by a machine-learned force field.
    """
    require_one_dynamics(aimd)
    own, its = (sampling_fs(run.time_fs, what="A velocity autocorrelation") for run in (simulation, aimd))
    step = max(own, its)
    if step > LARGEST_STEP_FS or abs(step / min(own, its) - round(step / min(own, its))) > _EVEN_TO_FS:
        raise MeltlakeError(
            f"Velocity autocorrelations of {simulation.run_id} and {aimd.run_id}: needed a common sampling of at most "
            f"{LARGEST_STEP_FS:.0f} fs, found frames every {own:g} and {its:g} fs.",
            "Save the simulation as often as the AIMD run.",
        )
    dnnp = _vacf(simulation, slice(None, None, round(step / own)))
    every, middle = round(step / its), aimd.n_frames // 2
    whole = _vacf(aimd, slice(None, None, every))
    halves = _vacf(aimd, slice(None, middle, every)), _vacf(aimd, slice(middle, None, every))
    sampled_fs = min(simulation.averaged_fs, aimd.averaged_fs)
    n_lags = min(len(one.lag_fs) for one in (dnnp, whole, *halves))
    rows = []
    for slot, element in enumerate(whole.elements):
        curves = [one.vacf[slot, :n_lags] for one in (dnnp, whole, *halves)]
        distance, between_halves = rms_percent(curves[0], curves[1]), rms_percent(curves[2], curves[3])
        rows.append(_row(f"vacf {element}", distance, between_halves, sampled_fs=sampled_fs))
    return rows


def undecided(rows: Sequence[Row], simulation: Trajectory, aimd: Trajectory) -> Iterator[str]:
    """A sentence on the curves that were compared without a verdict, if there are any."""
    names = ", ".join(str(row["observable"]) for row in rows if row["verdict"] == "undecided")
    if names:
        yield (
            f"Simulation {simulation.run_id} and run {aimd.run_id}: no verdict on {names}; one takes "
            f"{SHORTEST_RUN_FS:.0f} fs of accepted frames, found {simulation.averaged_fs:.0f} and "
            f"{aimd.averaged_fs:.0f} fs, and a floor above 0 and up to {LARGEST_FLOOR_PERCENT:.0f} percent."
        )


def _vacf(trajectory: Trajectory, frames: slice) -> VelocityAutocorrelation:
    return vacf_from_positions(
        trajectory.atomic_numbers,
        trajectory.positions_angstrom[frames],
        cells=trajectory.cell_angstrom[frames],
        time_fs=trajectory.time_fs[frames],
        longest_lag_fs=LAG_UP_TO_FS,
    )


def _row(observable: str, distance_percent: float, between_halves_percent: float, *, sampled_fs: float) -> Row:
    agreement = judged(distance_percent, between_halves_percent, sampled_fs=sampled_fs)
    return {
        "observable": observable,
        "l1_percent": agreement.l1_percent,
        "floor_percent": agreement.floor_percent,
        "z": agreement.z,
        "verdict": agreement.verdict,
    }
