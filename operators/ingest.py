"""Ingest: raw files become frames in the lake. Parsing is the readers', judging the gate's, committing the lake's.

A run is read once, staged, judged and only then committed: frames first, the row in `runs` last, so that a run is in
the lake when its row is, and a kill at any moment leaves nothing half-done that the next ingest does not replace.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lake.delta import Lake
from lake.frames import batches_of, complete_rows, staged_rows
from lake.gate import Verdict, judge
from lake.known_runs import READER_VERSION, known_unchanged, record_raw_files, run_name
from lake.locks import exclusive
from lake.parquet import ROWS_PER_GROUP
from lake.readers import open_run
from lake.sources import RunSource, run_sources
from lake.staging import StagedRun, staged_run
from operators.failures import forget_failure, record_failure
from operators.frame_checks import Labels, frame_checks, rejection_reasons
from operators.log import log
from schemas.composition import chemical_system, composition, element_counts, formula
from schemas.errors import MeltlakeError, TryAgainLater, UnreadableFile
from schemas.expectations import GATE_VERSION
from schemas.frames import Fingerprint, Floats, FrameBatch, RunHeader, RunReader
from schemas.settings import Settings

VERB = "ingest"


def ingest(settings: Settings, sources: Iterable[str]) -> dict[str, object]:
    """Bring every run below the sources into the lake; a bad one is listed with its reason and the rest goes on.

    Returns
    -------
    dict
        `runs`: one entry per run found, as the contract says; `reason` is null for a run that is stored.
    """
    lake = Lake(settings.lake)
    entries: list[dict[str, object]] = []
    for source in sources:
        subject = os.path.abspath(source)  # noqa: PTH100 - also for what is not there
        try:
            found = run_sources(source)
        except (MeltlakeError, OSError) as error:
            entries.append(_refused(lake, subject, error))
            continue
        forget_failure(lake, VERB, subject)
        entries.extend(_ingest_or_refuse(lake, run) for run in found)
    return {"runs": entries}


def _ingest_or_refuse(lake: Lake, source: RunSource) -> dict[str, object]:
    try:
        entry = _ingest_run(lake, source)
    except TryAgainLater:
        raise
    except (MeltlakeError, OSError) as error:
        return _refused(lake, source.uri, error)
    forget_failure(lake, VERB, source.uri)
    record_raw_files(lake, source.files, run_id=str(entry["run_id"]))
    log.info("ingest", **{name: entry[name] for name in ("run_id", "source", "composition", "n_frames", "n_rejected")})
    return entry


def _refused(lake: Lake, source: str, found: MeltlakeError | OSError) -> dict[str, object]:
    error = found if isinstance(found, MeltlakeError) else _from_system(source, found)
    record_failure(lake, VERB, source, error)
    log.warning("ingest refused", source=source, reason=error.problem)
    nothing: dict[str, object] = dict.fromkeys(("run_id", "composition"))
    counts = dict.fromkeys(("n_frames", "n_new", "n_accepted", "n_rejected"), 0)
    return {**nothing, **counts, "source": source, "changed": False, "reason": error.problem, "remedy": error.remedy}


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadRun:
    """A run that was read and staged, and is not in the lake yet."""

    path: Path
    reader: RunReader
    staged: StagedRun
    checks: pd.DataFrame
    faults: list[tuple[str, ...]]


def _ingest_run(lake: Lake, source: RunSource) -> dict[str, object]:
    known = known_unchanged(lake, source.files[0])
    if known is not None and (known["complete"] or len(source.files) == 1):
        return _entry(known, str(source.files[0]), n_new=0)
    with ExitStack() as stack:
        reads, refusals = _read_until_complete(lake, source, stack)
        if not reads:
            problems = "; ".join(error.problem.rstrip(".") for error in refusals)
            raise UnreadableFile(f"{problems}.", refusals[0].remedy)
        best = max(reads, key=lambda read: read.staged.n_rows)  # the richer file where they are equal: it comes first
        for other in reads:
            if other is not best:
                note = f"{other.path.name} beside it holds {other.staged.n_rows} frames, fewer or less precise."
                best.reader.outcome.notes.append(note)
        return _commit(lake, best, siblings=source.files)


def _read_until_complete(
    lake: Lake, source: RunSource, stack: ExitStack
) -> tuple[list[_ReadRun], list[UnreadableFile]]:
    """Read the files of a run, the richest first, until one of them ends as its program ends it."""
    reads: list[_ReadRun] = []
    refusals: list[UnreadableFile] = []
    for path in source.files:
        staged = stack.enter_context(staged_run(lake.root))
        try:
            reader = stack.enter_context(open_run(path))
            checks, faults = _stage(reader, staged)
        except UnreadableFile as error:
            refusals.append(error)
            continue
        reads.append(_ReadRun(path=path, reader=reader, staged=staged, checks=checks, faults=faults))
        if reader.outcome.complete:
            break
    return reads, refusals


def _commit(lake: Lake, read: _ReadRun, *, siblings: Sequence[Path]) -> dict[str, object]:
    path, reader = read.path, read.reader
    fingerprint = reader.fingerprint()
    first_energy_ev = float(read.checks["energy_ev"].iloc[0])
    run_id = reader.header.run_id or run_name(
        lake, path, fingerprint, siblings=siblings, first_energy_ev=first_energy_ev
    )
    verdict = judge(read.checks, reader.header.origin)
    row = _run_row(reader, path, fingerprint, verdict)
    with exclusive(lake.root / "_locks" / f"{run_id}.lock", doing=f"storing run {run_id}"):
        return _store(lake, read, {**row, "run_id": run_id}, verdict)


def _store(lake: Lake, read: _ReadRun, row: dict[str, object], verdict: Verdict) -> dict[str, object]:
    """Frames first, the row in `runs` last; a reading that saw less of the same file than the lake has is late."""
    run_id, path, staged = str(row["run_id"]), str(read.path), read.staged
    before = _known(lake, run_id)
    is_late = before.get("source_uri") == path and int(str(before["source_bytes"])) > int(str(row["source_bytes"]))
    if _says_the_same(before, row) or is_late:
        return _entry(before, path, n_new=0)
    reasons = [rejection_reasons(*both) for both in zip(read.faults, verdict.rejection_reasons, strict=True)]
    partition = {"composition": str(row["composition"]), "run_id": run_id}
    lake.replace_batches("frames", partition, batches_of(_judged(staged, reasons, verdict.flags), ROWS_PER_GROUP))
    lake.replace("expectation_results", run_id, verdict.results)
    lake.replace("runs", run_id, [row])
    n_new = staged.n_rows - int(str(before.get("n_frames", 0)))
    return {**_entry(row, path, n_new=n_new), "changed": True}


def _stage(reader: RunReader, staged: StagedRun) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Stage every frame of a run; returns what the gate looks at, one row per frame, and their reading faults."""
    parts: list[pd.DataFrame] = []
    faults: list[tuple[str, ...]] = []
    clock = _Clock(reader.header.time_step_fs)
    for batch in reader.batches():
        checks = _checks(reader.header, batch)
        columns = staged_rows(batch, reader.header, first_frame=staged.n_rows, time_fs=clock.time_fs(batch))
        for name in ("min_distance_angstrom", "max_force_ev_per_angstrom", "net_force_ev_per_angstrom"):
            columns[name] = pa.array(checks[name], from_pandas=True)
        staged.append(columns)
        parts.append(checks)
        faults.extend(batch.faults)
    checks = pd.concat(parts, ignore_index=True)
    checks.insert(0, "frame", np.arange(len(checks)))
    return checks, faults


