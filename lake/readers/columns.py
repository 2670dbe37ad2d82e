"""Fixed-width columns of decimals, decoded eight characters at a time. What the columns mean does not belong here.

VASP writes tables of numbers as `%13.6f`-like columns. Converting them one by one is the slowest part of reading a
run, so the bytes of a column are taken as 64-bit words, all rows at once, and turned into integers with a few
multiplications per word ("SIMD within a register"). With at most 15 digits and 8 decimals, integer and power of ten
are exact doubles and one division rounds correctly, so the result is the double that `float()` gives, bit for bit.

Nothing is guessed: a field must be blanks, at most one minus sign, digits, a point, digits. Anything else (asterisks,
NaN, an exponent, a shifted column, a damaged byte) raises, and the frame it is in is read by `decimal_rows` instead.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lake.readers.row_words import PADDING, TILE_ROWS, Column, Text, Words, words_at
from lake.readers.short_columns import Scratch, ShortColumns

__all__ = [
    "PADDING",
    "NotPlainDecimals",
    "RowLayout",
    "decimal",
    "decimal_rows",
    "decode_columns",
    "decode_into",
    "fixed_decimals",
    "glued_decimals",
]

_LONGEST_FIELD = 16
_MOST_DECIMALS = 8


def _word(number: int) -> np.uint64:
    return np.uint64(number & 0xFFFF_FFFF_FFFF_FFFF)


def _leftmost(n_bytes: int) -> np.uint64:
    """A mask of the `n_bytes` leftmost characters (the lowest bytes of a little-endian word)."""
    return _word((1 << 8 * n_bytes) - 1)


def _all_but_leftmost(n_bytes: int) -> np.uint64:
    return _word(~((1 << 8 * n_bytes) - 1))


_ONES = _word(0x0101_0101_0101_0101)
_BLANKS = _word(0x2020_2020_2020_2020)
# Eight digit values, the leftmost in the lowest byte, become one integer by joining neighbours three times.
_FOLDS = (
    (_word(10), _word(8), _word(0x00FF_00FF_00FF_00FF)),
    (_word(100), _word(16), _word(0x0000_FFFF_0000_FFFF)),
    (_word(10000), _word(32), _word(0xFFFF_FFFF)),
)
_NUMBER = re.compile(rb"-?\d+\.\d+")
_MARKUP_BEFORE = (b"", b"<v>")
_USUAL_CHARACTERS = b"0123456789.+-Ee "
_FORTRAN_EXPONENT = bytes.maketrans(b"Dd", b"Ee")
_DECIMAL = re.compile(rb"[ \t]*[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?[ \t\r]*")


class NotPlainDecimals(ValueError):
    """A table holds something that the strict column decoder does not accept."""


@dataclass(frozen=True, slots=True)
class _Literal:
    """Up to eight characters that must be the same in every row."""

    first: int
    pattern: np.uint64
    mask: np.uint64


@dataclass(frozen=True, slots=True)
class RowLayout:
    """The shape of a row, learned from one row and required of all others."""

    width: int
    """Including the newline."""
    fields: tuple[Column, ...]
    literals: tuple[_Literal, ...]
    sample: bytes
    """The row that it was learned from, with which `learn` gives the same layout again."""
    spare: int

    @classmethod
    def learn(cls, row: bytes, n_fields: int, *, spare: int = 0) -> Self | None:
        """The layout of a row (with its newline) of `n_fields` numbers, or None when the row is not of that kind.

        `spare` more columns may follow; they are neither read nor checked.
        """
        numbers = list(_NUMBER.finditer(row))
        found = len(numbers)
        if not row.endswith(b"\n") or found < n_fields or (found > n_fields and not spare):
            return None
        fields: list[Column] = []
        for number in numbers[:n_fields]:
            start = fields[-1].end if fields else 0
            start += len(row[start : number.start()].rstrip(b" "))
            decimals = number.end() - row.index(b".", number.start()) - 1
            if number.end() - number.start() > _LONGEST_FIELD or not 1 <= decimals <= _MOST_DECIMALS:
                return None
            fields.append(Column(start, number.end(), decimals))
        if not _is_whole(row, fields):
            return None
        return cls(len(row), tuple(fields), _literals(row, fields, ignore_after=bool(spare)), row, spare)


def _is_whole(row: bytes, fields: list[Column]) -> bool:
    """Whether nothing but the row's own markup stands around its numbers, and no number of a vector lost a digit."""
    between = (row[one.end : other.start] for one, other in pairwise(fields))
    before, after = row[: fields[0].start].strip(), row[fields[-1].end :]
    return (
        not any(text.strip(b" ") for text in between)
        and before in _MARKUP_BEFORE
        and after[:1] in {b" ", b"\r", b"\n"}
        and all(len({field.decimals for field in fields[at : at + 3]}) == 1 for at in range(0, len(fields), 3))
    )


