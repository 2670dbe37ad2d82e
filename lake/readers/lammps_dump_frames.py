"""Frames of a LAMMPS text dump as they stand in it, one by one. Units and what the columns mean do not belong here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from math import isnan

import numpy as np

from lake.readers.columns import decimal
from lake.readers.lammps_box import Box, box_of
from lake.readers.lines import LineReader
from lake.readers.word_tables import TableDecoder
from schemas.elements import SYMBOLS
from schemas.frames import Floats

ITEM = b"ITEM:"
_ROWS_AT_ONCE = 65536
_FRAMES_AT_ONCE = 128
_BYTES_AT_ONCE = 1 << 19
_ATOMIC_NUMBER = {symbol.encode(): number for number, symbol in enumerate(SYMBOLS) if number}


@dataclass(slots=True)
class DumpFrame:
    """One frame. What its head does not tell, or not legibly, is None; rows that do not fit their count are none."""

    head: list[bytes] = field(default_factory=list)
    """Its lines before the table."""
    step: int | None = None
    time: float | None = None
    n_atoms: int | None = None
    box: Box | None = None
    has_box: bool = False
    columns: tuple[bytes, ...] = ()
    rows: bytes = b""
    """Its table as text, until it is decoded; empty where it does not have as many rows as the frame has atoms."""
    table: Floats | None = None
    """(n_atoms, n_columns); atomic numbers in the column `element`, where what is no element is negative."""


class DumpFrames:
    """Frames in file order; text that belongs to none is counted and skipped."""

    def __init__(self, lines: LineReader) -> None:
        self.n_incomplete = 0
        self.decoder: TableDecoder | None = None
        """Of the last frames."""
        self.units: str | None = None
        """As the file names them, once it has."""
        self._lines = lines
        self._columns: tuple[bytes, ...] = ()

    def __iter__(self) -> Iterator[DumpFrame]:
        """Frames with their tables, decoded many at once: a small table costs as much as a large one."""
        some: list[DumpFrame] = []
        n_bytes = 0
        for frame in self._texts():
            is_full = len(some) >= _FRAMES_AT_ONCE or n_bytes >= _BYTES_AT_ONCE
            if some and (is_full or frame.columns != some[0].columns):
                yield from self._decoded(some)
                some, n_bytes = [], 0
            some.append(frame)
            n_bytes += len(frame.rows)
        yield from self._decoded(some)

    def _decoded(self, frames: list[DumpFrame]) -> list[DumpFrame]:
        """Frames of the same columns, with their tables."""
        sound = [frame for frame in frames if frame.rows]
        if not sound:
            return frames
        columns = sound[0].columns
        if self.decoder is None or columns != self._columns:
            elements = [place for place, name in enumerate(columns) if name == b"element"]
            self._columns, self.decoder = columns, TableDecoder(len(columns), elements, _atomic_number)
        ids = [place for place, name in enumerate(columns) if name == b"id"]
        texts, n_rows = [frame.rows for frame in sound], [frame.n_atoms or 0 for frame in sound]
        for frame, table in zip(sound, self.decoder.tables(texts, n_rows), strict=True):
            frame.table = table if table is not None and np.isfinite(table[:, ids]).all() else None
            frame.rows = b""
        return frames

    def _texts(self) -> Iterator[DumpFrame]:
        frame, in_frames = DumpFrame(), True
        while lines := self._lines.peek(1):
            self._lines.pass_by(1)
            title = lines[0].split()
            if title[:1] != [ITEM]:
                if in_frames and (lines[0].strip() or frame.head):
                    self.n_incomplete += 1
                    frame, in_frames = DumpFrame(), False
                continue
            in_frames = True
            frame.head.append(lines[0])
            if title[1:2] != [b"ATOMS"]:
                self._take_item(title[1:], frame)
                continue
            frame.columns = tuple(title[2:])
            if b"\0" in b"".join(frame.head):  # what stands behind the hole may be another frame's
                frame.step, frame.box = None, None
            if frame.n_atoms is None:
                self.n_incomplete += 1
                in_frames = False
            elif self._take_rows(frame, frame.n_atoms):
                yield frame
            else:
                self.n_incomplete += 1
                return
            frame = DumpFrame()
        self.n_incomplete += bool(frame.head or self._lines.rest.strip())

    def _take_item(self, title: list[bytes], frame: DumpFrame) -> None:
        """The lines behind one title, as many as belong to it."""
        is_box = title[:2] == [b"BOX", b"BOUNDS"]
        following = self._lines.peek(3 if is_box else 1)
        values = list(takewhile(lambda line: not line.startswith(ITEM), following))
        self._lines.pass_by(len(values))
        frame.head.extend(values)
        text = b"".join(values).strip()
        if is_box:
            frame.has_box = True
            frame.box = _box(values, title[2:])
        elif title == [b"TIMESTEP"]:
            frame.step = int(text) if text.isdigit() else None
        elif title == [b"NUMBER", b"OF", b"ATOMS"]:
            frame.n_atoms = int(text) if text.isdigit() else None
        elif title == [b"TIME"]:
            time = decimal(text)
            frame.time = None if isnan(time) else time
        elif title == [b"UNITS"]:
            self.units = text.decode("ascii", "replace")

    def _take_rows(self, frame: DumpFrame, n_atoms: int) -> bool:
        """Take the table; False if the file ends before it does."""
        n_rows = self._n_rows(n_atoms)
        if n_rows is None:
            return False
        rows, follows = self._lines.text(n_rows), self._lines.peek(1, behind=n_rows)
        self._lines.pass_by(n_rows)
        if n_rows == n_atoms and all(line.startswith(ITEM) or not line.strip() for line in follows):
            frame.rows = rows
        return True

    def _n_rows(self, n_atoms: int) -> int | None:
        """How many rows there are before the next title, at most one for each atom; None if the file ends before."""
        n_seen = 0
        while n_seen < n_atoms:
            n_wanted = min(n_atoms, n_seen + _ROWS_AT_ONCE)
            if (title := self._lines.find(ITEM, n_wanted)) is not None:
                return title
            if len(self._lines.ends(n_wanted)) < n_wanted:
                return None
            n_seen = n_wanted
        return n_atoms


def _atomic_number(name: bytes) -> int:
    return _ATOMIC_NUMBER.get(name, 0)


def _box(lines: list[bytes], title: list[bytes]) -> Box | None:
    try:
        return box_of(lines, title) if len(lines) == 3 else None
    except (ValueError, IndexError):
        return None
