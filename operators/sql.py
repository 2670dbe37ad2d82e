"""Sql: the result of one reading query, in the form that was asked for. Running it is `lake.warehouse`'s."""

import json
import sys

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from lake.warehouse import session
from operators.present import as_table
from schemas.settings import Settings


def write_result(settings: Settings, query: str, *, format_: str) -> None:
    """Write the result to stdout as table, json (`{"rows": [...]}`), csv or parquet."""
    with session(settings) as run:
        result = run(query)
        match format_:
            case "json":
                sys.stdout.write(json.dumps({"rows": result.to_pylist()}, default=str) + "\n")
            case "csv":
                pacsv.write_csv(_flat(result), sys.stdout.buffer)
            case "parquet":
                pq.write_table(result, sys.stdout.buffer, compression="zstd")
            case _:
                sys.stdout.write(as_table(result.to_pylist()) + "\n")


def _flat(result: pa.Table) -> pa.Table:
    """CSV has no lists: they become JSON text."""
    for position, field in enumerate(result.schema):
        if pa.types.is_nested(field.type):
            text = [None if value is None else json.dumps(value) for value in result.column(position).to_pylist()]
            result = result.set_column(position, field.name, pa.array(text, pa.string()))
    return result
