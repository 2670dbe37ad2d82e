"""The verb `observe`: observables of a run, or errors of a potential, with error bars, into the lake.

Formulas are in `physics`, the comparison with AIMD in `comparison`, predictions in `evaluation`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from lake.frames import trajectory
from operators.comparison import LARGEST_STEP_FS, rdf_rows, require_comparable, vacf_rows
from operators.evaluation import evaluations, parity_rows, rmse_rows
from operators.log import log
from operators.physics.cells import volumes_angstrom3
from operators.physics.rdf import RadialDistribution, largest_radius_angstrom, partial_rdf
from operators.physics.short_range_order import short_range_order
from operators.physics.thermodynamics import thermodynamics
from operators.physics.vacf import (
    VelocityAutocorrelation,
    sampling_fs,
    vacf_from_positions,
    vacf_from_velocities,
)
from schemas.composition import element_counts
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory
from schemas.settings import Settings

R_MAX_ANGSTROM = 10.0
BINS_PER_ANGSTROM = 20
SMALLEST_R_MAX_ANGSTROM = 2.0
"""A cell that shows less shows no two atoms of a metal side by side."""
LONGEST_LAG_FS = 1000.0

_TABLES = ("thermodynamics", "rdf", "short_range_order", "vacf", "agreement")

Row = dict[str, object]
Observable = TypeVar("Observable")


def observe_run(settings: Settings, run_id: str) -> dict[str, object]:
    """Compute and store the observables of a run; what it does not allow is left out and said under `skipped`.

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
        rows["thermodynamics"] = [{"n_frames": frames.n_frames} | asdict(thermodynamics(frames))]
        curves = _attempt(lambda: _rdf(frames), skipped)
        if curves is not None:
            rows["rdf"] = _rdf_rows(curves)
            rows["short_range_order"] = _short_range_order_rows(curves, frames)
        if (decay := _attempt(lambda: _vacf(frames), skipped)) is not None:
            rows["vacf"] = _vacf_rows(decay)
        if run["protocol"] in ("twin", "nvt"):
            rows["agreement"] = _agreement_rows(lake, run, simulation=frames, curves=curves, skipped=skipped)
    else:
        skipped.append(f"Run {run_id} has no frames.")
    for table in _TABLES:
        common = {"run_id": run_id, "composition": run["composition"]}
        _store(lake, table, run_id, [common | row for row in rows[table]])
    n_rows = {table: len(of_table) for table, of_table in rows.items()}
    log.info("observe", run_id=run_id, **n_rows, skipped=skipped)
    return {"run_id": run_id, "rows": n_rows, "skipped": skipped}


def observe_potential(settings: Settings, potential_id: str) -> dict[str, object]:
    """Compute and store a potential's errors on every composition and split of its training set, once.

    Raises
    ------
    MeltlakeError
        If the lake does not have the potential or its training set, or files of them are gone.
    """
    lake = Lake(settings.lake)
    potential = _row_of(lake, "potentials", potential_id, remedy="`meltlake status` lists the potentials it has.")
    n_rows = {table: lake.rows(table, key=potential_id, columns=["split"]).num_rows for table in ("rmse", "parity")}
    # `rmse` is written last: where it has rows, nothing is missing.
    changed = n_rows["rmse"] == 0
    if changed:
        training_set = _row_of(
            lake, "training_sets", str(potential["training_set_id"]), remedy="Run `meltlake materialize` again."
        )
        found = list(evaluations(DeepPotential(str(potential["path"])), Path(str(training_set["path"]))))
        for table, rows in (("parity", parity_rows(found)), ("rmse", rmse_rows(found))):
            _store(lake, table, potential_id, [{"potential_id": potential_id} | row for row in rows])
            n_rows[table] = len(rows)
    log.info("observe", potential_id=potential_id, **n_rows, changed=changed)
    return {"potential_id": potential_id, "rows": n_rows, "changed": changed}


def _row_of(lake: Lake, table: str, key: str, *, remedy: str) -> Row:
    found: list[Row] = lake.rows(table, key=key).to_pylist()
    if not found:
        raise MeltlakeError(f"The lake's table {table} has no {key}.", remedy)
    return found[0]


def _attempt(observable: Callable[[], Observable], skipped: list[str]) -> Observable | None:
    """The observable, or None with the reason why this run does not have it."""
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


def _rdf(frames: Trajectory) -> RadialDistribution:
    whole = np.isfinite(frames.positions_angstrom).all(axis=(1, 2))
    limit = largest_radius_angstrom(frames.cell_angstrom)
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
    )


def _rdf_rows(curves: RadialDistribution) -> list[Row]:
    return [
        {"pair": pair, "r_angstrom": float(r), "g": float(g), "g_error": float(error)}
        for pair, its_g, its_error in zip(curves.pairs, curves.g, curves.g_error, strict=True)
        for r, g, error in zip(curves.r_angstrom, its_g, its_error, strict=True)
    ]


def _short_range_order_rows(curves: RadialDistribution, frames: Trajectory) -> list[Row]:
    volume = float(volumes_angstrom3(frames.cell_angstrom).mean())
    counts = element_counts(frames.atomic_numbers)
    return [asdict(one) for one in short_range_order(curves, counts=counts, volume_angstrom3=volume)]


def _vacf(frames: Trajectory) -> VelocityAutocorrelation:
    """From central differences wherever they can be trusted, so that AIMD and its twins go through one estimator."""
    step = sampling_fs(frames.time_fs)
    if step <= LARGEST_STEP_FS:
        return vacf_from_positions(
            frames.atomic_numbers,
            frames.positions_angstrom,
            cells=frames.cell_angstrom,
            time_fs=frames.time_fs,
            longest_lag_fs=LONGEST_LAG_FS,
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
    except MeltlakeError as reason:
        skipped.append(reason.problem)
        return []
    rows: list[Row] = []
    if curves is not None:
        rows += _attempt(lambda: rdf_rows(curves, _rdf(aimd)), skipped) or []
    rows += _attempt(lambda: vacf_rows(simulation, aimd), skipped) or []
    return [{"aimd_run_id": aimd.run_id, "potential_id": run["potential_id"]} | row for row in rows]
