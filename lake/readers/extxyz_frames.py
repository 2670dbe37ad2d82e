"""Frames of an extended XYZ file as they stand in it, one by one. What their numbers mean does not belong here."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lake.readers.extxyz_comment import Columns, columns_of, is_misspelt, parse_comment
from lake.readers.word_tables import LineReader, WordTable, table_of
from schemas.composition import element_counts, formula
from schemas.elements import SYMBOLS

_COUNT = re.compile(rb"[ \t]*(\d{1,9})[ \t\r]*\n")
_ROWS_AT_ONCE = 65536
_LONGEST_COUNT = 16
_ALL_NUMBERS = np.arange(1, len(SYMBOLS))
_ATOMIC_NUMBER = {symbol.encode(): number for number, symbol in enumerate(SYMBOLS) if number}


@dataclass(frozen=True, slots=True)
class XyzFrame:
    """One frame; without a table of atoms where its rows are damaged."""

    head: bytes
    """Its first two lines."""
    comment: dict[str, str]
    columns: Columns | None
    table: WordTable | None
    atomic_numbers: NDArray[np.int8] | None
    """(n_atoms,)."""
    n_atoms: int
    is_sound: bool = True
    """Whether its comment could be understood and its rows are as many as it says."""
    n_lost_before: int = 0
    """Frames that could not be found, between the one before and this one."""


class XyzFrames:
    """Frames in file order. A frame that ends early, or lines that belong to none, cost nothing but themselves."""

    def __init__(self, lines: LineReader) -> None:
        self.n_incomplete = 0
        self._lines = lines
        self._usual_keys: Collection[str] = ()

    def __iter__(self) -> Iterator[XyzFrame]:
        in_frames, n_told = True, 0
        while lines := self._lines.peek(2):
            count = _COUNT.fullmatch(lines[0])
            if count is not None and (in_frames or _begins_frame(lines)):
                in_frames = True
                if (frame := self._frame(int(count[1]))) is None:
                    self.n_incomplete += 1
                    return
                yield replace(frame, n_lost_before=self.n_incomplete - n_told)
                n_told = self.n_incomplete
                in_frames = frame.is_sound  # what follows may be the rest of its rows
                continue
            self._lines.take(1)
            if lines[0].strip():
                self.n_incomplete += in_frames or b"=" in lines[0]
                in_frames = False
        self.n_incomplete += bool(self._lines.rest.strip())

    def _frame(self, n_atoms: int) -> XyzFrame | None:
        n_rows, is_whole = self._rows(n_atoms)
        if n_rows < n_atoms and is_whole:
            return None
        head, rows = self._lines.take(2), self._lines.take(n_rows)
        comment = parse_comment(head[1])
        usual_keys = self._usual_keys or parse_comment(b"".join(self._lines.peek(2)[1:])).keys()
        comment = {} if is_misspelt(comment.keys(), usual_keys) else comment
        self._usual_keys = comment.keys() or self._usual_keys
        columns = columns_of(comment)
        is_sound = bool(comment) and columns is not None and n_rows == n_atoms and self._frame_may_follow(n_atoms)
        table = None
        if columns is not None and is_sound:
            table = table_of(rows, columns.n_columns, word_columns=columns.words)
        numbers = None if table is None or columns is None else _atomic_numbers(table, columns)
        if numbers is None:
            table = None
        return XyzFrame(b"".join(head), comment, columns, table, numbers, n_atoms, is_sound)

    def _frame_may_follow(self, n_atoms: int) -> bool:
        """Whether no further rows follow, as they do where the count of atoms or a line's end is damaged."""
        lines = self._lines.peek(2)
        if len(lines) == 2:
            return _begins_frame(lines) or not b"".join(lines).strip()
        return all(line.strip() in {b"", b"%d" % n_atoms} for line in lines)

    def _rows(self, n_atoms: int) -> tuple[int, bool]:
        """How many rows there are, and whether no other frame begins among them."""
        n_seen = 0
        while n_seen < n_atoms:
            n_wanted = min(n_atoms, n_seen + _ROWS_AT_ONCE)
            lines = self._lines.peek(2 + n_wanted + 2)[2:]
            for row in range(n_seen, min(n_wanted, len(lines))):
                if len(lines[row]) <= _LONGEST_COUNT and _begins_frame(lines[row : row + 2]):
                    return row, False
            if len(lines) < n_wanted:
                return len(lines), True
            n_seen = n_wanted
        return n_atoms, True


def _begins_frame(lines: list[bytes]) -> bool:
    return len(lines) == 2 and _COUNT.fullmatch(lines[0]) is not None and b"=" in lines[1]


def _atomic_numbers(table: WordTable, columns: Columns) -> NDArray[np.int8] | None:
    """Elements by symbol, in any case, or by number; None where one is neither."""
    place = columns.places["species" if "species" in columns.places else "Z"].start
    if place in table.words:
        names = table.words[place]
        numbers = np.array([_ATOMIC_NUMBER.get(name) or _ATOMIC_NUMBER.get(name.capitalize(), 0) for name in names])
    else:
        numbers = table.numbers[:, place]
    if not np.isin(numbers, _ALL_NUMBERS).all():
        return None
    return numbers.astype(np.int8)


class PartNames:
    """Names of the distinct sequences of atoms in a file, in the order in which they come."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._n_of: Counter[str] = Counter()

    def name_of(self, atomic_numbers: NDArray[np.int8]) -> str:
        """The formula; the second order of atoms of one formula is `<formula>-2`, and so on."""
        key = atomic_numbers.tobytes()
        if key not in self._names:
            name = formula(element_counts(atomic_numbers))
            self._n_of[name] += 1
            self._names[key] = name if self._n_of[name] == 1 else f"{name}-{self._n_of[name]}"
        return self._names[key]

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(self._names.values())
