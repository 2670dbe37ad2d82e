"""A simulation beside the AIMD run that it started from: rows of `agreement`. Curves of a single run are `observe`'s.

Both runs go through the same estimators at the same bins and the same sampling; the floor is that of the AIMD run.
"""

from collections.abc import Mapping

import numpy as np

from operators.physics.agreement import LAG_UP_TO_FS, R_FROM_ANGSTROM, judged, l1_percent, rms_percent
from operators.physics.rdf import RadialDistribution
from operators.physics.vacf import VelocityAutocorrelation, sampling_fs, vacf_from_positions
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory

LARGEST_STEP_FS = 5.001
"""5 fs and what rounding adds. Central differences over it lose 2 % of <v^2>, over 20 fs already 26 %."""

_SAME_TEMPERATURE = 0.01
_EVEN_TO_FS = 1e-3

RunRow = Mapping[str, object]
Row = dict[str, object]


def require_comparable(simulation: RunRow, aimd: RunRow) -> None:
    """Refuse to compare what would differ for other reasons than the potential.

    Raises
    ------
    MeltlakeError
        If the two runs differ in composition or in target temperature.
    """
    where = f"Simulation {simulation['run_id']} and run {aimd['run_id']}"
    if simulation["composition"] != aimd["composition"]:
        raise MeltlakeError(
            f"{where}: needed one composition, found {simulation['composition']} and {aimd['composition']}.",
            "Simulate the composition of the run.",
        )
    one, other = simulation["temperature_target_k"], aimd["temperature_target_k"]
    if isinstance(one, float) and isinstance(other, float) and abs(one - other) > _SAME_TEMPERATURE * other:
        raise MeltlakeError(
            f"{where}: needed one temperature, found {one:g} and {other:g} K.", "Simulate at the run's temperature."
        )


def rdf_rows(simulation: RadialDistribution, aimd: RadialDistribution) -> list[Row]:
    """Agreement of every pair's radial distribution function, from 1.5 angstrom to the end of the shorter curve.

    Raises
    ------
    MeltlakeError
        If the AIMD run has a single frame, so that no floor can be measured.
    """
    n_bins = min(len(simulation.r_angstrom), len(aimd.r_angstrom))
    inside = np.flatnonzero(aimd.r_angstrom[:n_bins] >= R_FROM_ANGSTROM)
    first, second = aimd.halves
    rows = []
    for slot, pair in enumerate(aimd.pairs):
        reference = aimd.g[slot, inside]
        if pair in simulation.pairs and reference.any():
            distance = l1_percent(simulation.curve(pair)[inside], reference)
            rows.append(_row(f"rdf {pair}", distance, l1_percent(first[slot, inside], second[slot, inside])))
    return rows


def vacf_rows(simulation: Trajectory, aimd: Trajectory) -> list[Row]:
    """Agreement of every element's velocity autocorrelation up to 0.6 ps, both from central differences.

    Raises
    ------
    MeltlakeError
        If the runs have no common sampling of at most 5 fs, or the AIMD run is too short to be halved.
    """
    own, its = sampling_fs(simulation.time_fs), sampling_fs(aimd.time_fs)
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
    n_lags = min(len(one.lag_fs) for one in (dnnp, whole, *halves))
    rows = []
    for slot, element in enumerate(whole.elements):
        curves = [one.vacf[slot, :n_lags] for one in (dnnp, whole, *halves)]
        rows.append(_row(f"vacf {element}", rms_percent(curves[0], curves[1]), rms_percent(curves[2], curves[3])))
    return rows


def _vacf(trajectory: Trajectory, frames: slice) -> VelocityAutocorrelation:
    return vacf_from_positions(
        trajectory.atomic_numbers,
        trajectory.positions_angstrom[frames],
        cells=trajectory.cell_angstrom[frames],
        time_fs=trajectory.time_fs[frames],
        longest_lag_fs=LAG_UP_TO_FS,
    )


def _row(observable: str, distance_percent: float, between_halves_percent: float) -> Row:
    agreement = judged(distance_percent, between_halves_percent)
    return {
        "observable": observable,
        "l1_percent": agreement.l1_percent,
        "floor_percent": agreement.floor_percent,
        "z": agreement.z,
        "verdict": agreement.verdict,
    }
