"""Vacuum: files that no version of interest refers to are deleted. Making one file of many belongs in `compaction`."""

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lake.delta import Lake
from lake.delta_log import TableLog
from lake.row_files import UPLOAD
from lake.staging import sweep
from schemas.tables import TABLES

_STAGING = "_staging"
_S_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """A file that was deleted, or would be."""

    table: str
    """The table it belonged to; `_staging` for what a killed command left before it had rows."""
    path: str
    """Below the table."""
    n_bytes: int


def pinned_versions(lake: Lake) -> dict[str, set[int]]:
    """By table, every version that a row of the lake refers to: those that training sets were made of, or found at."""
    columns = [
        lake.rows(table, columns=["lake_version"])["lake_version"]
        for table in ("training_sets", "training_set_requests")
    ]
    return {"frames": {version for column in columns for version in column.drop_null().to_pylist()}}


def vacuum(
    lake: Lake, *, keep_versions: Mapping[str, set[int]], older_than_hours: int, dry_run: bool
) -> list[DeletedFile]:
    """Delete what neither a current version, nor a pinned one, nor one of `keep_versions` refers to.

    Versions that are neither cannot be read any more afterwards. The log keeps all of them.

    Parameters
    ----------
    lake
        The lake.
    keep_versions
        By table, versions to keep besides the current and the pinned ones, for example those that a published
        warehouse has its views on.
    older_than_hours
        Files that were replaced or written later stay: a query may still read them, and an ingest that is running may
        not have committed them yet.
    dry_run
        Delete nothing, only tell.
    """
    pinned = pinned_versions(lake)
    deleted: list[DeletedFile] = []
    for name in TABLES:
        log = lake.log(name)
        if not log.exists():
            continue
        kept = {*pinned.get(name, ()), *keep_versions.get(name, ())}
        deleted.extend(
            file
            for file in _unreferenced(log, kept, older_than_hours)
            if dry_run or log.place.delete(file.path, older_than_s=older_than_hours * _S_PER_HOUR)
        )
    return [*deleted, *_left_in_scratch(lake.scratch, older_than_hours, dry_run=dry_run)]


def _unreferenced(log: TableLog, kept: set[int], older_than_hours: int) -> Iterator[DeletedFile]:
    proposed = log.unreferenced(kept, older_than_hours=older_than_hours)
    for stored in log.place.stored():
        if stored.path in proposed and stored.age_s >= older_than_hours * _S_PER_HOUR:
            yield DeletedFile(log.description.name, stored.path, stored.n_bytes)


def _left_in_scratch(scratch: Path, older_than_hours: int, *, dry_run: bool) -> Iterator[DeletedFile]:
    """What commands that were killed left on this machine before a commit."""
    if not scratch.is_dir():
        return
    oldest_kept = time.time() - older_than_hours * _S_PER_HOUR
    for path, n_bytes in sweep(scratch, dry_run=dry_run):
        yield DeletedFile(_STAGING, path.name, n_bytes)
    for folder in sorted(scratch.glob(f"{UPLOAD}*")):
        if folder.stat().st_mtime < oldest_kept:
            n_bytes = sum(path.stat().st_size for path in folder.rglob("*"))
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
            yield DeletedFile(_STAGING, folder.name, n_bytes)
