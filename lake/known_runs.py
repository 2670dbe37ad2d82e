"""Which run a file is: known already, grown since, or new. Reading frames belongs in `readers`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lake.delta import Lake
from lake.raw_store import is_folder, open_raw, size_bytes
from schemas.frames import Bookmark, Fingerprint, Floats, Integers
from schemas.ids import content_id
from schemas.rows import Row, real, text, whole

READER_VERSION = 3
"""Rises when readers or the checks of single frames change what they say; files read by an older one are read again."""

_CHUNK = 1 << 20
SAME_ENERGY_EV = 1e-5
"""VASP's files print one energy with 6 or 8 decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A run that an earlier reading of a growing file made, and where in the file to go on."""

    run_id: str
    bookmark: Bookmark
    trajectory_start_fs: float


def raw_files_of(lake: Lake, uri: str) -> list[Row]:
    """What the lake remembers of a file: one row per run that it tells of."""
    rows: list[Row] = lake.rows("raw_files", key=content_id(uri)).to_pylist()
    return rows


def unchanged_runs(lake: Lake, files: Sequence[str]) -> list[Row] | None:
    """Rows in `runs` that these very files made, read by today's readers; None if anything is new.

    A file is hashed only when its size is the known one.
    """
    if any(is_folder(uri) for uri in files):
        return None
    known = [raw_files_of(lake, uri) for uri in files]
    if not all(known) or not all(map(_is_unchanged, files, known)):
        return None
    run_ids = dict.fromkeys(text(row, "run_id") for rows in known for row in rows)
    runs: list[Row] = [row for run_id in run_ids for row in lake.rows("runs", key=run_id).to_pylist()]
    is_whole = all(lake.n_rows("frames", text(row, "run_id")) == row["n_frames"] for row in runs)
    return runs if is_whole and len(runs) == len(run_ids) else None


def _is_unchanged(uri: str, known: Sequence[Row]) -> bool:
    row = known[0]
    if row["reader_version"] != READER_VERSION:
        return False
    try:
        return row["source_bytes"] == size_bytes(uri) and row["source_sha256"] == _sha256(uri)
    except OSError:
        return False  # it is told when the file is read


def resumption_of(lake: Lake, uri: str) -> Resumption | None:
    """Where to go on in a file that was read before; None when it has to be read from its beginning."""
    for row in raw_files_of(lake, uri):
        run_id = text(row, "run_id")
        [run] = lake.rows("runs", key=run_id).to_pylist() or [{}]
        if (
            row["resume_offset"] is not None
            and row["reader_version"] == run.get("reader_version") == READER_VERSION
            and (run["source_uri"], run["content_sha256"]) == (uri, row["content_sha256"])
            and run["n_stored_elsewhere"] == 0
            and lake.n_rows("frames", run_id) >= whole(row, "resume_n_frames")
        ):
            start_fs = real(run, "trajectory_start_fs", if_null=0.0)
            return Resumption(run_id=run_id, bookmark=_bookmark(row), trajectory_start_fs=start_fs)
    return None


def remember_file(lake: Lake, uri: str, *, runs: Sequence[str], about: Row, bookmark: Bookmark | None = None) -> None:
    """Remember which runs a file tells of and how it looked, so that the same file is not read twice.

    Parameters
    ----------
    about
        `source_format`, and of a file that could be read the columns that `file_facts` makes.
    bookmark
        Where to go on when it has grown; for a file that holds one run.
    """
    resume: Row = {}
    if bookmark is not None:
        resume = {
            "resume_offset": bookmark.offset,
            "resume_n_frames": bookmark.n_frames,
            "parser_state": json.dumps(bookmark.parser_state, sort_keys=True),
        }
    rows = [{"path": uri, "run_id": run_id, "reader_version": READER_VERSION, **about, **resume} for run_id in runs]
    kept = lake.rows("raw_files", key=content_id(uri)).to_pylist()
    nothing = dict.fromkeys(kept[0]) if kept else {}
    if kept != [{**nothing, "key": content_id(uri), **row} for row in rows]:
        lake.replace("raw_files", content_id(uri), rows)


def file_facts(source_format: str, fingerprint: Fingerprint) -> Row:
    """Columns of `raw_files` and `runs` that say which bytes were read."""
    return {
        "source_format": source_format,
        "source_sha256": fingerprint.raw_sha256,
        "source_bytes": fingerprint.raw_bytes,
        "content_sha256": fingerprint.content_sha256,
        "content_bytes": fingerprint.content_bytes,
    }


