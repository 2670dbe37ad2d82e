"""Reads the files of one run: frames of the richest are staged, the others only tell what they know.

Nothing is stored here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pyarrow as pa

from lake.delta import Lake
from lake.frames import staged_rows
from lake.known_runs import Resumption, file_facts
from lake.raw_store import is_folder, is_remote, open_raw
from lake.readers import open_run
from lake.readers.containers import open_source
from lake.staging import StagedRun, staged_run
from operators.gate.frame_checks import CHECKED, Labels, frame_checks, stored_checks
from operators.gate.frame_walk import FrameWalk
from operators.gate.position_sample import PositionSample
from operators.gate.step_columns import STEP_COLUMNS
from operators.physics.cells import volumes_angstrom3
from schemas.columns import Columns, joined, n_rows, rows_of
from schemas.composition import element_counts, formula
from schemas.errors import FileReplaced, TryAgainLater, UnreadableFile
from schemas.frames import (
    Bookmark,
    Fingerprint,
    Floats,
    FrameBatch,
    ReadingOutcome,
    RunHeader,
    RunReader,
)
from schemas.units import GPA_PER_KBAR

_BEGINNING_BYTES = 1024

Progress = Callable[[int, int], None]
"""Called with frames and bytes of raw files that were read since the last call."""

_STAGED_CHECKS = (
    "content_id",
    "labels_id",
    "min_distance_angstrom",
    "min_distance_over_limit",
    "max_force_ev_per_angstrom",
    "net_force_ev_per_angstrom",
    *STEP_COLUMNS,
)


TOLD = ("segment", "ionic_step", "energy_ev", "volume_angstrom3", "label_source", "n_faults")
"""Columns by which files of one run are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRun:
    """A run that was read and staged, and is not in the lake yet, or not all of it."""

    uri: str
    part: str
    header: RunHeader
    outcome: ReadingOutcome
    fingerprint: Fingerprint
    """Of what was read, however the file grows meanwhile."""
    head_sha256: str
    bookmark: Bookmark | None
    """Where to go on when the file has grown."""
    staged: StagedRun
    """The frames that were read now."""
    checks: Columns
    """What the gate looks at, of every frame of the run, those that the lake has included."""
    faults: list[tuple[str, ...]]
    """Reading faults of the same frames."""
    sample: PositionSample
    """Some of its last frames."""
    resumed: Resumption | None = None
    """The run of the lake that was read on; its first frames are final and were not read again."""

    @property
    def n_stored(self) -> int:
        """Frames that the lake has already and that come before the staged ones."""
        return 0 if self.resumed is None else self.resumed.bookmark.n_frames

    @property
    def formula(self) -> str:
        """Integer counts of its atoms."""
        return formula(element_counts(self.header.atomic_numbers))

    @property
    def testimony(self) -> "Testimony":
        """What this file says of its run, for comparison with the others."""
        told = Testimony(self.uri, self.header.source_format, complete=self.outcome.complete)
        told.add({name: self.checks[name] for name in TOLD})
        return told


@dataclass(slots=True)
class Testimony:
    """What one file says of a run: its ionic steps with their energies and volumes."""

    uri: str
    source_format: str = ""
    complete: bool = False
    problem: UnreadableFile | None = None
    """Why nothing could be read of it; None when something could."""
    facts: dict[str, object] = field(default_factory=dict)
    """Columns of `raw_files`: which bytes were read."""
    _parts: list[Columns] = field(default_factory=list)

    def add(self, frames: Columns) -> None:
        """More frames, with the columns `TOLD`."""
        self._parts.append(frames)

    @property
    def frames(self) -> Columns:
        """The same of all frames."""
        return joined(self._parts, TOLD)

    @property
    def richness(self) -> tuple[int, int]:
        """How many frames have labels and were read whole, and how many there are."""
        frames = self.frames
        sound = (frames["label_source"] != "none") & (frames["n_faults"] == 0)
        return int(sound.sum()), n_rows(frames)


