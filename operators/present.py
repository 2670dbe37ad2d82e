"""Answers as text for a person: what `--json` prints for a program."""

from collections.abc import Mapping, Sequence

_WIDEST_CELL = 60


def as_text(answer: Mapping[str, object]) -> str:
    """Scalars line by line, lists of rows as tables."""
    lines: list[str] = []
    for name, value in answer.items():
        if isinstance(value, Mapping):
            lines += [f"{name}:", *(f"  {key}: {_cell(part)}" for key, part in value.items())]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [f"{name}:", as_table(value)]
        else:
            lines.append(f"{name}: {_cell(value)}")
    return "\n".join(lines)


def as_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with a header line, columns aligned; numbers to the right."""
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    cells = [[_shortened(_cell(row.get(name))) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    is_number = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]

    def line(values: Sequence[str]) -> str:
        pairs = zip(values, widths, is_number, strict=True)
        return "  ".join(v.rjust(w) if right else v.ljust(w) for v, w, right in pairs).rstrip()

    return "\n".join([line(names), line(["-" * width for width in widths]), *(line(values) for values in cells)])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(part) for part in value) or "-"
    return str(value)


def _shortened(text: str) -> str:
    if len(text) <= _WIDEST_CELL:
        return text
    is_path = text.startswith("/") and " " not in text  # its end tells more than its beginning
    return f"...{text[3 - _WIDEST_CELL :]}" if is_path else f"{text[: _WIDEST_CELL - 3]}..."
