"""Links runs that are one trajectory: restarts in their order, each frame stored once, one time axis.

It works on what the lake has, and on whole runs as their raw files had them, so that the order in which files arrive
changes nothing. What makes one frame the next of another is in `physics.continuation`; what a restart's joint looks
like is in `restarts`; raw files do not belong here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from lake.gate import Gate
from operators.log import log
from operators.runs.outlines import Outlines
from operators.runs.repeated_labels import leave_out_repeated_labels
from operators.runs.restarts import Link, best_link
from operators.runs.stored_run import StoredRun
from operators.runs.storing import LINK_NOTE_BEGINS, known_run, rewrite_run
from schemas.rows import Row, real, text, texts, whole

_ALIKE = ("origin", "formula", "n_atoms", "time_step_fs", "level_of_theory", "potcar_titles", "synthetic")
"""What two runs must have in common to be one trajectory."""

_FIRST_READER_WITH_NAMES = 2
"""Frames of older readers have no `content_id`; their files are read again when they are ingested again."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run belongs."""

    run: StoredRun
    link: Link | None
    trajectory_id: str
    start_fs: float | None
    """Time of its first ionic step since the trajectory began; None without a time step."""
    n_before: int
    """Runs between it and the beginning, by the links: the order of runs that tell no time."""

    @property
    def order(self) -> tuple[float, int, str]:
        """What to sort the runs of a trajectory by."""
        return self.n_before if self.start_fs is None else self.start_fs, min(self.n_before, 1), self.run.run_id


def link_runs(lake: Lake, gate: Gate, run_ids: Iterable[str]) -> None:
    """Find the place of each run in its restart chain, and move those that follow it to theirs.

    Parameters
    ----------
    lake
        Where the runs are.
    gate
        Who judges again what is moved.
    run_ids
        Runs that were stored or have grown; those that a killed ingest left without a place get theirs too.
    """
    rows: list[Row] = lake.rows("runs").to_pylist()
    changed = {*run_ids, *(text(row, "run_id") for row in rows if row["trajectory_id"] is None)}
    if not changed:
        return
    with lake.writing("restart-chains", doing="linking restarts"):
        rows = lake.rows("runs").to_pylist()
        for kind in sorted({_kind(row) for row in rows if row["run_id"] in changed}):
            _link_alike(lake, gate, [row for row in rows if _kind(row) == kind], changed)
        leave_out_repeated_labels(lake, gate, changed)


def _kind(row: Row) -> tuple[str, ...]:
    kind = tuple(str(row[name]) for name in _ALIKE)
    # A simulation is whole by itself, the frames of an ML_AB are in no order of time, and those that an old reader
    # stored have no names to be found by.
    is_named = whole(row, "reader_version", if_null=0) >= _FIRST_READER_WITH_NAMES
    is_single = row["origin"] != "aimd" or row["source_format"] == "ml_ab" or not is_named
    return (*kind, text(row, "run_id")) if is_single else kind


def _link_alike(lake: Lake, gate: Gate, rows: Sequence[Row], changed: set[str]) -> None:
    runs: dict[str, StoredRun] = {}
    for row in sorted(rows, key=lambda row: text(row, "run_id")):
        runs[text(row, "run_id")] = StoredRun(lake, row, runs)
    earlier = _earlier_runs(lake, runs, changed)
    touched = _touched(runs, earlier, changed)
    links = {run_id: best_link(runs[run_id], [runs[other] for other in earlier[run_id]]) for run_id in touched}
    runs = {run_id: runs[run_id] for run_id in touched}
    for trajectory in _trajectories(runs, links):
        before: list[_Place] = []
        for place in trajectory:
            _settle(place, gate, _repeated(place, before))
            before.append(place)


def _earlier_runs(lake: Lake, runs: Mapping[str, StoredRun], changed: set[str]) -> dict[str, set[str]]:
    """Runs from which each run may go on.

    Where neither a run nor the one that it goes on from has changed, only runs that have can offer a better one.
    """
    earlier = {run_id: {str(run.row["continues_run_id"])} & runs.keys() for run_id, run in runs.items()}
    if len(runs) > 1:
        run_ids = list(runs)
        everyone = range(len(run_ids))
        new = {number for number in everyone if run_ids[number] in changed}
        unsettled = {number for number in everyone if {run_ids[number], *earlier[run_ids[number]]} & changed}
        outlines = Outlines(lake, list(runs.values()), _kind(runs[run_ids[0]].row))
        for one, later in chain(
            outlines.pairs(earlier=everyone, later=unsettled), outlines.pairs(earlier=new, later=everyone)
        ):
            earlier[run_ids[later]].add(run_ids[one])
    return earlier


