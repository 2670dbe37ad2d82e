"""Sql: the result of one reading query, in the form that was asked for. Running it is `lake.sealed`'s."""

import json
import sys

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from lake.answers import plain_rows
from lake.delta import Lake
from lake.sealed import Limits, sealed
from lake.warehouse import connected
from lake.warehouse_contents import Shown
from operators.present import as_table
from schemas.errors import MeltlakeError
from schemas.settings import Settings

DEFAULT_SECONDS = 60.0


def write_result(
    settings: Settings, query: str, *, format_: str, rows: int | None = None, seconds: float = DEFAULT_SECONDS
) -> None:
    """Write the result to stdout as table, json (`{"rows": [...]}`), csv or parquet.

    Parameters
    ----------
    settings
        Where lake and warehouse are.
    query
        One SELECT; `-` reads it from stdin.
    format_
        `table`, `json`, `csv` or `parquet`.
    rows
        Most rows to write; by default all.
    seconds
        Most time that the query may take.

    Raises
    ------
    MeltlakeError
        If the query fails, would write or read elsewhere, or takes too long.
    """
    limits = Limits(rows=rows, seconds=seconds, memory_mb=None)
    with connected(settings) as connection:
        run = sealed(connection, settings, limits=limits, at_the_end=_say)
        result, _types, is_cut = run(sys.stdin.read() if query == "-" else query)
    match format_:
        case "json":
            answer = {"rows": plain_rows(result)} | ({"is_cut": True} if is_cut else {})
            sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
        case "csv":
            pacsv.write_csv(_flat(result), sys.stdout.buffer)
        case "parquet":
            pq.write_table(result, sys.stdout.buffer, compression="zstd")
        case _:
            sys.stdout.write(as_table(plain_rows(result)) + "\n")
    lake = Lake(settings.lake)
    if not result.num_rows and Shown.now(lake).is_empty:
        sys.stderr.write(f"There is no lake at {lake.root}. Go to where it is, or name it with --lake.\n")
    if is_cut:
        sys.stderr.write(f"There are more than {rows} rows: these are the first.\n")


def _say(error: MeltlakeError) -> None:
    sys.stderr.write(f"{error.problem}\n{error.remedy}\n")
    sys.stderr.flush()


def _flat(result: pa.Table) -> pa.Table:
    """CSV has no lists: they become JSON text."""
    for position, field in enumerate(result.schema):
        if pa.types.is_nested(field.type):
            values = plain_rows(result.select([position]).rename_columns(["value"]))
            text = [None if row["value"] is None else json.dumps(row["value"]) for row in values]
            result = result.set_column(position, field.name, pa.array(text, pa.string()))
    return result