def _literals(row: bytes, fields: list[Column], *, ignore_after: bool) -> tuple[_Literal, ...]:
    """Everything that no field's 16 characters cover, as words."""
    fixed = np.ones(len(row), dtype=bool)
    for field in fields:
        fixed[max(field.start, field.end - _LONGEST_FIELD) : field.end] = False
    if ignore_after:
        fixed[fields[-1].end : len(row.rstrip(b"\r\n"))] = False
    literals = []
    for first in range(0, len(row), 8):
        characters = [(row[at] if fixed[at] else 0) for at in range(first, min(first + 8, len(row)))]
        mask = [(0xFF if fixed[at] else 0) for at in range(first, min(first + 8, len(row)))]
        if any(mask):
            pattern, wanted = (_word(int.from_bytes(bytes(part), "little")) for part in (characters, mask))
            literals.append(_Literal(first, pattern, wanted))
    return tuple(literals)


def decode_columns(table: Text, layout: RowLayout, n_rows: int) -> NDArray[np.float64]:
    """All numbers of a table.

    Parameters
    ----------
    table
        `PADDING` bytes, then `n_rows` rows of `layout.width` bytes, then `PADDING` bytes.

    Returns
    -------
    NDArray
        (n_rows, n_fields), the doubles that `float()` gives.

    Raises
    ------
    NotPlainDecimals
        If any row differs from the layout in anything but plain decimal digits.
    """
    values = np.empty((n_rows, len(layout.fields)))
    decode_into([values[:, index] for index in range(len(layout.fields))], table, layout, n_rows, {})
    return values


def decode_into(
    columns: Sequence[NDArray[np.float64]], table: Text, layout: RowLayout, n_rows: int, scratch: dict[int, Scratch]
) -> None:
    """As `decode_columns`, but the numbers are written to one array (n_rows,) per column; `scratch` may be kept."""
    short = _short_columns(layout)
    long_scratch: list[Words] = []
    for first in range(0, n_rows, TILE_ROWS):
        rows = range(first, min(first + TILE_ROWS, n_rows))
        if short is None or not short.decode(table, rows, columns, scratch):
            long_scratch = long_scratch or _scratch_of(layout, min(n_rows, TILE_ROWS))
            _decode_any(columns, table, layout, rows, long_scratch)


@lru_cache(maxsize=16)
def _short_columns(layout: RowLayout) -> ShortColumns | None:
    end, line_end = layout.fields[-1].end, len(layout.sample.rstrip(b"\r\n"))
    return ShortColumns.of(layout.sample, layout.fields, range(end, line_end if layout.spare else end))


def _groups(layout: RowLayout) -> list[tuple[int, list[int]]]:
    """Columns of equal decimals."""
    return [
        (decimals, [index for index, field in enumerate(layout.fields) if field.decimals == decimals])
        for decimals in sorted({field.decimals for field in layout.fields})
    ]


def _scratch_of(layout: RowLayout, n_rows: int) -> list[Words]:
    return [np.empty((8, len(members), n_rows), np.uint64) for _, members in _groups(layout)]


def _decode_any(
    columns: Sequence[NDArray[np.float64]], table: Text, layout: RowLayout, rows: range, scratch: list[Words]
) -> None:
    """Numbers of any size: every character is classified."""
    _check_literals(table, layout, rows)
    for (decimals, members), words in zip(_groups(layout), scratch, strict=True):
        tile = words[:, :, : len(rows)]
        for place, index in enumerate(members):
            field = layout.fields[index]
            for word, at in ((0, field.end - 8), (1, field.end - 16)):
                _load(tile[word, place], words_at(table, layout.width, at, rows), at + 8 - field.start)
        for index, column in zip(members, _decode(tile, decimals), strict=True):
            columns[index][rows.start : rows.stop] = column


