"""Answers of queries as values that JSON has: no NaN, no decimals, no bytes. Asking belongs in `warehouse`."""

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa

from schemas.errors import MeltlakeError


def distinct_names(answer: pa.Table) -> pa.Table:
    """The same columns under different names, as DuckDB itself tells equal ones apart."""
    names: list[str] = []
    for name in answer.column_names:
        times = sum(other == name or other.startswith(f"{name}_") for other in names)
        names.append(f"{name}_{times}" if name in names else name)
    return answer.rename_columns(names)


def plain_rows(answer: pa.Table) -> list[dict[str, object]]:
    """Rows by column name, of what JSON has: a number that is none is null, a time is text as ISO 8601 writes it.

    Raises
    ------
    MeltlakeError
        If there is a date before the year 1 or after 9999.
    """
    try:
        rows = distinct_names(answer).to_pylist()
    except (ValueError, OverflowError) as error:
        raise MeltlakeError(f"The answer cannot be written down: {error}.", "Cast that column to text.") from error
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):  # an interval is a tuple with names
        return [_plain(part) for part in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):  # what DuckDB makes of the sum of a column of counts
        return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime | date | time) else str(value)
