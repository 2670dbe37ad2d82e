"""The blocks of one ionic step of a vasprun.xml, found in text that is wholly in memory. Files do not belong here."""

import re
from typing import NamedTuple

from lake.readers.batches import NAN
from lake.readers.columns import RowLayout, decimal, glued_decimals
from lake.readers.vasprun_fields import CALCULATION, ENERGY, ENERGY_END, FORCES, POSITIONS, SCF_STEP, STRUCTURE

N_COLUMNS = 3
LONGEST_TITLE = 16

_TABLE_END = b"</varray>"
_LONGEST_GAP = 4096  # between the beginning of a structure, its positions and the forces
_VECTOR = re.compile(rb"<v>([^<]*)</v>")
_NUMBER = re.compile(rb'<i name="([^"]+)">[ ]*([^\s<]+)[ ]*</i>')


class Table(NamedTuple):
    """Where the rows of a `<varray>` stand."""

    first_row: int
    end: int
    """Behind its last row."""


def table_named(text: bytearray, name: bytes, start: int, end: int, n_bytes: int = 0) -> Table | None:
    """The rows of the `<varray>` of that name in `[start, end)`; None when it is absent or cut.

    `n_bytes` is the size of a sound table if it is known: then the closing tag is where it must be, and nothing is
    searched.
    """
    title = text.find(b'<varray name="' + name + b'"', start, end)
    first_row = text.find(b"\n", title, end) + 1 if title >= 0 else 0
    if first_row == 0:
        return None
    close = first_row + n_bytes
    if not (n_bytes and close < end and text[close : close + 20].lstrip(b" ").startswith(_TABLE_END)):
        tag = text.find(_TABLE_END, first_row, end)
        close = text.rfind(b"\n", first_row - 1, tag) + 1
        if tag < 0 or close == 0:
            return None
    return Table(first_row, close)


def forces_end(text: bytearray, start: int, sizes: tuple[int, int]) -> int:
    """Behind the positions and forces that follow `start`, if both tables have these sizes; `start` otherwise."""
    at = start
    for name, n_bytes in zip((POSITIONS, FORCES), sizes, strict=True):
        title = text.find(b'<varray name="' + name + b'"', at, at + _LONGEST_GAP)
        close = text.find(b"\n", title) + 1 + n_bytes
        is_sound = title >= 0 and n_bytes and text[close : close + 20].lstrip(b" ").startswith(_TABLE_END)
        if not is_sound or text.find(ENERGY_END, at, title) >= 0:
            return start
        at = close
    return at


def are_near(structure: int, positions: Table | None, forces: Table | None) -> bool:
    """Whether both tables stand close behind the structure, with no room for another step between them."""
    if positions is None or forces is None:
        return False
    return max(positions.first_row - structure, forces.first_row - positions.end) < _LONGEST_GAP


def next_step(text: bytearray, start: int, end: int) -> int | None:
    """Where another step begins in `[start, end)`."""
    hits = [hit for title in (CALCULATION, STRUCTURE) if (hit := text.find(title, start, end)) >= 0]
    return min(hits, default=None)


def layout_of(text: bytearray, table: Table, n_atoms: int) -> RowLayout | None:
    """The layout of a table whose rows are all as long as its first sound one."""
    for line in bytes(text[table.first_row : table.end]).splitlines(keepends=True):
        layout = RowLayout.learn(line, N_COLUMNS)
        if layout is not None:
            return layout if table.end - table.first_row == n_atoms * layout.width else None
    return None


def vectors_of(text: bytearray, table: Table) -> list[bytes]:
    """The numbers of each row as text, whatever the layout."""
    return _VECTOR.findall(text, table.first_row, table.end)


def nine_numbers(text: bytearray, table: Table) -> tuple[float, ...]:
    """Three rows of three numbers; NaN where one is not a number."""
    rows = [glued_decimals(row, 3) for row in vectors_of(text, table) if b"\n" not in row]
    return tuple(number for row in rows for number in row) if len(rows) == 3 else (NAN,) * 9


def has_rows(text: bytearray, start: int, end: int) -> bool:
    """Whether a row of some table stands in `[start, end)`."""
    return text.find(b"<v>", start, end) >= 0


def energies_of(text: bytearray, start: int, end: int) -> dict[str, float]:
    """The named numbers of the last `<energy>` in `[start, end)`, eV."""
    at = text.rfind(ENERGY, start, end)
    return {} if at < 0 else {key.decode("latin-1"): decimal(value) for key, value in _NUMBER.findall(text, at, end)}


def scf_energies(text: bytearray, start: int, end: int, n_last: int) -> list[dict[str, float]]:
    """The energies of the last electronic iterations in `[start, end)`, the last one first."""
    energies: list[dict[str, float]] = []
    while len(energies) < n_last and (at := text.rfind(SCF_STEP, start, end)) >= 0:
        energies.append(energies_of(text, at, end))
        end = at
    return energies