def _check_literals(table: Text, layout: RowLayout, rows: range) -> None:
    for literal in layout.literals:
        if ((words_at(table, layout.width, literal.first, rows) ^ literal.pattern) & literal.mask).any():
            raise NotPlainDecimals("a row is not laid out like the first one")


def _load(into: Words, characters: Words, n_inside: int) -> None:
    """Copy the characters of a column, blank where they stand left of the field."""
    into[:] = characters
    if n_inside < 8:
        outside = 8 - max(n_inside, 0)
        into &= _all_but_leftmost(outside)
        into |= _BLANKS & _leftmost(outside)


def _decode(tile: Words, decimals: int) -> NDArray[np.float64]:
    """Numbers from their last eight characters (`tile[0]`) and the eight before (`tile[1]`); uses up the tile.

    Every step writes into scratch arrays: at this size, making new ones would take most of the time.
    """
    last, before, wrong, spare, digit, minus, last_minus, last_other = tile
    if decimals == 7:  # the point is the first of the last eight characters
        np.bitwise_and(last, _word(0xFF), out=wrong)
        last &= _all_but_leftmost(1)
        last |= _word(ord("0"))
    elif decimals < 7:
        np.right_shift(last, _word(8 * (7 - decimals)), out=wrong)
        # Close the gap that the point leaves: what stands left of it moves one character to the right.
        np.bitwise_and(last, _leftmost(7 - decimals), out=spare)
        spare <<= _word(8)
        last &= _all_but_leftmost(8 - decimals)
        last |= spare
        last |= _word(0x20)
    else:  # the point is the last character of the word before
        np.right_shift(before, _word(56), out=wrong)
        before <<= _word(8)
        before |= _word(0x20)
    wrong &= _word(0xFF)
    wrong ^= _word(ord("."))

    _classify(last, (digit, last_minus, last_other), spare, wrong)
    needed = _ONES & _all_but_leftmost(max(7 - decimals, 0))  # all decimals and the digit before the point
    digit &= needed
    digit ^= needed
    wrong |= digit
    last_other >>= _word(8)  # what stands between digits if there are any in the word before

    other = np.empty_like(spare)
    _classify(before, (digit, minus, other), spare, wrong)
    if decimals < 7:
        np.bitwise_or(digit, minus, out=spare)
        hole = bool(np.logical_and(spare, last_other).any())
    else:
        hole = bool((digit >> _word(56) != 1).any())
    if hole or wrong.any():
        raise NotPlainDecimals("a number is not made of digits and one decimal point in its column")
    minus |= last_minus
    return _joined(before, last, minus, spare, decimals)


def _classify(word: Words, marks: tuple[Words, Words, Words], spare: Words, wrong: Words) -> None:
    """Turn characters into digit values; mark digits (1), minus signs (1), non-digits (255) and what is `wrong`."""
    digit, minus, other = marks
    np.right_shift(word, _word(4), out=digit)  # bit 4 is set in '0'..'9' and clear in ' ' and '-'
    digit &= _ONES
    np.invert(digit, out=minus)  # of the two others, only '-' is odd
    minus &= word
    minus &= _ONES
    np.multiply(digit, _word(255), out=other)
    np.invert(other, out=other)

    np.bitwise_and(word, _word(0xE0) * _ONES, out=spare)  # control bytes, letters, NUL, bytes >= 128
    spare ^= _BLANKS
    wrong |= spare
    word ^= _BLANKS  # a non-digit that is neither ' ' nor '-': 13 is what '-' differs by
    np.bitwise_and(word, other, out=spare)
    spare ^= minus * _word(13)
    wrong |= spare
    np.right_shift(other, _word(8), out=spare)  # ' ' or '-' to the right of a digit or of '-'
    spare &= ~other | minus
    wrong |= spare
    word &= _word(15) * _ONES
    word &= ~other
    np.add(word, _word(6) * _ONES, out=spare)  # ':' ... '?'
    spare &= _word(16) * _ONES
    wrong |= spare


