"""The verb `raw verify`: proof, by reading them again, that the lake has every frame of a run's raw files.

It compares; it stores nothing and deletes nothing. Equality is that of `frame_digests`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from lake.inventory import stored_bytes
from lake.known_runs import READER_VERSION
from lake.raw_store import is_file, is_folder
from operators.log import log
from operators.runs.frame_digests import QUANTITIES, Digests, KnownFrames, frame_digests, without_steps
from operators.runs.reread import Reread, reread
from operators.runs.stored_run import StoredRun
from schemas.errors import MeltlakeError, UnreadableFile
from schemas.rows import Row, whole
from schemas.settings import Settings

_MOST_EXAMPLES = 3
_TOLD_APART = ("problem", "remedy")
_INGEST_AGAIN = "Run `meltlake ingest {path}`, then verify again."
_KEEP = "Keep it; or copy it into a folder of its own and ingest that, so that it becomes a run of its own."
"""For a file that was compared with the one that the frames come from: to ingest it again would change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerdict:
    """What became of the frames of one raw file."""

    path: str
    verdict: str
    """`proven`: every frame is in the lake, bit for bit. `other_digits`: every frame is, but some only as another file
    or a restart tells them. Otherwise what is wrong: `missing`, `changed`, `unreadable` or `frames_missing`."""
    complete: bool = False
    """The file ends where its program ends it."""
    raw_bytes: int = 0
    n_frames: int = 0
    n_in_run: int = 0
    """Frames that are stored with the run."""
    n_elsewhere: int = 0
    """Frames that are stored with another run of its chain, bit for bit."""
    n_in_other_digits: int = 0
    """Frames that are stored as another file tells them, or as a restart computed them again."""
    missing_frames: str = ""
    """Positions of frames that the lake does not have, from 0; one part after the other in a file of several runs."""
    problem: str = ""
    remedy: str = ""


def raw_verify(settings: Settings, run_id: str) -> dict[str, object]:
    """Compare the raw files of a run with the lake.

    Returns
    -------
    dict
        `complete`: every frame of the file that the run comes from is proven, and that file is not half-written.
        `raw_bytes`: what deleting the proven files frees. `problems`: what a person must act on.

    Raises
    ------
    MeltlakeError
        If the lake does not have the run, or an older version of the readers read it.
    """
    lake = Lake(settings.lake)
    run = _run(lake, run_id)
    raw_files = _raw_files(lake, run)
    known = KnownFrames.of(list(_stored_digests(lake, {run_id, *_runs_told(lake, raw_files)})))
    verdicts = _without_moved([_verdict(lake, run, row, known) for row in raw_files], raw_files)
    proven = [one for one in verdicts if one.verdict == "proven"]
    problems = [{"problem": one.problem, "remedy": one.remedy} for one in verdicts if one.problem]
    answer = {
        "run_id": run_id,
        "complete": not problems and verdicts[0].verdict == "proven" and verdicts[0].complete,
        "raw_bytes": sum(one.raw_bytes for one in proven),
        "lake_bytes": stored_bytes(lake, "frames", run_id),
        "n_frames": run["n_frames"],
        "n_stored_elsewhere": whole(run, "n_stored_elsewhere", if_null=0),
    }
    log.info("raw verify", **answer)
    files = [{name: value for name, value in asdict(one).items() if name not in _TOLD_APART} for one in verdicts]
    return {**answer, "files": files, "problems": problems}


def _without_moved(verdicts: Sequence[FileVerdict], raw_files: Sequence[Row]) -> list[FileVerdict]:
    """All but files that are gone and lie, byte for byte, proven at another address."""
    sha256 = {str(row["path"]): row["source_sha256"] for row in raw_files}
    proven = {sha256[one.path] for one in verdicts if one.verdict == "proven"}
    return [one for one in verdicts if one.verdict != "missing" or sha256[one.path] not in proven]


def _run(lake: Lake, run_id: str) -> Row:
    found: list[Row] = lake.rows("runs", key=run_id).to_pylist()
    if not found:
        raise MeltlakeError(
            f"The lake's table runs has no {run_id}.",
            "`meltlake sql 'select run_id, source_uri from runs'` lists them.",
        )
    if found[0]["reader_version"] != READER_VERSION:
        raise MeltlakeError(
            f"Run {run_id} was read by version {found[0]['reader_version']} of the readers, today's is "
            f"{READER_VERSION}: their numbers cannot be compared.",
            _INGEST_AGAIN.format(path=found[0]["source_uri"]),
        )
    return found[0]


def _raw_files(lake: Lake, run: Row) -> list[Row]:
    """Files that tell of the run, that first which its frames come from; a simulation's folder is in no table."""
    rows: list[Row] = [row for row in lake.rows("raw_files").to_pylist() if row["run_id"] == run["run_id"]]
    if all(row["path"] != run["source_uri"] for row in rows):
        rows.append({"path": run["source_uri"], "source_sha256": run["source_sha256"]})
    return sorted(rows, key=lambda row: (row["path"] != run["source_uri"], str(row["path"])))


