"""Stores what was read of a run: frames first, the row in `runs` after them, so that a kill leaves nothing half-done.

Every stored frame is judged before anything is committed. Reading files does not belong here, nor does the decision
which run continues which.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import complete_rows, row_groups
from lake.gate import Gate, Verdict
from lake.parquet import ROWS_PER_GROUP
from operators.gate.frame_checks import rejection_reasons, stored_checks
from operators.gate.frame_ids import averaged_id
from operators.gate.frame_walk import FrameWalk
from operators.gate.run_checks import run_checks
from operators.gate.run_facts import RunFacts, facts_of_header, facts_of_row
from operators.gate.run_overrides import overrides_of
from operators.runs.later_looks import is_late, is_up_to_date
from operators.runs.reading import ReadRun
from operators.runs.run_row import run_row
from schemas.columns import n_rows, rows_of
from schemas.errors import TryAgainLater
from schemas.gate import GATE_VERSION
from schemas.rows import Row, text, texts, whole
from schemas.tables import FRAMES

_GATE_COLUMNS = ("accepted", "rejection_reasons", "flags")
LINK_NOTE_BEGINS = "It goes on from run "
"""How the note about a run's place in a restart chain begins."""

_JUDGED_COLUMNS = (
    *("n_accepted", "n_rejected", "reason", "gate_version", "rules_id", "averaged_id"),
    *("equilibrated_from_fs", "n_effective", "energy_per_work", "drift_mev_per_atom_per_ps"),
    *("msd_angstrom2", "msd_lag_fs", "structure_factor_peak", "bragg_share"),
)
_CHAIN_COLUMNS = ("n_stored_elsewhere", "trajectory_id", "continues_run_id", "trajectory_start_fs")


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a run."""

    row: Row
    """Its row in `runs`."""
    n_new: int
    changed: bool


def store_run(
    lake: Lake, read: ReadRun, gate: Gate, *, run_id: str, seen: Sequence[str], notes: Sequence[str]
) -> Stored:
    """Make the lake hold what was read, exactly once; a reading that saw less than the lake has changes nothing.

    Parameters
    ----------
    lake
        Where to.
    read
        The run as it was read.
    gate
        Who judges the frames.
    run_id
        Its name.
    seen
        The files of that run in the lake when it got this name.
    notes
        Sentences about the file beyond those of its reader.

    Raises
    ------
    TryAgainLater
        If another process stored a different reading of the same run at the same time.
    """
    with lake.writing(run_id, doing=f"storing run {run_id}"):
        before = known_run(lake, run_id)
        n_before = lake.n_rows("frames", run_id)
        row = run_row(read) | {"run_id": run_id, "notes": [*read.outcome.notes, *notes]}
        verdict: Verdict | None = None
        if _has_nothing_new(read, before, n_before, rules_id=gate.rules_id):
            row |= {name: before[name] for name in _JUDGED_COLUMNS}
        else:
            verdict, judged = _verdict(lake, read, gate, before=before, run_id=run_id)
            row |= judged
            row["averaged_id"] = averaged_id(row, read.checks["content_id"], _reasons(read.faults, verdict))
        if is_up_to_date(before, row, n_before) or is_late(before, row):
            return Stored(before, n_new=0, changed=False)
        if read.resumed is not None:
            row |= _place_of_before(before, row)
        if verdict is not None:
            _store_frames(lake, read, row, verdict, seen=seen)
            lake.replace("expectation_results", run_id, verdict.results)
        lake.replace("runs", run_id, [row])
        if lake.n_rows("frames", run_id) != row["n_frames"]:
            raise TryAgainLater(
                f"Another process stored run {run_id} at the same time, from a file that holds more or fewer frames.",
                "Run the same command again: it finds what is missing.",
            )
    return Stored(row, n_new=whole(row, "n_frames") - n_before, changed=True)


def _verdict(lake: Lake, read: ReadRun, gate: Gate, *, before: Row, run_id: str) -> tuple[Verdict, Row]:
    """What the gate says, and the columns of `runs` that come of it."""
    goes_on = read.resumed is not None and before["continues_run_id"] is not None
    facts = facts_of_header(read.header, read.sample, goes_on=goes_on)
    checks = run_checks(read.checks, facts, overrides_of(lake, run_id, read.checks["content_id"]))
    verdict = gate.judge(checks.case)
    return verdict, checks.found | _judged_columns(verdict, gate)


def _place_of_before(before: Row, row: Row) -> Row:
    """Columns of a growing run that its place in a chain decides: whoever follows it may have to move."""
    links = (note for note in texts(before, "notes") if note.startswith(LINK_NOTE_BEGINS))
    place = {name: before[name] for name in _CHAIN_COLUMNS}
    return place | {"trajectory_id": None, "notes": [*texts(row, "notes"), *links]}


def _has_nothing_new(read: ReadRun, before: Row, n_before: int, *, rules_id: str) -> bool:
    """Whether the file grew by no frame since it was judged by today's rules."""
    is_judged = before.get("rules_id") == rules_id
    return read.resumed is not None and is_judged and not read.staged.n_rows and n_before == read.n_stored


