"""Compaction: a key whose rows were appended file by file has them in one file again. Deleting belongs in `vacuum`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from lake.delta import Lake
from lake.delta_log import Change, Overtaken, RowFile, TableLog
from lake.frames import row_groups
from lake.parquet import ROWS_PER_GROUP
from lake.row_files import read_row_file, write_row_file
from schemas.errors import TryAgainLater
from schemas.tables import TABLES


@dataclass(frozen=True, slots=True)
class CompactedKey:
    """A key whose rows now lie in one file."""

    table: str
    key: str
    n_rows: int
    n_files_before: int
    n_bytes_before: int
    n_bytes: int


def compact(lake: Lake, table: str, key: str | None = None) -> list[CompactedKey]:
    """Write every key that lies in several files, or one such key, as one file: the same rows in the same order.

    The files of before stay where they are for older versions, until they are vacuumed. A key that somebody writes at
    the same time is left for the next compaction.

    Parameters
    ----------
    lake
        The lake.
    table
        Name of the table.
    key
        The one key to compact; every key if not given.
    """
    by_key: dict[str, list[RowFile]] = {}
    for file in lake.log(table).files(key=key):
        by_key.setdefault(file.partition[TABLES[table].key], []).append(file)
    done: list[CompactedKey] = []
    for found, files in by_key.items():
        if len(files) > 1 and all(file.partition == files[0].partition for file in files):
            with suppress(TryAgainLater, Overtaken), lake.writing(found, doing=f"writing {found}", wait_s=0):
                done.append(_compact_key(lake, table, found, files))
    return done


def _compact_key(lake: Lake, table: str, key: str, files: Sequence[RowFile]) -> CompactedKey:
    log = lake.log(table)
    rows = row_groups(_batches(log, files), ROWS_PER_GROUP)
    merged = write_row_file(log, files[0].partition, rows, first_row=0, scratch=lake.scratch)
    if not _same_rows(_batches(log, files), _batches(log, [merged])):
        raise RuntimeError(f"{table}: the compacted file of {key} has other rows than the files that it was made of")

    def instead_of_these(current: Sequence[RowFile]) -> Change:
        if [file.path for file in current] != [file.path for file in files]:
            raise Overtaken
        return Change(adds=(merged,), removes=tuple(files), same_rows=True)

    log.commit(key, instead_of_these)
    return CompactedKey(table, key, merged.n_rows, len(files), sum(file.n_bytes for file in files), merged.n_bytes)


def _batches(log: TableLog, files: Sequence[RowFile]) -> Iterator[pa.RecordBatch]:
    names = log.description.file_schema.names
    return chain.from_iterable(read_row_file(log, file, names) for file in files)


def _same_rows(before: Iterable[pa.RecordBatch], after: Iterable[pa.RecordBatch]) -> bool:
    """Whether two streams hold the same rows bit by bit, however they are cut into batches; NaN equals itself."""
    left, right = (row_groups(map(_as_bits, stream), ROWS_PER_GROUP) for stream in (before, after))
    return all(one == other for one, other in zip(left, right, strict=True))


def _as_bits(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [column.view(_bits(column.type)) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _bits(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_list(type_):
        return pa.list_(pa.field("element", _bits(type_.value_type)))
    return pa.int64() if pa.types.is_float64(type_) else type_
