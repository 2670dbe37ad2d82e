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

from lake.readers.row_words import PADDING, TILE_ROWS, Column, Text, Words, half_words_at, integer_of, words_at

Floats = NDArray[np.float64]

_N_LEFT = 3  # characters left of the point
_BLANKS_AND_POINT = np.uint32(integer_of(b"   ."))
# Bits of a character that tell what kind it is; blank, '-' and digits share three of them.
_EXACTLY, _A_DIGIT, _A_SIGN_OR_DIGIT = 0xFF, 0xF0, 0xE0
_ROWS_AT_ONCE = 32
# Three characters have five bits each after that; the second and third move together from bits 8.. and 16...
_GAP = np.uint32((1 << 16) - (1 << 13))
_N_FORMS = 1 << 18
_NOT_ZERO = 1 << 62  # a bit of the exponent that every number from 2.0 on has
_EVERY_BYTE = 0x0101_0101_0101_0101
_PAIR = np.uint16(10 * (1 << 8) + 1)  # in 16 bits: the upper byte becomes 10 x lower + upper
_FOUR = np.uint32(100 * (1 << 16) + 1)
_EIGHT = np.uint64(10_000 * (1 << 32) + 1)


class _Forms(NamedTuple):
    """By the three characters left of the point: what to add to the integer, and what to divide the sum by."""

    added: Floats
    divisor: Floats
    """Plus or minus a power of ten; zero for characters that are no number."""


class _Tile(NamedTuple):
    """Arrays (n_columns, n_rows) for one tile. What is not needed any more gives its memory to what comes next."""

    last: Words
    spare: Words
    left: NDArray[np.uint32]
    left_spare: NDArray[np.uint32]
    form: NDArray[np.intp]
    """In the memory of `spare`."""
    value: Floats
    """In that of `left` and `left_spare`."""
    looked_up: Floats
    """In that of `last`."""


class Scratch:
    """Memory of one tile, kept from tile to tile: getting it anew would take longer than the work."""

    def __init__(self, n_columns: int) -> None:
        self._words = np.empty((3, n_columns, TILE_ROWS), np.uint64)

    def first(self, n_rows: int) -> _Tile:
        """The part of it that a tile of `n_rows` needs."""
        last, spare, halves = self._words[:, :, :n_rows]
        left, left_spare = halves.view(np.uint32)[:, :n_rows], halves.view(np.uint32)[:, n_rows:]
        value, looked_up = halves.view(np.float64), last.view(np.float64)
        return _Tile(last, spare, left, left_spare, spare.view(np.intp), value, looked_up)