def _checks(header: RunHeader, batch: FrameBatch) -> pd.DataFrame:
    checks = frame_checks(
        header.atomic_numbers,
        batch.positions_angstrom,
        cells=batch.cell_angstrom,
        labels=Labels(
            energy_ev=batch.energy_ev,
            forces_ev_per_angstrom=batch.forces_ev_per_angstrom,
            virial_ev=batch.virial_ev,
        ),
    )
    return checks.assign(
        n_faults=[len(codes) for codes in batch.faults],
        scf_verdict=batch.scf_verdict,
        label_source=batch.label_source,
    )


class _Clock:
    """Time axis of a run: the file's own count of ionic steps, going on where a restart begins to count again."""

    def __init__(self, time_step_fs: float | None) -> None:
        self._time_step_fs = time_step_fs
        self._segment = 0
        self._offset_fs = 0.0
        self._last_fs = 0.0

    def time_fs(self, batch: FrameBatch) -> Floats:
        """(n_frames,), fs since the first ionic step; NaN when the run is not molecular dynamics."""
        times = np.full(batch.n_frames, np.nan)
        if self._time_step_fs is None:
            return times
        for row, (step, segment) in enumerate(zip(batch.ionic_step, batch.segment, strict=True)):
            if segment != self._segment:
                self._segment = int(segment)
                self._offset_fs = self._last_fs + self._time_step_fs
            self._last_fs = times[row] = self._offset_fs + (int(step) - 1) * self._time_step_fs
        return times


