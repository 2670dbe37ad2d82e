"""The text of one configuration of an ML_AB: sections found by their titles, numbers of any width. No files here."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.readers.batches import NO_TENSOR
from lake.readers.columns import decimal
from schemas.composition import element_counts, formula
from schemas.elements import SYMBOLS, atomic_number

CONFIGURATION = b"Configuration num."
N_CONFIGURATIONS = b"The number of configurations"
_SYSTEM_NAME = b"System name"
ATOMS = b"Atom types and atom numbers"
LATTICE = b"Primitive lattice vectors (ang.)"
POSITIONS = b"Atomic positions (ang.)"
ENERGY = b"Total energy (eV)"
FORCES = b"Forces (eV ang.^-1)"
STRESS = b"Stress (kbar)"
_DIAGONAL = b"XX YY ZZ"
_OFF_DIAGONAL = b"XY YZ ZX"

# Scripts write rules of other lengths, and from the first column on.
_RULE = re.compile(rb"\n[ \t]*(?:={5,}|\*{5,}|-{5,})[ \t]*(?=\r?\n|$)")
_ELEMENT = re.compile(r"[A-Z][a-z]?")
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LAST_BLANK = 32  # of ASCII: line ends and blanks are all below

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AtomTypes:
    """Which atoms a configuration has, in their order."""

    names: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def atomic_numbers(self) -> NDArray[np.int8]:
        """(n_atoms,), dimensionless."""
        numbers = np.array([atomic_number(name) for name in self.names], dtype=np.int8)
        return np.repeat(numbers, self.counts)

    @property
    def formula(self) -> str:
        return formula(element_counts(self.atomic_numbers))


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers in rows of three; None where rows or numbers are missing or too many."""

    vectors: Floats | None
    """(n_atoms, 3)."""
    is_closed: bool
    """Whether a rule follows, so that the table was not cut."""


def atom_types(block: bytes) -> AtomTypes | None:
    """The table of types and numbers; None where it is missing or makes no sense."""
    words = section(block, ATOMS).decode("latin-1").split()
    names, counts = words[::2], words[1::2]
    elements = [_ELEMENT.match(name) for name in names]
    if not names or len(names) != len(counts) or not all(count.isdecimal() and int(count) for count in counts):
        return None
    if sum(map(int, counts)) > len(block):  # damaged: each atom takes two rows
        return None
    symbols = tuple(element[0] for element in elements if element is not None and element[0] in SYMBOLS[1:])
    return AtomTypes(symbols, tuple(map(int, counts))) if len(symbols) == len(names) else None


def named_system(block: bytes) -> str:
    """The name that the user gave in the INCAR."""
    return section(block, _SYSTEM_NAME).decode("latin-1").strip()


def section(block: bytes, title: bytes, start: int = 0) -> bytes:
    """What stands under a title, between its rule and the next; empty where the title is missing."""
    return _between_rules(block, title, start)[0]


def energy_ev(block: bytes) -> float | None:
    """The total energy, eV; None where it is missing, NaN where it is not a number."""
    text = section(block, ENERGY)
    return decimal(text.strip(b" \r")) if text else None


def cell_angstrom(block: bytes) -> tuple[float, ...]:
    """Nine numbers, rows a, b, c, A; empty where rows are missing."""
    rows = [line.split() for line in section(block, LATTICE).splitlines()]
    return tuple(decimal(word) for row in rows for word in row) if list(map(len, rows)) == [3, 3, 3] else ()


def positions_angstrom(block: bytes, n_atoms: int) -> Table | None:
    """Cartesian positions, A; None where the section is missing."""
    return _table(block, POSITIONS, n_atoms)


def forces_ev_per_angstrom(block: bytes, n_atoms: int) -> Table | None:
    """Forces, eV/A; None where the section is missing."""
    return _table(block, FORCES, n_atoms)


def stress_kbar(block: bytes) -> tuple[float, ...]:
    """Nine numbers, VASP's sign (positive when compressed); empty without the section, NaN where it is damaged."""
    start = max(block.find(STRESS), 0)
    rows = [section(block, title, start).split(b"\n") for title in (_DIAGONAL, _OFF_DIAGONAL)]
    words = [word for lines in rows for word in lines[0].split()]
    if len(words) != 6 or any(len(lines) != 1 for lines in rows):
        return NO_TENSOR if any(title in block for title in (STRESS, _DIAGONAL, _OFF_DIAGONAL)) else ()
    xx, yy, zz, xy, yz, zx = (decimal(word) for word in words)
    return (xx, xy, zx, xy, yy, yz, zx, yz, zz)


def numbers(text: bytes) -> Floats:
    """Decimals between blanks and line ends, all at once: (n_numbers,), the doubles that `float()` gives.

    NaN stands for a word that is not a number. Words are laid one behind the other, with the places where they end,
    which is a column of text that Arrow converts with correct rounding.
    """
    if _UNPRINTABLE.search(text) is not None:
        return np.array([decimal(word) for word in text.split()], dtype=np.float64)
    characters = np.frombuffer(b"\n" + text + b"\n", np.uint8)
    in_word = characters > _LAST_BLANK
    is_last = in_word[:-1] > in_word[1:]
    places = np.zeros(int(is_last.sum()) + 1, np.int32)
    places[1:] = np.cumsum(in_word, dtype=np.int32)[:-1][is_last]
    buffers = [None, pa.py_buffer(places), pa.py_buffer(characters[in_word])]
    try:
        column = pa.Array.from_buffers(pa.binary(), len(places) - 1, buffers).view(pa.string())
        converted: Floats = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return np.array([decimal(word) for word in text.split()], dtype=np.float64)
    return converted


def _table(block: bytes, title: bytes, n_atoms: int) -> Table | None:
    if title not in block:
        return None
    text, is_closed = _between_rules(block, title, 0)
    n_rows = text.count(b"\n") + 1 if text else 0
    values = numbers(text)
    sound = n_rows == n_atoms and len(values) == 3 * n_atoms
    return Table(values.reshape(-1, 3) if sound else None, is_closed)


def _between_rules(block: bytes, title: bytes, start: int) -> tuple[bytes, bool]:
    """The text under a title without its first and last line end, and whether a rule follows it."""
    at = block.find(title, start)
    line_end = block.find(b"\n", at) if at >= 0 else -1
    if line_end < 0:
        return b"", False
    first_rule = _RULE.match(block, line_end)
    begin = line_end if first_rule is None else first_rule.end()
    end_rule = _RULE.search(block, begin)
    end = len(block) if end_rule is None else end_rule.start()
    return block[begin:end].strip(b"\r\n"), end_rule is not None
