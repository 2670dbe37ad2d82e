"""Frames of an extended XYZ file as they stand in it, one by one. What their numbers mean does not belong here."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lake.readers.extxyz_comment import Columns, columns_of, is_misspelt, parse_comment
from lake.readers.lines import LineReader
from lake.readers.word_tables import TableDecoder
from schemas.composition import element_counts, formula
from schemas.elements import SYMBOLS
from schemas.frames import Floats

_COUNT = re.compile(rb"[ \t]*(\d{1,9})[ \t\r]*\n")
_ROWS_AT_ONCE = 65536
_LONGEST_COUNT = 16
_FRAMES_AT_ONCE = 128
_BYTES_AT_ONCE = 1 << 19
_Kind = tuple[int, tuple[int, ...]]
_ATOMIC_NUMBER = {symbol.encode(): number for number, symbol in enumerate(SYMBOLS) if number}


@dataclass(slots=True)
class XyzFrame:
    """One frame; without a table of atoms where its rows are damaged."""

    head: bytes
    """Its first two lines."""
    rows: bytes
    """Its other lines, until they are decoded."""
    comment: dict[str, str]
    columns: Columns | None
    n_atoms: int
    n_rows: int
    n_bytes: int
    """Of head and rows."""
    offset: int
    """Where it begins in the file."""
    is_sound: bool
    """Whether its comment could be understood and its rows are as many as it says."""
    n_lost_before: int = 0
    """Frames that could not be found, between the one before and this one."""
    table: Floats | None = None
    """(n_atoms, n_columns), with atomic numbers in the column of elements and NaN where a word is no number."""
    atomic_numbers: NDArray[np.int8] | None = None
    """(n_atoms,)."""


class XyzFrames:
    """Frames in file order. A frame that ends early, or lines that belong to none, cost nothing but themselves."""

    def __init__(self, lines: LineReader) -> None:
        self.n_incomplete = 0
        self._lines = lines
        self._usual_keys: Collection[str] = ()

    @property
    def has_hole(self) -> bool:
        """Whether NUL bytes stand in the file."""
        return self._lines.has_hole

    def __iter__(self) -> Iterator[XyzFrame]:
        return with_tables(self._texts())

    def _texts(self) -> Iterator[XyzFrame]:
        in_frames, n_told = True, 0
        while lines := self._lines.peek(2):
            count = _COUNT.fullmatch(lines[0])
            if count is not None and (in_frames or _begins_frame(lines)):
                in_frames = True
                if (frame := self._frame(int(count[1]), lines)) is None:
                    self.n_incomplete += 1
                    return
                frame.n_lost_before, n_told = self.n_incomplete - n_told, self.n_incomplete
                in_frames = frame.is_sound  # what follows may be the rest of its rows
                yield frame
                continue
            self._lines.pass_by(1)
            if lines[0].strip():
                self.n_incomplete += in_frames or b"=" in lines[0]
                in_frames = False
        self.n_incomplete += bool(self._lines.rest.strip())

    def _frame(self, n_atoms: int, head: list[bytes]) -> XyzFrame | None:
        n_rows, is_whole = self._rows(n_atoms)
        if n_rows < n_atoms and is_whole:
            return None
        offset, rows = self._lines.offset, self._lines.text(n_rows, behind=2)
        self._lines.pass_by(2 + n_rows)
        comment = parse_comment(head[1])
        if comment.keys() != self._usual_keys:
            usual_keys = self._usual_keys or parse_comment(b"".join(self._lines.peek(2)[1:])).keys()
            comment = {} if is_misspelt(comment.keys(), usual_keys) else comment
            self._usual_keys = comment.keys() or self._usual_keys
        columns = columns_in(comment)
        is_sound = bool(comment) and columns is not None and n_rows == n_atoms and self._frame_may_follow(n_atoms)
        n_bytes = self._lines.offset - offset
        return XyzFrame(
            head=b"".join(head),
            rows=rows,
            comment=comment,
            columns=columns,
            n_atoms=n_atoms,
            n_rows=n_rows,
            n_bytes=n_bytes,
            offset=offset,
            is_sound=is_sound,
        )

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
            # The ends of the line before these rows, of the rows, and of the line behind them.
            ends = self._lines.ends(2 + n_wanted + 1)[1 + n_seen :]
            n_there = min(len(ends) - 1, n_wanted - n_seen)
            is_short = ends[1 : n_there + 1] - ends[:n_there] <= _LONGEST_COUNT
            for row in np.flatnonzero(is_short).tolist() if is_short.any() else ():
                if _begins_frame(self._lines.peek(2, behind=2 + n_seen + row)):
                    return n_seen + row, False
            if n_there < n_wanted - n_seen:
                return max(n_seen + n_there, 0), True
            n_seen = n_wanted
        return n_atoms, True


def columns_in(comment: dict[str, str]) -> Columns | None:
    """As `columns_of`; equal columns are the same object."""
    return _columns_of(comment.get("Properties"))


@lru_cache(maxsize=64)
def _columns_of(properties: str | None) -> Columns | None:
    return columns_of({} if properties is None else {"Properties": properties})


def _begins_frame(lines: list[bytes]) -> bool:
    return len(lines) == 2 and _COUNT.fullmatch(lines[0]) is not None and b"=" in lines[1]


def with_tables(frames: Iterable[XyzFrame]) -> Iterator[XyzFrame]:
    """The same frames, decoded: many at once, since a small table costs as much as a large one."""
    decoders: dict[_Kind, TableDecoder] = {}
    some: list[XyzFrame] = []
    n_bytes = 0
    for frame in frames:
        is_full = len(some) >= _FRAMES_AT_ONCE or n_bytes >= _BYTES_AT_ONCE
        if some and (is_full or frame.columns is not some[0].columns):
            yield from _decoded(some, decoders)
            some, n_bytes = [], 0
        some.append(frame)
        n_bytes += len(frame.rows)
    yield from _decoded(some, decoders)


def _decoded(frames: list[XyzFrame], decoders: dict[_Kind, TableDecoder]) -> list[XyzFrame]:
    """Frames of the same columns, with their tables."""
    columns = frames[0].columns if frames else None
    sound = [frame for frame in frames if frame.is_sound and frame.n_rows]
    if columns is not None and sound:
        kind = columns.n_columns, columns.words
        if kind not in decoders:
            decoders[kind] = TableDecoder(*kind, _atomic_number)
        texts, n_rows = [frame.rows for frame in sound], [frame.n_rows for frame in sound]
        place = columns.places["species" if "species" in columns.places else "Z"].start
        for frame, table in zip(sound, decoders[kind].tables(texts, n_rows), strict=True):
            if table is not None and (numbers := _elements(table[:, place])) is not None:
                frame.table, frame.atomic_numbers = table, numbers
    for frame in frames:
        frame.rows = b""
    return frames


def _atomic_number(name: bytes) -> int:
    """Of a symbol in any case; 0 for any other word."""
    return _ATOMIC_NUMBER.get(name) or _ATOMIC_NUMBER.get(name.capitalize(), 0)


def _elements(numbers: Floats) -> NDArray[np.int8] | None:
    """Atomic numbers, (n_atoms,); None where one is of no element."""
    if not (numbers.min() >= 1 and numbers.max() < len(SYMBOLS)):
        return None
    elements = numbers.astype(np.int8)
    return elements if np.array_equal(elements, numbers) else None


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
