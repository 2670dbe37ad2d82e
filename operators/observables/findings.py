"""What observing finds on its way into the lake: rows by table, and a sentence on everything that is left out."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lake.delta import Lake
from schemas.errors import MeltlakeError

Row = dict[str, object]
Observable = TypeVar("Observable")


@dataclass(slots=True)
class Findings:
    """What is known of one run, and why the rest is not."""

    rows: dict[str, list[Row]]
    """By table."""
    skipped: list[str] = field(default_factory=list)
    """Sentences."""
    reasons: dict[str, str] = field(default_factory=dict)
    """The same, by table."""

    @classmethod
    def of_tables(cls, tables: Iterable[str]) -> "Findings":
        """Nothing yet, of these tables."""
        return cls({table: [] for table in tables})

    @property
    def n_rows(self) -> dict[str, int]:
        return {table: len(rows) for table, rows in self.rows.items()}

    def attempt(self, observable: Callable[[], Observable], *tables: str) -> Observable | None:
        """The observable, or None, with the reason why there is none noted, also by the tables that go without."""
        try:
            return observable()
        except MeltlakeError as reason:
            self.skipped.append(reason.problem)
            self.reasons |= dict.fromkeys(tables, reason.problem)
            return None


def row_of(lake: Lake, table: str, key: str, *, remedy: str) -> Row:
    """The first row of a key.

    Raises
    ------
    MeltlakeError
        If there is none.
    """
    found: list[Row] = lake.rows(table, key=key).to_pylist()
    if not found:
        raise MeltlakeError(f"The lake's table {table} has no {key}.", remedy)
    return found[0]


def replace_rows(lake: Lake, table: str, key: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Make these the rows of a key, NaN as null; a key that has none and gets none is left alone."""
    if rows or lake.rows(table, key=key).num_rows:
        lake.replace(table, key, [without_nan(row) for row in rows])


def without_nan(row: Mapping[str, object]) -> Row:
    """The same row with null for what is not a number."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
