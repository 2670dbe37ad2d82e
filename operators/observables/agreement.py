"""Rows of `agreement`: the AIMD run that a simulation is compared with. How far curves lie apart: `comparison`."""

from lake.delta import Lake
from lake.frames import trajectory
from operators.observables.comparison import (
    rdf_rows,
    require_comparable,
    require_one_temperature,
    undecided,
    vacf_rows,
)
from operators.observables.findings import Findings, Row, row_of
from operators.observables.order import radial_distribution
from operators.physics.rdf import RadialDistribution
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory


def agreement_rows(
    lake: Lake, run: Row, *, simulation: Trajectory, curves: RadialDistribution | None, found: Findings
) -> list[Row]:
    """Rows of `agreement` with the AIMD run that a simulation started from; none where they cannot be compared."""
    try:
        aimd_run = row_of(lake, "runs", str(run["parent_run_id"]), remedy="Ingest the AIMD run first.")
        require_comparable(run, aimd_run)
        aimd = trajectory(lake, str(aimd_run["run_id"]))
        require_one_temperature(simulation, aimd)
    except MeltlakeError as reason:
        found.skipped.append(reason.problem)
        return []
    rows: list[Row] = []
    if curves is not None:
        sampled_fs = min(simulation.averaged_fs, aimd.averaged_fs)
        compared = found.attempt(lambda: rdf_rows(curves, radial_distribution(aimd), sampled_fs=sampled_fs))
        rows += compared or []
    rows += found.attempt(lambda: vacf_rows(simulation, aimd)) or []
    found.skipped += undecided(rows, simulation, aimd)
    origin = {"aimd_run_id": aimd.run_id, "aimd_n_frames": aimd.n_frames, "potential_id": run["potential_id"]}
    return [origin | row for row in rows]