def run_name(lake: Lake, content_ids: Sequence[str], *, head_sha256: str) -> str:
    """Name of the run that a file tells of: how it begins, so that a growing file keeps its name.

    Two calculations may begin alike (replicas in an XDATCAR, which prints no velocities): then the first frame in
    which they differ goes into the name of the later one.

    Parameters
    ----------
    lake
        Where the known runs are.
    content_ids
        One per frame of the file.
    head_sha256
        Of what stands before the first frame.
    """
    name = content_id([head_sha256, content_ids[0]])
    while (differing := first_difference(lake, name, content_ids)) is not None:
        name = content_id([name, content_ids[differing]])
    return name


def run_told_before(lake: Lake, files: Sequence[str], ionic_step: Integers, energy_ev: Floats) -> str | None:
    """The run that one of these files made before, if it has the energies that are told now.

    VASP overwrites its files when it is started again in the same folder: a file whose run went otherwise told of an
    earlier calculation, which stays.

    Parameters
    ----------
    lake
        Where the known runs are.
    files
        The file and those beside it that tell of the same run.
    ionic_step
        (n_frames,), as counted by the file.
    energy_ev
        (n_frames,), eV.
    """
    told = dict(zip(ionic_step.tolist(), energy_ev.tolist(), strict=True))
    for uri in files:
        for row in raw_files_of(lake, uri):
            if _has_energies(lake, text(row, "run_id"), told):
                return text(row, "run_id")
    return None


def run_named_otherwise(lake: Lake, known: Row, ionic_step: Integers, energy_ev: Floats) -> str | None:
    """The run that a file tells of, stored under a name that an older reader gave it; None if there is none.

    Readers of version 1 named a run by the whole content of its file.

    Parameters
    ----------
    lake
        Where the known runs are.
    known
        Of the file, `formula`, `source_format` and `content_sha256` as in `runs`.
    ionic_step, energy_ev
        (n_frames,), as for `run_told_before`.
    """
    told = dict(zip(ionic_step.tolist(), energy_ev.tolist(), strict=True))
    columns = ("run_id", "reader_version", *known)
    for row in lake.rows("runs", columns=columns).to_pylist():
        differing = {name for name in known if row[name] != known[name]}
        run_id = text(row, "run_id")
        # A run keeps its old name when it is read again.
        is_old = whole(row, "reader_version", if_null=0) < READER_VERSION
        is_old = is_old or str(row["content_sha256"]).startswith(run_id)
        if (not differing or (is_old and differing == {"content_sha256"})) and _has_energies(lake, run_id, told):
            return run_id
    return None


def first_difference(lake: Lake, run_id: str, content_ids: Sequence[str]) -> int | None:
    """The first frame in which a stored run is another one; None where one is the beginning of the other."""
    for index, (one, other) in enumerate(zip(_content_ids(lake, run_id), content_ids, strict=False)):
        if one is not None and one != other:
            return index
    return None


def _has_energies(lake: Lake, run_id: str, told: Mapping[int, float]) -> bool:
    steps, energies = (_column(lake, run_id, name) for name in ("ionic_step", "energy_ev"))
    common = [(energy, told[step]) for step, energy in zip(steps, energies, strict=True) if step in told]
    return bool(common) and all(one is not None and abs(one - other) < SAME_ENERGY_EV for one, other in common)


def _content_ids(lake: Lake, run_id: str) -> list[str | None]:
    """Names of all frames that the run's file had, those that are stored with other runs in their places."""
    names: list[str | None] = _column(lake, run_id, "content_id")
    here = set(names)
    elsewhere = [row for row in lake.rows("repeated_frames", key=run_id).to_pylist() if row["content_id"] not in here]
    for row in sorted(elsewhere, key=lambda row: whole(row, "place")):
        names.insert(whole(row, "place"), text(row, "content_id"))
    return names


def _column(lake: Lake, run_id: str, name: str) -> list[Any]:
    batches = lake.frame_batches(run_id, (name,))
    return [value for batch in batches for value in batch.column(name).to_pylist()]


def _bookmark(row: Row) -> Bookmark:
    return Bookmark(
        offset=whole(row, "resume_offset"),
        n_frames=whole(row, "resume_n_frames"),
        parser_state=json.loads(text(row, "parser_state")),
        content_bytes=whole(row, "content_bytes"),
        content_sha256=text(row, "content_sha256"),
    )


def _sha256(uri: str) -> str:
    digest, scratch = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    stream = open_raw(uri)
    try:
        while n := stream.readinto(scratch):
            digest.update(scratch[:n])
    finally:
        stream.close()
    return digest.hexdigest()
