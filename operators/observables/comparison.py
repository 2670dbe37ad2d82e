"""Curves of a simulation beside those of an AIMD run, as rows of `agreement`. Numbers are `differences`'.

Both runs go through the same estimators at the same bins and the same sampling; the floor is that of the AIMD run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from operators.physics.agreement import (
    LAG_UP_TO_FS,
    R_FROM_ANGSTROM,
    curve_distances,
    judged,
    judged_distance,
    rms_percent,
)
from operators.physics.motion import sampling_fs
from operators.physics.rdf import RadialDistribution
from operators.physics.thermodynamics import mean_temperature_k
from operators.physics.vacf import VelocityAutocorrelation, vacf_from_positions
from operators.physics.vectors import Chosen
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory
from schemas.pairing import allowed_difference_k, is_one_temperature

LARGEST_STEP_FS = 5.001
"""5 fs and what rounding adds. Central differences over it lose 2 % of <v^2>, over 20 fs already 26 %."""

_EVEN_TO_FS = 1e-3

RunRow = Mapping[str, object]
Row = dict[str, object]


def require_one_temperature(simulation: Trajectory, aimd: Trajectory) -> None:
    """Refuse to compare melts of different temperatures, by the rule of `schemas.pairing`.

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
    if not is_one_temperature(its, own, n_atoms=aimd.n_atoms):
        allowed = allowed_difference_k(its, n_atoms=aimd.n_atoms)
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


def sample_ratio(aimd: Trajectory, simulation: Trajectory) -> float:
    """How many times as many atoms, for how many times as long, an AIMD run has than a simulation; 1 for a twin.

    Neighbourhoods of different atoms are samples of one melt as those of different times are.
    """
    ratio = (aimd.averaged_fs * aimd.n_atoms) / (simulation.averaged_fs * simulation.n_atoms)
    return ratio if np.isfinite(ratio) else 1.0


def rdf_rows(
    simulation: RadialDistribution, aimd: RadialDistribution, *, sampled_fs: float, sample_ratio: float = 1.0
) -> list[Row]:
    """Agreement of every pair's radial distribution function, from 1.5 angstrom to the end of the shorter curve.

    Parameters
    ----------
    simulation, aimd
        Curves of the two runs, on the same bins.
    sampled_fs
        Length of the shorter run, accepted frames only, fs.
    sample_ratio
        See `sample_ratio`.

    Raises
    ------
    MeltlakeError
        If the AIMD run has a single accepted frame, so that no floor can be measured.
    """
    n_bins = min(len(simulation.r_angstrom), len(aimd.r_angstrom))
    inside = np.flatnonzero(aimd.r_angstrom[:n_bins] >= R_FROM_ANGSTROM)
    first, second = (half[:, inside] for half in aimd.halves)
    rows = []
    for slot, pair in enumerate(aimd.pairs):
        reference = aimd.g[slot, inside]
        if pair in simulation.pairs and reference.any():
            found = curve_distances(
                simulation.curve(pair)[inside], reference, halves=(first[slot], second[slot]), sample_ratio=sample_ratio
            )
            for measure, distance in (("l1", found.l1), ("wright", found.wright), ("not_shared", found.not_shared)):
                judgement = judged_distance(distance, sampled_fs=sampled_fs)
                row: Row = {"observable": f"rdf {pair}", "measure": measure, "sample_ratio": sample_ratio}
                rows.append(row | asdict(judgement))
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
    sampled_fs, ratio = min(simulation.averaged_fs, aimd.averaged_fs), sample_ratio(aimd, simulation)
    n_lags = min(len(one.lag_fs) for one in (dnnp, whole, *halves))
    rows = []
    for slot, element in enumerate(whole.elements):
        curves = [one.vacf[slot, :n_lags] for one in (dnnp, whole, *halves)]
        apart, of_halves = rms_percent(curves[0], curves[1]), rms_percent(curves[2], curves[3])
        found = judged(apart, of_halves, sampled_fs=sampled_fs, sample_ratio=ratio)
        row: Row = {"observable": f"vacf {element}", "measure": "rms", "sample_ratio": ratio}
        rows.append(row | asdict(found))
    return rows


def undecided(rows: Sequence[Row], simulation: Trajectory, aimd: Trajectory) -> Iterator[str]:
    """A sentence for each reason why something was compared without a verdict."""
    observables: dict[str, dict[str, None]] = {}
    for row in rows:
        if row["verdict"] == "undecided":
            observables.setdefault(str(row["reason"]), {})[str(row["observable"])] = None
    for reason, names in observables.items():
        yield (
            f"Simulation {simulation.run_id} and run {aimd.run_id}: no verdict on {', '.join(names)}: {reason}; "
            f"found {simulation.averaged_fs:.0f} and {aimd.averaged_fs:.0f} fs of accepted frames."
        )


def _vacf(trajectory: Trajectory, frames: slice) -> VelocityAutocorrelation:
    return vacf_from_positions(
        trajectory.atomic_numbers,
        Chosen.of(trajectory.positions_angstrom, frames),
        cells=trajectory.cell_angstrom[frames],
        time_fs=trajectory.time_fs[frames],
        longest_lag_fs=LAG_UP_TO_FS,
    )
