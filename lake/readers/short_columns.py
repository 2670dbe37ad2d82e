"""The usual case of a fixed-width table, in a third of the time: at most three characters before each point.

A number such as `-12.345678` is taken apart at its point. Its last eight characters are digits but for the point and
what stands left of it; three multiplications on 16, 32 and 64 bits make one integer of them. The three characters
left of the point have 1220 right forms; they are looked up, and the table gives their value and their sign. What they
and the point added to the integer of the last eight characters is known too, so the table takes it back.

Nothing is guessed here either: every character of every row is compared or looked up, and `decode` gives up on rows
that hold anything else, a longer number for instance. Those are for `columns`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from lake.readers.row_words import TILE_ROWS, Column, Text, Words, half_words_at, integer_of, words_at

Floats = NDArray[np.float64]

_N_LEFT = 3  # characters left of the point
_BLANKS_AND_POINT = np.uint32(integer_of(b"   ."))
_NOT_A_SIGN_OR_DIGIT = 0xFFE0E0E0  # of `   .` ^ characters: the point, and bits that no blank, '-' or digit has
# Three characters have five bits each after that; the second and third move together from bits 8.. and 16...
_GAP = np.uint32((1 << 16) - (1 << 13))
_N_FORMS = 1 << 18
_EVERY_BYTE = 0x0101_0101_0101_0101
_PAIR = np.uint16(10 * (1 << 8) + 1)  # in 16 bits: the upper byte becomes 10 x lower + upper
_FOUR = np.uint32(100 * (1 << 16) + 1)
_EIGHT = np.uint64(10_000 * (1 << 32) + 1)


class _Forms(NamedTuple):
    """By the three characters left of the point: what to add to the integer, and what to divide the sum by."""

    added: Floats
    divisor: Floats
    """Plus or minus a power of ten; zero for characters that are no number."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Up to eight characters that must be the same in every row."""

    first: int
    pattern: int
    mask: int


class _Scratch:
    """Arrays of one tile, kept from tile to tile: making new ones would take longer than the work."""

    def __init__(self, n_columns: int, n_rows: int) -> None:
        shape = (n_columns, n_rows)
        self.last, self.spare = np.empty(shape, np.uint64), np.empty(shape, np.uint64)
        self.left, self.left_spare = np.empty(shape, np.uint32), np.empty(shape, np.uint32)
        self.form, self.value, self.looked_up = np.empty(shape, np.intp), np.empty(shape), np.empty(shape)

    def first(self, n_rows: int) -> Self:
        """The part of it that a tile of `n_rows` needs."""
        part = object.__new__(type(self))
        for name, array in vars(self).items():
            setattr(part, name, array[:, :n_rows])
        return part


@dataclass(frozen=True, slots=True)
class ShortColumns:
    """A layout of rows whose numbers have at most three characters before the point."""

    width: int
    columns: tuple[Column, ...]
    fixed: tuple[_Fixed, ...]

    @classmethod
    def of(cls, row: bytes, columns: Sequence[Column], ignored: range) -> Self | None:
        """For rows like `row`; None when columns are narrower than that, so that they may touch.

        `ignored` are places that are neither read nor checked.
        """
        wanted, is_fixed = bytearray(row), np.ones(len(row), dtype=bool)
        is_fixed[ignored.start : ignored.stop] = False
        for column in columns:
            first = column.end - column.decimals - 1 - _N_LEFT
            if first < column.start:
                return None
            wanted[column.start : first] = b" " * (first - column.start)
            is_fixed[first : column.end] = False
        return cls(len(row), tuple(columns), _fixed_words(bytes(wanted), is_fixed))

    def scratch(self, n_rows: int) -> dict[int, _Scratch]:
        """Memory for `decode`, for each number of decimals."""
        n_columns = {column.decimals: 0 for column in self.columns}
        for column in self.columns:
            n_columns[column.decimals] += 1
        return {decimals: _Scratch(n, min(n_rows, TILE_ROWS)) for decimals, n in n_columns.items()}

    def decode(self, table: Text, rows: range, into: Sequence[Floats], scratch: dict[int, _Scratch]) -> bool:
        """Write the numbers of `rows`, one array per column; False when a row holds anything but short numbers."""
        for words in self.fixed:
            characters = words_at(table, self.width, words.first, rows).copy()  # aligned, which reductions like
            for found in (np.bitwise_or.reduce(characters), np.bitwise_and.reduce(characters)):
                if int(found) & words.mask != words.pattern:
                    return False
        for decimals, memory in scratch.items():
            tile = memory.first(len(rows))
            chosen = [index for index, column in enumerate(self.columns) if column.decimals == decimals]
            self._load(table, rows, [self.columns[index] for index in chosen], tile)
            if not _decode(tile, decimals):
                return False
            for place, index in enumerate(chosen):
                np.divide(tile.value[place], tile.looked_up[place], out=into[index][rows.start : rows.stop])
        return True

    def _load(self, table: Text, rows: range, columns: list[Column], tile: _Scratch) -> None:
        for place, column in enumerate(columns):
            last = words_at(table, self.width, column.end - 8, rows)
            left = half_words_at(table, self.width, column.end - column.decimals - 1 - _N_LEFT, rows)
            np.bitwise_xor(last, _zeros_and_point(column.decimals), out=tile.last[place])
            np.bitwise_xor(left, _BLANKS_AND_POINT, out=tile.left[place])


