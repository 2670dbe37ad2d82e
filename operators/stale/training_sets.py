"""Why training sets are outdated: today's frames beside those that they were made of.

A newer version of the lake alone makes nothing stale; other frames, other labels or another verdict of the gate do.
"""

from collections.abc import Iterable, Iterator

from operators.potentials.training_set_files import is_whole
from operators.stale.holdings import Holdings, Row
from operators.stale.item import Stale, counted
from operators.stale.wanted_sets import WantedSet

_MOST_REASONS = 3


def stale_training_sets(holdings: Holdings, wanted: Iterable[WantedSet]) -> Iterator[Stale]:
    """Those that are not there, or are outdated."""
    for one in wanted:
        if one.newest is None:
            n_frames = sum(run["n_accepted"] for run in one.runs)
            runs = f"{counted(len(one.runs), 'run')} with {counted(n_frames, 'accepted frame')}"
            why = (
                f"there is none as the campaign wants it, of {runs}" if one.by_campaign else f"no set has {runs} of it"
            )
            yield Stale(f"training set of {one.name}", why, one.arguments)
        elif reasons := why_outdated(holdings, one):
            more = f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
            what = f"training set {one.newest['training_set_id']} of {one.name}"
            yield Stale(what, "; ".join(reasons[:_MOST_REASONS]) + more, one.arguments)


def current(holdings: Holdings, wanted: Iterable[WantedSet]) -> list[WantedSet]:
    """Those that are there and up to date: what would be trained on an outdated set would be outdated at once."""
    return [one for one in wanted if one.newest is not None and not why_outdated(holdings, one)]


def why_outdated(holdings: Holdings, wanted: WantedSet) -> list[str]:
    """What today's frames have that the newest set has not, or the other way round; empty when it is up to date."""
    made = wanted.newest
    if made is None:
        return []
    used = holdings.runs_of(made)
    name = made["training_set_id"]
    # The same request may have been answered with the same set at a later version, too.
    seen = [one.lake_version for one in holdings.requests if one[:2] == (wanted.asked, name)]
    version = max(seen, default=made["lake_version"])
    reasons = [
        reason
        for run in wanted.runs
        if run["run_id"] in used or not (seen and holdings.frame_files.are_unchanged(run["run_id"], since=version))
        for reason in _why_run(holdings, run, made, since=version)
    ]
    lost = sorted(used - {run["run_id"] for run in wanted.runs})
    reasons += [f"run {run_id} of it has no accepted, comparable frame any more" for run_id in lost]
    reasons += _other_roles(wanted, made)
    folder = holdings.settings.artifacts / "training_sets"
    if folder.is_dir() and not is_whole(folder / made["training_set_id"]):
        reasons.append(f"its files in {folder / made['training_set_id']} are not whole")
    return reasons


def _other_roles(wanted: WantedSet, made: Row) -> Iterator[str]:
    """Compositions of its runs that have changed sides."""
    for column, role in (("hold_out", "held out"), ("compositions", "trained on")):
        others = made["compositions"] if column == "hold_out" else made["held_out"]
        for composition in sorted(set(getattr(wanted.request, column)) & set(others or ())):
            yield f"{composition} is to be {role}"


def _why_run(holdings: Holdings, run: Row, made: Row, *, since: int) -> list[str]:
    run_id, name = run["run_id"], f"run {run['run_id']} ({run['composition']})"
    files = holdings.frame_files
    if run_id not in holdings.runs_of(made):
        if _is_copy(holdings, run, made):
            return []
        return [f"{name} with {counted(run['n_accepted'], 'accepted frame')} is not in it"]
    if files.are_unchanged(run_id, since=since):
        return []
    then, now = files.labels(run_id, since), files.labels(run_id)
    told = (
        (now.usable - then.everything, "has {}", "new accepted frame"),
        ((now.usable & then.everything) - then.usable, "has {} that the gate rejected then and accepts now", "frame"),
        ((then.usable & now.everything) - now.usable, "has {} that the gate accepted then and rejects now", "frame"),
        (then.usable - now.everything, "has {} less, or with other labels", "frame"),
    )
    return [f"{name} {how.format(counted(len(frames), noun))}" for frames, how, noun in told if frames]


def _is_copy(holdings: Holdings, run: Row, made: Row) -> bool:
    """Whether every usable frame of it has a twin in the set, told by energy: `materialize` leaves copies out."""
    files, used = holdings.frame_files, holdings.runs_of(made)
    twins = [other for other in holdings.trainable if other["run_id"] in used and other["formula"] == run["formula"]]
    if not twins:
        return False
    known = frozenset().union(*(files.labels(other["run_id"]).energies_ev for other in twins))
    energies = files.labels(run["run_id"]).energies_ev
    return bool(energies) and energies <= known
