"""One table's Delta log: which files are its rows, and commits that exclude each other by key. Rows are `delta`'s."""

import json
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import deltalake as dl
import pyarrow as pa
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from lake.object_store import told_as_a_sentence
from lake.places import Place
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.tables import Table

_COMMIT_ATTEMPTS = 60
_LONGEST_PAUSE_S = 0.1
_LOG = "_delta_log"
_ENTRY = re.compile(r"\d{20}\.json")
_TABLE_SETTINGS = {
    # A pinned version must open for ever; Delta's default forgets its log after 30 days.
    "delta.logRetentionDuration": "interval 36500 days",
    # Files of an ingest that has not committed yet must outlive any vacuum.
    "delta.deletedFileRetentionDuration": "interval 30 days",
}


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file of a table, by what its log says of it."""

    path: str
    """Below the table, with `/`; its name begins with the number of its first row among its key's."""
    n_rows: int
    n_bytes: int
    partition: Mapping[str, str]

    @property
    def in_row_order(self) -> tuple[str, int, str]:
        """What to sort files by. A name without a number is of schema version 1, which had one file per key."""
        folder, _, name = self.path.rpartition("/")
        first_row, dash, _ = name.partition("-")
        return folder, int(first_row) if dash else 0, name


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one commit does to the files of one key."""

    adds: tuple[RowFile, ...] = ()
    removes: tuple[RowFile, ...] = ()
    replaces_key: bool = False
    """Every file of the key goes, whatever its name."""
    same_rows: bool = False
    """The rows stay as they are and only their files change, which streaming readers of the table may skip."""


class Overtaken(Exception):
    """Another writer changed the key in the meantime, so that a change does not apply any more."""


class TableLog:
    """The log of one table, which need not be there yet."""

    def __init__(self, place: Place, description: Table) -> None:
        self.place = place
        self.description = description
        self._handle: dl.DeltaTable | None = None
        self._listed: tuple[int, dict[str, list[RowFile]]] = -1, {}

    def exists(self) -> bool:
        if self._handle is not None:
            return True
        with told_as_a_sentence(self.place.address):
            # A store is asked by pyarrow first: without credentials delta-rs warns at length.
            return self.place.has_folder(_LOG) and bool(
                dl.DeltaTable.is_deltatable(self.place.uri, storage_options=self.place.storage_options)
            )

    def version(self) -> int:
        """Current version; -1 while there is no table."""
        return self.open().version() if self.exists() else -1

    def version_and_id(self) -> tuple[int, str]:
        """Current version and the id that Delta gave the table when it was made; -1 and nothing while there is none.

        On this machine both are read from the log's names and its first entry: to open forty tables takes a while.
        """
        if not self.place.is_remote:
            entries = Path(self.place.address, _LOG)
            with suppress(OSError, StopIteration, KeyError, ValueError):
                newest = max(int(entry.stem) for entry in entries.iterdir() if _ENTRY.fullmatch(entry.name))
                made = map(json.loads, (entries / f"{0:020d}.json").read_text().splitlines())
                return newest, str(next(line["metaData"]["id"] for line in made if "metaData" in line))
        if not self.exists():
            return -1, ""
        handle = self.open()
        return handle.version(), str(handle.metadata().id)

    def open(self, version: int | None = None) -> dl.DeltaTable:
        """The table at a version, or as it is now.

        Raises
        ------
        MeltlakeError
            If there is no such version, or the table is damaged.
        """
        with told_as_a_sentence(self.place.address):
            try:
                return self._now() if version is None else self._at(version)
            except DeltaError as error:
                at = "" if version is None else f" with version {version}"
                raise MeltlakeError(
                    f"{self.place.address}: needed a Delta table{at}, found: {error}",
                    "If the version is right, the table is damaged: restore `_delta_log` from a backup.",
                ) from error

    def _now(self) -> dl.DeltaTable:
        # Reading what was committed since the last time is much less than reading the log again.
        if self._handle is None:
            self._handle = self._at(None)
        else:
            self._handle.update_incremental()
        return self._handle

    def _at(self, version: int | None) -> dl.DeltaTable:
        return dl.DeltaTable(self.place.uri, version=version, storage_options=self.place.storage_options)

    def files(self, *, key: str | None = None, version: int | None = None) -> list[RowFile]:
        """Files of a version, all or those of one key, in row order."""
        if not self.exists():
            return []
        files = self._by_key(self.open(version))
        return list(files.get(key, ())) if key is not None else sorted(chain(*files.values()), key=_in_row_order)

    def files_by_key(self) -> dict[str, list[RowFile]]:
        """Files of every key as it is now, in row order."""
        return dict(self._by_key(self.open())) if self.exists() else {}

    def create(self) -> None:
        """Make the table if it is not there, with the columns of today if they are not there.

        Raises
        ------
        MeltlakeError
            If a newer meltlake wrote it.
        """
        if self.exists():
            self._open_for_writing()
            return
        self.place.make()
        with told_as_a_sentence(self.place.address), suppress(CommitFailedError):  # another process created it first
            dl.DeltaTable.create(
                self.place.uri,
                schema=dl.Schema.from_arrow(self.description.arrow_schema),
                partition_by=list(self.description.partitions),
                mode="ignore",
                configuration=_TABLE_SETTINGS,
                storage_options=self.place.storage_options,
            )
        self.place.make_durable(f"{_LOG}/{0:020d}.json", _LOG, ".")

    def commit(self, key: str, plan: Callable[[Sequence[RowFile]], Change | None]) -> int:
        """Change the files of one key, exactly once; returns the version that has the change.

        Parameters
        ----------
        key
            The key. Two commits of one key that saw the same version exclude each other.
        plan
            Given the key's current files in row order, what to change; None when they are as wanted. It is asked again
            after every attempt that another writer won. What it raises ends the attempts.

        Raises
        ------
        TryAgainLater
            If other writers won every attempt.
        """
        for _ in range(_COMMIT_ATTEMPTS):
            handle = self._open_for_writing()
            change = plan(self._by_key(handle).get(key, ()))
            if change is None:
                return handle.version()
            try:
                with told_as_a_sentence(self.place.address):
                    self._attempt(handle, key, change)
            except CommitFailedError:
                time.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311  # a pause, not a secret
                continue
            return self._make_durable(handle)
        raise TryAgainLater(
            f"Table {self.description.name}: other writers won {_COMMIT_ATTEMPTS} attempts to commit {key}.",
            "Run the command again.",
        )

    def unreferenced(self, keep_versions: Iterable[int], *, older_than_hours: int) -> set[str]:
        """Paths that neither the current version nor one of these refers to, and that no commit removed lately."""
        handle = self.open()
        versions = sorted(version for version in keep_versions if version <= handle.version())
        with told_as_a_sentence(self.place.address):
            paths = handle.vacuum(
                retention_hours=older_than_hours,
                enforce_retention_duration=False,
                dry_run=True,
                full=True,
                keep_versions=versions,
            )
        return set(paths)

    def _by_key(self, handle: dl.DeltaTable) -> dict[str, list[RowFile]]:
        """Files of the version that a handle shows, in row order; listed once, since a log has all keys or none."""
        version = handle.version()
        if handle is not self._handle:
            return _listing(handle, self.description)
        if version != self._listed[0]:
            self._listed = version, _listing(handle, self.description)
        return self._listed[1]

    def _attempt(self, handle: dl.DeltaTable, key: str, change: Change) -> None:
        # The transaction makes two writers that read the same version exclude each other; without it,
        # both first ingests of a run would be kept.
        application = f"{self.description.key}:{key}"
        number = (handle.transaction_version(application) or 0) + 1
        now_ms = int(time.time() * 1000)
        adds = [
            AddAction(
                file.path, file.n_bytes, dict(file.partition), now_ms, not change.same_rows,
                json.dumps({"numRecords": file.n_rows}),
            )
            for file in change.adds
        ]  # fmt: skip
        removes = [
            RemoveAction(file.path, not change.same_rows, now_ms, file.n_bytes, dict(file.partition))
            for file in change.removes
        ]
        handle.create_write_transaction(
            [*adds, *removes],
            "overwrite" if change.replaces_key else "append",
            handle.schema(),
            list(self.description.partitions),
            [(self.description.key, "=", key)] if change.replaces_key else None,
            commit_properties=dl.CommitProperties(
                app_transactions=[dl.Transaction(application, number)],
                custom_metadata={self.description.key: key},
            ),
        )

    def _open_for_writing(self) -> dl.DeltaTable:
        """The table with every column of today: a lake of an older version gets those that it lacks."""
        for _ in range(_COMMIT_ATTEMPTS):
            handle = self.open()
            stored = {field.name for field in handle.schema().fields}
            known = dl.Schema.from_arrow(self.description.arrow_schema).fields
            if unknown := stored - {field.name for field in known}:
                raise MeltlakeError(
                    f"{self.place.address}: needed a table of this version of meltlake, found columns that it does "
                    f"not know: {', '.join(sorted(unknown))}.",
                    "Install the newer meltlake that wrote this lake; this one reads it and does not write to it.",
                )
            missing = [field for field in known if field.name not in stored]
            if not missing:
                return handle
            with told_as_a_sentence(self.place.address), suppress(CommitFailedError):  # another process added them
                handle.alter.add_columns(missing)
                self._make_durable(handle)
        raise TryAgainLater(
            f"Table {self.description.name}: other writers won {_COMMIT_ATTEMPTS} attempts to add columns to it.",
            "Run the command again.",
        )

    def _make_durable(self, handle: dl.DeltaTable) -> int:
        # delta-rs does not fsync its log, and the handle still shows the version that it read before the commit.
        before = handle.version()
        with told_as_a_sentence(self.place.address):
            handle.update_incremental()
        entries = [f"{_LOG}/{number:020d}.json" for number in range(before + 1, handle.version() + 1)]
        self.place.make_durable(*entries, _LOG)
        return int(handle.version())


def _listing(handle: dl.DeltaTable, description: Table) -> dict[str, list[RowFile]]:
    """Files by key, each key's in row order."""
    listed = pa.table(handle.get_add_actions(flatten=True))
    partitions = [listed[f"partition.{name}"].to_pylist() for name in description.partitions]
    facts = [listed[name].to_pylist() for name in ("path", "num_records", "size_bytes")]
    files: dict[str, list[RowFile]] = {}
    for path, n_rows, n_bytes, *values in zip(*facts, *partitions, strict=True):
        partition = dict(zip(description.partitions, values, strict=True))
        files.setdefault(partition[description.key], []).append(RowFile(path, n_rows, n_bytes, partition))
    for of_key in files.values():
        if len(of_key) > 1:
            of_key.sort(key=_in_row_order)
    return files


def _in_row_order(file: RowFile) -> tuple[str, int, str]:
    return file.in_row_order
