"""Reads an XDATCAR once, front to back: positions without labels. What its head says is in `xdatcar_head`."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from lake.readers.bookmarks import Progress, bookmark_at, skip_to
from lake.readers.containers import SourceStream, open_source
from lake.readers.fields import Field
from lake.readers.source_reader import SourceReader
from lake.readers.window import CHUNK_BYTES, LOST_TEXT, TextWindow
from lake.readers.xdatcar_frames import PositionCollector, new_record
from lake.readers.xdatcar_head import (
    CONFIGURATION,
    LONGEST_HEAD,
    BlankMarks,
    Mark,
    NotAHead,
    NumberedMarks,
    XdatcarHead,
    has_all_decimals,
    is_row,
    last_lines,
    parse_head,
)
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, FrameBatch, ReadingOutcome, RunHeader

FIELDS = (
    Field("atomic_numbers", "lines 6 and 7: species and counts", "5.2", "VASP 4 named no elements"),
    Field("cell_angstrom", "lines 2 to 5, again before each configuration where the cell moves", "5.2", "scaled"),
    Field("ionic_step", "Direct configuration=", "5.2", "goes up by NBLOCK; files of VASP 4 are counted from 1"),
    Field("positions_angstrom", "the rows behind that line", "4.6", "fractional, rarely Cartesian; no labels at all"),
)

_LONGEST_ROW = 4096
_NUMBERS_IN_HEAD = 4  # lines: the scale and three vectors
_WHITE = b" \t\r\n"
_NO_TIME = (
    "An XDATCAR does not say how much time lies between its configurations (POTIM); the OUTCAR or vasprun.xml does."
)


@dataclass(slots=True)
class _State:
    """What is known between two configurations; a bookmark keeps it."""

    cell: tuple[float, ...] | None
    """Nine numbers: the last ones that were read, or None when a new run's were not readable."""
    scale: tuple[float, float, float]
    cell_lost: bool = False
    """Whether the text before the last configuration was damaged, so that it may have had another cell."""
    segment: int = 0
    step: int = 0
    stride: int = 1
    n_begun: int = 0
    n_frames: int = 0
    n_lost: int = 0
    row: str = ""
    after_good: bool = True
    """Whether the last configuration had all its rows, and they took none of the lines behind them."""
    count_lost: bool = False
    """Whether a configuration without a number may be missing."""


_NAMES = tuple(each.name for each in fields(_State))
_kept = attrgetter(*_NAMES)  # a copy that costs little, as one is made for every configuration