def _touched(runs: Mapping[str, StoredRun], earlier: Mapping[str, set[str]], changed: set[str]) -> list[str]:
    """Runs whose place may be another one now: the changed ones and all that hang together with them, by name."""
    beside: dict[str, set[str]] = {}
    for run_id, run in runs.items():
        for other in {*earlier[run_id], str(run.row["trajectory_id"] or run_id)}:
            beside.setdefault(run_id, set()).add(other)
            beside.setdefault(other, set()).add(run_id)
    waiting = [run_id for run_id in runs if run_id in changed]
    found = set(waiting)
    while waiting:
        new = beside[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return [run_id for run_id in runs if run_id in found]


def _trajectories(runs: Mapping[str, StoredRun], links: dict[str, Link | None]) -> Iterator[list[_Place]]:
    """The runs of each trajectory with their starts, in the order of time."""
    placed: set[str] = set()
    followers: dict[str, list[str]] = {}
    for run_id, link in links.items():
        if link is not None:
            followers.setdefault(link.run_id, []).append(run_id)
    # Runs that go on from each other in a circle have no beginning: the first by name becomes it.
    for root in sorted(runs, key=lambda run_id: (links[run_id] is not None, run_id)):
        if root in placed:
            continue
        links[root] = None
        start_fs = None if runs[root].row["time_step_fs"] is None else 0.0
        trajectory = [_Place(runs[root], None, root, start_fs, n_before=0)]
        placed.add(root)
        for earlier in trajectory:  # grows while we go
            for run_id in followers.get(earlier.run.run_id, []):
                if run_id not in placed:
                    placed.add(run_id)
                    trajectory.append(_after(earlier, runs[run_id], links[run_id]))
        yield sorted(trajectory, key=lambda place: place.order)


def _after(earlier: _Place, run: StoredRun, link: Link | None) -> _Place:
    start_fs = None
    if link is not None and earlier.start_fs is not None and link.after_start_fs is not None:
        start_fs = earlier.start_fs + link.after_start_fs
    return _Place(run, link, earlier.trajectory_id, start_fs, n_before=earlier.n_before + 1)


def _repeated(place: _Place, before: Sequence[_Place]) -> dict[int, tuple[str, str]]:
    """Frames that an earlier run of the trajectory has, too: place in the file -> run and content id of that frame."""
    found: dict[int, tuple[str, str]] = {}
    for other in before:
        for ours, theirs in _alike(place, other):
            if ours in found or other.run.holder_of(theirs) == place.run.run_id:
                continue  # what the other run left to us must not be left to it
            if place.run.frame(ours).is_same_as(other.run.frame(theirs)):
                found[ours] = (other.run.run_id, str(other.run.frames.content_id[theirs]))
    return found


def _alike(one: _Place, other: _Place) -> Iterator[tuple[int, int]]:
    """Pairs of frames at one time with one energy; a frame that only the later run has right is its own."""
    ours, theirs = one.run.frames, other.run.frames
    if one.start_fs is not None and other.start_fs is not None:
        step_fs = real(one.run.row, "time_step_fs")
        our_steps = _steps(ours.after_start_fs, one.start_fs, step_fs)
        their_steps = _steps(theirs.after_start_fs, other.start_fs, step_fs)
        if not np.isin(our_steps, their_steps).any():
            return
        by_time = {int(step): place for place, step in enumerate(their_steps)}
        partners = [by_time.get(int(step), -1) for step in our_steps]
    else:  # an XDATCAR tells no time: its frames are found by their distances
        scalars = zip(ours.energy_ev, ours.min_distance_angstrom, strict=True)
        partners = [_first(other.run.alike(energy, distance)) for energy, distance in scalars]
    for place, partner in enumerate(partners):
        is_same = partner >= 0 and ours.is_like(place, theirs, partner)
        if is_same and (theirs.accepted[partner] or not ours.accepted[place]):
            yield place, partner


def _steps(after_start_fs: NDArray[np.float64], start_fs: float, step_fs: float) -> NDArray[np.float64]:
    return np.rint((start_fs + after_start_fs) / step_fs)


def _first(found: NDArray[np.bool_]) -> int:
    return int(np.argmax(found)) if found.any() else -1


def _settle(place: _Place, gate: Gate, repeated: Mapping[int, tuple[str, str]]) -> None:
    """Write a run's place where it is not the one that it has, and take out what others hold."""
    run, lake = place.run, place.run.lake
    # What was taken out once stays out: the run that holds it comes before this one in every order.
    known = {whole(row, "place"): (text(row, "stored_run_id"), text(row, "stored_content_id")) for row in run.elsewhere}
    out = {**known, **repeated}
    notes = [note for note in texts(run.row, "notes") if not note.startswith(LINK_NOTE_BEGINS)]
    after = {
        **run.row,
        "trajectory_id": place.trajectory_id,
        "trajectory_start_fs": place.start_fs,
        "continues_run_id": None if place.link is None else place.link.run_id,
        "n_stored_elsewhere": len(out),
        "notes": notes if place.link is None else [*notes, place.link.note(n_repeated=len(out))],
    }
    shift_fs = 0.0 if place.start_fs is None else place.start_fs - run.start_fs
    keep = np.array([index not in out for index in np.flatnonzero(run.frames.is_here)], dtype=bool)
    if after == run.row and out == known and not shift_fs:
        return
    with lake.writing(run.run_id, doing=f"storing run {run.run_id}"):
        if known_run(lake, run.run_id) != run.row:
            return  # it has grown meanwhile; whoever stored it links it next
        if out != known:
            lake.replace("repeated_frames", run.run_id, [run.repeated_row(index, *out[index]) for index in sorted(out)])
        if not keep.all() or shift_fs or after["continues_run_id"] != run.row["continues_run_id"]:
            rewrite_run(lake, after, gate, keep=keep, shift_fs=shift_fs)
            log.info("linked", run_id=run.run_id, continues=after["continues_run_id"], n_repeated=len(out))
        else:
            lake.replace("runs", run.run_id, [after])
