"""Lines of a text file and tables of words separated by blanks. What the words mean does not belong here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lake.readers.columns import decimal
from lake.readers.window import CHUNK_BYTES, ByteStream

_LONGEST_LINE = 1 << 20


class LineReader:
    """Lines of a stream, front to back, each with its newline. What has no newline at the end of the file is no line.

    Damage may leave megabytes without a newline: they come as lines of one megabyte.
    """

    def __init__(self, stream: ByteStream, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.rest = b""
        """What stands behind the last newline, once the stream is exhausted."""
        self.has_hole = False
        """Whether NUL bytes went by, which no program writes."""
        self._stream = stream
        self._scratch = memoryview(bytearray(chunk_bytes))
        self._lines: list[bytes] = []
        self._next = 0
        self._exhausted = False

    def take(self, n_lines: int) -> list[bytes]:
        """The next lines, fewer at the end."""
        lines = self.peek(n_lines)
        self._next += len(lines)
        return lines

    def peek(self, n_lines: int) -> list[bytes]:
        """The next lines, which stay."""
        while len(self._lines) - self._next < n_lines and not self._exhausted:
            self._grow()
        return self._lines[self._next : self._next + n_lines]

    def _grow(self) -> None:
        n = self._stream.readinto(self._scratch)
        chunk = bytes(self._scratch[:n])
        self._exhausted = n == 0
        self.has_hole = self.has_hole or b"\0" in chunk
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        if len(self.rest) > _LONGEST_LINE:
            lines, self.rest = [*lines, self.rest], b""
        del self._lines[: self._next]
        self._next = 0
        self._lines.extend(line + b"\n" for line in lines)


@dataclass(frozen=True, slots=True)
class WordTable:
    """A table some of whose columns are words and the others numbers."""

    numbers: NDArray[np.float64]
    """(n_rows, n_columns); NaN where a word is no number."""
    words: Mapping[int, Sequence[bytes]]
    """The columns that are words, by their place."""

    def sorted_by(self, column: int) -> Self:
        """The rows, by the rising numbers of one column."""
        order = np.argsort(self.numbers[:, column], kind="stable")
        words = {place: [names[row] for row in order] for place, names in self.words.items()}
        return type(self)(self.numbers[order], words)


def table_of(lines: Sequence[bytes], n_columns: int, *, word_columns: Sequence[int]) -> WordTable | None:
    """A table of `n_columns` columns; None unless every line has that many, none of them damaged."""
    text = b"".join(lines)
    words = text.split()
    if not words or len(words) != len(lines) * n_columns or b"\0" in text:
        return None
    # As many words in all, but in the wrong lines: each line must begin with the word that begins its row.
    if not all(map(bytes.startswith, map(bytes.lstrip, lines), words[::n_columns])):
        return None
    named = {place: words[place::n_columns] for place in word_columns}
    for place in word_columns:
        words[place::n_columns] = [b"nan"] * len(lines)
    return WordTable(_numbers(words).reshape(len(lines), n_columns), named)


def _numbers(words: list[bytes]) -> NDArray[np.float64]:
    try:
        numbers = np.fromstring(b" ".join(words).decode("ascii"), sep=" ")
    except ValueError:
        numbers = np.empty(0)
    return numbers if len(numbers) == len(words) else np.array([decimal(word) for word in words])
