"""Tables of words separated by blanks, where columns have no fixed place. What columns mean does not belong here.

Three decoders give the same doubles, those of `float()`: columns of fixed width (`columns`), Arrow's reader of
separated values for rows of any width, and Python's word by word. Each leaves what it does not understand to the next.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from lake.readers.columns import PADDING, NotPlainDecimals, RowLayout, decimal, decode_into
from lake.readers.short_columns import Scratch
from schemas.frames import Floats

NumberOf = Callable[[bytes], int]
"""The atomic number that a word stands for; 0 for any other word."""

_N_LETTERS = 2  # of an element's symbol, which programs with columns of fixed width pad
_LARGEST_BLOCK = 1 << 30


class TableDecoder:
    """Tables of numbers, some of whose columns are words: there the table holds atomic numbers.

    Parameters
    ----------
    n_columns
        Words of a row.
    words
        Places of columns that are words.
    """

    def __init__(self, n_columns: int, words: Sequence[int], number_of: NumberOf) -> None:
        self.unknown: list[bytes] = []
        """Words that are no element: the table holds -1 for the first of them, -2 for the second, and so on."""
        self._n_columns = n_columns
        self._words = tuple(words)
        self._number_of = number_of
        self._numbers: dict[bytes, int] = {}
        self._is_untidy = False
        self._columns = _FixedColumns(n_columns - 1) if self._words == (0,) and n_columns > 1 else None
        names = [str(place) for place in range(n_columns)]
        kinds = {name: pa.float64() for name in names}
        kinds |= {str(place): pa.dictionary(pa.int32(), pa.binary()) for place in self._words}
        self._names = names
        self._parsing = csv.ParseOptions(delimiter=" ", quote_char=False, ignore_empty_lines=False)
        self._conversion = csv.ConvertOptions(column_types=kinds, null_values=[], check_utf8=False)

    def tables(self, texts: Sequence[bytes], n_rows: Sequence[int]) -> list[Floats | None]:
        """One table (n_rows, n_columns) for each text; NaN where a word is no number.

        None stands for a text whose lines have not all `n_columns` words, or hold NUL bytes.
        """
        whole = self._decoded(b"".join(texts), sum(n_rows))
        if whole is not None:
            return [whole[start:end] for start, end in pairwise(accumulate(n_rows, initial=0))]
        if len(texts) == 1:
            return [self._word_by_word(texts[0], n_rows[0])]
        return [self.tables([text], [n])[0] for text, n in zip(texts, n_rows, strict=True)]

    def _decoded(self, text: bytes, n_rows: int) -> Floats | None:
        if not n_rows or b"\0" in text:
            return None
        if b"\r" in text and text.count(b"\r") != text.count(b"\r\n"):  # Arrow takes each for the end of a row
            return None
        if self._columns is not None and (found := self._columns.decoded(text, n_rows)) is not None:
            cells, table = found
            table[:, 0] = self._elements(*cells)
            return table
        table_or_none = None if self._is_untidy else self._separated(text, n_rows)
        if table_or_none is None and (tidy := _tidy(text)) != text:
            table_or_none = self._separated(tidy, n_rows)
            self._is_untidy = table_or_none is not None
        return table_or_none

    def _separated(self, text: bytes, n_rows: int) -> Floats | None:
        """Words with one blank between them."""
        n_bytes = min(len(text) + 1, _LARGEST_BLOCK)
        reading = csv.ReadOptions(use_threads=False, column_names=self._names, block_size=n_bytes)
        try:
            found = csv.read_csv(
                pa.BufferReader(text), reading, self._parsing, self._conversion, pa.system_memory_pool()
            )
        except pa.ArrowInvalid:
            return None
        if found.num_rows != n_rows:
            return None
        table = np.empty((n_rows, self._n_columns))
        first = 0
        for batch in found.to_batches():
            rows = table[first : first + batch.num_rows]
            for place, column in enumerate(batch.columns):
                if place in self._words:
                    names = [name.as_py() for name in column.dictionary]
                    rows[:, place] = self._elements(names, _values(column.indices, np.int32))
                else:
                    rows[:, place] = _values(column, np.float64)
            first += batch.num_rows
        return table

    def _word_by_word(self, text: bytes, n_rows: int) -> Floats | None:
        lines, words = text.removesuffix(b"\n").split(b"\n"), text.split()
        if not words or len(lines) != n_rows or len(words) != n_rows * self._n_columns or b"\0" in text:
            return None
        # As many words in all, but in the wrong lines: each line must begin with the word that begins its row.
        if not all(map(bytes.startswith, map(bytes.lstrip, lines), words[:: self._n_columns])):
            return None
        table = np.array([decimal(word) for word in words]).reshape(n_rows, self._n_columns)
        for place in self._words:
            names = list(dict.fromkeys(words[place :: self._n_columns]))
            which = {name: index for index, name in enumerate(names)}
            table[:, place] = self._elements(names, np.array([which[word] for word in words[place :: self._n_columns]]))
        return table

    def _elements(self, names: Sequence[bytes], which: NDArray[np.integer]) -> NDArray[np.int64]:
        """Atomic numbers of words, given as places in a list of names."""
        for name in names:
            if name not in self._numbers:
                known = self._number_of(name)
                self.unknown += () if known else (name,)
                self._numbers[name] = known or -len(self.unknown)
        numbers: NDArray[np.int64] = np.array([self._numbers[name] for name in names], dtype=np.int64)[which]
        return numbers


class _FixedColumns:
    """Rows that are all laid out alike: a symbol of at most two letters, then numbers in columns of fixed width."""

    def __init__(self, n_fields: int) -> None:
        self._n_fields = n_fields
        self._layout: RowLayout | None = None
        self._text = np.empty(0, np.uint8)
        self._scratch: dict[int, Scratch] = {}
        self._place_of = np.zeros(1 << 16, np.intp)
        """Of a symbol among the names that were met, by its two letters as one integer."""
        self._symbols: list[bytes] = [b""]

    def decoded(self, text: bytes, n_rows: int) -> tuple[tuple[Sequence[bytes], NDArray[np.intp]], Floats] | None:
        """Symbols, as places in a list of names, and a table whose first column is for them; None for other rows."""
        width = text.find(b"\n") + 1
        if width <= _N_LETTERS or len(text) != n_rows * width:
            return None
        if self._layout is None or self._layout.width != width - _N_LETTERS:
            self._layout = RowLayout.learn(text[_N_LETTERS:width], self._n_fields)
        if self._layout is None:
            return None
        characters = np.frombuffer(text, np.uint8).reshape(n_rows, width)
        table = np.empty((n_rows, 1 + self._n_fields))
        columns = [table[:, place] for place in range(1, 1 + self._n_fields)]
        try:
            decode_into(columns, self._padded(characters[:, _N_LETTERS:]), self._layout, n_rows, self._scratch)
        except NotPlainDecimals:
            self._layout = None
            return None
        return (self._symbols, self._places(characters[:, :_N_LETTERS])), table

    def _padded(self, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if len(self._text) < rows.size + 2 * PADDING:
            self._text = np.empty(rows.size + 2 * PADDING, np.uint8)
        self._text[PADDING : PADDING + rows.size].reshape(rows.shape)[:] = rows
        return self._text

    def _places(self, letters: NDArray[np.uint8]) -> NDArray[np.intp]:
        cells = np.ascontiguousarray(letters).view("<u2")[:, 0]
        places: NDArray[np.intp] = self._place_of[cells]
        if not places.all():
            for cell in np.unique(cells[places == 0]):
                self._place_of[cell] = len(self._symbols)
                self._symbols.append(int(cell).to_bytes(_N_LETTERS, "little").strip())
            places = self._place_of[cells]
        return places


def _values(column: pa.Array, kind: type[np.generic]) -> NDArray[Any]:
    """The same memory in NumPy; `to_numpy` would load pandas, which takes 50 MB."""
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)]


def _tidy(text: bytes) -> bytes:
    """The same words, with one blank between two of a line."""
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    text = text.replace(b"\r\n", b"\n").replace(b" \n", b"\n").replace(b"\n ", b"\n")
    return text.removeprefix(b" ")
