"""Answers as text for a person: what `--json` prints for a program. Tables fit the terminal."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from shutil import get_terminal_size

_WIDEST_CELL = 60
_NARROWEST_CELL = 24
_BETWEEN = "  "
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")

Column = list[str]
"""Header, rule and cells, padded to one width."""


def as_text(answer: Mapping[str, object]) -> str:
    """Scalars line by line, lists of rows as tables."""
    lines: list[str] = []
    for name, value in answer.items():
        if isinstance(value, Mapping):
            lines += [f"{name}:", *(f"  {key}: {as_cell(part)}" for key, part in value.items())]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [f"{name}:", as_table(value)]
        elif isinstance(value, list) and any(str(part).endswith(".") for part in value):
            lines += [f"{name}:", *(f"  {sentence}" for sentence in value)]
        else:
            lines.append(f"{name}: {as_cell(value)}")
    return "\n".join(lines)


def as_table(rows: Sequence[Mapping[str, object]], *, width: int | None = None) -> str:
    """Rows with a header line, columns aligned; numbers to the right.

    Columns that do not fit beside the others follow below, with the first one again; cells of several lines, such as
    query plans, stand alone.

    Parameters
    ----------
    rows
        Each with the same names.
    width
        Characters in a line; by default those of the terminal, 80 where there is none, or the variable COLUMNS.
    """
    if not rows:
        return "(no rows)"
    if any("\n" in value for row in rows for value in row.values() if isinstance(value, str)):
        return "\n".join(f"{name}:\n{as_cell(value)}" for row in rows for name, value in row.items())
    most = width or get_terminal_size().columns
    widest = most if len(rows[0]) == 1 else max(_NARROWEST_CELL, min(_WIDEST_CELL, most // 2 - 1))
    columns = [_column(name, [row.get(name) for row in rows], widest) for name in rows[0]]
    return "\n\n".join(_lines(block) for block in _folded(columns, most))


def _column(name: str, values: Sequence[object], widest: int) -> Column:
    cells = [_shortened(as_cell(value), widest) for value in values]
    width = max(len(name), *map(len, cells))
    is_number = all(isinstance(value, int | float | Decimal | None) and not isinstance(value, bool) for value in values)
    return [cell.rjust(width) if is_number else cell.ljust(width) for cell in (name, "-" * width, *cells)]


def _folded(columns: Sequence[Column], most: int) -> list[list[Column]]:
    """Blocks of columns that fit a line, each of them with the first column."""
    blocks = [[columns[0]]]
    for column in columns[1:]:
        taken = sum(len(one[0]) + len(_BETWEEN) for one in blocks[-1])
        if len(blocks[-1]) > 1 and taken + len(column[0]) > most:
            blocks.append([columns[0]])
        blocks[-1].append(column)
    return blocks


def _lines(columns: Sequence[Column]) -> str:
    return "\n".join(_BETWEEN.join(cells).rstrip() for cells in zip(*columns, strict=True))


def as_cell(value: object) -> str:
    """A value in a word or a few."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(as_cell(part) for part in value) or "-"
    return str(value)


def as_size(n_bytes: int) -> str:
    """A number of bytes in the unit in which it is at least 1."""
    size, unit = float(n_bytes), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {_UNITS[unit]}" if unit else f"{n_bytes} bytes"


def _shortened(text: str, widest: int) -> str:
    if len(text) <= widest:
        return text
    # Of a path the end tells more than the beginning. Folders may have blanks; a sentence has some behind its path.
    is_path = text.startswith(("/", "s3://")) and ": " not in text and " " not in text.rpartition("/")[2]
    return f"...{text[3 - widest :]}" if is_path else f"{text[: widest - 3]}..."
