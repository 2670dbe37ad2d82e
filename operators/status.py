"""Status: what is in the lake, what is stale and why, what failed and why. It reads; the verbs it names do the work."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from lake.delta import Lake
from lake.warehouse_contents import Shown
from operators.choice import choice
from operators.experiments import added_sources
from operators.stale import stale
from operators.stale.campaign_work import CampaignWork
from operators.stale.holdings import Holdings
from schemas.errors import MeltlakeError
from schemas.settings import Settings

Row = Mapping[str, Any]


_MOST_SHOWN = 8


def status(settings: Settings, *, places: Sequence[str] = ()) -> dict[str, object]:
    """The lake at a glance: `compositions`, `experiments`, `campaign`, `stale`, `choice` and `failed` are rows.

    Parameters
    ----------
    settings
        Where the lake is.
    places
        Options that said so, for the commands to be about the same lake.

    Raises
    ------
    MeltlakeError
        If there is no lake.
    """
    holdings = Holdings(settings)
    lake = holdings.lake
    if Shown.now(lake).is_empty:
        raise MeltlakeError(
            f"There is no lake at {lake.root}.",
            "Make it with `meltlake ingest SOURCE`, or name another with --lake or MELTLAKE_LAKE.",
        )
    failures = lake.rows("task_failures").to_pylist()
    return {
        "lake": settings.lake,
        "lake_version": lake.version(),
        "compositions": compositions(holdings.runs),
        "experiments": added_sources(lake),
        "campaign": [{"note": note} for note in CampaignWork(settings, holdings=holdings).unmatched()],
        "stale": [item.row(places) for item in stale(settings, holdings=holdings)],
        "choice": choice(settings),
        "rejected": rejected(lake),
        "failed": [{name: row[name] for name in ("verb", "subject", "cause", "remedy")} for row in failures],
    }


def rejected(lake: Lake) -> list[dict[str, object]]:
    """What the gate rejects: one row per run and rule, with the most extreme value and what was expected."""
    judged = lake.rows("expectation_results")
    met = pc.fill_null(judged["success"], fill_value=False)
    rows = judged.filter(pc.and_(pc.equal(judged["severity"], "reject"), pc.invert(met))).to_pylist()
    return [
        {
            "run_id": row["run_id"],
            "rule": row["expectation"],
            "frames": _frames_text(row),
            "found": row["error"]
            or row["observed"]
            or ", ".join(dict.fromkeys(row["unexpected_values"] or []))[:40]
            or None,
            "expected": row["expected"],
            "overruled": row["n_overruled"],
        }
        for row in sorted(rows, key=lambda row: (row["run_id"], row["expectation"]))
    ]


def _frames_text(row: Row) -> str:
    if row["success"] is None or row["scope"] == "run":
        return "all"
    frames = row["unexpected_frames"] or []
    shown = ", ".join(map(str, frames[:_MOST_SHOWN]))
    return shown if len(frames) <= _MOST_SHOWN else f"{shown} and {len(frames) - _MOST_SHOWN} more"


def compositions(runs: Sequence[Row]) -> list[dict[str, object]]:
    """Runs and frames of each composition, by origin; synthetic ones apart."""
    of_key: dict[tuple[str, str, bool], list[Row]] = {}
    for run in runs:
        of_key.setdefault((run["composition"], run["origin"], bool(run["synthetic"])), []).append(run)
    return [
        {
            "composition": composition,
            "origin": origin,
            "synthetic": synthetic,
            "runs": len(listed),
            "frames": sum(run["n_frames"] for run in listed),
            "accepted": sum(run["n_accepted"] for run in listed),
            "rejected": sum(run["n_rejected"] for run in listed),
        }
        for (composition, origin, synthetic), listed in sorted(of_key.items())
    ]