def _fixed_words(wanted: bytes, is_fixed: NDArray[np.bool_]) -> tuple[_Fixed, ...]:
    words, at = [], 0
    while at < len(wanted):
        if is_fixed[at]:
            mask = bytes(0xFF if fixed else 0 for fixed in is_fixed[at : at + 8])
            pattern = bytes(character & one for character, one in zip(wanted[at : at + 8], mask, strict=True))
            words.append(_Fixed(at, integer_of(pattern), integer_of(mask)))
            at += 8
        else:
            at += 1
    return tuple(words)


def _zeros_and_point(decimals: int) -> np.uint64:
    return np.uint64(integer_of((b"0" * 8 + b"." + b"0" * decimals)[-8:]))


def _decode(tile: _Scratch, decimals: int) -> bool:
    """Leave dividends in `value` and divisors in `looked_up`; False when a character is wrong."""
    in_decimals = integer_of((b"\0" * 8 + b"\xff" * decimals)[-8:])
    np.add(tile.last, np.uint64(in_decimals & (6 * _EVERY_BYTE)), out=tile.spare)  # carries into bit 4 from ten on
    if (
        int(np.bitwise_or.reduce(tile.last, axis=None)) & in_decimals & (0xF0 * _EVERY_BYTE)
        or int(np.bitwise_or.reduce(tile.spare, axis=None)) & in_decimals & (0x10 * _EVERY_BYTE)
        or int(np.bitwise_or.reduce(tile.left, axis=None)) & _NOT_A_SIGN_OR_DIGIT
    ):
        return False
    np.right_shift(tile.left, np.uint32(16), out=tile.left_spare)
    tile.left_spare *= _GAP
    tile.left -= tile.left_spare
    tile.form[...] = tile.left
    forms = _forms(decimals)
    tile.value[...] = _integers(tile.last)
    forms.added.take(tile.form, out=tile.looked_up, mode="clip")
    tile.value += tile.looked_up
    forms.divisor.take(tile.form, out=tile.looked_up, mode="clip")
    return bool(tile.looked_up.all())


def _integers(words: Words) -> NDArray[np.int32]:
    """Eight digits as one integer, below 2^31 whatever the bytes are; uses up the words."""
    pairs = words.view(np.uint16)
    pairs *= _PAIR
    pairs >>= np.uint16(8)
    fours = words.view(np.uint32)
    fours *= _FOUR
    fours >>= np.uint32(16)
    words *= _EIGHT
    integers: NDArray[np.int32] = words.view(np.int32)[..., 1::2]
    return integers


@lru_cache(maxsize=8)
def _forms(decimals: int) -> _Forms:
    """By three characters that are a right form, such as ` -1`.

    The last eight characters of a number may reach left of its point. `_integers` is linear in whatever stands
    there, apart from the decimals, so its result for decimals that are all zero is taken back.
    """
    forms, texts = _Forms(np.zeros(_N_FORMS), np.zeros(_N_FORMS)), _right_forms()
    last = b"".join((b" " * 5 + text + b"." + b"0" * decimals)[-8:] for text in texts)
    reached = _integers(np.frombuffer(last, "<u8") ^ _zeros_and_point(decimals))
    first, second, third = (np.frombuffer(b"".join(texts), np.uint8).astype(np.intp) ^ ord(" ")).reshape(-1, 3).T
    place, numbers = first | second << 8 | third << 13, np.array([abs(int(text)) for text in texts])
    is_negative = np.array([b"-" in text for text in texts])
    forms.added[place] = numbers * 10**decimals - reached
    forms.divisor[place] = np.where(is_negative, -(10.0**decimals), 10.0**decimals)
    return forms


@lru_cache(maxsize=1)
def _right_forms() -> tuple[bytes, ...]:
    """All of `  1`, ` 12`, `123`, ` -1`, `-12`, also with leading zeros."""
    positive = [b"%0*d" % (width, number) for width in (1, 2, 3) for number in range(10**width)]
    negative = [b"-%0*d" % (width, number) for width in (1, 2) for number in range(10**width)]
    return tuple(text.rjust(_N_LEFT) for text in (*positive, *negative))
