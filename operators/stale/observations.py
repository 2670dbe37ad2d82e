"""Runs that are due to be observed, and why: one rule for people (`status`) and for Airflow's plans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lake.delta import Lake
from operators.observables.partners import partners
from operators.stale.holdings import Holdings
from schemas.pairing import COMPARED
from schemas.tables import OBSERVABLES_VERSION

Row = Mapping[str, Any]

_OF_PAIRS = ["run_id", "aimd_run_id", "aimd_n_frames", "aimd_averaged_id"]


def due_observations(holdings: Holdings) -> dict[str, str]:
    """By run, the first reason: it was not observed as it is, or not by today's program, or not beside all its AIMD.

    A run without frames has nothing to be observed.
    """
    means = {row["run_id"]: row for row in holdings.lake.rows("thermodynamics").to_pylist()}
    aimd = Aimd(
        runs={run["run_id"]: run for run in holdings.runs if run["origin"] == "aimd"},
        known_k={run_id: row["temperature_k"] for run_id, row in means.items()},
    )
    compared = _compared(holdings.lake)
    found = {}
    for run in holdings.runs:
        run_id = run["run_id"]
        if run["n_frames"] and (why := _why(run, means.get(run_id), aimd=aimd, compared=compared.get(run_id, {}))):
            found[run_id] = why
    return found


@dataclass(frozen=True, slots=True)
class Aimd:
    """What simulations may be compared with."""

    runs: Mapping[str, Row]
    known_k: Mapping[str, float | None]


def _compared(lake: Lake) -> dict[str, dict[str, Row]]:
    """Rows of pairs that were looked at, by simulation and AIMD run; one of each is enough."""
    found: dict[str, dict[str, Row]] = {}
    for row in lake.rows("agreement", columns=_OF_PAIRS).to_pylist():
        found.setdefault(row["run_id"], {})[row["aimd_run_id"]] = row
    return found


def _why(run: Row, seen: Row | None, *, aimd: Aimd, compared: Mapping[str, Row]) -> str | None:
    if seen is None or seen["n_frames"] != run["n_frames"]:
        return "it has frames that no observable has seen"
    if seen["averaged_id"] != run["averaged_id"]:
        return "other frames of it are averaged over than when it was observed"
    for aimd_run_id, row in sorted(compared.items()):
        if _has_changed(row, aimd.runs.get(aimd_run_id)):
            return f"run {aimd_run_id}, which it was compared with, has changed since"
    if missing := sorted({str(one["run_id"]) for one in _partners(run, seen, aimd)} - compared.keys()):
        return f"run {missing[0]} can be compared with it now"
    if (seen["observables_version"] or 0) < OBSERVABLES_VERSION:
        return "observing gives more than when it was observed"
    return None


def _has_changed(row: Row, aimd_run: Row | None) -> bool:
    now = (None, None) if aimd_run is None else (aimd_run["n_frames"], aimd_run["averaged_id"])
    return (row["aimd_n_frames"], row["aimd_averaged_id"]) != now


def _partners(run: Row, seen: Row, aimd: Aimd) -> Sequence[Row]:
    if run["protocol"] not in COMPARED or not seen["n_averaged"]:
        return ()
    return partners(run, aimd.runs, own_k=seen["temperature_k"], known_k=aimd.known_k)
