"""How much of what lies in the lake: rows, files and bytes of each table, by its log. Rows themselves are `delta`'s."""

from collections.abc import Iterator
from dataclasses import dataclass

from lake.delta import Lake
from schemas.tables import TABLES


@dataclass(frozen=True, slots=True)
class TableSize:
    """One table at its current version."""

    table: str
    version: int
    n_rows: int
    n_files: int
    n_bytes: int
    """Of the files that hold the current rows; those of older versions come on top until they are vacuumed."""
    missing_columns: tuple[str, ...]
    """Columns of today's schema that it gets with its next row: an older meltlake made it."""


def table_sizes(lake: Lake) -> Iterator[TableSize]:
    """Every table that was ever written."""
    for name, description in TABLES.items():
        log = lake.log(name)
        if not log.exists():
            continue
        handle = log.open()
        files = log.files(version=handle.version())
        stored = {field.name for field in handle.schema().fields}
        yield TableSize(
            table=name,
            version=handle.version(),
            n_rows=sum(file.n_rows for file in files),
            n_files=len(files),
            n_bytes=sum(file.n_bytes for file in files),
            missing_columns=tuple(column.name for column in description.columns if column.name not in stored),
        )


def stored_bytes(lake: Lake, table: str, key: str) -> int:
    """Size of the files that hold a key's current rows."""
    return sum(file.n_bytes for file in lake.log(table).files(key=key))