class XdatcarReader(SourceReader):
    """Configurations of an XDATCAR of any version, plain or compressed, complete, growing or cut."""

    def __init__(
        self, source: SourceStream | str | Path, *, bookmark: Bookmark | None = None, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self.source = open_source(source) if isinstance(source, str | Path) else source
        self.outcome = ReadingOutcome()
        self._bookmark = bookmark
        if bookmark is not None:
            self.source.expect(bookmark.content_bytes, bookmark.content_sha256)
        self._window = TextWindow(self.source, chunk_bytes)
        self._head = self._read_head()
        self._n_atoms = len(self._head.atomic_numbers)
        self._state = _State(self._head.cell_angstrom, self._head.scale)
        self._collector = PositionCollector(self._n_atoms)
        self._final = (self._window.n_dropped, _kept(self._state))
        self.header = RunHeader(source_format="xdatcar", atomic_numbers=self._head.atomic_numbers)

    def head_sha256(self) -> str:
        """Of the text up to the first configuration's rows."""
        return self._head_sha256

    def bookmark(self) -> Bookmark:
        """Where to go on, after the last batch: behind the last configuration whose last row has its newline."""
        offset, values = self._final
        state = dict(zip(_NAMES, values, strict=True))
        return bookmark_at(Progress(offset, _State(*values).n_frames, state), self.source)

    def batches(self) -> Iterator[FrameBatch]:
        """All configurations in file order.

        Raises
        ------
        UnreadableFile
            If the file holds no complete configuration, or runs of different atoms.
        FileReplaced
            If it is not the file that the bookmark was made of.
        """
        if self._bookmark is not None:
            self._resume(self._bookmark)
        while (mark := self._next_mark()) is not None:
            self._begin(mark)
            if not self._take_table(mark):
                break
            yield from self._collector.full_batches()
        self._collector.close_batch()
        yield from self._collector.full_batches()
        self._finish()

    def _read_head(self) -> XdatcarHead:
        """The head, which is dropped from the window; the first mark stays."""
        window, name = self._window, self.source.name
        while len(window) < LONGEST_HEAD and window.grow():
            pass
        lines = bytes(window.text[:LONGEST_HEAD]).split(b"\n")
        try:
            head = parse_head(lines)
        except NotAHead as reason:
            raise UnreadableFile(f"{name}: the head of this XDATCAR cannot be used: {reason}.", _ADVICE) from reason
        after = lines[head.n_lines] if len(lines) > head.n_lines else b""
        if after.strip() and CONFIGURATION not in after:
            raise UnreadableFile(
                f"{name}: needed `Direct configuration=` or a blank line behind the numbers of atoms, found "
                f"{after.strip()[:40].decode('ascii', 'replace')!r}: a POSCAR or CONTCAR is no trajectory.",
                _ADVICE,
            )
        self._marks: NumberedMarks | BlankMarks = NumberedMarks() if after.strip() else BlankMarks()
        n_bytes = sum(len(line) + 1 for line in lines[: head.n_lines])
        mark = self._marks.first(window.text, n_bytes)
        if mark is None:
            raise self._no_frames()
        self._head_sha256 = hashlib.sha256(window.text[: mark.end]).hexdigest()
        window.drop(min(n_bytes, mark.start))
        return head

    def _resume(self, bookmark: Bookmark) -> None:
        skip_to(bookmark, self.source, self._window)
        state = _State(**bookmark.parser_state)  # type: ignore[arg-type]  # JSON's types: only tuples are lists
        state.cell = None if state.cell is None else tuple(state.cell)
        x, y, z = state.scale
        state.scale = (x, y, z)
        self._state, self._final = state, (bookmark.offset, _kept(state))
        if state.row:
            self._collector.learn(state.row.encode("latin-1"))

    def _next_mark(self) -> Mark | None:
        """The next configuration's line, having looked at what stands before it; None at the end of the file."""
        window, searched, is_blank, n_passed = self._window, 0, True, 0
        while (mark := self._marks.first(window.text, searched)) is None:
            if len(window) > 4 * LONGEST_HEAD:  # damage may be megabytes long
                n_passed += len(window) - 2 * LONGEST_HEAD
                is_blank = is_blank and not window.text[: -2 * LONGEST_HEAD].strip(_WHITE)
                window.drop(len(window) - 2 * LONGEST_HEAD)
                searched = 0
            searched = max(searched, window.text.rfind(b"\n", 0, max(len(window) - LONGEST_HEAD, 0)) + 1)
            if not window.grow():
                return None
        gap = bytes(window.text[max(mark.start - LONGEST_HEAD, 0) : mark.start])
        is_blank = is_blank and not window.text[: mark.start].strip(_WHITE)
        self._look_at_gap(gap, is_blank=is_blank, n_bytes=n_passed + mark.start)
        return mark

    def _look_at_gap(self, gap: bytes, *, is_blank: bool, n_bytes: int) -> None:
        """Take the head that stands before a configuration, or find that there is none, or that it was damaged."""
        state = self._state
        self._head_repeated = False
        if is_blank:
            # VASP repeats the head for every configuration or for none; damaged rows may have swallowed it.
            state.cell_lost = not state.after_good
            return
        lines = last_lines(gap, self._head.n_lines)
        head = self._head_in(lines)
        state.n_lost += state.after_good and self._holds_table(gap, n_bytes, has_head=head is not None)
        if head is None:
            state.cell_lost = state.cell_lost or not all(map(is_row, lines))
            state.count_lost = True
            return
        if head.atomic_numbers.tolist() != self._head.atomic_numbers.tolist():
            raise UnreadableFile(
                f"{self.source.name}: the atoms change from {len(self._head.atomic_numbers)} to "
                f"{len(head.atomic_numbers)} or to other elements, so the file holds different runs.",
                f"Split its text before byte {self._window.n_dropped} and ingest the parts.",
            )
        state.cell, state.scale, state.cell_lost, self._head_repeated = head.cell_angstrom, head.scale, False, True

    def _holds_table(self, gap: bytes, n_bytes: int, *, has_head: bool) -> bool:
        """Whether the text between two configurations is so long that it must be a third one, without its mark."""
        if n_bytes > LONGEST_HEAD:  # a row of positions is not shorter than 8 characters
            return n_bytes > self._n_atoms * (self._collector.width or 8) + LONGEST_HEAD * (not self._collector.width)
        lines = gap.rstrip(_WHITE).split(b"\n")
        n_lines = len(lines) - self._head.n_lines * has_head
        is_one_head = n_lines == self._head.n_lines and sum(map(is_row, lines)) <= _NUMBERS_IN_HEAD
        n_least = self._n_atoms + isinstance(self._marks, NumberedMarks)
        return n_lines >= n_least and not is_one_head

    def _head_in(self, lines: list[bytes]) -> XdatcarHead | None:
        try:
            head = parse_head(lines)
        except NotAHead:
            return None
        return head if head.n_lines == len(lines) and head.is_aligned >= self._head.is_aligned else None

    def _begin(self, mark: Mark) -> None:
        """Count the configuration; a number that falls is the first of another run."""
        state = self._state
        state.n_begun += 1
        counts_on = isinstance(self._marks, BlankMarks) or mark.number is None
        number = state.step + state.stride if mark.number is None else mark.number
        if (self._head_repeated and isinstance(self._marks, BlankMarks)) or (not counts_on and number <= state.step):
            state.segment += 1
            state.count_lost = False
            state.cell = None if state.cell_lost else state.cell
            number = 1 if mark.number is None else number
        elif not counts_on and state.step:
            state.stride = number - state.step
        elif not counts_on:
            state.stride = number
        state.step = number

    def _take_table(self, mark: Mark) -> bool:
        """Take the rows behind a mark; False if the file ends before they do."""
        state, window, collector = self._state, self._window, self._collector
        end, is_final = self._end_of_rows(mark.end)
        if end < 0:
            return False
        record = new_record(state.step, state.segment, None if state.cell_lost else state.cell)
        if mark.damaged or (state.count_lost and isinstance(self._marks, BlankMarks)):
            record.faults.append("ionic_counter_missing")
        n_bytes, has_rows = end - mark.end, end > mark.end
        if has_rows and n_bytes != self._n_atoms * collector.width:
            collector.learn_from(bytes(window.text[mark.end : end]))
        is_regular = has_rows and n_bytes == self._n_atoms * collector.width
        state.after_good = is_regular or (
            has_rows and all(map(is_row, bytes(window.text[mark.end : end]).splitlines()))
        )
        if not has_rows:
            record.faults.append("row_count_wrong")
            state.count_lost = True
        with memoryview(window.text) as text:
            scale = state.scale if mark.cartesian else None
            collector.add(text[mark.end : end], record, is_regular=is_regular, scale=scale)
        state.n_frames += 1
        window.drop(end)
        if is_final:
            state.row = collector.row.decode("latin-1")
            self._final = (window.n_dropped, _kept(state))
        return True

    def _end_of_rows(self, start: int) -> tuple[int, bool]:
        """Where the rows end, and whether that is final; -1 if the file ends first, `start` if rows are missing."""
        window, width = self._window, self._collector.width
        end = start + self._n_atoms * width
        while len(window) < end and window.grow():
            pass
        text = window.text
        if width and len(text) >= end and text[end - 1] == ord("\n") and text.count(b"\n", start, end) == self._n_atoms:
            return (start if self._marks.is_between(text, start, end) else end), True
        return self._end_of_lines(start)

    def _end_of_lines(self, start: int) -> tuple[int, bool]:
        window, end = self._window, start
        for index in range(self._n_atoms):
            line_end = self._line_end(end)
            if line_end is None and len(window) - end >= _LONGEST_ROW:
                return start, True
            if line_end is None:
                first, last = bytes(window.text[start:]).split(b"\n")[0], bytes(window.text[end:])
                is_whole = index == self._n_atoms - 1 and has_all_decimals(last, self._collector.row or first)
                return (len(window) if is_whole else -1), False
            line = bytes(window.text[end:line_end])
            if CONFIGURATION in line or (isinstance(self._marks, BlankMarks) and not line.strip()):
                return start, True
            end = line_end + 1
        return end, True

    def _line_end(self, start: int) -> int | None:
        """Where the newline of the line at `start` is; None if the line is longer than any row or the file ends."""
        window, searched = self._window, start
        while (hit := window.text.find(b"\n", searched, start + _LONGEST_ROW)) < 0:
            searched = len(window)
            if searched - start >= _LONGEST_ROW or not window.grow():
                return None
        return hit

    def _finish(self) -> None:
        """Say how the reading ended; refuse a file without configurations."""
        outcome, state, damage = self.outcome, self._state, self.source.damage
        if not state.n_frames:
            raise self._no_frames()
        unfinished = state.n_begun - state.n_frames
        rest = bytes(self._window.text)
        head_begun = not unfinished and bool(rest.strip(_WHITE + b"\0"))
        outcome.n_ionic_steps = state.n_begun + state.n_lost
        outcome.n_incomplete = unfinished + head_begun + state.n_lost
        outcome.complete = not outcome.n_incomplete and not rest.strip(_WHITE) and damage is None
        if self._window.holes:
            outcome.complete = False
            outcome.notes.append(LOST_TEXT)
        if damage is not None:
            outcome.notes.append(f"{damage[0].upper()}{damage[1:]}.")
        outcome.notes.append(_NO_TIME)
        if state.n_lost:
            outcome.notes.append(f"{state.n_lost} configurations lost the line that begins them to damage.")
        if state.segment:
            outcome.notes.append(f"{self.source.name} holds {state.segment + 1} runs, one after the other.")

    def _no_frames(self) -> UnreadableFile:
        return UnreadableFile(f"{self.source.name}: this XDATCAR holds no complete configuration.", _ADVICE)


_ADVICE = "Ingest the OUTCAR or the vasprun.xml of the run instead."
