"""Status: what is in the lake, what is stale and why, what failed and why. It reads; the verbs it names do the work."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lake.delta import Lake
from lake.warehouse import published_versions
from operators.campaign import campaign_of
from operators.potentials.committee import stale_committees
from schemas.gate import rules_id
from schemas.settings import Settings
from schemas.tables import TABLES

Row = Mapping[str, Any]


_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Stale:
    """Something that the lake's content asks for and that has not been done."""

    what: str
    why: str
    command: str


def status(settings: Settings) -> dict[str, object]:
    """The lake at a glance: `compositions`, `stale` and `failed` are rows for a person."""
    lake = Lake(settings.lake)
    failures = lake.rows("task_failures").to_pylist()
    return {
        "lake": settings.lake,
        "lake_version": lake.version(),
        "compositions": compositions(lake.rows("runs").to_pylist()),
        "stale": [asdict(item) for item in stale(settings)],
        "rejected": rejected(lake),
        "failed": [{name: row[name] for name in ("verb", "subject", "cause", "remedy")} for row in failures],
    }


def stale(settings: Settings) -> Iterator[Stale]:
    """Every step that is due, in the order in which to take them."""
    lake = Lake(settings.lake)
    runs = lake.rows("runs").to_pylist()
    yield from _not_ingested(settings, lake)
    yield from _not_judged(settings, runs)
    yield from _not_observed(lake, runs)
    yield from _not_in_a_training_set(lake, runs)
    newest = list(_newest_training_sets(lake))
    potentials = lake.rows("potentials").to_pylist()
    yield from _not_trained(newest, potentials)
    yield from _not_scored(lake, potentials)
    yield from _not_simulated(lake, newest, potentials)
    yield from _not_published(settings, lake)


