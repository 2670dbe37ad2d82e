"""Values of a table's row, by column, as the type that the column has. Tables are described in `schemas.tables`."""

from collections.abc import Mapping

Row = dict[str, object]
"""One row, by column."""


def text(row: Mapping[str, object], name: str) -> str:
    """A text that is never null."""
    value = row[name]
    if not isinstance(value, str):
        raise _unexpected(name, "a text", value)
    return value


def whole(row: Mapping[str, object], name: str, *, if_null: int | None = None) -> int:
    """A whole number; `if_null` where the row has none."""
    value = row[name] if row[name] is not None else if_null
    if not isinstance(value, int):
        raise _unexpected(name, "a whole number", value)
    return value


def real(row: Mapping[str, object], name: str, *, if_null: float | None = None) -> float:
    """A number; `if_null` where the row has none."""
    value = real_or_none(row, name)
    value = if_null if value is None else value
    if value is None:
        raise _unexpected(name, "a number", value)
    return value


def real_or_none(row: Mapping[str, object], name: str) -> float | None:
    """A number that may be missing."""
    value = row[name]
    if value is not None and not isinstance(value, int | float):
        raise _unexpected(name, "a number", value)
    return None if value is None else float(value)


def texts(row: Mapping[str, object], name: str) -> list[str]:
    """A list of texts; none where the row is of before the column."""
    value = row.get(name)
    if value is not None and not isinstance(value, list):
        raise _unexpected(name, "a list of texts", value)
    return [str(one) for one in value or ()]


def _unexpected(name: str, needed: str, found: object) -> TypeError:
    return TypeError(f"column {name}: needed {needed}, found {found!r}")
