"""Sql: the result of one reading query, in the form that was asked for. Running it is `lake.warehouse`'s."""

import json
import math
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
                rows = [{name: _plain(value) for name, value in row.items()} for row in _distinct(result).to_pylist()]
                sys.stdout.write(json.dumps({"rows": rows}, default=str, allow_nan=False) + "\n")
            case "csv":
                pacsv.write_csv(_flat(result), sys.stdout.buffer)
            case "parquet":
                pq.write_table(result, sys.stdout.buffer, compression="zstd")
            case _:
                sys.stdout.write(as_table(_distinct(result).to_pylist()) + "\n")


def _distinct(result: pa.Table) -> pa.Table:
    """The same columns under different names, as DuckDB itself tells equal ones apart."""
    names: list[str] = []
    for name in result.column_names:
        times = sum(other == name or other.startswith(f"{name}_") for other in names)
        names.append(f"{name}_{times}" if name in names else name)
    return result.rename_columns(names)


def _plain(value: object) -> object:
    """JSON has no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _flat(result: pa.Table) -> pa.Table:
    """CSV has no lists: they become JSON text."""
    for position, field in enumerate(result.schema):
        if pa.types.is_nested(field.type):
            text = [None if value is None else json.dumps(value) for value in result.column(position).to_pylist()]
            result = result.set_column(position, field.name, pa.array(text, pa.string()))
    return result
