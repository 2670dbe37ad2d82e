"""The verb `observe`: observables of a run, or errors of a potential, with error bars, into the lake.

Formulas are in `physics`, the comparison with AIMD in `comparison`; predictions in `potentials.evaluation`, seeds
against each other in `potentials.committee`, the model card in `potentials.card`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from lake.frames import trajectory
from operators.log import log
from operators.observables.comparison import (
    LARGEST_STEP_FS,
    rdf_rows,
    require_comparable,
    require_one_dynamics,
    require_one_temperature,
    undecided,
    vacf_rows,
)
from operators.physics.cells import volumes_angstrom3
from operators.physics.motion import sampling_fs
from operators.physics.rdf import RadialDistribution, largest_radius_angstrom, partial_rdf
from operators.physics.short_range_order import short_range_order
from operators.physics.thermodynamics import n_independent_blocks, thermodynamics
from operators.physics.vacf import VelocityAutocorrelation, vacf_from_positions, vacf_from_velocities
from operators.potentials.card import bring_card_up_to_date
from operators.potentials.committee import observe_committee
from operators.potentials.evaluation import evaluations, is_judged, parity_rows, rmse_rows
from operators.potentials.judged_frames import frame_names
from operators.potentials.model_file import model_file
from schemas.composition import element_counts
from schemas.errors import MeltlakeError, StepFailed
from schemas.frames import Trajectory
from schemas.settings import Settings

R_MAX_ANGSTROM = 10.0
BINS_PER_ANGSTROM = 20
SMALLEST_R_MAX_ANGSTROM = 2.0
"""A cell that shows less shows no two atoms of a metal side by side."""
LONGEST_LAG_FS = 1000.0

# `thermodynamics` is written last: a run with a row of as many frames as it has counts as observed.
_TABLES = ("rdf", "short_range_order", "vacf", "agreement", "thermodynamics")

Row = dict[str, object]
Observable = TypeVar("Observable")


def observe_run(settings: Settings, run_id: str) -> dict[str, object]:
    """Compute and store the observables of a run; what it does not allow is left out and said under `skipped`.

    Averages are over accepted frames. A run without any still gets its row of `thermodynamics`, with no means.

    Raises
    ------
    MeltlakeError
        If the lake does not have the run.
    """
    lake = Lake(settings.lake)
    run = _row_of(lake, "runs", run_id, remedy="`meltlake status` lists the runs it has.")
    skipped: list[str] = []
    rows: dict[str, list[Row]] = {table: [] for table in _TABLES}
    if run["n_frames"]:
        frames = trajectory(lake, run_id)
        seen: Row = {"n_frames": frames.n_frames, "n_averaged": frames.n_averaged}
        rows["thermodynamics"] = [seen | asdict(thermodynamics(frames))]
        if frames.n_averaged:
            _add_curves(lake, run, frames, rows=rows, skipped=skipped)
        else:
            skipped.append(f"None of the {frames.n_frames} frames of run {run_id} is accepted.")
    else:
        skipped.append(f"Run {run_id} has no frames.")
    for table in _TABLES:
        common = {"run_id": run_id, "composition": run["composition"]}
        _store(lake, table, run_id, [common | row for row in rows[table]])
    n_rows = {table: len(of_table) for table, of_table in rows.items()}
    log.info("observe", run_id=run_id, **n_rows, skipped=skipped)
    return {"run_id": run_id, "rows": n_rows, "skipped": skipped}


def _add_curves(lake: Lake, run: Row, frames: Trajectory, *, rows: dict[str, list[Row]], skipped: list[str]) -> None:
    n_blocks = n_independent_blocks(frames)
    curves = _attempt(lambda: _rdf(frames, n_blocks), skipped)
    if curves is not None:
        rows["rdf"] = _rdf_rows(curves)
        rows["short_range_order"] = _short_range_order_rows(curves, frames)
    if (decay := _attempt(lambda: _vacf(frames, n_blocks), skipped)) is not None:
        rows["vacf"] = _vacf_rows(decay)
    if run["protocol"] in ("twin", "nvt"):
        rows["agreement"] = _agreement_rows(lake, run, simulation=frames, curves=curves, skipped=skipped)


def observe_potential(settings: Settings, potential_id: str) -> dict[str, object]:
    """Store a potential's errors on every composition and split of its training set, and what its committee says.

    Done once for a model file; the committee is judged again when a potential of another seed has come.

    Raises
    ------
    MeltlakeError
        If the lake does not have the potential or its training set, or files of them are gone.
    """
    lake = Lake(settings.lake)
    potential = _row_of(lake, "potentials", potential_id, remedy="`meltlake status` lists the potentials it has.")
    _row_of(lake, "training_sets", str(potential["training_set_id"]), remedy="Run `meltlake materialize` again.")
    before = {table: lake.version(table) for table in ("rmse", "committees")}
    if not is_judged(lake, potential):
        _judge(settings, lake, potential)
    skipped: list[str] = []
    try:
        committee = observe_committee(settings, lake, potential_id)
    except StepFailed as reason:  # the model of another seed is gone: no fault of this one
        committee = None
        skipped.append(reason.problem)
    for member in committee.potentials if committee else (potential,):
        bring_card_up_to_date(settings, member, committee=committee)
    changed = before != {table: lake.version(table) for table in before}
    n_rows = {table: lake.n_rows(table, potential_id) for table in ("rmse", "parity")}
    n_rows["committee_frames"] = lake.n_rows("committee_frames", committee.committee_id) if committee else 0
    log.info("observe", potential_id=potential_id, **n_rows, changed=changed, skipped=skipped)
    members = committee.potential_ids if committee else []
    return {"potential_id": potential_id, "rows": n_rows, "committee": members, "changed": changed, "skipped": skipped}


def _judge(settings: Settings, lake: Lake, potential: Row) -> None:
    potential_id, training_set_id = str(potential["potential_id"]), str(potential["training_set_id"])
    folder = settings.artifacts / "training_sets" / training_set_id
    model = DeepPotential(model_file(settings, potential))
    found = list(evaluations(model, folder, frame_names(lake, training_set_id)))
    _store(lake, "parity", potential_id, parity_rows(found))
    # `rmse` is written last: where it has rows of this model file, nothing is missing.
    _store(lake, "rmse", potential_id, [row | {"model_sha256": potential["sha256"]} for row in rmse_rows(found)])


def _row_of(lake: Lake, table: str, key: str, *, remedy: str) -> Row:
    found: list[Row] = lake.rows(table, key=key).to_pylist()
    if not found:
        raise MeltlakeError(f"The lake's table {table} has no {key}.", remedy)
    return found[0]


def _attempt(observable: Callable[[], Observable], skipped: list[str]) -> Observable | None:
    """The observable, or None with the reason why there is none."""
    try:
        return observable()
    except MeltlakeError as reason:
        skipped.append(reason.problem)
        return None


def _store(lake: Lake, table: str, key: str, rows: Sequence[Mapping[str, object]]) -> None:
    if rows or lake.rows(table, key=key).num_rows:
        lake.replace(table, key, [{name: _or_null(value) for name, value in row.items()} for row in rows])


def _or_null(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _rdf(frames: Trajectory, n_blocks: int = 0) -> RadialDistribution:
    whole = _whole(frames)
    if not whole.any():
        raise MeltlakeError(
            f"Radial distribution functions of run {frames.run_id}: needed accepted frames with all positions and a "
            "cell, found none.",
            "`meltlake validate` says why its frames were rejected.",
        )
    limit = largest_radius_angstrom(frames.cell_angstrom[whole])
    if limit < SMALLEST_R_MAX_ANGSTROM:
        raise MeltlakeError(
            f"Radial distribution functions of run {frames.run_id}: needed a cell of "
            f"{2 * SMALLEST_R_MAX_ANGSTROM:g} angstrom between faces, found {2 * limit:.2f}.",
            "Simulate a larger cell.",
        )
    n_bins = int(min(R_MAX_ANGSTROM, limit) * BINS_PER_ANGSTROM + 1e-9)
    return partial_rdf(
        frames.atomic_numbers,
        frames.positions_angstrom[whole],
        cells=frames.cell_angstrom[whole],
        r_max_angstrom=n_bins / BINS_PER_ANGSTROM,
        n_bins=n_bins,
        n_blocks=n_blocks,
    )


def _whole(frames: Trajectory) -> NDArray[np.bool_]:
    """(n_frames,): averaged frames whose positions and cell are all finite."""
    finite = (np.isfinite(values).all(axis=(1, 2)) for values in (frames.positions_angstrom, frames.cell_angstrom))
    whole: NDArray[np.bool_] = np.logical_and.reduce([frames.averaged, *finite])
    return whole


def _rdf_rows(curves: RadialDistribution) -> list[Row]:
    return [
        {"pair": pair, "r_angstrom": float(r), "g": float(g), "g_error": float(error)}
        for pair, its_g, its_error in zip(curves.pairs, curves.g, curves.g_error, strict=True)
        for r, g, error in zip(curves.r_angstrom, its_g, its_error, strict=True)
    ]


def _short_range_order_rows(curves: RadialDistribution, frames: Trajectory) -> list[Row]:
    volume = float(volumes_angstrom3(frames.cell_angstrom[_whole(frames)]).mean())
    counts = element_counts(frames.atomic_numbers)
    return [asdict(one) for one in short_range_order(curves, counts=counts, volume_angstrom3=volume)]


def _vacf(frames: Trajectory, n_blocks: int) -> VelocityAutocorrelation:
    """From central differences wherever they can be trusted, so that AIMD and its twins go through one estimator.

    Every frame counts, accepted or not: an atom passes through all of them.
    """
    require_one_dynamics(frames)
    step = sampling_fs(frames.time_fs, what="A velocity autocorrelation")
    if step <= LARGEST_STEP_FS:
        return vacf_from_positions(
            frames.atomic_numbers,
            frames.positions_angstrom,
            cells=frames.cell_angstrom,
            time_fs=frames.time_fs,
            longest_lag_fs=LONGEST_LAG_FS,
            n_blocks=n_blocks,
        )
    if frames.velocities_angstrom_per_fs is None:
        raise MeltlakeError(
            f"Velocity autocorrelation of run {frames.run_id}: needed velocities or a frame every "
            f"{LARGEST_STEP_FS:.0f} fs, found a frame every {step:g} fs.",
            "Save the run more often.",
        )
    return vacf_from_velocities(
        frames.atomic_numbers,
        frames.velocities_angstrom_per_fs,
        time_fs=frames.time_fs,
        longest_lag_fs=LONGEST_LAG_FS,
        n_blocks=n_blocks,
    )


def _vacf_rows(decay: VelocityAutocorrelation) -> list[Row]:
    return [
        {
            "element": element,
            "lag_fs": float(lag),
            "vacf": float(value),
            "vacf_error": float(error),
            "estimator": decay.estimator,
        }
        for element, values, errors in zip(decay.elements, decay.vacf, decay.vacf_error, strict=True)
        for lag, value, error in zip(decay.lag_fs, values, errors, strict=True)
    ]


def _agreement_rows(
    lake: Lake, run: Row, *, simulation: Trajectory, curves: RadialDistribution | None, skipped: list[str]
) -> list[Row]:
    """Rows of `agreement` with the AIMD run that a simulation started from; none where they cannot be compared."""
    try:
        aimd_run = _row_of(lake, "runs", str(run["parent_run_id"]), remedy="Ingest the AIMD run first.")
        require_comparable(run, aimd_run)
        aimd = trajectory(lake, str(aimd_run["run_id"]))
        require_one_temperature(simulation, aimd)
    except MeltlakeError as reason:
        skipped.append(reason.problem)
        return []
    rows: list[Row] = []
    if curves is not None:
        sampled_fs = min(simulation.averaged_fs, aimd.averaged_fs)
        rows += _attempt(lambda: rdf_rows(curves, _rdf(aimd), sampled_fs=sampled_fs), skipped) or []
    rows += _attempt(lambda: vacf_rows(simulation, aimd), skipped) or []
    skipped += undecided(rows, simulation, aimd)
    compared = {"aimd_run_id": aimd.run_id, "aimd_n_frames": aimd.n_frames, "potential_id": run["potential_id"]}
    return [compared | row for row in rows]
