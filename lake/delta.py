"""The lake: tables whose rows are replaced or appended by key, exactly once, on this machine or in a bucket.

Every file of a table lies in the partition of its key, so that replacing a key is one commit that swaps whole files.
Commits belong in `delta_log`, files in `row_files`, what a bucket does otherwise in `places`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lake.delta_log import Change, Overtaken, RowFile, TableLog
from lake.kept_rows import NAME, KeptRows
from lake.locks import exclusive
from lake.object_store import told_as_a_sentence
from lake.places import Place
from lake.raw_store import full_address, is_remote
from lake.row_files import read_row_file, write_row_file
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.ids import content_id
from schemas.tables import TABLES

if TYPE_CHECKING:
    import pyarrow.dataset as pads

_SAFE_BUCKET_PATH = re.compile(r"s3://[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.=-]+)*/?")
_LONGEST_WAIT_S = 600.0
_OFTEN_READ_WHOLE = {"runs", "raw_files", "thermodynamics", "performance", "expectation_results"}
"""Tables of a few rows per file that most commands read from beginning to end."""


class Lake:
    """All Delta tables below one folder, or below one prefix of a bucket (`s3://bucket/prefix`)."""

    def __init__(self, root: str) -> None:
        if is_remote(root) and not _SAFE_BUCKET_PATH.fullmatch(root):
            raise MeltlakeError(
                f"{root}: needed a folder on this machine or s3://bucket/prefix of letters, digits and `_ . - =`.",
                "Choose another place for the lake.",
            )
        if not is_remote(root) and "%" in root:  # delta-rs decodes it once too often
            raise MeltlakeError(f"{root}: a lake's path must not contain `%`.", "Choose another folder.")
        self.root = full_address(root)
        """Absolute path, or the address as it was given."""
        self._place = Place(self.root)
        self._logs: dict[str, TableLog] = {}

    @property
    def is_remote(self) -> bool:
        return self._place.is_remote

    @property
    def scratch(self) -> Path:
        """Folder on this machine for what is not committed yet; beside the working directory for a lake in a bucket."""
        if not self.is_remote:
            return Path(self.root) / "_staging"
        from schemas.settings import HOME  # with pydantic, which workers on a local lake need not load

        return (HOME / "_staging").absolute()

    @property
    def cache(self) -> Path:
        """Folder on this machine for what can be made again from the lake at any time."""
        folder = self.scratch.with_name("_cache")
        return folder / content_id(self.root) if self.is_remote else folder

    @contextmanager
    def writing(self, key: str, *, doing: str, wait_s: float = _LONGEST_WAIT_S) -> Iterator[None]:
        """Keep other processes from writing the same key while the block runs, where the lake can.

        It saves them work; that rows are there exactly once is up to the commits. In a bucket nothing is held.

        Parameters
        ----------
        key
            What is written, for example a run.
        doing
            The same for the message: `storing run 3fa2`.
        wait_s
            How long to wait for another process.

        Raises
        ------
        TryAgainLater
            If another process is still at it.
        """
        if self.is_remote:
            yield
            return
        with exclusive(Path(self.root) / "_locks" / f"{key}.lock", doing=doing, wait_s=wait_s):
            yield

    def version(self, table: str = "frames") -> int:
        """Current version of a table; -1 while nothing was written."""
        return self.log(table).version()

    def replace(self, table: str, key: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Make these rows the only ones of `key`, exactly once; returns the version of the table that has them."""
        batch = pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[table].file_schema)
        return self.replace_batches(table, {TABLES[table].key: key}, batch.to_batches())

    def replace_batches(
        self,
        table: str,
        partition: Mapping[str, str],
        batches: Iterable[pa.RecordBatch | pa.Table],
        *,
        instead_of: Sequence[str] | None = None,
    ) -> int:
        """The same for rows that come in batches, one row group each.

        Parameters
        ----------
        table
            Name of the table.
        partition
            Value of every partition column; the table's key is one of them.
        batches
            Batches or tables of `Table.file_schema`.
        instead_of
            The key's files that the new rows were made from, as `files` gave them; by default whatever is there.

        Raises
        ------
        MeltlakeError
            If a newer meltlake wrote the table.
        TryAgainLater
            If other writers won every attempt, or changed the files that the rows were made from.
        """
        log = self.log(table)
        written = write_row_file(log, partition, batches, first_row=0, scratch=self.scratch)

        def only_this_file(current: Sequence[RowFile]) -> Change | None:
            if [file.path for file in current] == [written.path]:
                return None
            if instead_of is not None and [log.place.address_of(file.path) for file in current] != list(instead_of):
                key = partition[log.description.key]
                raise TryAgainLater(f"Another process changed {key} meanwhile.", "Run the same command again.")
            return Change(adds=(written,), replaces_key=True)

        return log.commit(partition[log.description.key], only_this_file)

    def append_batches(
        self, table: str, partition: Mapping[str, str], batches: Iterable[pa.RecordBatch | pa.Table], *, after: int
    ) -> int | None:
        """Add rows to a key that has exactly `after` rows, exactly once, without touching those it has.

        Parameters
        ----------
        table
            Name of the table.
        partition
            Value of every partition column, as for the rows that are there.
        batches
            Batches or tables of `Table.file_schema`.
        after
            How many rows the key has.

        Returns
        -------
        int or None
            Version of the table that has the rows; None when the key has another number of rows, also when another
            writer was faster. Then nothing was added.

        Raises
        ------
        MeltlakeError
            If a newer meltlake wrote the table.
        TryAgainLater
            If other writers won every attempt.
        """
        log = self.log(table)
        key = partition[log.description.key]
        if self.n_rows(table, key) != after:
            return None
        written = write_row_file(log, partition, batches, first_row=after, scratch=self.scratch)

        def one_file_more(current: Sequence[RowFile]) -> Change | None:
            if written.path in {file.path for file in current} or not written.n_rows:
                return None
            if sum(file.n_rows for file in current) != after:
                raise Overtaken
            return Change(adds=(written,))

        try:
            return log.commit(key, one_file_more)
        except Overtaken:
            return None

    def remove(self, table: str, key: str) -> int:
        """Take all rows of a key out of the current version, exactly once; older versions keep them."""
        log = self.log(table)
        return log.commit(key, lambda current: Change(replaces_key=True) if current else None) if log.exists() else -1

    def n_rows(self, table: str, key: str | None = None, *, version: int | None = None) -> int:
        """Number of rows of a table or of one key, from the log alone."""
        return sum(file.n_rows for file in self.log(table).files(key=key, version=version))

    def rows(
        self,
        table: str,
        *,
        key: str | None = None,
        version: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows of a table, all or those of one key. A table that was never written has none.

        A column that the lake's schema version did not have is null.
        """
        description = TABLES[table]
        is_current = version is None or version == self.version(table)
        if key is None and is_current and table in _OFTEN_READ_WHOLE and self.log(table).exists():
            return self._rows_kept(table, version).select(columns or description.arrow_schema.names)
        dataset = self.row_dataset(table, key=key, version=version)
        if dataset is None:
            return description.arrow_schema.empty_table().select(columns or description.arrow_schema.names)
        with told_as_a_sentence(self.root):
            return dataset.to_table(columns=columns)

    def row_dataset(
        self, table: str, *, key: str | None = None, version: int | None = None
    ) -> "pads.FileSystemDataset | None":
        """The same rows unread, for engines that take Arrow datasets; None while there is no file."""
        files = self.log(table).files(key=key, version=version)
        return self._dataset_of(table, [file.path for file in files]) if files else None

    def _rows_kept(self, table: str, version: int | None) -> pa.Table:
        def read(paths: Sequence[str]) -> pa.Table:
            found = self._dataset_of(table, paths).to_table(columns=[*schema.names, "__filename"])
            names = pc.replace_substring(found["__filename"], f"{log.place.path}/", "", max_replacements=1)
            return found.drop_columns(["__filename"]).append_column(NAME, names)

        log, schema = self.log(table), TABLES[table].arrow_schema
        kept = KeptRows(self.cache / f"{table}.arrow", schema)
        with told_as_a_sentence(self.root):
            return kept.rows([file.path for file in log.files(version=version)], read)

    def _dataset_of(self, table: str, paths: Sequence[str]) -> "pads.FileSystemDataset":
        import pyarrow.dataset as pads  # imports pandas, which workers of an ingest do without

        log = self.log(table)
        schema = log.description.arrow_schema
        partitioning = pads.partitioning(
            pa.schema([schema.field(name) for name in log.description.partitions]), flavor="hive"
        )
        with told_as_a_sentence(self.root):
            return pads.dataset(
                [f"{log.place.path}/{path}" for path in paths],
                schema=schema,
                format="parquet",
                filesystem=log.place.file_system,
                partitioning=partitioning,
                partition_base_dir=log.place.path,
            )

    def keys(self, table: str, *, version: int | None = None) -> list[str]:
        """Every key that has rows."""
        log = self.log(table)
        return sorted({file.partition[log.description.key] for file in log.files(version=version)})

    def files_by_key(self, table: str, *, version: int | None = None) -> dict[str, list[RowFile]]:
        """A version's files by key, those of a key in the order of its rows: for who reads many keys one by one."""
        log = self.log(table)
        found: dict[str, list[RowFile]] = {}
        for file in log.files(version=version):
            found.setdefault(file.partition[log.description.key], []).append(file)
        return found

    def files(self, table: str, *, key: str | None = None, version: int | None = None) -> list[str]:
        """Addresses of a version's Parquet files: by key, and those of a key in the order of its rows."""
        log = self.log(table)
        return [log.place.address_of(file.path) for file in log.files(key=key, version=version)]

    def frame_batches(
        self,
        run_id: str,
        columns: Sequence[str],
        *,
        version: int | None = None,
        files: Sequence[RowFile] | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Columns of a run's frames `start` to `stop`, in order; null where an old lake has none.

        A few at a time; row groups outside the range are not read. Who looks again and again, while the run is being
        rewritten, names the `files` that its log told at first.
        """
        log = self.log("frames")
        first = 0
        for file in log.files(key=run_id, version=version) if files is None else files:
            yield from read_row_file(
                log, file, columns, start=start - first, stop=None if stop is None else stop - first
            )
            first += file.n_rows

    def log(self, table: str) -> TableLog:
        """A table's log, for what is about files rather than rows."""
        if table not in TABLES:
            raise ValueError(f"{table!r} is not a table of the lake")
        if table not in self._logs:
            self._logs[table] = TableLog(self._place.child(table), TABLES[table])
        return self._logs[table]
