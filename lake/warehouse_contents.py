"""What is in a warehouse: copies of the lake's small tables, `frames` over its files, views, a comment on everything.

Where the file is, when it is swapped in and who reads it belongs in `warehouse`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import duckdb
import pyarrow as pa

from lake.delta import Lake
from schemas.ids import content_id
from schemas.tables import TABLES, Table
from schemas.views import VIEWS, View
from schemas.views.columns import meaning_of

PUBLISHED = "published"
"""The name under which an older warehouse is attached whose tables may be taken over."""
_IN_LAKE = {"frames"}
"""Too large to copy: a view over the lake's own files."""
_PER_ATOM = {
    "atomic_numbers",
    "positions_angstrom",
    "velocities_angstrom_per_fs",
    "magnetic_moments_mu_b",
    "forces_ev_per_angstrom",
}
"""Columns of frames that a published warehouse leaves out where DuckDB cannot reach the lake by itself."""
_IF = 'create macro "if"(condition, so, otherwise) as case when condition then so else otherwise end'
"""DuckDB 2.0 stores the `if` of a view as a function, which 1.5 does not have."""
_META = {
    "table_name": "table of the lake",
    "lake_version": "version of the Delta table that this warehouse shows; -1 while it was never written",
    "n_rows": "rows of that version",
    "table_id": "what Delta calls the table: another one at the same place has another id",
    "lake": "folder or address of the lake",
    "described_by": "fingerprint of the tables and views of the meltlake that built this warehouse",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """Which versions of which tables a warehouse shows, or would show now. Two that are equal have equal contents."""

    lake: str
    described_by: str
    tables: Mapping[str, tuple[int, str]]
    """Version and Delta's id by table."""

    @classmethod
    def now(cls, lake: Lake) -> Self:
        """The lake as it is, each table at its newest version."""
        return cls(lake.root, _described_by(), {name: lake.log(name).version_and_id() for name in TABLES})

    @classmethod
    def in_warehouse(cls, connection: duckdb.DuckDBPyConnection, catalog: str = "") -> Self:
        """What an open warehouse says of itself."""
        source = f"{catalog}._meta" if catalog else "_meta"
        found = connection.execute(f"select lake, described_by, table_name, lake_version, table_id from {source}")
        rows = found.fetchall()
        return cls(rows[0][0], rows[0][1], {name: (version, id_) for _, _, name, version, id_ in rows})

    @property
    def versions(self) -> dict[str, int]:
        return {name: version for name, (version, _) in self.tables.items()}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written, or there is no lake."""
        return all(version < 0 for version in self.versions.values())

    def unchanged_since(self, other: "Shown") -> set[str]:
        """Tables with the same rows in both, written down in the same way."""
        if (self.lake, self.described_by) != (other.lake, other.described_by):
            return set()
        return {name for name, version in self.tables.items() if version == other.tables.get(name)}

    def older_than(self, other: "Shown") -> list[str]:
        """Tables that the other shows at a newer version."""
        return [
            name
            for name, (version, id_) in self.tables.items()
            if self.lake == other.lake and name in other.tables and other.tables[name][1] == id_
            if version < other.tables[name][0]
        ]


def _described_by() -> str:
    tables = [[table.name, table.one_row_per, *map(str, table.columns)] for table in TABLES.values()]
    return content_id([tables, [[view.name, view.meaning, view.sql] for view in VIEWS]])


def fill(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    shown: Shown,
    *,
    tables: Collection[str] = tuple(TABLES),
    views: Sequence[View] = VIEWS,
    unchanged: Collection[str] = (),
) -> dict[str, int]:
    """Make every table and view in the connection's current catalog; returns rows by table.

    Parameters
    ----------
    connection
        To an empty catalog.
    lake
        Where the rows are.
    shown
        The versions to show.
    tables
        Those to fill; the others are there without rows.
    views
        Those to make, in the order in which they can be.
    unchanged
        Those to take over from the catalog `PUBLISHED`.
    """
    n_rows: dict[str, int] = {}
    for table in TABLES.values():
        version = shown.tables[table.name][0] if table.name in tables else -1
        n_rows[table.name] = _make(connection, lake, table, version=version, is_there=table.name in unchanged)
    with _at_once(connection):
        connection.execute(_IF)
        for view in views:
            connection.execute(f"create or replace view {view.name} as {view.sql}")
        _add_meta(connection, shown, n_rows)
    return n_rows


def views_behind(sql: str) -> tuple[View, ...]:
    """The views that a query of ours names, and those that they name."""
    texts = [sql]
    for view in reversed(VIEWS):  # a view names those above it
        if any(re.search(rf"\b{view.name}\b", text) for text in texts):
            texts.append(view.sql)
    return tuple(view for view in VIEWS if view.sql in texts)


@contextmanager
def _at_once(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """One transaction: with one for each of a thousand comments they would take seconds."""
    connection.execute("begin")
    yield
    connection.execute("commit")


def add_comments(connection: duckdb.DuckDBPyConnection) -> None:
    """Say of every table, view and column what it is."""
    columns: dict[str, list[str]] = {}
    for table, name in connection.execute(
        "select table_name, column_name from duckdb_columns() "
        "where database_name = current_database() and schema_name = current_schema() order by table_name, column_index"
    ).fetchall():
        columns.setdefault(table, []).append(name)
    with _at_once(connection):
        _add_comments(connection, columns)


def _add_comments(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Sequence[str]]) -> None:
    for described in TABLES.values():
        kind = "view" if _is_view(connection, described.name) else "table"
        meanings = {column.name: column.meaning for column in described.columns}
        of_table = {name: meanings[name] for name in columns[described.name]}
        _comment(connection, kind, described.name, f"one row per {described.one_row_per}", of_table.items())
    for view in VIEWS:
        told = [(name, meaning_of(view.name, name)) for name in columns[view.name]]
        _comment(connection, "view", view.name, view.meaning, told)
    _comment(connection, "table", "_meta", "which version of the lake this warehouse shows", _META.items())


def _is_view(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    found = connection.execute(
        "select count(*) from duckdb_views() where database_name = current_database() and view_name = ?", [name]
    )
    return bool(found.fetchall()[0][0])


def _comment(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    name: str,
    meaning: str,
    columns: Iterable[tuple[str, str | None]],
) -> None:
    connection.execute(f"comment on {kind} {name} is {quoted(meaning)}")
    for column, told in columns:
        if told is not None:
            connection.execute(f"comment on column {name}.{column} is {quoted(told)}")


def _make(connection: duckdb.DuckDBPyConnection, lake: Lake, table: Table, *, version: int, is_there: bool) -> int:
    """Make one table or, of one that is too large, a view over its files; returns its rows."""
    if table.name in _IN_LAKE and not lake.is_remote:
        _create_view(connection, table, lake.files(table.name, version=version) if version >= 0 else [])
        return lake.n_rows(table.name, version=version) if version >= 0 else 0
    if is_there and version >= 0:
        connection.execute(f"create table {table.name} as from {PUBLISHED}.{table.name}")
    elif version < 0:
        columns = ", ".join(f"{field.name} {_duckdb_type(field.type)}" for field in table.arrow_schema)
        connection.execute(f"create table {table.name} ({columns})")
    else:
        is_wide = table.name in _IN_LAKE
        narrow = [name for name in table.arrow_schema.names if name not in _PER_ATOM] if is_wide else None
        _create_copy(connection, table, lake.rows(table.name, version=version, columns=narrow))
    [(n_rows,)] = connection.execute(f"select count(*) from {table.name}").fetchall()
    return int(n_rows)


def _add_meta(connection: duckdb.DuckDBPyConnection, shown: Shown, n_rows: Mapping[str, int]) -> None:
    connection.execute(
        "create table _meta (table_name varchar, lake_version bigint, n_rows bigint, table_id varchar, lake varchar, "
        "described_by varchar)"
    )
    rows = [
        [name, version, n_rows[name], id_, shown.lake, shown.described_by]
        for name, (version, id_) in shown.tables.items()
    ]
    connection.executemany("insert into _meta values (?, ?, ?, ?, ?, ?)", rows)


def see_through_arrow(connection: duckdb.DuckDBPyConnection, lake: Lake, versions: Mapping[str, int]) -> None:
    """Every column of a large table that is in a bucket, read while the query runs, in place of the copy."""
    for name in _IN_LAKE:
        if versions[name] >= 0 and (dataset := lake.row_dataset(name, version=versions[name])) is not None:
            connection.register(name, dataset)


def _create_copy(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    connection.register("incoming_rows", rows)
    connection.execute(f"create table {table.name} as select * from incoming_rows")
    connection.unregister("incoming_rows")


def _create_view(connection: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> None:
    create = f"create or replace view {table.name} as select"
    if not files:
        connection.execute(f"{create} {_columns(table, [])} where false")
        return
    listed = ", ".join(quoted(file) for file in files)
    types = ", ".join(f"{quoted(name)}: varchar" for name in table.partitions)
    source = f"read_parquet([{listed}], hive_partitioning=true, hive_types={{{types}}}, union_by_name=true)"
    try:
        connection.execute(f"{create} {', '.join(table.arrow_schema.names)} from {source}")
    except duckdb.BinderException:  # every file is of an older schema version
        present = [name for name, *_ in connection.execute(f"describe select * from {source}").fetchall()]
        connection.execute(f"{create} {_columns(table, present)} from {source}")


def _columns(table: Table, present: Collection[str]) -> str:
    """Every column of a table, null where its files do not have it."""
    return ", ".join(
        field.name if field.name in present else f"null::{_duckdb_type(field.type)} as {field.name}"
        for field in table.arrow_schema
    )


def _duckdb_type(arrow_type: pa.DataType) -> str:
    if pa.types.is_list(arrow_type):
        return f"{_duckdb_type(arrow_type.value_type)}[]"
    names = {"string": "varchar", "int8": "tinyint", "int32": "integer", "int64": "bigint", "double": "double"}
    return {**names, "bool": "boolean", "timestamp[us]": "timestamp"}[str(arrow_type)]


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
