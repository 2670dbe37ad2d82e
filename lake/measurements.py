"""Measurements that a person added: points of `experiments` and digitised curves, each found by its citation.

Reading them from files is `measurement_files`'; what comes with meltlake is `experiments`'.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from lake.delta import Lake
from schemas.errors import MeltlakeError
from schemas.ids import content_id
from schemas.tables import TABLES

Row = dict[str, object]

EXPERIMENT_TABLES = ("experiments", "experimental_rdf", "experimental_structure_factor")

_ABOUT = {
    "experiments": ("quantity", "element", "temperature_k", "source_id"),
    "experimental_rdf": ("pair", "temperature_k", "source_id"),
    "experimental_structure_factor": ("pair", "temperature_k", "source_id"),
}
"""What tells one measurement of a composition from another. A curve is one measurement of many rows."""
_ABSCISSAE = ("r_angstrom", "q_per_angstrom")
_WHEN = ("added_from", "added_at")


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding rows."""

    n_new: int
    n_there: int
    """Rows that the lake had already."""


def source_id(citation: str) -> str:
    """Name of all that one citation says; blanks and capitals do not make another."""
    return content_id(" ".join(citation.lower().split()))


def measurements_of(lake: Lake, table: str) -> dict[str, list[Row]]:
    """Rows of a table by composition, in the order in which they were stored."""
    return _by_composition(lake.rows(table).to_pylist())


def add_measurements(lake: Lake, table: str, rows: Sequence[Row]) -> Added:
    """Store rows that are not there yet; those that are there stay as they are.

    Parameters
    ----------
    lake
        Where.
    table
        One of `EXPERIMENT_TABLES`.
    rows
        Complete rows, of any compositions.

    Raises
    ------
    MeltlakeError
        If the lake has another number of the same citation for the same quantity and temperature.
    """
    n_new = 0
    for composition, wanted in _by_composition(rows).items():
        new: list[Row] = []  # of the last attempt
        replace_measurements(lake, table, composition, partial(_with_new, table, wanted, new))
        n_new += len(new)
    return Added(n_new=n_new, n_there=len(rows) - n_new)


def require_no_contradiction(lake: Lake, table: str, rows: Sequence[Row]) -> None:
    """Refuse rows as `add_measurements` would, before anything is stored.

    Raises
    ------
    MeltlakeError
        If the lake has another number of the same citation for the same quantity and temperature.
    """
    stored = measurements_of(lake, table)
    for composition, wanted in _by_composition(rows).items():
        _new_rows(table, stored.get(composition, []), wanted)


def remove_measurements(lake: Lake, source: str) -> dict[str, int]:
    """Take out all that a person added of one source; returns how many rows of each table went."""
    removed: dict[str, int] = {}
    for table in EXPERIMENT_TABLES:
        for composition, rows in measurements_of(lake, table).items():
            if n_rows := sum(_is_added_from(row, source) for row in rows):
                replace_measurements(lake, table, composition, partial(_without, source))
                removed[table] = removed.get(table, 0) + n_rows
    return removed


def replace_measurements(
    lake: Lake, table: str, composition: str, change: Callable[[list[Row]], Sequence[Row]]
) -> None:
    """Make rows of a composition from those that are there, so that nobody's rows are lost meanwhile.

    Raises
    ------
    TryAgainLater
        If another process holds the composition, or changed it in a bucket meanwhile.
    """
    with lake.writing(f"{table}-{composition}", doing=f"storing measurements of {composition}"):
        files = lake.files(table, key=composition)
        stored: list[Row] = lake.rows(table, key=composition).to_pylist()
        rows = list(change(stored))
        if rows == stored:
            return
        if not rows:
            lake.remove(table, composition)
            return
        batch = pa.Table.from_pylist(rows, schema=TABLES[table].file_schema)
        lake.replace_batches(table, {TABLES[table].key: composition}, batch.to_batches(), instead_of=files)


def _by_composition(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row["element_or_alloy"])].append(row)
    return dict(found)


def _with_new(table: str, wanted: Sequence[Row], new: list[Row], stored: Sequence[Row]) -> list[Row]:
    new[:] = _new_rows(table, stored, wanted)
    return [*stored, *new]


def _without(source: str, stored: Sequence[Row]) -> list[Row]:
    return [row for row in stored if not _is_added_from(row, source)]


def _is_added_from(row: Mapping[str, object], source: str) -> bool:
    return row["added_from"] is not None and row["source_id"] == source


def _new_rows(table: str, stored: Sequence[Row], wanted: Sequence[Row]) -> list[Row]:
    """Those of the measurements that are not stored."""
    there, asked = _measurements(table, stored), _measurements(table, wanted)
    for about, rows in asked.items():
        if about in there and _content(there[about]) != _content(rows):
            row, old = rows[0], there[about][0]
            what = str(row.get("quantity") or table.removeprefix("experimental_"))
            raise MeltlakeError(
                f"{row['element_or_alloy']}, {what} at {row['temperature_k']:g} K by {row['source']}: needed what the "
                f"lake has from {old['added_from'] or 'meltlake itself'}, found other numbers in {row['added_from']}.",
                f"To replace them: `meltlake experiments remove {row['source_id']}`, then add the file again."
                if old["added_from"]
                else "Give your numbers a citation of their own.",
            )
    return [row for about, rows in asked.items() if about not in there for row in rows]


def _measurements(table: str, rows: Sequence[Row]) -> dict[tuple[object, ...], list[Row]]:
    found: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in _ABOUT[table])].append(row)
    return found


def _content(rows: Sequence[Row]) -> list[Row]:
    """What they say, in whatever order the lines of a file are."""
    said = [{name: value for name, value in row.items() if name not in _WHEN} for row in rows]
    return sorted(said, key=lambda row: [row.get(name) or 0.0 for name in _ABSCISSAE])
