"""Links runs that are one trajectory: restarts in their order, each frame stored once, one time axis.

It works on the rows that the lake has, so that the order in which files arrive changes nothing. What makes one frame
the next of another is in `physics.continuation`; raw files do not belong here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lake.delta import Lake
from lake.known_runs import Row
from operators.log import log
from operators.physics.continuation import missing_steps
from operators.repeated_labels import leave_out_repeated_labels
from operators.run_storing import LINK_NOTE_BEGINS, notes_of, rewrite_run
from operators.stored_run import StoredRun
from schemas.elements import masses_amu

_ALIKE = ("origin", "formula", "n_atoms", "time_step_fs", "level_of_theory", "potcar_titles", "synthetic")
"""What two runs must have in common to be one trajectory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How a run goes on from another one."""

    run_id: str
    """The earlier run."""
    after_start_fs: float | None
    """From the earlier run's first ionic step to the later run's; None without a time step."""
    n_repeated: int = 0
    """First frames of the later run that are the earlier one's, too."""
    n_missing: int = 0
    """Steps between the two that no file has."""
    is_known: bool = False
    """It was found earlier, and its note is written."""
    is_branch: bool = False
    """The earlier run has frames after the joint that are not the later one's."""

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Less is better: a common frame before a predicted one, then the shorter gap."""
        return self.n_repeated == 0 and self.n_missing >= 0, self.n_missing, self.run_id

    @property
    def note(self) -> str:
        """What a person should know of the joint."""
        parts = [f"{LINK_NOTE_BEGINS}{self.run_id}"]
        if self.n_repeated:
            parts.append(f"its first {self.n_repeated} frames are stored there")
        if self.n_missing:
            parts.append(f"{self.n_missing} steps between the two are in no file")
        if self.is_branch:
            parts.append("that run went on another way from there")
        return "; ".join(parts) + "."


def link_runs(lake: Lake, run_ids: Iterable[str]) -> None:
    """Find the place of each run in its restart chain, and move those that follow it to theirs.

    Parameters
    ----------
    lake
        Where the runs are.
    run_ids
        Runs that were stored or have grown; those that a killed ingest left without a place get theirs too.
    """
    changed = set(run_ids)
    if not changed:
        return
    with lake.writing("restart-chains", doing="linking restarts"):
        rows: list[Row] = lake.rows("runs").to_pylist()
        changed |= {str(row["run_id"]) for row in rows if row["trajectory_id"] is None}
        for kind in sorted({_kind(row) for row in rows if row["run_id"] in changed}):
            _link_alike(lake, [row for row in rows if _kind(row) == kind], changed)
        placed: list[Row] = lake.rows("runs").to_pylist()
        for formula in sorted({str(row["formula"]) for row in placed if row["run_id"] in changed}):
            leave_out_repeated_labels(lake, [row for row in placed if row["formula"] == formula])


def _kind(row: Row) -> tuple[str, ...]:
    kind = tuple(str(row[name]) for name in _ALIKE)
    return kind if row["origin"] == "aimd" else (*kind, str(row["run_id"]))  # a simulation is whole by itself


def _link_alike(lake: Lake, rows: Sequence[Row], changed: set[str]) -> None:
    runs = {str(row["run_id"]): StoredRun(lake, row) for row in sorted(rows, key=lambda row: str(row["run_id"]))}
    links = {run_id: _link_of(run, runs, changed) for run_id, run in runs.items()}
    starts: dict[str, tuple[str, float | None]] = {}
    for run_id, link in links.items():
        if link is None:
            start_fs = None if runs[run_id].row["time_step_fs"] is None else 0.0
            _follow(run_id, (run_id, start_fs), links, starts)
    for run_id, (trajectory_id, start_fs) in starts.items():
        _place(runs[run_id], links[run_id], trajectory_id, start_fs)


def _follow(
    run_id: str,
    place: tuple[str, float | None],
    links: Mapping[str, Link | None],
    starts: dict[str, tuple[str, float | None]],
) -> None:
    """Give a run, and all that go on from it, trajectory and start."""
    starts[run_id] = place
    trajectory_id, start_fs = place
    for follower, link in links.items():
        if link is not None and link.run_id == run_id and follower not in starts:
            known = start_fs is not None and link.after_start_fs is not None
            _follow(follower, (trajectory_id, start_fs + link.after_start_fs if known else None), links, starts)  # type: ignore[operator]


def _link_of(run: StoredRun, runs: Mapping[str, StoredRun], changed: set[str]) -> Link | None:
    """The best link of a run to an earlier one, looking only where something changed."""
    known = _known_link(run, runs)
    if run.row["n_stored_elsewhere"] or not run.n_frames:
        return known  # its first frames are the earlier run's, so the joint is settled
    earlier = [
        other
        for other in runs.values()
        if other is not run
        and other.n_frames
        and (run.run_id in changed or other.run_id in changed or (known is not None and other.run_id == known.run_id))
    ]
    found = [link for other in earlier if (link := _link_between(other, run)) is not None]
    return min(found, key=lambda link: link.rank, default=known if not earlier else None)


def _known_link(run: StoredRun, runs: Mapping[str, StoredRun]) -> Link | None:
    earlier = runs.get(str(run.row["continues_run_id"]))
    if earlier is None:
        return None
    starts = [one.row["trajectory_start_fs"] for one in (earlier, run)]
    after_fs = None if None in starts else float(str(starts[1])) - float(str(starts[0]))
    n_repeated = int(str(run.row["n_stored_elsewhere"] or 0))
    return Link(run_id=earlier.run_id, after_start_fs=after_fs, n_repeated=n_repeated, is_known=True)


def _link_between(earlier: StoredRun, later: StoredRun) -> Link | None:
    return _shared_frames(earlier, later) or _next_step(earlier, later)


def _shared_frames(earlier: StoredRun, later: StoredRun) -> Link | None:
    """The later run begins with a frame of the earlier one; the same beginning is no restart but a twin."""
    first = later.scalars.iloc[0]
    places = [
        place
        for place in earlier.places_of(later.first, float(first["energy_ev"]), float(first["min_distance_angstrom"]))
        if place > 0
    ]
    if not places:
        return None
    joint = places[-1]
    n_repeated = _n_repeated(earlier, later, joint)
    return Link(
        run_id=earlier.run_id,
        after_start_fs=_after_start_fs(earlier, joint, later, n_steps=0),
        n_repeated=n_repeated,
        is_branch=joint + max(n_repeated, 1) < earlier.n_frames,
    )


def _n_repeated(earlier: StoredRun, later: StoredRun, joint: int) -> int:
    """How many frames the two share from the joint on; a frame that only the later run has right is its own."""
    n_most = min(earlier.n_frames - joint, later.n_frames)
    theirs, ours = earlier.scalars.iloc[joint : joint + n_most], later.scalars.iloc[:n_most]
    energies = (part["energy_ev"].to_numpy(dtype=np.float64) for part in (theirs, ours))
    is_same = ~(np.abs(np.subtract(*energies)) >= 1e-3)
    is_same &= theirs["accepted"].to_numpy(dtype=bool) | ~ours["accepted"].to_numpy(dtype=bool)
    n_alike = n_most if is_same.all() else int(np.argmin(is_same))
    pairs = zip(earlier.frames(joint, joint + n_alike), later.frames(0, n_alike), strict=True)
    for index, (one, other) in enumerate(pairs):
        if not one.is_same_as(other):
            return index
    return n_alike


def _next_step(earlier: StoredRun, later: StoredRun) -> Link | None:
    """The later run begins where the earlier one was going: molecular dynamics, or an XDATCAR, which may be."""
    time_step_fs = earlier.row["time_step_fs"]
    is_dynamics = time_step_fs is not None or earlier.row["source_format"] == later.row["source_format"] == "xdatcar"
    if earlier.n_frames < 2 or not is_dynamics:
        return None
    steps = earlier.scalars["ionic_step"].to_numpy()
    if steps[-1] - steps[-2] != 1:
        return None
    before, last = earlier.frames(earlier.n_frames - 2, earlier.n_frames)
    n_missing = missing_steps(
        np.stack([before.positions, last.positions]),
        later.first.positions,
        cell=last.cell,
        forces=last.forces,
        masses_amu=masses_amu(earlier.atomic_numbers),
        time_step_fs=float(str(time_step_fs or 1.0)),  # without one there are no forces either
    )
    if n_missing is None:
        return None
    after_fs = _after_start_fs(earlier, earlier.n_frames - 1, later, n_steps=n_missing + 1)
    return Link(run_id=earlier.run_id, after_start_fs=after_fs, n_missing=n_missing)


def _after_start_fs(earlier: StoredRun, joint: int, later: StoredRun, *, n_steps: int) -> float | None:
    """From the earlier run's first ionic step to the later run's, when its first frame is `n_steps` after the joint."""
    if earlier.row["time_step_fs"] is None:
        return None
    time_step_fs, start_fs = (float(str(earlier.row[name])) for name in ("time_step_fs", "trajectory_start_fs"))
    joint_fs = float(earlier.scalars["time_fs"].iloc[joint]) - start_fs
    return joint_fs + (n_steps - (int(later.scalars["ionic_step"].iloc[0]) - 1)) * time_step_fs


def _place(run: StoredRun, link: Link | None, trajectory_id: str, start_fs: float | None) -> None:
    """Write a run's place where it is not the one that it has."""
    row = run.row
    n_repeated = 0 if link is None else link.n_repeated
    notes = notes_of(row)
    if link is None or not link.is_known:
        notes = [note for note in notes if not note.startswith(LINK_NOTE_BEGINS)]
        notes += [] if link is None else [link.note]
    after = {
        **row,
        "trajectory_id": trajectory_id,
        "trajectory_start_fs": start_fs,
        "continues_run_id": None if link is None else link.run_id,
        "n_stored_elsewhere": max(n_repeated, int(str(row["n_stored_elsewhere"] or 0))),
        "notes": notes,
    }
    if after == row:
        return
    n_dropped = n_repeated if not row["n_stored_elsewhere"] else 0
    shift_fs = 0.0 if start_fs is None else start_fs - float(str(row["trajectory_start_fs"] or 0.0))
    with run.lake.writing(run.run_id, doing=f"storing run {run.run_id}"):
        if n_dropped or shift_fs:
            rewrite_run(run.lake, after, keep=np.arange(run.n_frames) >= n_dropped, shift_fs=shift_fs)
            log.info("linked", run_id=run.run_id, continues=after["continues_run_id"], n_repeated=n_dropped)
        else:
            run.lake.replace("runs", run.run_id, [after])
