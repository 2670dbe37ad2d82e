"""Which run a file is: known already, grown since, or new. Reading frames belongs in `readers`."""

import hashlib
from pathlib import Path

from lake.delta import Lake
from schemas.expectations import GATE_VERSION
from schemas.frames import Fingerprint
from schemas.ids import N_DIGITS

READER_VERSION = 100 * 1 + GATE_VERSION
"""Rises when readers or rules change what they say of the same file; runs of an older version are read again."""

_CHUNK = 1 << 20


def known_unchanged(lake: Lake, path: Path) -> dict[str, object] | None:
    """The row in `runs` of a file with these very bytes, judged by today's readers and rules; None if there is none.

    The file is hashed only when the lake has a run of the same size.
    """
    if path.is_dir():
        return None
    candidates = [
        row
        for row in _runs(lake)
        if row["source_bytes"] == path.stat().st_size and row["reader_version"] == READER_VERSION
    ]
    if not candidates:
        return None
    digest = _sha256(path)
    return next((row for row in candidates if row["source_sha256"] == digest), None)


def run_name(lake: Lake, path: Path, fingerprint: Fingerprint) -> str:
    """Name of the run that a file tells of: the start of its content's sha256.

    A file that VASP is still writing keeps the name that it got when it was first seen: what was read then is
    still its beginning.
    """
    for row in _runs(lake):
        size = int(str(row["source_bytes"]))
        has_grown = row["source_uri"] == str(path) and size < fingerprint.raw_bytes
        if has_grown and _sha256(path, size) == row["source_sha256"]:
            return str(row["run_id"])
    return fingerprint.content_sha256[:N_DIGITS]


def _runs(lake: Lake) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = lake.rows("runs").to_pylist()
    return rows


def _sha256(path: Path, n_bytes: int | None = None) -> str:
    digest = hashlib.sha256()
    left = path.stat().st_size if n_bytes is None else n_bytes
    with path.open("rb") as file:
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
