"""Rows of `agreement`: the AIMD runs that a simulation is compared with. How far things lie apart: `comparison`."""

from collections.abc import Iterator

from lake.delta import Lake
from lake.frames import trajectory
from operators.observables.comparison import (
    rdf_rows,
    require_comparable,
    require_one_temperature,
    sample_ratio,
    undecided,
    vacf_rows,
)
from operators.observables.differences import Melt, density_rows, diffusion_rows, order_rows, pressure_rows
from operators.observables.findings import Findings, Row, row_of
from operators.observables.motion import in_equilibrium
from operators.observables.order import radial_distribution
from operators.physics.blocks import FEWEST_BLOCKS
from operators.physics.rdf import RadialDistribution
from operators.physics.thermodynamics import mean_temperature_k, n_independent_blocks
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory
from schemas.pairing import is_one_temperature
from schemas.rows import real_or_none, whole

COMPARED = ("twin", "nvt", "npt")
"""Protocols whose simulations are melts in equilibrium; at constant pressure, only the density is compared."""


def agreement_rows(
    lake: Lake, run: Row, *, simulation: Trajectory, curves: RadialDistribution | None, found: Findings
) -> list[Row]:
    """Rows of `agreement` with every AIMD run that a simulation can be compared with.

    That is the run it started from, where that has the same composition; otherwise every AIMD run of the composition
    at one temperature, as the view `run_pairs` has it.
    """
    rows: list[Row] = []
    try:
        for aimd_run in _partners(lake, run, simulation):
            aimd = trajectory(lake, str(aimd_run["run_id"]))
            require_one_temperature(simulation, aimd)
            compared = _compared(run, aimd_run, Melt(simulation, curves), aimd=aimd, found=found)
            found.skipped += undecided(compared, simulation, aimd)
            origin = {"aimd_run_id": aimd.run_id, "aimd_n_frames": aimd.n_frames, "potential_id": run["potential_id"]}
            rows += [origin | row for row in compared]
    except MeltlakeError as reason:
        found.skipped.append(reason.problem)
    return rows


def _partners(lake: Lake, run: Row, simulation: Trajectory) -> Iterator[Row]:
    parent = row_of(lake, "runs", str(run["parent_run_id"]), remedy="Ingest the AIMD run first.")
    if parent["composition"] == run["composition"]:
        yield parent
        return
    of_composition = [
        other
        for other in lake.rows("runs").to_pylist()
        if (other["origin"], other["composition"], other["synthetic"]) == ("aimd", run["composition"], run["synthetic"])
    ]
    if not of_composition:
        require_comparable(run, parent)
    temperature_k = mean_temperature_k(simulation)
    for other in of_composition:
        means = lake.rows("thermodynamics", key=other["run_id"]).to_pylist()
        its_k = real_or_none(means[0], "temperature_k") if means else None
        if its_k is not None and is_one_temperature(its_k, temperature_k, n_atoms=whole(other, "n_atoms")):
            yield other


def _compared(run: Row, aimd_run: Row, simulation: Melt, *, aimd: Trajectory, found: Findings) -> list[Row]:
    frames, curves = simulation.frames, simulation.curves
    if run["protocol"] == "npt":
        return density_rows(frames, aimd, is_imposed=aimd_run["ensemble"] != "npt")
    rows: list[Row] = []
    its_curves = None if curves is None else found.attempt(lambda: radial_distribution(aimd, n_blocks=_n_blocks(aimd)))
    if curves is not None and its_curves is not None:
        sampled_fs, ratio = min(frames.averaged_fs, aimd.averaged_fs), sample_ratio(aimd, frames)
        of_curves = found.attempt(lambda: rdf_rows(curves, its_curves, sampled_fs=sampled_fs, length_ratio=ratio))
        rows += of_curves or []
    moving, its_moving = in_equilibrium(frames), in_equilibrium(aimd)
    rows += found.attempt(lambda: vacf_rows(moving, its_moving)) or []
    rows += pressure_rows(frames, aimd)
    rows += found.attempt(lambda: diffusion_rows(moving, its_moving)) or []
    return rows + order_rows(simulation, Melt(aimd, its_curves))


def _n_blocks(aimd: Trajectory) -> int:
    """As many blocks as give errors, in an even number, so that halves are halves."""
    n_blocks = n_independent_blocks(aimd)
    return n_blocks - n_blocks % 2 if n_blocks > FEWEST_BLOCKS else n_blocks