def _runs_told(lake: Lake, raw_files: Sequence[Row]) -> set[str]:
    """Other runs that the same files tell of: a file whose atoms change on the way holds several."""
    paths = {row["path"] for row in raw_files}
    return {str(row["run_id"]) for row in lake.rows("raw_files").to_pylist() if row["path"] in paths}


def _stored_digests(lake: Lake, run_ids: set[str]) -> Iterator[Digests]:
    for run_id in sorted(run_ids):
        for batch in lake.frame_batches(run_id, QUANTITIES):
            yield frame_digests({name: batch.column(name) for name in QUANTITIES})


def _verdict(lake: Lake, run: Row, raw_file: Row, known: KnownFrames) -> FileVerdict:
    path = str(raw_file["path"])
    if not (is_file(path) or is_folder(path)):
        return FileVerdict(
            path=path,
            verdict="missing",
            problem=f"{path}: needed the raw file of run {run['run_id']}, found nothing.",
            remedy="If it was moved, ingest it where it lies now; if it was deleted, there is nothing to prove.",
        )
    try:
        read = reread(path, known, n_kept=whole(run, "n_stored_elsewhere", if_null=0))
    except UnreadableFile as error:
        return FileVerdict(path=path, verdict="unreadable", problem=error.problem, remedy=error.remedy)
    if read.fingerprint.raw_sha256 != raw_file["source_sha256"]:
        return FileVerdict(
            path=path,
            verdict="changed",
            complete=read.complete,
            raw_bytes=read.fingerprint.raw_bytes,
            n_frames=len(read.digests),
            problem=f"{path} has changed since it was ingested: its checksum is not the stored one.",
            remedy=_INGEST_AGAIN.format(path=path),
        )
    return _compared(lake, run, path, read, known)


def _compared(lake: Lake, run: Row, path: str, read: Reread, known: KnownFrames) -> FileVerdict:
    elsewhere, alike = _found_elsewhere(lake, run, read)
    if path != run["source_uri"]:  # a file beside it prints other digits of the same steps
        alike |= read.unknown & ~elsewhere & known.has_steps(read.digests)
    missing = read.unknown & ~elsewhere & ~alike
    return FileVerdict(
        path=path,
        verdict="frames_missing" if missing.any() else "other_digits" if alike.any() else "proven",
        complete=read.complete,
        raw_bytes=read.fingerprint.raw_bytes,
        n_frames=len(missing),
        n_in_run=int((~read.unknown).sum()),
        n_elsewhere=int(elsewhere.sum()),
        n_in_other_digits=int(alike.sum()),
        missing_frames=_ranges(missing),
        problem=_problem(path, read, missing, known) if missing.any() else "",
        remedy=_remedy(run, path) if missing.any() else "",
    )


def _remedy(run: Row, path: str) -> str:
    return _INGEST_AGAIN.format(path=path) if path == run["source_uri"] else _KEEP


def _found_elsewhere(lake: Lake, run: Row, read: Reread) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n_frames,) each: unknown frames that other runs of these atoms have bit for bit, and kept ones alike."""
    exact, alike = np.zeros_like(read.unknown), np.zeros_like(read.unknown)
    if read.unknown.any():
        rows = [row for row in lake.rows("runs").to_pylist() if row["formula"] == run["formula"] and row["n_frames"]]
        others = [StoredRun(lake, row) for row in rows if row["run_id"] != run["run_id"]]
        known = KnownFrames.of([*map(without_steps, _stored_digests(lake, {other.run_id for other in others}))])
        exact[read.unknown] = known.has(without_steps(read.digests[read.unknown]))
        for position, frame in read.kept.items():
            alike[position] = not exact[position] and frame.is_in(others)
    return exact, alike


def _problem(path: str, read: Reread, missing: NDArray[np.bool_], known: KnownFrames) -> str:
    told = []
    for row in np.flatnonzero(missing)[:_MOST_EXAMPLES]:
        differs = ", ".join(known.differences(read.digests[row]))
        told.append(f"frame {row} differs in {differs}" if differs else f"frame {row} is not there")
    more = "; ..." if missing.sum() > _MOST_EXAMPLES else ""
    count = f"{missing.sum()} of {len(missing)} frames are not in the lake as they stand there"
    return f"{path}: {count} ({_ranges(missing)}): {'; '.join(told)}{more}."


def _ranges(rows: NDArray[np.bool_]) -> str:
    """Positions as a person writes them: `4, 7-9`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8))).reshape(-1, 2)
    return ", ".join(f"{first}" if last == first + 1 else f"{first}-{last - 1}" for first, last in edges)
