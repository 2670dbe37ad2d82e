"""The head of an XDATCAR (title, scale, cell, species, counts) and the lines between configurations. No frames."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.readers.columns import decimal, glued_decimals
from schemas.composition import atomic_numbers_of
from schemas.elements import SYMBOLS

CONFIGURATION = b"configuration="
LONGEST_HEAD = 4096

_LONGEST_LINE = 256
_NUMBER_AFTER_MARK = re.compile(rb"[ \t]*(\d+|\*+)[ \t\r]*\n")
_BLANK_LINES = re.compile(rb"(?:\A|\n)((?:[ \t\r]*\n)+)(?=[ \t]*[^\s])")
_ONE_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_NAME = re.compile(r"([A-Z][a-z]?)(?:[/_.\d].*)?")
_DECIMAL = re.compile(rb"-?\d*\.\d+")
_DECIMALS = re.compile(rb"(?:-?\d*\.\d+)+")
_FLAGS = b" \t\rTF"  # of selective dynamics
_VASP_4_CARD = b"CAR"


class NotAHead(ValueError):
    """Lines that are not the head of an XDATCAR; the message is the reason, as the rest of a sentence."""


@dataclass(frozen=True, slots=True)
class XdatcarHead:
    """What stands before the first configuration, and again before others where the cell moves or a run was added."""

    cell_angstrom: tuple[float, ...]
    """Nine numbers, rows a, b, c, scaled."""
    scale: tuple[float, float, float]
    """What Cartesian positions are to be multiplied by."""
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    n_lines: int
    """6 without a line of species, 7 with one."""
    is_aligned: bool
    """Whether all numbers of the cell have equally many decimals, as VASP writes them."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The line that begins a configuration."""

    start: int
    end: int
    """Where its first row begins."""
    number: int | None
    """As the line has it; None where it has none."""
    damaged: bool = False
    """Whether the line should have a number and has none that can be read."""
    cartesian: bool = False


def parse_head(lines: Sequence[bytes]) -> XdatcarHead:
    """The head in the first six or seven of `lines`.

    Raises
    ------
    NotAHead
        If they are anything else.
    """
    if len(lines) > 3 and lines[3].strip() == _VASP_4_CARD:
        raise NotAHead("VASP 4 wrote it, which gave neither lattice vectors nor elements")
    if len(lines) < 6:
        raise NotAHead("it ends inside its head")
    scale = [decimal(word) for word in lines[1].split()]
    rows = np.array([glued_decimals(line, 3) for line in lines[2:5]])
    if len(scale) not in {1, 3} or not np.isfinite(rows).all() or not np.isfinite(scale).all():
        raise NotAHead("it does not begin with a title, a scale and three lattice vectors")
    has_species = not all(word.isdigit() for word in lines[5].split())
    n_lines = 7 if has_species else 6
    counts = _counts(lines[6] if has_species and len(lines) > 6 else lines[5])
    names = _symbols(lines[5] if has_species else lines[0], counts, named_in="species" if has_species else "title")
    factors = _factors(scale, rows)
    is_aligned = len({len(part) for line in lines[2:5] for part in re.findall(rb"\.(\d+)", line)}) == 1
    numbers = atomic_numbers_of([name for name, count in zip(names, counts, strict=True) for _ in range(count)])
    return XdatcarHead(tuple((rows * factors).ravel().tolist()), factors, numbers, n_lines, is_aligned)


def _counts(line: bytes) -> list[int]:
    words = line.split()
    if not words or not all(word.isdigit() for word in words) or not sum(map(int, words)):
        raise NotAHead("the line with the numbers of atoms is missing")
    return [int(word) for word in words]


def _symbols(line: bytes, counts: Sequence[int], *, named_in: str) -> list[str]:
    """One element per count. VASP 6.4 adds `/` and a hash to a species, users add `_pv`."""
    found = [_NAME.fullmatch(word) for word in line.decode("ascii", "replace").split()]
    symbols = [name[1] for name in found if name is not None and name[1] in SYMBOLS[1:]]
    if not len(symbols) == len(found) == len(counts):
        raise NotAHead(f"its {named_in} line does not name one element for each of {len(counts)} kinds of atoms")
    return symbols


def _factors(scale: Sequence[float], rows: NDArray[np.float64]) -> tuple[float, float, float]:
    """A negative scale is the volume of the cell; three are one for each Cartesian axis."""
    if len(scale) == 3:
        x, y, z = scale
        return x, y, z
    if scale[0] > 0:
        return scale[0], scale[0], scale[0]
    volume = abs(float(rows[0] @ np.cross(rows[1], rows[2])))
    if not volume or not scale[0]:
        raise NotAHead("its scale or the volume of its cell is zero")
    factor = (-scale[0] / volume) ** (1 / 3)
    return factor, factor, factor


class NumberedMarks:
    """`Direct configuration=    50`, as VASP 5 and 6 write it."""

    def first(self, text: bytearray, start: int) -> Mark | None:
        """The first mark that begins at or after `start` and is wholly in the text."""
        hit = text.find(CONFIGURATION, start)
        if hit < 0:
            return None
        line_start, after = text.rfind(b"\n", 0, hit) + 1, hit + len(CONFIGURATION)
        number = _NUMBER_AFTER_MARK.match(text, after)
        if number is None and text.find(b"\n", after, after + _LONGEST_LINE) < 0:
            return Mark(line_start, after, None, damaged=True) if len(text) >= after + _LONGEST_LINE else None
        cartesian = bytes(text[line_start:hit]).lstrip()[:4].lower() in {b"cart", b"kart"}
        if number is None:
            return Mark(line_start, text.find(b"\n", after) + 1, None, damaged=True, cartesian=cartesian)
        return Mark(line_start, number.end(), int(number[1]) if number[1].isdigit() else None, cartesian=cartesian)

    def is_between(self, text: bytearray, start: int, end: int) -> bool:
        return text.find(CONFIGURATION, start, end) >= 0


class BlankMarks:
    """Blank lines, as in files of VASP 4 that were given a full head."""

    def first(self, text: bytearray, start: int) -> Mark | None:
        found = _BLANK_LINES.search(text, max(start - 1, 0))
        return None if found is None else Mark(found.start(1), found.end(), None)

    def is_between(self, text: bytearray, start: int, end: int) -> bool:
        return _ONE_BLANK_LINE.search(text, start, end) is not None


def last_lines(text: bytes, n_lines: int) -> list[bytes]:
    """The last lines of a text, without blank ones behind them."""
    return text.rstrip(b" \t\r\n").split(b"\n")[-n_lines:]


def is_row(line: bytes) -> bool:
    """Whether a line looks like one of a table of positions, or a piece of one."""
    words = line.split()
    return bool(words) and all(_DECIMALS.fullmatch(word) for word in words)


def whole_row(line: bytes) -> bytes:
    """The line, or nothing if it is not three numbers with equally many decimals: one of them may have lost some."""
    numbers = _DECIMAL.findall(line)
    is_whole = len(numbers) == 3 and b"".join(numbers) == b"".join(line.rstrip(_FLAGS).split())
    return line if is_whole and has_all_decimals(line, line) else b""


def has_all_decimals(row: bytes, other: bytes) -> bool:
    """Whether the three numbers of a row have the decimals of another row's."""
    found, wanted = ([len(part) for part in re.findall(rb"\.(\d+)", each)] for each in (row, other))
    return len(found) == row.count(b".") == 3 and set(found) == set(wanted[:1])
