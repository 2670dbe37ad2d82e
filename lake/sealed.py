"""A sealed connection: one SELECT at a time over an open warehouse, off files, network and settings, within limits.

Who asks what belongs in `warehouse` (the lake as it is) and `sandbox` (strangers).
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from lake.reading_only import LEFT_OPEN, reading
from schemas.errors import MeltlakeError
from schemas.settings import Settings

_GRACE_S = 1.0
"""How long DuckDB may take to hear an interruption before the process ends: it listens only between chunks of rows."""

_LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one question may take."""

    rows: int | None = 1000
    """An answer has at most so many; None for all of them."""
    seconds: float = 10.0
    """Wall time of the query."""
    memory_mb: int | None = 1024


Run = Callable[[str], tuple[pa.Table, list[str], bool]]
"""From a query to its rows, DuckDB's types of the columns, and whether there were more rows than the limit."""


def sealed(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    *,
    limits: Limits,
    at_the_end: Callable[[MeltlakeError], None],
) -> Run:
    """What answers questions to an open warehouse, which from now on can only be read, with the lake's frames.

    Parameters
    ----------
    connection
        To be sealed; nothing opens it again.
    settings
        Where the lake is.
    limits
        For each question.
    at_the_end
        Says what happened when a query does not end at its limit, before the whole process does, with code 65.

    Returns
    -------
    Run
        From a query to the rows, DuckDB's types of the columns, and whether there were more rows than the limit. It
        raises MeltlakeError for what is no single SELECT, would leave the sandbox or goes beyond a limit.
    """
    for name, value in _locks(settings, limits).items():
        connection.execute(f"set {name} = {value}")

    def run(sql: str) -> tuple[pa.Table, list[str], bool]:
        with _deadline(connection, limits, at_the_end), told(limits):
            found = connection.sql(reading(connection, sql))
            types = [str(type_) for type_ in found.types]
            answer = (found if limits.rows is None else found.limit(limits.rows + 1)).to_arrow_table()
        is_cut = limits.rows is not None and answer.num_rows > limits.rows
        return (answer.slice(0, limits.rows) if is_cut else answer), types, is_cut

    return run


def _locks(settings: Settings, limits: Limits) -> dict[str, str]:
    """Settings of DuckDB in the order in which they can be made."""
    frames = Path(settings.lake, "frames")
    folders = [] if "://" in settings.lake else [str(frames.absolute()), str(frames.resolve())]
    listed = ", ".join("'" + folder.replace("'", "''") + "'" for folder in dict.fromkeys(folders))
    memory = {} if limits.memory_mb is None else {"memory_limit": f"'{limits.memory_mb}MB'", "threads": "2"}
    return {
        "python_enable_replacements": "false",  # a table's name is never a variable of ours
        "temp_directory": "''",
        **memory,
        "allowed_directories": f"[{listed}]",
        "enable_external_access": "false",
        "allowed_configs": f"['{LEFT_OPEN}']",
        "lock_configuration": "true",
    }


@contextmanager
def _deadline(
    connection: duckdb.DuckDBPyConnection, limits: Limits, at_the_end: Callable[[MeltlakeError], None]
) -> Iterator[None]:
    def end() -> None:
        at_the_end(too_long(limits))
        os._exit(65)

    timers = [threading.Timer(limits.seconds, connection.interrupt), threading.Timer(limits.seconds + _GRACE_S, end)]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


@contextmanager
def told(limits: Limits) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException as error:
        raise too_long(limits) from error
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise MeltlakeError("The query needed more memory than it may have.", "Ask for less at a time.") from error
    except duckdb.PermissionException as error:
        raise MeltlakeError(
            f"The query would leave the warehouse: {_first_line(error)}",
            "Read files of your own with duckdb itself, with the warehouse attached.",
        ) from error
    except duckdb.Error as error:
        raise MeltlakeError(
            f"The query failed: {_with_hint(error)}", "`meltlake sql 'show tables'` lists what there is."
        ) from error


def too_long(limits: Limits) -> MeltlakeError:
    return MeltlakeError(f"The query took longer than {limits.seconds:g} s.", "Ask for less at a time.")


def _with_hint(error: Exception) -> str:
    """The first line, and the second where it names what is called alike."""
    hints = [line for line in str(error).splitlines()[1:2] if line.startswith(("Candidate bindings", "Did you mean"))]
    return " ".join([_first_line(error), *(_shortened(hint) for hint in hints)])


def _first_line(error: Exception) -> str:
    """What DuckDB says, without most of a long value that it quotes."""
    return _shortened(str(error).splitlines()[0])


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