@contextmanager
def read_run(
    lake: Lake, uri: str, *, part: str = "", resumption: Resumption | None = None, progress: Progress | None = None
) -> Iterator[ReadRun]:
    """Read and stage one file; what was staged is gone when the block is left.

    Parameters
    ----------
    lake
        Where the run's earlier frames are.
    uri
        The file.
    part
        Which of its runs.
    resumption
        The run that an earlier reading of this file made: only what is new is read. Where the file turns out to be
        another one, it is read from its beginning.
    progress
        Told of every batch.

    Raises
    ------
    UnreadableFile
        If the file holds no frame that can be trusted.
    """
    with ExitStack() as stack:
        staged = stack.enter_context(staged_run(lake.scratch))
        try:
            read = _read(lake, uri, staged=staged, part=part, resumption=resumption, progress=progress)
        except FileReplaced:
            staged = stack.enter_context(staged_run(lake.scratch))
            read = _read(lake, uri, staged=staged, part=part, resumption=None, progress=progress)
        yield read


def testimony_of(uri: str, *, progress: Progress | None) -> Testimony:
    """What a file says of its run, without keeping its frames."""
    told = Testimony(uri)
    try:
        with open_run(uri) as reader:
            told.source_format = reader.header.source_format
            for batch in _reported(reader, progress):
                told.add(_told(batch))
            told.complete = reader.outcome.complete
            told.facts = file_facts(told.source_format, reader.fingerprint())
    except UnreadableFile as error:
        return unreadable(uri, error)
    except OSError as error:
        return unreadable(uri, refused_by_system(uri, error))
    return told


def beginning_of(uri: str) -> Testimony:
    """What the first frames of a file say; nothing where it cannot be read, which is told when it is ingested."""
    told = Testimony(uri)
    with suppress(UnreadableFile, OSError), open_run(uri) as reader:
        for batch in islice(reader.batches(), 1):
            told.add(_told(batch))
    return told


def refused_by_system(uri: str, error: OSError) -> UnreadableFile:
    """What the system said of a raw file, as a sentence; an error that is not about that file is raised again."""
    if is_remote(uri):
        return UnreadableFile(f"{uri}: it cannot be read ({error}).", "Check the bucket, the key and the rights.")
    if error.filename is not None and not str(error.filename).startswith(uri):
        raise error  # about the lake's own disk, for example
    return UnreadableFile(
        f"{uri}: it cannot be read ({error.strerror or error}).", "Check its permissions and its disk."
    )


def unreadable(uri: str, problem: UnreadableFile) -> Testimony:
    """A file that tells nothing; its bytes are known if there are any, so that it is not tried again unchanged."""
    try:
        with open_source(uri) as stream:
            return Testimony(uri, problem=problem, facts=file_facts("", stream.finish()))
    except OSError:
        return Testimony(uri, problem=problem)


def richest(told: Sequence[Testimony]) -> Testimony:
    """The file that the frames are taken from: most labelled frames, then most frames, then the first."""
    return max(told, key=lambda one: one.richness)


def _read(
    lake: Lake,
    uri: str,
    *,
    staged: StagedRun,
    part: str,
    resumption: Resumption | None,
    progress: Progress | None,
) -> ReadRun:
    bookmark = None if resumption is None else resumption.bookmark
    checks, faults = _stored(lake, resumption)
    n_stored = 0 if bookmark is None else bookmark.n_frames
    beginning = _beginning(uri)
    with open_run(uri, part=part, bookmark=bookmark) as reader:  # closed when read: its tables are large
        clock = _Clock(reader.header.time_step_fs, 0.0 if resumption is None else resumption.trajectory_start_fs)
        walk = _walk(lake, resumption, reader.header)
        for batch in _reported(reader, progress):
            time_fs, first_frame = clock.time_fs(batch), n_stored + staged.n_rows
            found = checks_of_batch(reader.header, batch, time_fs) | walk.follow(batch, time_fs)
            columns = staged_rows(batch, reader.header, first_frame=first_frame, time_fs=time_fs)
            columns |= {name: pa.array(found[name], from_pandas=True) for name in _STAGED_CHECKS}
            staged.append(columns)
            checks.append(found)
            faults.extend(batch.faults)
            del batch, columns  # before the next ones are read, so that memory is never asked for both
        if not _beginning(uri).startswith(beginning):
            raise TryAgainLater(
                f"{uri}: another calculation began to write this file while it was read.", "Run the same command again."
            )
        if not checks:
            raise UnreadableFile(f"{uri}: the file holds no frame.", "Leave it out, or check where it was cut.")
        return ReadRun(
            uri=uri,
            part=part,
            header=reader.header,
            outcome=reader.outcome,
            fingerprint=reader.fingerprint(),
            head_sha256=reader.head_sha256(),
            bookmark=reader.bookmark(),
            staged=staged,
            checks=joined(checks, (*CHECKED, "n_faults")),
            faults=faults,
            sample=walk.sample,
            resumed=resumption,
        )


