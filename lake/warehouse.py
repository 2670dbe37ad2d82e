"""The one door to DuckDB: SQL over the lake, and the warehouse file that is published from it.

The warehouse is disposable and a pure function of the lake: it is built aside, made durable and swapped in whole.
"""

import re
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from lake.delta import Lake
from lake.parquet import flush_to_disk
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import TABLES, Table
from schemas.views import VIEWS

_STORAGE = "v1.5.0"  # the default of DuckDB 2.0 cannot be opened by 1.5
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
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


def publish(settings: Settings) -> dict[str, int]:
    """Rebuild the warehouse from the lake's current versions and swap it in; returns rows by table.

    Frames are a view over the lake's files. Of a lake in a bucket, which DuckDB cannot open without an extension, they
    are copied without their values per atom. A warehouse that another publisher made from a newer lake in the meantime
    is left alone.
    """
    target = Path(settings.warehouse)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    lake = Lake(settings.lake)
    versions = {name: lake.version(name) for name in TABLES}
    try:
        with duckdb.connect() as connection:
            connection.execute(f"attach {_quoted(str(unfinished))} as warehouse (storage_version '{_STORAGE}')")
            connection.execute("use warehouse")
            n_rows = _build(connection, lake, versions)
            connection.execute("checkpoint warehouse")
        flush_to_disk(unfinished)
        if not _is_older(versions, published_versions(settings)):
            unfinished.replace(target)
            flush_to_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)
        unfinished.with_suffix(".tmp.wal").unlink(missing_ok=True)
    return n_rows


def published_versions(settings: Settings) -> dict[str, int]:
    """Version of every table that the published warehouse was built from; empty when there is none to be read.

    The warehouse is disposable: one that is damaged, or that somebody keeps open for writing, counts as absent.
    """
    if not Path(settings.warehouse).exists():
        return {}
    with suppress(duckdb.Error), duckdb.connect(settings.warehouse, read_only=True) as connection:
        return dict(connection.execute("select table_name, lake_version from _meta").fetchall())
    return {}


Query = Callable[[str], pa.Table]


def query(settings: Settings, sql: str, *, tables: Collection[str] = tuple(TABLES)) -> list[dict[str, object]]:
    """Rows of one reading query over the lake's current version, as dictionaries.

    Who names the `tables` that it is about need not wait until all others are read, too.
    """
    with session(settings, tables=tables) as run:
        rows: list[dict[str, object]] = run(sql).to_pylist()
        return rows


@contextmanager
def session(settings: Settings, *, tables: Collection[str] = tuple(TABLES)) -> Iterator[Query]:
    """Reading queries that all see one and the same version of the lake.

    The published warehouse answers when it is current; otherwise the lake's own files of the `tables` do, and others
    have no rows.

    Raises
    ------
    MeltlakeError
        If a query does not parse, fails, or would write.
    """
    lake = Lake(settings.lake)
    versions = {name: lake.version(name) for name in TABLES}
    is_current = published_versions(settings) == versions
    location = settings.warehouse if is_current else ":memory:"
    with duckdb.connect(location, read_only=is_current) as connection:
        with _told_as_a_sentence("The lake's files could not be read"):
            if not is_current:
                _build(
                    connection, lake, {name: version if name in tables else -1 for name, version in versions.items()}
                )
            if lake.is_remote:
                _see_through_arrow(connection, lake, versions)
        yield partial(_read, connection)


def _see_through_arrow(connection: duckdb.DuckDBPyConnection, lake: Lake, versions: Mapping[str, int]) -> None:
    """Every column of a large table that is in a bucket, read while the query runs, in place of the copy."""
    for name in _IN_LAKE:
        if versions[name] >= 0 and (dataset := lake.row_dataset(name, version=versions[name])) is not None:
            connection.register(name, dataset)


def _read(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    with _told_as_a_sentence("The query failed"):
        _refuse_writing(connection, sql)
        return connection.sql(sql).to_arrow_table()


@contextmanager
def _told_as_a_sentence(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise MeltlakeError(
            f"{what}: {str(error).splitlines()[0]}", "`meltlake sql 'show tables'` lists what there is."
        ) from error


def _refuse_writing(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    # EXPLAIN ANALYZE runs what it explains, also a COPY.
    runs_another = bool(re.match(r"\s*explain\s+(\(.*\)\s*)?analy[sz]e\s+(?!select|with|from)", sql, re.IGNORECASE))
    if len(statements) != 1 or statements[0].type not in _READING or runs_another:
        raise MeltlakeError(
            "`meltlake sql` reads: it needed one SELECT and found something else.",
            "Open a copy of the warehouse with duckdb to create tables of your own.",
        )


def _build(connection: duckdb.DuckDBPyConnection, lake: Lake, versions: Mapping[str, int]) -> dict[str, int]:
    n_rows: dict[str, int] = {}
    for table in TABLES.values():
        version = versions[table.name]
        if version < 0 and (lake.is_remote or table.name not in _IN_LAKE):
            _create_copy(connection, table, table.arrow_schema.empty_table())
        elif table.name not in _IN_LAKE:
            _create_copy(connection, table, lake.rows(table.name, version=version))
        elif lake.is_remote:
            narrow = [name for name in table.arrow_schema.names if name not in _PER_ATOM]
            _create_copy(connection, table, lake.rows(table.name, version=version, columns=narrow))
        else:
            _create_view(connection, table, lake.files(table.name, version=version) if version >= 0 else [])
        [(n_rows[table.name],)] = connection.execute(f"select count(*) from {table.name}").fetchall()
    for view in VIEWS:
        connection.execute(f"create or replace view {view.name} as {view.sql}")
        connection.execute(f"comment on view {view.name} is {_quoted(view.meaning)}")
    connection.execute("create table _meta (table_name varchar, lake_version bigint, published_at timestamp)")
    connection.executemany(
        "insert into _meta values (?, ?, current_timestamp::timestamp)", [list(item) for item in versions.items()]
    )
    return n_rows


def _create_copy(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    connection.register("incoming_rows", rows)
    connection.execute(f"create table {table.name} as select * from incoming_rows")
    connection.unregister("incoming_rows")
    connection.execute(f"comment on table {table.name} is {_quoted(f'one row per {table.one_row_per}')}")
    meanings = {column.name: column.meaning for column in table.columns}
    for name in rows.schema.names:
        connection.execute(f"comment on column {table.name}.{name} is {_quoted(meanings[name])}")


def _create_view(connection: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> None:
    create = f"create or replace view {table.name} as select"
    if files:
        listed = ", ".join(_quoted(file) for file in files)
        types = ", ".join(f"{_quoted(name)}: varchar" for name in table.partitions)
        source = f"read_parquet([{listed}], hive_partitioning=true, hive_types={{{types}}}, union_by_name=true)"
        try:
            connection.execute(f"{create} {', '.join(table.arrow_schema.names)} from {source}")
        except duckdb.BinderException:  # every file is of an older schema version
            present = [name for name, *_ in connection.execute(f"describe select * from {source}").fetchall()]
            connection.execute(f"{create} {_columns(table, present)} from {source}")
    else:
        connection.execute(f"{create} {_columns(table, [])} where false")
    connection.execute(f"comment on view {table.name} is {_quoted(f'one row per {table.one_row_per}')}")


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


def _is_older(versions: Mapping[str, int], published: Mapping[str, int]) -> bool:
    return any(published.get(name, -1) > version for name, version in versions.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
