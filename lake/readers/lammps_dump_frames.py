"""Frames of a LAMMPS text dump as they stand in it, one by one. Units and what the columns mean do not belong here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan

import numpy as np

from lake.readers.columns import decimal
from lake.readers.lammps_box import Box, box_of
from lake.readers.word_tables import LineReader, WordTable, table_of

ITEM = b"ITEM:"
_ROWS_AT_ONCE = 65536


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
    table: WordTable | None = None


class DumpFrames:
    """Frames in file order; text that belongs to none is counted and skipped."""

    def __init__(self, lines: LineReader) -> None:
        self.n_incomplete = 0
        self.units: str | None = None
        """As the file names them, once it has."""
        self._lines = lines

    def __iter__(self) -> Iterator[DumpFrame]:
        frame, in_frames = DumpFrame(), True
        while lines := self._lines.take(1):
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
        n_lines = 0
        for line in self._lines.peek(3 if is_box else 1):
            if line.startswith(ITEM):
                break
            n_lines += 1
        values = self._lines.take(n_lines)
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
        n_seen, is_short = 0, False
        while n_seen < n_atoms and not is_short:
            n_wanted = min(n_atoms, n_seen + _ROWS_AT_ONCE)
            lines = self._lines.peek(n_wanted)
            titles = (row for row in range(n_seen, len(lines)) if lines[row].startswith(ITEM))
            end = next(titles, len(lines))
            is_short = end < len(lines)
            if len(lines) < n_wanted and not is_short:
                return False
            n_seen = end if is_short else n_wanted
        rows = self._lines.take(n_seen)
        follows = self._lines.peek(1)
        is_sound = n_seen == n_atoms and all(line.startswith(ITEM) or not line.strip() for line in follows)
        if is_sound:
            elements = [place for place, name in enumerate(frame.columns) if name == b"element"]
            table = table_of(rows, len(frame.columns), word_columns=elements)
            ids = [place for place, name in enumerate(frame.columns) if name == b"id"]
            frame.table = table if table is not None and np.isfinite(table.numbers[:, ids]).all() else None
        return True


def _box(lines: list[bytes], title: list[bytes]) -> Box | None:
    try:
        return box_of(lines, title) if len(lines) == 3 else None
    except (ValueError, IndexError):
        return None
