"""Questions to the warehouse that a page asks, and their answers as tables. Which questions belongs to each tab."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.scheduling.page.cells import Cell, error_name, label, meaning, unit, value_of

Run = Callable[..., Any]
"""Runs one query with the values that its `$names` stand for; the answer is an Arrow table."""
Values = Mapping[str, object]
Row = dict[str, Any]

MOST_ROWS = 200
"""What a table shows at once; the SQL box shows more."""
_NUMBERS = {"seed", "n_steps", "temperature_target_k"}
"""Columns that a list is filtered by and that hold numbers, while an address holds text."""


@dataclass(frozen=True, slots=True)
class Question:
    """A table of a page."""

    anchor: str
    title: str
    sql: str
    """With `$name` for what the page is about, and ordered."""
    empty: str
    """What to do next when there are no rows."""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """Head of a column."""

    text: str
    unit: str
    meaning: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with its rows."""

    question: Question
    headings: list[Heading]
    rows: list[list[Cell]]
    sql: str
    """What was asked, values in place: for the SQL box."""
    is_cut: bool


def rows_of(run: Run, sql: str, values: Values | None = None) -> list[Row]:
    """Rows of a query as dictionaries."""
    rows: list[Row] = run(sql, _used(sql, values or {})).to_pylist()
    return rows


def answered(run: Run, question: Question, values: Values | None = None, *, offset: int = 0) -> Grid:
    """The table that answers a question, `MOST_ROWS` of it from `offset` on."""
    values = values or {}
    sql = f"{question.sql}\nlimit {MOST_ROWS + 1} offset {offset}"
    table = run(sql, _used(sql, values))
    rows: list[Row] = table.to_pylist()
    errors = {error_name(name) for name in table.column_names}
    shown = [name for name in table.column_names if name not in errors and _is_told(rows, name)]
    headings = [
        Heading(label(name), unit(name), meaning(name, question.sql), _is_number(table.schema.field(name).type))
        for name in shown
    ]
    cells = [[value_of(row, name) for name in shown] for row in rows[:MOST_ROWS]]
    return Grid(question, headings, cells, typed(question.sql, values), is_cut=len(rows) > MOST_ROWS)


def facts(run: Run, sql: str, values: Values) -> list[tuple[Heading, Cell]] | None:
    """The one row of a query as pairs, without what is not known; None when there is no such row."""
    rows = rows_of(run, sql, values)
    if not rows:
        return None
    row = rows[0]
    errors = {error_name(name) for name in row}
    named = [(Heading(label(name), unit(name), meaning(name, sql), is_number=False), name) for name in row]
    return [(head, value_of(row, name)) for head, name in named if row[name] is not None and name not in errors]


def typed(sql: str, values: Values) -> str:
    """The query as a person would type it: quoted values in place of `$names`."""
    return re.sub(r"\$(\w+)", lambda found: _quoted(values.get(found[1])), sql).strip()


def _quoted(value: object) -> str:
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def _used(sql: str, values: Values) -> dict[str, object]:
    """DuckDB refuses values that a query has no place for."""
    return {name: values[name] for name in re.findall(r"\$(\w+)", sql)}


def _is_told(rows: Sequence[Row], name: str) -> bool:
    """Whether a column has something to show: not only unknown values, nor only melts that are not synthetic."""
    return any(row[name] not in (None, False) if name == "synthetic" else row[name] is not None for row in rows)


def _is_number(type_: object) -> bool:
    return str(type_).startswith(("int", "uint", "double", "float", "decimal"))


def filtered(sql: str, filters: Mapping[str, str], *, search: Sequence[str]) -> str:
    """The query's `where true` made narrower: by columns that have a value, and by a text that one of some contains.

    Parameters
    ----------
    sql
        Has `where true` once.
    filters
        Values by column; `search` is looked for in all columns of `search`.
    search
        Columns that a search looks in.
    """
    conditions = [
        f"{name} = try_cast(${name} as double)" if name in _NUMBERS else f"{name} = ${name}"
        for name in filters
        if name != "search"
    ]
    if "search" in filters:
        conditions.append("(" + " or ".join(f"contains(lower({name}), lower($search))" for name in search) + ")")
    return sql.replace("where true", "where " + " and ".join(conditions)) if conditions else sql