def _joined(before: Words, last: Words, minus: Words, spare: Words, decimals: int) -> NDArray[np.float64]:
    """The number whose digit values are in two words: one exact integer divided by one exact power of ten."""
    for factor, n_bits, mask in _FOLDS:
        for word in (before, last):
            np.right_shift(word, n_bits, out=spare)
            np.multiply(word, factor, out=word)
            np.add(word, spare, out=word)
            np.bitwise_and(word, mask, out=word)
    # Signed integers convert to doubles in one instruction; these are below 10^8.
    values: NDArray[np.float64] = before.view(np.int64).astype(np.float64)
    values *= 1e7 if decimals < 8 else 1e8
    values += last.view(np.int64)
    values /= 10.0**decimals
    # At most one byte of `minus` is 1: the product moves it to the top byte, the shift to the sign bit.
    minus *= _ONES
    minus <<= _word(7)
    minus &= _word(1 << 63)
    values.view(np.uint64)[...] |= minus
    return values


def decimal(text: bytes) -> float:
    """One number as Fortran writes it; NaN when the text is anything else (`float` would take `1_0` and `inf`)."""
    if text.translate(None, _USUAL_CHARACTERS):
        return float(text.translate(_FORTRAN_EXPONENT)) if _DECIMAL.fullmatch(text) else float("nan")
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _decimals_of(words: Sequence[bytes]) -> list[float]:
    """`decimal` of each word, in a fraction of the time where nothing is unusual."""
    if not b"".join(words).translate(None, _USUAL_CHARACTERS):
        with suppress(ValueError):
            return list(map(float, words))
    return [decimal(word) for word in words]


def glued_decimals(text: bytes, n_numbers: int) -> list[float]:
    """`n_numbers` decimals of one line, also when columns touch each other; NaN where they cannot be told apart.

    Fortran prints every number of a line with the same number of decimals, so the digits after the last point
    tell where each number ends.
    """
    words = text.split()
    if len(words) == n_numbers:
        is_uniform = len({len(word.partition(b".")[2]) for word in words}) == 1
        return _decimals_of(words) if is_uniform else [float("nan")] * n_numbers
    line = text.strip()
    n_decimals = len(line) - line.rfind(b".") - 1
    numbers = re.findall(rb"-?\d*\.\d{%d}" % n_decimals, line)
    if len(numbers) != n_numbers or b"".join(numbers) != b"".join(words):
        return [float("nan")] * n_numbers
    return _decimals_of(numbers)


def fixed_decimals(text: bytes, n_decimals: int) -> float:
    """One number that Fortran printed with `n_decimals` decimals; NaN when it has others, as one does that was cut."""
    return decimal(text) if len(text.rstrip().partition(b".")[2]) == n_decimals else float("nan")


def decimal_rows(lines: list[bytes], n_fields: int, layout: RowLayout | None) -> NDArray[np.float64]:
    """Rows that the column decoder refused, number by number.

    Parameters
    ----------
    lines
        One row each, without the newline.
    layout
        Where the columns of this table stand in its sound rows, if that is known.

    Returns
    -------
    NDArray
        (n_rows, n_fields), NaN where the text is not a number; a row whose columns are not where they belong is
        NaN throughout, since a number that lost a digit still looks like one.
    """
    rows = np.full((len(lines), n_fields), np.nan)
    places: list[int] | None = None if layout is None else [field.decimals for field in layout.fields]
    for index, line in enumerate(lines):
        if layout is not None and len(line) + 1 == layout.width:
            cells = [line[field.start : field.end] for field in layout.fields]
        else:
            cells = re.sub(rb"(?<=\d)-", b" -", line).split()[:n_fields]
        if places is None and len(cells) == n_fields and all(map(_NUMBER.fullmatch, cells)):
            places = [len(cell) - cell.index(b".") - 1 for cell in cells]
        if places is not None and len(cells) == n_fields and all(map(_fits, cells, places)):
            rows[index] = [decimal(cell) for cell in cells]
    return rows


def _fits(cell: bytes, decimals: int) -> bool:
    """Whether a cell is right-aligned: a number with its decimals, or Fortran's stand-in for one it cannot print."""
    return re.fullmatch(rb" *(?:-?\d*\.\d{%d}|\*+|[-+]?NaN|[-+]?Infinity)" % decimals, cell) is not None
