"""One Parquet file: written once under its content's name, durable before it is named. Commits belong in `delta`."""

import hashlib
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 256
"""Frames per row group: 3 MB per vector column at 512 atoms, the knee of read and write speed."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that lies in its folder and that no commit refers to yet."""

    path: Path
    n_rows: int
    n_bytes: int


def write_parquet(
    folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch | pa.Table], *, first_row: int = 0
) -> WrittenFile:
    """Write batches as one file `<first row, 9 digits>-<sha256 of its bytes, 20 digits>.parquet`, a row group each.

    The file appears under its final name only when it is whole and on the disk.

    Parameters
    ----------
    folder
        Where; made when absent.
    schema
        Columns of the file.
    batches
        Its rows.
    first_row
        How many rows of the same key lie in files before this one: so names sort as rows do.
    """
    make_folder(folder)
    unfinished = folder / f".{uuid.uuid4().hex}.tmp"
    n_rows = 0
    try:
        with pq.ParquetWriter(unfinished, schema, **_encoding(schema)) as writer:
            for batch in batches:
                writer.write(batch)
                n_rows += batch.num_rows
                del batch  # before the next one is made: two of them would be in memory
        pa.default_memory_pool().release_unused()
        with unfinished.open("rb") as file:
            name = f"{first_row:09d}-{hashlib.file_digest(file, 'sha256').hexdigest()[:20]}.parquet"
        n_bytes = unfinished.stat().st_size
        flush_to_disk(unfinished)
        unfinished.replace(folder / name)
    finally:
        unfinished.unlink(missing_ok=True)
    flush_to_disk(folder)
    return WrittenFile(folder / name, n_rows, n_bytes)


def flush_to_disk(*paths: Path) -> None:
    """Fsync files or folders: a power cut after this loses nothing of them."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that a power cut after this loses none of them."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    flush_to_disk(*{parent.parent for parent in missing})


def _encoding(schema: pa.Schema) -> dict[str, object]:
    # BYTE_STREAM_SPLIT makes zstd useful on floats; a dictionary over them grows the file and slows the
    # writing tenfold. On integers DuckDB cannot read it (duckdb issue 17114), so those keep the dictionary.
    floats: list[str] = []
    others: list[str] = []
    for column in schema:
        is_list = pa.types.is_list(column.type)
        leaf = f"{column.name}.list.element" if is_list else column.name
        value_type = column.type.value_type if is_list else column.type
        (floats if pa.types.is_floating(value_type) else others).append(leaf)
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": others or False,
        "column_encoding": dict.fromkeys(floats, "BYTE_STREAM_SPLIT") or None,
    }
