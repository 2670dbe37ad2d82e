"""Characters of every row of a table at once, as machine words; the leftmost character is the lowest byte."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING = 16
"""Bytes that must stand before the first and after the last row, so that every word lies inside the buffer."""

TILE_ROWS = 8192  # the scratch arrays of a tile fit into the second-level cache

Words = NDArray[np.uint64]
Text = bytes | bytearray | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Column:
    """Where one number stands in a row: in `[start, end)`, right-aligned, with `decimals` digits after the point."""

    start: int
    end: int
    decimals: int


def integer_of(characters: bytes) -> int:
    """The word that up to eight characters make."""
    return int.from_bytes(characters, "little")


def words_at(table: Text, width: int, at: int, rows: range) -> Words:
    """Characters `at .. at + 7` of every row as one word each, without a copy."""
    offset = PADDING + rows.start * width + at
    return np.ndarray((len(rows),), "<u8", buffer=table, offset=offset, strides=(width,))


def half_words_at(table: Text, width: int, at: int, rows: range) -> NDArray[np.uint32]:
    """Characters `at .. at + 3` of every row as one word each, without a copy."""
    offset = PADDING + rows.start * width + at
    return np.ndarray((len(rows),), "<u4", buffer=table, offset=offset, strides=(width,))