def rejected(lake: Lake) -> list[dict[str, object]]:
    """What the gate rejects: one row per run and rule, with the most extreme value and what was expected."""
    rows = [
        row
        for row in lake.rows("expectation_results").to_pylist()
        if row["severity"] == "reject" and not row["success"]
    ]
    return [
        {
            "run_id": row["run_id"],
            "rule": row["expectation"],
            "frames": _frames_text(row),
            "found": row["error"] or row["observed"] or ", ".join(row["unexpected_values"] or [])[:40] or None,
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


def compositions(runs: list[Row]) -> list[dict[str, object]]:
    """Runs and frames of each composition, by origin; synthetic ones apart."""
    keys = sorted({(run["composition"], run["origin"], bool(run["synthetic"])) for run in runs})
    return [
        {
            "composition": composition,
            "origin": origin,
            "synthetic": synthetic,
            "runs": len(of_key := [r for r in runs if _key(r) == (composition, origin, synthetic)]),
            "frames": sum(run["n_frames"] for run in of_key),
            "accepted": sum(run["n_accepted"] for run in of_key),
            "rejected": sum(run["n_rejected"] for run in of_key),
        }
        for composition, origin, synthetic in keys
    ]


def _key(run: Row) -> tuple[str, str, bool]:
    return run["composition"], run["origin"], bool(run["synthetic"])


def _not_ingested(settings: Settings, lake: Lake) -> Iterator[Stale]:
    zone = Path(settings.landing).absolute()
    if not zone.is_dir():
        return
    subjects = lake.rows("raw_files")["path"].to_pylist()
    subjects += [row["subject"] for row in lake.rows("task_failures").to_pylist() if row["verb"] == "ingest"]
    known = {path.relative_to(zone).parts[:1] for path in map(Path, subjects) if path.is_relative_to(zone)}
    for entry in sorted(zone.iterdir()):
        if not entry.name.startswith(".") and (entry.name,) not in known and _has_files(entry):
            yield Stale(f"landing {entry.name}", "it is not in the lake", f"meltlake ingest {entry}")


def _not_judged(settings: Settings, runs: list[Row]) -> Iterator[Stale]:
    today = rules_id(campaign_of(settings).rules)
    if outdated := [run["run_id"] for run in runs if run["rules_id"] != today]:
        why = "the gate's rules have changed since these runs were judged"
        yield Stale(f"{len(outdated)} runs", why, "meltlake validate")


def _has_files(entry: Path) -> bool:
    """Whether the watcher sees something there: a file, also below folders; it does not follow links to folders."""
    return entry.is_file() or (not entry.is_symlink() and any(path.is_file() for path in entry.rglob("*")))


def _not_observed(lake: Lake, runs: list[Row]) -> Iterator[Stale]:
    observed = {row["run_id"]: row["n_frames"] for row in lake.rows("thermodynamics").to_pylist()}
    n_frames = {run["run_id"]: run["n_frames"] for run in runs}
    outdated = {
        row["run_id"]
        for row in lake.rows("agreement").to_pylist()
        if row["aimd_n_frames"] != n_frames.get(row["aimd_run_id"])
    }
    for run in runs:
        if run["n_frames"] and (observed.get(run["run_id"]) != run["n_frames"] or run["run_id"] in outdated):
            why = "it, or the run that it is compared with, has frames that no observable has seen"
            yield Stale(f"run {run['run_id']} {run['composition']}", why, f"meltlake observe --run {run['run_id']}")


def _not_in_a_training_set(lake: Lake, runs: list[Row]) -> Iterator[Stale]:
    frames = lake.rows("training_set_frames", columns=["run_id"])["run_id"]
    used = set(frames.unique().to_pylist())
    for run in runs:
        if run["origin"] == "aimd" and run["n_accepted"] and run["run_id"] not in used:
            yield Stale(
                f"run {run['run_id']} {run['composition']}",
                "its accepted frames are in no training set",
                f"meltlake materialize --chemical-system {run['chemical_system']}",
            )


def _newest_training_sets(lake: Lake) -> Iterator[Row]:
    """Of the training sets on the same elements, level of theory and held-out compositions, the one made last."""
    newest: dict[tuple[object, ...], Row] = {}
    for row in sorted(lake.rows("training_sets").to_pylist(), key=lambda row: row["created_at"]):
        newest[tuple(row["type_map"]), row["level_of_theory"], row["synthetic"], row["split_rule"]] = row
    yield from newest.values()


def _not_trained(newest: list[Row], potentials: list[Row]) -> Iterator[Stale]:
    trained = {row["training_set_id"] for row in potentials}
    for row in newest:
        if (name := row["training_set_id"]) not in trained:
            why = "no potential was trained on it"
            yield Stale(f"training set {name}", why, f"meltlake train {name} --recipe DP-2")


def _not_scored(lake: Lake, potentials: list[Row]) -> Iterator[Stale]:
    scored = {
        row["potential_id"]: row["model_sha256"]
        for row in lake.rows("rmse", columns=["potential_id", "model_sha256"]).to_pylist()
    }
    for row in potentials:
        if scored.get(name := row["potential_id"], "") != row["sha256"]:
            yield Stale(f"potential {name}", "its errors are not known", f"meltlake observe --potential {name}")
    for committee in stale_committees(lake, potentials):
        if scored.keys() >= set(committee.potential_ids):  # otherwise the line above is enough
            name, n_seeds = committee.potential_ids[-1], len(committee.potentials)
            why = f"{n_seeds} seeds were not compared"
            yield Stale(f"committee {committee.committee_id}", why, f"meltlake observe --potential {name}")


def _not_simulated(lake: Lake, newest: list[Row], potentials: list[Row]) -> Iterator[Stale]:
    done = {(row["potential_id"], row["composition"]) for row in lake.rows("performance").to_pylist()}
    sets = {row["training_set_id"]: row for row in newest}
    for potential in potentials:
        training_set = sets.get(potential["training_set_id"])
        if training_set is None:
            continue
        name = potential["potential_id"]
        for composition in sorted({*training_set["compositions"], *training_set["held_out"]}):
            if (name, composition) not in done:
                command = f"meltlake simulate {name} --protocol twin --composition {composition}"
                yield Stale(f"potential {name} {composition}", "it was not simulated there", command)


def _not_published(settings: Settings, lake: Lake) -> Iterator[Stale]:
    if published_versions(settings) != {name: lake.version(name) for name in TABLES}:
        yield Stale("warehouse", "the lake has changed since it was published", "meltlake publish")