def _judged(staged: StagedRun, reasons: list[list[str]], flags: list[list[str]]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in staged.batches():
        rows = slice(start, start + batch.num_rows)
        yield complete_rows(batch, rejection_reasons=reasons[rows], flags=flags[rows])
        start += batch.num_rows


def _run_row(reader: RunReader, path: Path, fingerprint: Fingerprint, verdict: Verdict) -> dict[str, object]:
    header, outcome = reader.header, reader.outcome
    counts = element_counts(header.atomic_numbers)
    n_frames = len(verdict.rejection_reasons)
    is_simulation = header.origin == "dnnp"
    return {
        "origin": header.origin,
        "source_uri": str(path),
        "source_sha256": fingerprint.raw_sha256,
        "content_sha256": fingerprint.content_sha256,
        "content_bytes": fingerprint.content_bytes,
        "source_format": header.source_format,
        "source_bytes": fingerprint.raw_bytes,
        "composition": composition(counts),
        "formula": formula(counts),
        "chemical_system": chemical_system(counts),
        "n_atoms": header.n_atoms,
        "n_frames": n_frames,
        "ensemble": header.ensemble,
        "temperature_target_k": header.temperature_target_k,
        "time_step_fs": header.time_step_fs,
        "level_of_theory": header.level_of_theory.label,
        "potcar_titles": list(header.level_of_theory.potcar_titles),
        "vasp_version": None if is_simulation else header.code_version,
        "lammps_version": header.code_version if is_simulation else None,
        "n_accepted": n_frames - verdict.n_rejected,
        "n_rejected": verdict.n_rejected,
        "n_energy_only": outcome.n_energy_only,
        "n_incomplete": outcome.n_incomplete,
        "complete": outcome.complete,
        "synthetic": header.synthetic,
        "potential_id": header.potential_id,
        "protocol": header.protocol,
        "parent_run_id": header.parent_run_id,
        "notes": outcome.notes,
        "reader_version": READER_VERSION,
        "gate_version": GATE_VERSION,
        "ingested_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _known(lake: Lake, run_id: str) -> dict[str, object]:
    rows: list[dict[str, object]] = lake.rows("runs", key=run_id).to_pylist()
    return rows[0] if rows else {}


def _says_the_same(before: dict[str, object], row: dict[str, object]) -> bool:
    """The same content came from elsewhere, for example compressed: the lake has it already."""
    return all(before.get(name) == row[name] for name in ("content_sha256", "reader_version", "gate_version"))


def _from_system(source: str, error: OSError) -> UnreadableFile:
    if Path(source).exists() and error.filename is not None and not str(error.filename).startswith(source):
        raise error  # not about the source: the lake's own disk, for example
    return UnreadableFile(f"{source}: it cannot be read ({error.strerror}).", "Check its permissions and its disk.")


def _entry(row: dict[str, object], source: str, *, n_new: int) -> dict[str, object]:
    names = ("run_id", "composition", "n_frames", "n_accepted", "n_rejected", "complete", "notes")
    return {**{name: row[name] for name in names}, "source": source, "n_new": n_new, "changed": False, "reason": None}