def _stored(lake: Lake, resumption: Resumption | None) -> tuple[list[Columns], list[tuple[str, ...]]]:
    if resumption is None or resumption.bookmark.n_frames == 0:
        return [], []
    checks, faults = stored_checks(lake, resumption.run_id)
    n_final = resumption.bookmark.n_frames
    return [rows_of(checks, slice(n_final))], faults[:n_final]


def _walk(lake: Lake, resumption: Resumption | None, header: RunHeader) -> FrameWalk:
    if resumption is None:
        return FrameWalk(header.atomic_numbers)
    return FrameWalk.behind(lake, resumption.run_id, resumption.bookmark.n_frames, header.atomic_numbers)


def _reported(reader: RunReader, progress: Progress | None) -> Iterator[FrameBatch]:
    """Batches of a reader, each told to `progress` with the bytes of the raw file that it took."""
    n_before = 0
    for batch in reader.batches():
        n_bytes = reader.raw_bytes_read()
        if progress is not None:
            progress(batch.n_frames, n_bytes - n_before)
        n_before = n_bytes
        yield batch
        del batch


def checks_of_batch(header: RunHeader, batch: FrameBatch, time_fs: Floats) -> Columns:
    """What the gate looks at, of frames as a reader gives them, but for what a `FrameWalk` tells of them.

    Parameters
    ----------
    header
        Of their run.
    batch
        The frames.
    time_fs
        (n_frames,), fs; NaN when the run is not molecular dynamics.
    """
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
    unknown = np.full(batch.n_frames, np.nan)
    pressure, conserved = batch.printed_pressure_kbar, batch.conserved_energy_ev
    from_file = {
        "time_fs": time_fs,
        "energy_sigma0_ev": batch.energy_sigma0_ev,
        "energy_without_entropy_ev": batch.energy_without_entropy_ev,
        "virial_trace_ev": batch.virial_trace_ev,
        "printed_pressure_gpa": unknown if pressure is None else pressure * GPA_PER_KBAR,
        "temperature_k": batch.temperature_k,
        "conserved_energy_ev": unknown if conserved is None else conserved,
    }
    return checks | from_file | _told(batch) | {"scf_verdict": batch.scf_verdict}


def _told(batch: FrameBatch) -> Columns:
    """What files of one run are compared by."""
    return {
        "segment": batch.segment,
        "ionic_step": batch.ionic_step,
        "energy_ev": batch.energy_ev,
        "volume_angstrom3": volumes_angstrom3(batch.cell_angstrom),
        "label_source": batch.label_source,
        "n_faults": np.array([len(codes) for codes in batch.faults], dtype=np.int64),
    }


def _beginning(uri: str) -> bytes:
    """The first bytes of a file, in which VASP says when it was started; none for the folder of a simulation."""
    if is_folder(uri):
        return b""
    memory = memoryview(bytearray(_BEGINNING_BYTES))
    stream = open_raw(uri)
    try:
        return bytes(memory[: stream.readinto(memory)])
    finally:
        stream.close()


class _Clock:
    """Time axis of a run: the file's own count of ionic steps, going on where a restart begins to count again."""

    def __init__(self, time_step_fs: float | None, start_fs: float) -> None:
        self._time_step_fs = time_step_fs
        self._segment = 0
        self._offset_fs = self._last_fs = start_fs

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