def known_run(lake: Lake, run_id: str) -> Row:
    """The row in `runs`; empty when there is none."""
    rows: list[Row] = lake.rows("runs", key=run_id).to_pylist()
    return rows[0] if rows else {}


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A stored run after it was judged again."""

    row: Row
    """Its row in `runs`."""
    verdict: Verdict
    changed: bool


def rewrite_run(
    lake: Lake, row: Row, gate: Gate, *, keep: NDArray[np.bool_] | None = None, shift_fs: float = 0.0
) -> Rewritten:
    """Judge a stored run again by today's rules, and rewrite what that or a new place in a chain changes.

    Parameters
    ----------
    lake
        Where the run is.
    row
        Its row in `runs` as it shall be but for what the verdict says.
    gate
        Who judges the frames.
    keep
        (n_frames,), which of its frames stay; all by default.
    shift_fs
        What is added to its times.
    """
    run_id = text(row, "run_id")
    seen = lake.files("frames", key=run_id)
    checks, faults = stored_checks(lake, run_id)
    keep = np.ones(n_rows(checks), dtype=bool) if keep is None else keep
    kept = rows_of(checks, keep)
    kept["time_fs"] = kept["time_fs"] + shift_fs
    found = run_checks(kept, _facts(lake, row), overrides_of(lake, run_id, kept["content_id"]))
    verdict = gate.judge(found.case)
    faults = [codes for codes, stays in zip(faults, keep, strict=True) if stays]
    reasons = _reasons(faults, verdict)
    moved = not keep.all() or bool(shift_fs)
    if frames_change := moved or not _stands(lake, run_id, reasons, verdict.flags):
        rows = _moved(_stored_rows(lake, run_id), keep, shift_fs)
        judged = _judged(rows, reasons, verdict.flags)
        lake.replace_batches("frames", _partition(row), row_groups(judged, ROWS_PER_GROUP), instead_of=seen)
    after = {**row, "n_frames": n_rows(kept), **found.found, **_judged_columns(verdict, gate)}
    after["averaged_id"] = averaged_id(after, kept["content_id"], reasons)
    row_changes = after != known_run(lake, run_id)
    if frames_change or row_changes:
        lake.replace("expectation_results", run_id, verdict.results)
        lake.replace("runs", run_id, [after])
    return Rewritten(after, verdict, frames_change or row_changes)


def _facts(lake: Lake, row: Row) -> RunFacts:
    if row["rules_id"] is not None:
        return facts_of_row(row, None)
    run_id = text(row, "run_id")  # judged by a gate that did not ask yet how far atoms go
    for batch in lake.frame_batches(run_id, ("atomic_numbers",), stop=1):
        atomic_numbers = np.array(batch.column("atomic_numbers")[0].as_py(), dtype=np.int8)
        walk = FrameWalk.behind(lake, run_id, lake.n_rows("frames", run_id), atomic_numbers)
        return facts_of_row(row, walk.sample)
    return facts_of_row(row, None)


def _reasons(faults: Sequence[Sequence[str]], verdict: Verdict) -> list[list[str]]:
    """Of every frame, why it is rejected: by its reader, and by rules."""
    return [rejection_reasons(*both) for both in zip(faults, verdict.rejection_reasons, strict=True)]


def _judged_columns(verdict: Verdict, gate: Gate) -> Row:
    """Columns of `runs` that a verdict decides."""
    return {
        "n_accepted": len(verdict.flags) - verdict.n_rejected,
        "n_rejected": verdict.n_rejected,
        "reason": verdict.reason,
        "gate_version": GATE_VERSION,
        "rules_id": gate.rules_id,
    }


def _store_frames(lake: Lake, read: ReadRun, row: Row, verdict: Verdict, *, seen: Sequence[str]) -> None:
    run_id, n_stored, flags = text(row, "run_id"), read.n_stored, verdict.flags
    reasons = _reasons(read.faults, verdict)
    new = _judged(read.staged.batches(), reasons[n_stored:], flags[n_stored:])
    if n_stored and _stands(lake, run_id, reasons[:n_stored], flags[:n_stored]):
        rows = row_groups(new, ROWS_PER_GROUP)
        if not read.staged.n_rows and lake.n_rows("frames", run_id) == n_stored:
            return
        if lake.append_batches("frames", _partition(row), rows, after=n_stored) is not None:
            return
        new = _judged(read.staged.batches(), reasons[n_stored:], flags[n_stored:])
    kept = _judged(_first_rows(_stored_rows(lake, run_id), n_stored), reasons[:n_stored], flags[:n_stored])
    rows = row_groups(chain(kept, new), ROWS_PER_GROUP)
    lake.replace_batches("frames", _partition(row), rows, instead_of=seen)


def _stands(lake: Lake, run_id: str, reasons: list[list[str]], flags: list[list[str]]) -> bool:
    """Whether the lake's first frames carry these verdicts already."""
    found: list[tuple[list[str], list[str]]] = []
    for batch in lake.frame_batches(run_id, ("rejection_reasons", "flags")):
        columns = (batch.column(name).to_pylist() for name in ("rejection_reasons", "flags"))
        found.extend(zip(*columns, strict=True))
    return found[: len(reasons)] == list(zip(reasons, flags, strict=True))


