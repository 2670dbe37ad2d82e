"""The data dictionary as text, from the descriptions themselves: `python -m schemas.dictionary > docs/tables.md`."""

import sys
from collections.abc import Iterator

from schemas.faults import FAULTS
from schemas.gate import RULES
from schemas.tables import SCHEMA_VERSION, TABLES
from schemas.views import VIEWS


def dictionary() -> str:
    """Tables with their columns, views, rules of the gate and reading faults, as Markdown."""
    return "\n".join([*_heading(), *_tables(), *_views(), *_rules(), *_faults()]) + "\n"


def _heading() -> Iterator[str]:
    yield "# Tables, columns and units\n"
    yield (
        f"Schema version {SCHEMA_VERSION}. The unit of a column is its suffix (`_ev`, `_angstrom`, `_fs`, `_k` ...); "
        "no suffix means dimensionless. Every table is a Delta table below the lake and a table of the warehouse; "
        "`frames` is a view there. Rows are replaced by the key, exactly once.\n"
    )


def _tables() -> Iterator[str]:
    for table in TABLES.values():
        yield f"## `{table.name}`\n"
        yield f"One row per {table.one_row_per}. Key: `{table.key}`.\n"
        yield "| column | type | meaning |\n|---|---|---|"
        yield from (f"| `{column.name}` | {column.type} | {column.meaning} |" for column in table.columns)
        yield ""


def _views() -> Iterator[str]:
    yield "## Views\n\n| view | what it tells |\n|---|---|"
    yield from (f"| `{view.name}` | {view.meaning} |" for view in VIEWS)
    yield ""


def _rules() -> Iterator[str]:
    yield "## Rules of the gate\n"
    yield (
        "A rejected frame stays in the lake and is never trained on; a flag warns. `docs/gate.md` tells how to change "
        "a threshold and how to let a frame pass.\n"
    )
    yield "| rule | judges | severity | looks at | expects | why |\n|---|---|---|---|---|---|"
    for rule in RULES:
        yield (
            f"| `{rule.name}` | {rule.scope} | {rule.severity} | `{rule.column}` | {rule.expected} | {rule.reason} |"
        )
    yield ""


def _faults() -> Iterator[str]:
    yield "## Reading faults\n\nThey stand in `rejection_reasons` beside the rules.\n\n| fault | meaning |\n|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in FAULTS.items())


if __name__ == "__main__":
    sys.stdout.write(dictionary())
