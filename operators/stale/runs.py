"""What is due of files and runs: files that are not in the lake, runs that were not judged or not observed."""

from collections.abc import Iterator
from pathlib import Path

from lake.raw_store import full_address
from operators.stale.holdings import Holdings
from operators.stale.item import Stale, counted
from operators.stale.observations import due_observations
from schemas.gate import rules_id


def not_ingested(holdings: Holdings) -> Iterator[Stale]:
    """Entries of the landing zone that the lake neither has nor refused."""
    zone = Path(full_address(holdings.settings.landing))
    if not zone.is_dir():
        return
    lake = holdings.lake
    subjects = lake.rows("raw_files")["path"].to_pylist()
    subjects += [row["subject"] for row in lake.rows("task_failures").to_pylist() if row["verb"] == "ingest"]
    known = {path.relative_to(zone).parts[:1] for path in map(Path, subjects) if path.is_relative_to(zone)}
    for entry in sorted(zone.iterdir()):
        if not entry.name.startswith(".") and (entry.name,) not in known and _has_files(entry):
            yield Stale(f"landing {entry.name}", "it is not in the lake", ["ingest", str(entry)])


def not_judged(holdings: Holdings) -> Iterator[Stale]:
    """Runs that were judged by other rules than today's."""
    today = rules_id(holdings.campaign.rules)
    if outdated := [run["run_id"] for run in holdings.runs if run["rules_id"] != today]:
        why = "the gate's rules have changed since they were judged"
        yield Stale(counted(len(outdated), "run"), why, ["validate"])


def not_observed(holdings: Holdings) -> Iterator[Stale]:
    """Runs that no observable of today has seen as they are."""
    why = due_observations(holdings)
    for run in holdings.runs:
        if run["run_id"] in why:
            name = f"run {run['run_id']} {run['composition']}"
            yield Stale(name, why[run["run_id"]], ["observe", "--run", run["run_id"]])


def _has_files(entry: Path) -> bool:
    """Whether the watcher sees something there: a file, also below folders; it does not follow links to folders."""
    return entry.is_file() or (not entry.is_symlink() and any(path.is_file() for path in entry.rglob("*")))