def _stored_rows(lake: Lake, run_id: str) -> Iterator[pa.RecordBatch]:
    for batch in lake.frame_batches(run_id, FRAMES.file_schema.names):
        yield batch.drop_columns(list(_GATE_COLUMNS))


def _first_rows(batches: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if n_rows <= 0:
            return
        yield batch.slice(0, n_rows)
        n_rows -= batch.num_rows


def _moved(batches: Iterable[pa.RecordBatch], keep: NDArray[np.bool_], shift_fs: float) -> Iterator[pa.RecordBatch]:
    """The frames that stay, numbered without gaps, at their new times."""
    start = n_kept = 0
    for batch in batches:
        part = batch.filter(pa.array(keep[start : start + batch.num_rows]))
        start += batch.num_rows
        if part.num_rows:
            frame = pa.array(np.arange(n_kept, n_kept + part.num_rows, dtype=np.int32))
            part = part.set_column(part.schema.get_field_index("frame"), "frame", frame)
            time_fs = pc.add(part.column("time_fs"), shift_fs)
            yield part.set_column(part.schema.get_field_index("time_fs"), "time_fs", time_fs)
        n_kept += part.num_rows


def _judged(
    batches: Iterable[pa.RecordBatch], reasons: list[list[str]], flags: list[list[str]]
) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in batches:
        rows = slice(start, start + batch.num_rows)
        yield complete_rows(batch, rejection_reasons=reasons[rows], flags=flags[rows])
        start += batch.num_rows


def _partition(row: Row) -> dict[str, str]:
    return {name: text(row, name) for name in ("composition", "run_id")}
