"""Finds the configurations of an ML_AB, one after the other, and names its parts. Their tables are not read here."""

from collections.abc import Iterator
from dataclasses import dataclass

from lake.readers import ml_ab_blocks as blocks
from lake.readers.containers import SourceStream
from lake.readers.window import TextWindow
from schemas.errors import UnreadableFile

REMEDY = "Give an ML_AB or ML_ABN as VASP writes it, or leave this file out."
_LONGEST_HEAD = 64 * 1024  # a force field's basis set may follow, megabytes of it


@dataclass(frozen=True, slots=True)
class Block:
    """The text of one configuration."""

    number: int
    """In the order of the file, from 1."""
    text: bytes
    types: blocks.AtomTypes
    has_hole: bool
    """Whether NUL bytes stand in it."""


class Configurations:
    """The configurations of a file, one after the other, and the names of their parts."""

    def __init__(self, source: SourceStream, chunk_bytes: int) -> None:
        self.source = source
        self.n_declared: int | None = None
        self.n_blocks = 0
        self.n_nameless = 0
        """Configurations that do not say which atoms they have."""
        self.ends_within_configuration = False
        self.ends_within_line = False
        self._has_stress = False
        self.parts: dict[bytes, str] = {}
        """Names by the atomic numbers as bytes, in the order of the file."""
        self._window = TextWindow(source, chunk_bytes)
        self.version = self._skip_head()

    def __iter__(self) -> Iterator[Block]:
        """Those that name their atoms, without the last one where the file ends within its tables."""
        window, token = self._window, blocks.CONFIGURATION
        while len(window):  # a configuration begins at position 0
            end = window.find(token, len(token))
            text = bytes(window.text[: len(window) if end is None else end])
            window.drop(len(text))
            number = self.n_blocks + 1
            self.n_blocks = number
            text = self._whole_lines(text) if end is None else text
            text = self._first_of(text)
            types = blocks.atom_types(text)
            has_stress = bool(blocks.stress_kbar(text))
            self._has_stress = self._has_stress or has_stress
            if end is None and (types is None or _is_cut(text, types) or self._has_stress > has_stress):
                self.ends_within_configuration = True
            elif types is None:
                self.n_nameless += 1
            else:
                yield Block(number, text, types, b"\0" in text)

    def _first_of(self, text: bytes) -> bytes:
        """The text up to where another configuration begins whose title was damaged; such a one is only counted."""
        titles = (blocks.ATOMS, blocks.POSITIONS, blocks.FORCES)
        n_more = max(text.count(title) for title in titles) - 1
        if n_more < 1:
            return text
        self.n_blocks += n_more
        self.n_nameless += n_more
        again = min(at for title in titles if (at := text.find(title, text.find(title) + 1)) > 0)
        return text[:again]

    @property
    def has_hole(self) -> bool:
        """Whether NUL bytes stand anywhere in the file."""
        return bool(self._window.holes)

    def name_of(self, types: blocks.AtomTypes) -> str:
        """The part's name: the formula, and a number for the second order of the same atoms and those after it."""
        key = types.atomic_numbers.tobytes()
        if key not in self.parts:
            formula = types.formula
            n_orders = sum(name.partition("-")[0] == formula for name in self.parts.values()) + 1
            self.parts[key] = formula if n_orders == 1 else f"{formula}-{n_orders}"
        return self.parts[key]

    def _skip_head(self) -> str:
        """The first line of the file, having gone on to the first configuration."""
        window, head = self._window, b""
        while (hit := window.text.find(blocks.CONFIGURATION)) < 0:
            head = head or (bytes(window.text) if len(window) >= _LONGEST_HEAD else b"")
            if head:
                window.drop(max(len(window) - len(blocks.CONFIGURATION), 0))
            if not window.grow():
                break
        head = head or bytes(window.text[: max(hit, 0) or len(window)])
        declared = blocks.section(head, blocks.N_CONFIGURATIONS).split()
        self.n_declared = int(declared[0]) if declared and declared[0].isdigit() else None
        if hit < 0:
            raise UnreadableFile(f"{self.source.name}: {self._why_empty(head)}.", REMEDY)
        # The title of the first configuration may be damaged.
        self.n_blocks = self.n_nameless = bytes(window.text[:hit]).count(blocks.POSITIONS)
        window.drop(hit)
        return " ".join(head.partition(b"\n")[0].decode("latin-1").split())

    def _why_empty(self, head: bytes) -> str:
        if blocks.N_CONFIGURATIONS in head:
            return "the ML_AB ends before its first configuration"
        return "it is not an ML_AB, since it holds no configuration" if head else "the file is empty"

    def _whole_lines(self, text: bytes) -> bytes:
        """The text without a last line that has no end: a number that was cut looks like any other."""
        end = text.rfind(b"\n") + 1
        self.ends_within_line = bool(text[end:].strip(b"\0 \t\r"))
        return text[:end]


def _is_cut(text: bytes, types: blocks.AtomTypes) -> bool:
    """Whether the file ends within the tables of its last configuration."""
    n_atoms = sum(types.counts)
    tables = (blocks.positions_angstrom(text, n_atoms), blocks.forces_ev_per_angstrom(text, n_atoms))
    return any(table is None or (table.vectors is None and not table.is_closed) for table in tables)
