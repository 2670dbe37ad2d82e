"""The published warehouse, one DuckDB file, and queries over it or over the lake where the lake has moved on.

The file is disposable and a function of the lake's versions alone: it is built aside, made durable and swapped in
whole. What is in it belongs in `warehouse_contents`; queries that anyone may type, in `sealed`.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from lake.delta import Lake
from lake.locks import exclusive
from lake.parquet import flush_to_disk
from lake.warehouse_contents import PUBLISHED, Shown, add_comments, fill, quoted, see_through_arrow, views_behind
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import TABLES
from schemas.views import VIEWS, View

_STORAGE = "v1.5.0"  # the default of DuckDB 2.0 cannot be opened by 1.5
_LONGEST_WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Publication:
    """What `publish` did."""

    n_rows: dict[str, int]
    """Rows of every table."""
    changed: bool
    """Whether another file was swapped in; if not, the warehouse showed these versions already."""
    rebuilt: list[str]
    """Tables that were read from the lake; the others were taken over from the file before."""


def publish(settings: Settings) -> Publication:
    """Make the warehouse show the lake's current versions.

    One process publishes at a time, so what is swapped in is never older than what was there. Frames are a view over
    the lake's files. Of a lake in a bucket, which DuckDB cannot open without an extension, they are copied without
    their values per atom.

    Raises
    ------
    MeltlakeError
        If the warehouse shows a newer version than the lake has.
    TryAgainLater
        If another process is publishing for too long.
    """
    target = Path(settings.warehouse)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    with exclusive(lock, doing=f"publishing {target}", wait_s=_LONGEST_WAIT_S):
        _remove_unfinished(target)
        before = _shown_by(target)
        lake = Lake(settings.lake)
        now = Shown.now(lake)
        if now == before:
            return Publication(_published_rows(target), changed=False, rebuilt=[])
        _require_no_step_back(target, now, before)
        return _swap_in(target, lake, now, unchanged=now.unchanged_since(before) if before else set())


def _swap_in(target: Path, lake: Lake, now: Shown, *, unchanged: set[str]) -> Publication:
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.unfinished")
    try:
        n_rows = _build(unfinished, lake, now, unchanged=unchanged, before=target)
    except duckdb.Error as error:
        if unchanged:  # the file before is damaged where nobody has read it until now
            return _swap_in(target, lake, now, unchanged=set())
        raise _as_a_sentence(_UNREADABLE, error) from error
    else:
        flush_to_disk(unfinished)
        unfinished.replace(target)
        flush_to_disk(target.parent)
        return Publication(n_rows, changed=True, rebuilt=sorted(set(TABLES) - unchanged))
    finally:
        _remove_unfinished(target)


def _build(unfinished: Path, lake: Lake, now: Shown, *, unchanged: set[str], before: Path) -> dict[str, int]:
    with duckdb.connect() as connection:
        connection.execute(f"attach {quoted(str(unfinished))} as warehouse (storage_version '{_STORAGE}')")
        if unchanged:
            connection.execute(f"attach {quoted(str(before))} as {PUBLISHED} (read_only)")
        connection.execute("use warehouse")
        n_rows = fill(connection, lake, now, unchanged=unchanged)
        add_comments(connection)
        connection.execute("checkpoint warehouse")
    return n_rows


def _remove_unfinished(target: Path) -> None:
    """Files of publishers that were killed, and their logs; who holds the lock has no other beside it."""
    for left in target.parent.glob(f".{target.name}.*.unfinished*"):
        left.unlink(missing_ok=True)


def _require_no_step_back(target: Path, now: Shown, before: Shown | None) -> None:
    if before and (newer := now.older_than(before)):
        name = newer[0]
        raise MeltlakeError(
            f"{target} shows version {before.versions[name]} of {name}, the lake at {now.lake} has only "
            f"{now.versions[name]}: an older state must not replace a newer one.",
            f"If the lake was restored from a copy on purpose, remove {target} and publish again.",
        )


def published_versions(settings: Settings) -> dict[str, int]:
    """Version of every table that the published warehouse was built from; empty when there is none to be read.

    The warehouse is disposable: one that is damaged, that somebody keeps open for writing, or that an older meltlake
    built in another way, counts as absent.
    """
    shown = _shown_by(Path(settings.warehouse))
    return shown.versions if shown else {}


def is_current(settings: Settings, lake: Lake) -> bool:
    """Whether the published warehouse shows the lake as it is."""
    return _shown_by(Path(settings.warehouse)) == Shown.now(lake)


def _shown_by(file: Path) -> Shown | None:
    if file.exists():
        with suppress(duckdb.Error), duckdb.connect(str(file), read_only=True) as connection:
            return Shown.in_warehouse(connection)
    return None


def _published_rows(file: Path) -> dict[str, int]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return dict(connection.execute("select table_name, n_rows from _meta").fetchall())


Query = Callable[..., pa.Table]
"""Runs one query, with values for its `$names` as a second argument."""


def query(settings: Settings, sql: str, *, tables: Collection[str] = tuple(TABLES)) -> list[dict[str, object]]:
    """Rows of one reading query over the lake's current version, as dictionaries.

    Who names the `tables` that it is about need not wait until all others are read, too.
    """
    with connected(settings, tables=tables, views=views_behind(sql)) as connection:
        rows: list[dict[str, object]] = _read(connection, sql).to_pylist()
        return rows


@contextmanager
def session(settings: Settings, *, tables: Collection[str] = tuple(TABLES)) -> Iterator[Query]:
    """Reading queries that all see one and the same version of the lake.

    The published warehouse answers when it is current. Otherwise the lake's own files of the `tables` do where they
    changed since, and others have no rows.

    Raises
    ------
    MeltlakeError
        If a query fails.
    """
    with connected(settings, tables=tables) as connection:
        yield partial(_read, connection)


@contextmanager
def connected(
    settings: Settings, *, tables: Collection[str] = tuple(TABLES), views: Sequence[View] = VIEWS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same as a connection, for modules of this folder that prepare it further."""
    lake = Lake(settings.lake)
    now, before = Shown.now(lake), _shown_by(Path(settings.warehouse))
    is_published = now == before
    with duckdb.connect(settings.warehouse if is_published else ":memory:", read_only=is_published) as connection:
        with _told_as_a_sentence(_UNREADABLE):
            if not is_published:
                unchanged = now.unchanged_since(before) if before else set()
                if unchanged:
                    connection.execute(f"attach {quoted(settings.warehouse)} as {PUBLISHED} (read_only)")
                fill(connection, lake, now, tables=tables, views=views, unchanged=unchanged)
            if lake.is_remote:
                see_through_arrow(connection, lake, now.versions)
        yield connection


