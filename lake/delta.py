"""The one door to Delta: tables whose rows are replaced by key, exactly once. Encoding belongs in `parquet`.

Every file of a table lies in the partition of its key, so that replacing a key is one commit that swaps whole files.
"""

import json
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import deltalake as dl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from lake.parquet import WrittenFile, flush_to_disk, write_parquet
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.tables import TABLES, Table

_SAFE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_COMMIT_ATTEMPTS = 60
_LONGEST_PAUSE_S = 0.1
_TABLE_SETTINGS = {
    # A pinned version must open for ever; Delta's default forgets its log after 30 days.
    "delta.logRetentionDuration": "interval 36500 days",
    # Files of an ingest that has not committed yet must outlive any vacuum.
    "delta.deletedFileRetentionDuration": "interval 30 days",
}


class Lake:
    """All Delta tables below one folder."""

    def __init__(self, root: str) -> None:
        if "://" in root:
            raise MeltlakeError(f"{root}: lakes in a bucket are not supported yet.", "Use a folder on this machine.")
        if "%" in root:  # delta-rs decodes it once too often
            raise MeltlakeError(f"{root}: a lake's path must not contain `%`.", "Choose another folder.")
        self.root = Path(root)

    def version(self, table: str = "frames") -> int:
        """Current version of a table; -1 while nothing was written."""
        location = self._location(table)
        return _open(location).version() if _exists(location) else -1

    def replace(self, table: str, key: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Make these rows the only ones of `key`, exactly once; returns the version of the table that has them."""
        batch = pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[table].file_schema)
        return self.replace_batches(table, {TABLES[table].key: key}, batch.to_batches())

    def replace_batches(self, table: str, partition: Mapping[str, str], batches: Iterable[pa.RecordBatch]) -> int:
        """The same for rows that come in batches, one row group each.

        Parameters
        ----------
        table
            Name of the table.
        partition
            Value of every partition column; the table's key is one of them.
        batches
            Batches of `Table.file_schema`.

        Raises
        ------
        TryAgainLater
            If other writers won every attempt.
        """
        description = TABLES[table]
        for value in partition.values():
            if not _SAFE_NAME.fullmatch(value):
                raise ValueError(f"{table}: partition value {value!r} has a character that a path must not have")
        location = self._location(table)
        _create(location, description)
        folder = location.joinpath(*(f"{name}={partition[name]}" for name in description.partitions))
        written = write_parquet(folder, description.file_schema, batches)
        return _commit(location, description, partition, written)

    def rows(
        self,
        table: str,
        *,
        key: str | None = None,
        version: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows of a table, all or those of one key. A table that was never written has none."""
        description = TABLES[table]
        files = self.files(table, key=key, version=version)
        if not files:
            return description.arrow_schema.empty_table().select(columns or description.arrow_schema.names)
        partitioning = pads.partitioning(
            pa.schema([description.arrow_schema.field(name) for name in description.partitions]),
            flavor="hive",
        )
        location = self._location(table)
        dataset = pads.dataset(
            files,
            schema=description.arrow_schema,
            partitioning=partitioning,
            partition_base_dir=str(location),
        )
        return dataset.to_table(columns=columns)

    def keys(self, table: str, *, version: int | None = None) -> list[str]:
        """Every key that has rows."""
        marker = f"{TABLES[table].key}="
        parts = (part for file in self.files(table, version=version) for part in Path(file).parts)
        return sorted({part.removeprefix(marker) for part in parts if part.startswith(marker)})

    def files(self, table: str, *, key: str | None = None, version: int | None = None) -> list[str]:
        """Parquet files of a table's version, absolute paths, sorted."""
        location = self._location(table)
        if not _exists(location):
            return []
        predicate = None if key is None else [(TABLES[table].key, "=", key)]
        handle = _open(location, version)
        return sorted(str(path) for path in _paths(location, handle, predicate))

    def frame_batches(
        self, run_id: str, columns: Sequence[str], *, version: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Columns of a run's frames, in frame order, one row group at a time."""
        for path in self.files("frames", key=run_id, version=version):
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, columns=list(columns)).combine_chunks().to_batches()

    def _location(self, table: str) -> Path:
        if table not in TABLES:
            raise ValueError(f"{table!r} is not a table of the lake")
        return (self.root / table).absolute()


def _exists(location: Path) -> bool:
    return (location / "_delta_log").is_dir() and dl.DeltaTable.is_deltatable(location.as_uri())


def _open(location: Path, version: int | None = None) -> dl.DeltaTable:
    # As a URI: in a plain path delta-rs takes `%20` for a blank and `#` for the end.
    try:
        return dl.DeltaTable(location.as_uri(), version=version)
    except DeltaError as error:
        raise MeltlakeError(
            f"{location}: needed a Delta table{'' if version is None else f' with version {version}'}, found: {error}",
            "If the version is right, the table is damaged: restore `_delta_log` from a backup.",
        ) from error


def _paths(location: Path, handle: dl.DeltaTable, predicate: list[tuple[str, str, str]] | None) -> list[Path]:
    root = location.as_uri() + "/"
    uris = handle.file_uris(file_pruning_predicate=predicate)
    return [location / unquote(uri.removeprefix(root).removeprefix(f"{location}/")) for uri in uris]


def _create(location: Path, description: Table) -> None:
    if _exists(location):
        return
    location.mkdir(parents=True, exist_ok=True)
    with suppress(CommitFailedError):  # another process created it first
        dl.DeltaTable.create(
            location.as_uri(),
            schema=dl.Schema.from_arrow(description.arrow_schema),
            partition_by=list(description.partitions),
            mode="ignore",
            configuration=_TABLE_SETTINGS,
        )


def _commit(location: Path, description: Table, partition: Mapping[str, str], written: WrittenFile) -> int:
    key = partition[description.key]
    of_key = [(description.key, "=", key)]
    application = f"{description.key}:{key}"
    add = AddAction(
        str(written.path.relative_to(location)),
        written.n_bytes,
        dict(partition),
        int(time.time() * 1000),
        True,  # noqa: FBT003  # data_change, positional in delta-rs
        json.dumps({"numRecords": written.n_rows}),
    )
    for _ in range(_COMMIT_ATTEMPTS):
        handle = _open(location)
        current = _paths(location, handle, of_key)
        if current == [written.path]:
            return handle.version()
        # The transaction makes two writers that read the same version exclude each other; without it,
        # both first ingests of a run would be kept.
        number = (handle.transaction_version(application) or 0) + 1
        properties = dl.CommitProperties(
            app_transactions=[dl.Transaction(application, number)], custom_metadata={description.key: key}
        )
        try:
            handle.create_write_transaction(
                [add],
                "overwrite",
                handle.schema(),
                list(description.partitions),
                of_key,
                commit_properties=properties,
            )
        except CommitFailedError:
            time.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311  # a pause, not a secret
            continue
        return _make_durable(location, handle)
    raise TryAgainLater(
        f"Table {description.name}: other writers won {_COMMIT_ATTEMPTS} attempts to commit {key}.",
        "Run the command again.",
    )


def _make_durable(location: Path, handle: dl.DeltaTable) -> int:
    # delta-rs does not fsync its log, and the handle still shows the version that it read before the commit.
    before, log = handle.version(), location / "_delta_log"
    handle.update_incremental()
    entries = (log / f"{number:020d}.json" for number in range(before + 1, handle.version() + 1))
    flush_to_disk(*(entry for entry in entries if entry.exists()), log)
    return handle.version()
