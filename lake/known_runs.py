"""Which run a file is: known already, grown since, or new. Reading frames belongs in `readers`."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

from lake.delta import Lake
from lake.readers.containers import open_source
from schemas.expectations import GATE_VERSION
from schemas.frames import Fingerprint
from schemas.ids import N_DIGITS, content_id

READER_VERSION = 1
"""Rises when the readers change what they say of the same file; runs of an older version are read again."""

_CHUNK = 1 << 20
_SAME_ENERGY_EV = 1e-5
"""VASP's files print one energy with 6 or 8 decimals."""


def known_unchanged(lake: Lake, path: Path) -> dict[str, object] | None:
    """The row in `runs` of a file with these very bytes, judged by today's readers and rules; None if there is none.

    The file is hashed only when the lake has a run of the same size.
    """
    if path.is_dir():
        return None
    candidates = [
        row
        for row in _runs(lake)
        if row["source_bytes"] == path.stat().st_size
        and (row["reader_version"], row["gate_version"]) == (READER_VERSION, GATE_VERSION)
    ]
    if not candidates:
        return None
    digest = _sha256(path)
    return next((row for row in candidates if row["source_sha256"] == digest), None)


def run_name(
    lake: Lake,
    path: Path,
    fingerprint: Fingerprint,
    *,
    siblings: Sequence[Path] = (),
    first_energy_ev: float = math.nan,
) -> str:
    """Name of the run that a file tells of: the start of its content's sha256, unless the lake knows the run already.

    It does when it has this very content, from elsewhere or compressed; when this is the file of a run that VASP was
    still writing (what was read then is its beginning); and when another file of the same run was read before.

    Parameters
    ----------
    lake
        Where the known runs are.
    path
        The file that was read.
    fingerprint
        Its identity.
    siblings
        Files in its folder that should tell of the same run.
    first_energy_ev
        Energy of its first frame. VASP overwrites its files when it is started again in the same folder: a sibling
        whose run began otherwise tells of an earlier calculation, which stays.
    """
    rows = _runs(lake)
    same_content = [row for row in rows if row["content_sha256"] == fingerprint.content_sha256]
    grown = [row for row in rows if not row["complete"] and _is_beginning(row, path, fingerprint)]
    others = {str(sibling) for sibling in siblings} - {str(path)}
    told_before = [
        row for row in rows if row["source_uri"] in others and _began_with(lake, str(row["run_id"]), first_energy_ev)
    ]
    for row in (*same_content, *grown, *told_before):
        return str(row["run_id"])
    return fingerprint.content_sha256[:N_DIGITS]


def record_raw_files(lake: Lake, files: Sequence[Path], *, run_id: str) -> None:
    """Remember which run these files tell of, so that the landing zone knows them wherever the run's row points."""
    for path in files:
        key = content_id(str(path))
        row = {"path": str(path), "run_id": run_id}
        if lake.rows("raw_files", key=key, columns=["path", "run_id"]).to_pylist() != [row]:
            lake.replace("raw_files", key, [row])


def _began_with(lake: Lake, run_id: str, energy_ev: float) -> bool:
    batch = next(lake.frame_batches(run_id, ("energy_ev",)), None)
    stored = None if batch is None else batch.column("energy_ev")[0].as_py()
    return stored is not None and abs(stored - energy_ev) < _SAME_ENERGY_EV


def _is_beginning(row: dict[str, object], path: Path, fingerprint: Fingerprint) -> bool:
    """Whether what was read of a run is how this file begins, decompressed."""
    size = int(str(row["content_bytes"] or 0))
    if path.is_dir() or not 0 < size < fingerprint.content_bytes:
        return False
    return _content_sha256(path, size) == row["content_sha256"]


def _content_sha256(path: Path, n_bytes: int) -> str:
    digest, left = hashlib.sha256(), n_bytes
    scratch = memoryview(bytearray(_CHUNK))
    with open_source(path) as source:
        while left > 0 and (n := source.readinto(scratch[: min(_CHUNK, left)])):
            digest.update(scratch[:n])
            left -= n
    return digest.hexdigest()


def _runs(lake: Lake) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = lake.rows("runs").to_pylist()
    return rows


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
