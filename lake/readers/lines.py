"""Lines of a text file, front to back, and blocks of them as one text. What they say does not belong here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lake.readers.window import CHUNK_BYTES, ByteStream

_LONGEST_LINE = 1 << 20
_LINES_AT_ONCE = 8
_NEWLINE = ord("\n")


class LineReader:
    """Lines of a stream, each with its newline. What has no newline at the end of the file is no line.

    Damage may leave megabytes without a newline: they come as lines of one megabyte.
    """

    def __init__(self, stream: ByteStream, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.has_hole = False
        """Whether NUL bytes went by, which no program writes."""
        self.offset = 0
        """Where in the whole text the next line begins; newlines that were put into longer lines count too."""
        self.n_put_in = 0
        """Newlines that were put in so far."""
        self._stream = stream
        self._scratch = memoryview(bytearray(chunk_bytes))
        self._text = bytearray()
        self._text_offset = 0
        self._ends = np.empty(0, np.int64)
        """Where lines end, in the whole text."""
        self._next = 0
        """Which of them the next line ends at."""
        self._last_end = 0
        self._ahead: list[bytes] = []
        self._first_ahead = 0
        """Lines that were looked at, and which the first of them is."""
        self._exhausted = False

    @property
    def rest(self) -> bytes:
        """What stands behind the last newline, once the stream is exhausted."""
        return bytes(self._text[self._last_end - self._text_offset :])

    def take(self, n_lines: int) -> list[bytes]:
        """The next lines, fewer at the end."""
        lines = self.peek(n_lines)
        self.pass_by(len(lines))
        return lines

    def peek(self, n_lines: int, *, behind: int = 0) -> list[bytes]:
        """The next lines, without the first `behind` of them; they stay."""
        at = self._next + behind - self._first_ahead
        if at < 0 or at + n_lines > len(self._ahead):
            self.ends(behind + n_lines)
            self._first_ahead, at = self._next + behind, 0
            ends = self._ends[self._first_ahead : self._first_ahead + max(n_lines, _LINES_AT_ONCE)].tolist()
            starts = [self._start(behind), *ends]
            self._ahead = [self._between(start, end) for start, end in zip(starts, ends, strict=False)]
        return self._ahead[at : at + n_lines]

    def text(self, n_lines: int, *, behind: int = 0) -> bytes:
        """The same as one text."""
        ends = self.ends(behind + n_lines)[behind:]
        return self._between(self._start(behind), int(ends[-1])) if len(ends) else b""

    def find(self, beginning: bytes, n_lines: int) -> int | None:
        """Which of the next lines is the first that begins so."""
        ends = self.ends(n_lines)
        if not len(ends):
            return None
        start, end = self.offset - self._text_offset, int(ends[-1]) - self._text_offset
        if self._text.startswith(beginning, start):
            return 0
        at = self._text.find(b"\n" + beginning, start, end)
        return None if at < 0 else int(np.searchsorted(ends, at + self._text_offset + 1)) + 1

    def ends(self, n_lines: int) -> NDArray[np.int64]:
        """Where the next lines end in the whole text; fewer at the end of the file."""
        if len(self._ends) - self._next < n_lines and not self._exhausted:
            self._read_on(n_lines)
        return self._ends[self._next : self._next + n_lines]

    def pass_by(self, n_lines: int) -> None:
        """Leave the next lines behind."""
        if len(self._ends) - self._next < n_lines:
            n_lines = len(self.ends(n_lines))
        if n_lines:
            self._next += n_lines
            self.offset = int(self._ends[self._next - 1])

    def _start(self, n_lines: int) -> int:
        """Where the line behind the next `n_lines` begins."""
        ends = self.ends(n_lines)
        return int(ends[-1]) if len(ends) else self.offset

    def _between(self, start: int, end: int) -> bytes:
        return bytes(self._text[start - self._text_offset : end - self._text_offset])

    def _read_on(self, n_lines: int) -> None:
        del self._text[: self.offset - self._text_offset]
        self._text_offset = self.offset
        known, n_known = [self._ends[self._next :]], len(self._ends) - self._next
        while n_known < n_lines and not self._exhausted:
            known.append(self._grow())
            n_known += len(known[-1])
        self._ends, self._next, self._ahead = np.concatenate(known), 0, []

    def _grow(self) -> NDArray[np.int64]:
        """Append one chunk; gives the ends of the lines that it completes."""
        n = self._stream.readinto(self._scratch)
        self._exhausted = n == 0
        chunk = self._scratch[:n]
        end_of_text = self._text_offset + len(self._text)
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == _NEWLINE) + (end_of_text + 1)
        self._text += chunk
        self.has_hole = self.has_hole or self._text.find(0, len(self._text) - n) >= 0
        cuts = self._cuts(int(ends[0]) - 1 if len(ends) else end_of_text + n)
        found = np.concatenate([cuts, ends + len(cuts)]) if cuts else ends
        self._last_end = int(found[-1]) if len(found) else self._last_end
        return found

    def _cuts(self, end: int) -> Sequence[int]:
        """Put newlines into a line that is too long, up to its `end`; tells where the pieces end."""
        cuts: list[int] = []
        start = self._last_end
        while end + len(cuts) - start > _LONGEST_LINE:
            start += _LONGEST_LINE
            self._text.insert(start - self._text_offset, _NEWLINE)
            start += 1
            cuts.append(start)
        self.n_put_in += len(cuts)
        return cuts