@contextmanager
def published(settings: Settings) -> Iterator[Query]:
    """Reading queries over the published warehouse as it is, whether the lake has moved on or not.

    Raises
    ------
    MeltlakeError
        If there is none that can be read, or a query fails.
    """
    with published_connection(settings) as connection:
        yield partial(_read, connection)


@contextmanager
def published_connection(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same as a connection, for modules of this folder that prepare it further.

    Within a process DuckDB opens a path once: as long as anybody reads the file before, `connect` would give that one.
    """
    if not Path(settings.warehouse).exists():
        raise MeltlakeError(f"There is no warehouse at {settings.warehouse} yet.", "Make it with `meltlake publish`.")
    with duckdb.connect() as connection:
        with _told_as_a_sentence(f"{settings.warehouse} could not be opened"):
            connection.execute(f"attach {quoted(settings.warehouse)} as {PUBLISHED} (read_only)")
            connection.execute(f"use {PUBLISHED}")
        yield connection


def _read(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, object] | None = None) -> pa.Table:
    with _told_as_a_sentence("The query failed"):
        return connection.sql(sql, params=values or None).to_arrow_table()


_UNREADABLE = "The lake's files could not be read"


@contextmanager
def _told_as_a_sentence(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise _as_a_sentence(what, error) from error


def _as_a_sentence(what: str, error: duckdb.Error) -> MeltlakeError:
    return MeltlakeError(f"{what}: {str(error).splitlines()[0]}", "`meltlake sql 'show tables'` lists what there is.")