@dataclass(frozen=True, slots=True)
class ShortColumns:
    """A layout of rows whose numbers have at most three characters before the point."""

    width: int
    columns: tuple[Column, ...]
    kinds: bytes
    """For each character of a row, the bits of it that must be the same in every row."""
    row: bytes
    """Those bits."""

    @classmethod
    def of(cls, row: bytes, columns: Sequence[Column], ignored: range) -> Self | None:
        """For rows like `row`; None when columns are narrower than that, so that they may touch, or than a word.

        `ignored` are places that are neither read nor checked.
        """
        wanted, kinds = bytearray(row), bytearray([_EXACTLY]) * len(row)
        kinds[ignored.start : ignored.stop] = bytes(len(ignored))
        for column in columns:
            point = column.end - column.decimals - 1
            first = point - _N_LEFT
            if first < column.start or column.end - 8 < column.start:  # the last eight characters are its own
                return None
            wanted[column.start : first] = b" " * (first - column.start)
            wanted[first:point] = b" " * _N_LEFT
            kinds[first:point] = bytes([_A_SIGN_OR_DIGIT]) * _N_LEFT
            kinds[point + 1 : column.end] = bytes([_A_DIGIT]) * column.decimals
        pattern = bytes(character & kind for character, kind in zip(wanted, kinds, strict=True))
        return cls(len(row), tuple(columns), bytes(kinds), pattern)

    def decode(self, table: Text, rows: range, into: Sequence[Floats], scratch: dict[int, Scratch]) -> bool:
        """Write the numbers of `rows`, one array per column; False when a row holds anything but short numbers.

        `scratch`, by the number of columns that are decoded together, is kept by the caller from call to call.
        """
        if not self._is_in_place(table, rows):
            return False
        for decimals in dict.fromkeys(column.decimals for column in self.columns):
            chosen = [index for index, column in enumerate(self.columns) if column.decimals == decimals]
            if len(chosen) not in scratch:
                scratch[len(chosen)] = Scratch(len(chosen))
            tile = scratch[len(chosen)].first(len(rows))
            self._load(table, rows, [self.columns[index] for index in chosen], tile)
            if not _decode(tile, decimals):
                return False
            for place, index in enumerate(chosen):
                np.divide(tile.value[place], tile.looked_up[place], out=into[index][rows.start : rows.stop])
        return True

    def _is_in_place(self, table: Text, rows: range) -> bool:
        """Whether every character of every row is of its kind: a bit is right if it is so in their AND and their OR."""
        kinds, row = np.frombuffer(self.kinds, np.uint8), np.frombuffer(self.row, np.uint8)
        n_bytes = len(rows) * self.width
        text = np.frombuffer(table, np.uint8, n_bytes, PADDING + rows.start * self.width)
        whole = n_bytes - n_bytes % (_ROWS_AT_ONCE * self.width)
        # As many rows as a word has bytes, or a multiple of that, are a whole number of words.
        words = text[:whole].view(np.uint64).reshape(-1, _ROWS_AT_ONCE * self.width // 8)
        rest = text[whole:].reshape(-1, self.width)
        for joined in (np.bitwise_or.reduce, np.bitwise_and.reduce):
            several = joined(words, axis=0).view(np.uint8).reshape(-1, self.width)
            found = joined(np.concatenate([several, rest]) if whole else rest, axis=0)
            if not np.array_equal(found & kinds, row):
                return False
        return True

    def _load(self, table: Text, rows: range, columns: list[Column], tile: _Tile) -> None:
        zeros_and_point = _zeros_and_point(columns[0].decimals)
        for place, column in enumerate(columns):
            last = words_at(table, self.width, column.end - 8, rows)
            np.bitwise_xor(last, zeros_and_point, out=tile.last[place])
            left = half_words_at(table, self.width, column.end - column.decimals - 1 - _N_LEFT, rows)
            np.bitwise_xor(left, _BLANKS_AND_POINT, out=tile.left[place])


def _zeros_and_point(decimals: int) -> np.uint64:
    return np.uint64(integer_of((b"0" * 8 + b"." + b"0" * decimals)[-8:]))


def _decode(tile: _Tile, decimals: int) -> bool:
    """Leave dividends in `value` and divisors in `looked_up`; False when a character is wrong."""
    in_decimals = integer_of((b"\0" * 8 + b"\xff" * decimals)[-8:])
    np.add(tile.last, np.uint64(in_decimals & (6 * _EVERY_BYTE)), out=tile.spare)  # carries into bit 4 from ten on
    if int(np.bitwise_or.reduce(tile.spare, axis=None)) & in_decimals & (0x10 * _EVERY_BYTE):
        return False
    np.right_shift(tile.left, np.uint32(16), out=tile.left_spare)
    np.multiply(tile.left_spare, _GAP, out=tile.left_spare)
    np.subtract(tile.left, tile.left_spare, out=tile.left)
    tile.form[...] = tile.left
    forms = _forms(decimals)
    tile.value[...] = _integers(tile.last)
    forms.added.take(tile.form, out=tile.looked_up, mode="clip")
    np.add(tile.value, tile.looked_up, out=tile.value)
    forms.divisor.take(tile.form, out=tile.looked_up, mode="clip")
    return bool(int(np.bitwise_and.reduce(tile.looked_up.view(np.uint64), axis=None)) & _NOT_ZERO)


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
    forms, texts, numbers = _Forms(np.zeros(_N_FORMS), np.zeros(_N_FORMS)), *_right_forms()
    rows = np.full((len(texts), 5 + _N_LEFT + 1 + decimals), ord("0"), np.uint8)
    rows[:, :5], rows[:, 5 : 5 + _N_LEFT], rows[:, 5 + _N_LEFT] = ord(" "), texts, ord(".")
    reached = _integers(np.ascontiguousarray(rows[:, -8:]).view("<u8")[:, 0] ^ _zeros_and_point(decimals))
    first, second, third = (texts.astype(np.intp) ^ ord(" ")).T
    place, is_negative = first | second << 8 | third << 13, (texts == ord("-")).any(axis=1)
    forms.added[place] = numbers * 10**decimals - reached
    forms.divisor[place] = np.where(is_negative, -(10.0**decimals), 10.0**decimals)
    return forms


@lru_cache(maxsize=1)
def _right_forms() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All of `  1`, ` 12`, `123`, ` -1`, `-12`, also with leading zeros: their characters, and their sizes."""
    positive = [b"%0*d" % (width, number) for width in (1, 2, 3) for number in range(10**width)]
    negative = [b"-%0*d" % (width, number) for width in (1, 2) for number in range(10**width)]
    texts = b"".join(text.rjust(_N_LEFT) for text in (*positive, *negative))
    numbers = np.concatenate([np.arange(10**width) for width in (1, 2, 3, 1, 2)])
    return np.frombuffer(texts, np.uint8).reshape(-1, _N_LEFT), numbers
