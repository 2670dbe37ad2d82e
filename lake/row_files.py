"""Files of rows on their way into and out of a table, wherever it lies. Their encoding belongs in `parquet`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from lake.delta_log import RowFile, TableLog
from lake.object_store import told_as_a_sentence
from lake.parquet import write_parquet

UPLOAD = "upload-"
"""How names of folders begin that hold a file on its way to a bucket."""
_MOST_ROWS_AT_ONCE = 64
_BYTES_AT_ONCE = 2_000_000
"""64 rows of positions and forces at 512 atoms, 20 of positions at 4096: still in the cache when they are used."""
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def write_row_file(
    log: TableLog,
    partition: Mapping[str, str],
    batches: Iterable[pa.RecordBatch | pa.Table],
    *,
    first_row: int,
    scratch: Path,
) -> RowFile:
    """Write rows where no reader looks until a commit names their file.

    Parameters
    ----------
    log
        The table; made when absent.
    partition
        Value of every partition column.
    batches
        Batches or tables of `Table.file_schema`, one row group each.
    first_row
        How many rows of the key lie in files before this one.
    scratch
        Folder on this machine, for a file on its way to a bucket.

    Raises
    ------
    MeltlakeError
        If a newer meltlake wrote the table.
    """
    description = log.description
    for value in partition.values():
        if not _SAFE_NAME.fullmatch(value):
            raise ValueError(f"{description.name}: partition value {value!r} has a character that a path must not have")
    log.create()
    folder = "/".join(f"{name}={partition[name]}" for name in description.partitions)
    with _folder_for(log, folder, scratch) as here:
        written = write_parquet(here, description.file_schema, batches, first_row=first_row)
        path = f"{folder}/{written.path.name}"
        if log.place.is_remote:
            log.place.receive(written.path, path)
    return RowFile(path, written.n_rows, written.n_bytes, dict(partition))


def read_row_file(
    log: TableLog, row_file: RowFile, columns: Sequence[str], *, start: int = 0, stop: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Columns of a file's rows `start` to `stop`, a few at a time; null where the file is too old to have one.

    What lies outside the range is not read.
    """
    stop = row_file.n_rows if stop is None else min(stop, row_file.n_rows)
    if start >= stop:
        return
    types = log.description.file_schema
    with told_as_a_sentence(log.place.address):
        file = pq.ParquetFile(f"{log.place.path}/{row_file.path}", filesystem=log.place.file_system)
        present = set(file.schema_arrow.names)
        wanted = [name for name in columns if name in present]
        first = 0
        for group in range(file.num_row_groups):
            after = first + file.metadata.row_group(group).num_rows
            if max(start, first) < min(stop, after):
                # One thread: several decode ahead of what is used, and memory grows by what they hold.
                at_once = _rows_at_once(file.metadata.row_group(group), wanted)
                for found in file.iter_batches(at_once, row_groups=[group], columns=wanted, use_threads=False):
                    low, high = max(start - first, 0), min(stop - first, found.num_rows)
                    if low < high:
                        rows = found.slice(low, high - low)
                        arrays = [
                            rows.column(name) if name in present else pa.nulls(rows.num_rows, types.field(name).type)
                            for name in columns
                        ]
                        yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
                    first += found.num_rows
            first = after


def has_nulls(log: TableLog, row_file: RowFile, column: str) -> bool:
    """Whether a row of a file has no value, or a list with one missing; told by what the file says of itself if it can.

    A file that is too old to have the column has nothing else.
    """
    with told_as_a_sentence(log.place.address):
        file = pq.ParquetFile(f"{log.place.path}/{row_file.path}", filesystem=log.place.file_system)
        if column not in file.schema_arrow.names:
            return True
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    parts = [group.column(number) for group in groups for number in range(group.num_columns)]
    told = [part.statistics for part in parts if part.path_in_schema.split(".")[0] == column]
    if all(one is not None and one.has_null_count for one in told):
        return any(one.null_count for one in told)
    return any(batch.column(0).null_count for batch in read_row_file(log, row_file, [column]))


def _rows_at_once(group: pq.RowGroupMetaData, columns: Sequence[str]) -> int:
    parts = (group.column(number) for number in range(group.num_columns))
    n_bytes = sum(part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] in columns)
    return int(min(_MOST_ROWS_AT_ONCE, max(1, _BYTES_AT_ONCE * group.num_rows // max(1, n_bytes))))


@contextmanager
def _folder_for(log: TableLog, folder: str, scratch: Path) -> Iterator[Path]:
    if not log.place.is_remote:
        yield Path(log.place.address, folder)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix=UPLOAD) as here:
        yield Path(here)
