"""Finds the configurations of an ML_AB, one after the other, and names its parts. Their tables are not read here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lake.readers import ml_ab_blocks as blocks
from lake.readers.containers import SourceStream
from lake.readers.window import TextWindow
from schemas.errors import UnreadableFile

REMEDY = "Give an ML_AB or ML_ABN as VASP writes it, or leave this file out."
_LONGEST_HEAD = 64 * 1024  # a force field's basis set may follow, megabytes of it
# Damage may take the title of the next configuration: what is longer than any configuration is not waited for.
_LONGEST_BLOCK = 4 * 1024 * 1024
_LONGEST_ATOM = 512
_LONGEST_TITLE = 64
_TITLES = (blocks.ATOMS, blocks.POSITIONS, blocks.FORCES)


@dataclass(frozen=True, slots=True)
class Block:
    """The text of one configuration."""

    number: int
    """In the order of the file, from 1."""
    text: bytes
    types: blocks.AtomTypes
    has_lost_text: bool
    """Whether NUL bytes stand in it, or more than its tables can take."""


class _Text(NamedTuple):
    """The text between two titles of configurations."""

    text: bytes
    n_titles: int
    """How many configurations it holds, by the titles of their sections."""
    is_last: bool
    is_too_long: bool
    """Whether more follows than the tables of its atoms can take, which was passed by."""


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
        self.has_lost_text = False
        """Whether a configuration is longer than its tables can be."""
        self._has_stress = False
        self.parts: dict[bytes, str] = {}
        """Names by the atomic numbers as bytes, in the order of the file."""
        self._window = TextWindow(source, chunk_bytes)
        self.version = self._skip_head()

    def __iter__(self) -> Iterator[Block]:
        """Those that name their atoms, without the last one where the file ends within its tables."""
        while len(self._window):  # a configuration begins at position 0
            found = self._next_text()
            number = self.n_blocks + 1
            self.n_blocks = number
            text = self._whole_lines(found.text) if found.is_last else found.text
            text = self._first_of(text, found.n_titles)
            is_too_long = found.is_too_long and text == found.text
            self.has_lost_text = self.has_lost_text or is_too_long
            types = blocks.atom_types(text)
            has_stress = bool(blocks.stress_kbar(text))
            self._has_stress = self._has_stress or has_stress
            if found.is_last and (types is None or _is_cut(text, types) or self._has_stress > has_stress):
                self.ends_within_configuration = True
            elif types is None:
                self.n_nameless += 1
            else:
                yield Block(number, text, types, is_too_long or b"\0" in text)

    def _next_text(self) -> _Text:
        """The text up to the next title, which is then dropped; only the beginning of what is too long."""
        window, token = self._window, blocks.CONFIGURATION
        end = self._find_title(_LONGEST_HEAD)
        limit = _LONGEST_HEAD
        if end is None:
            types = blocks.atom_types(bytes(window.text[:_LONGEST_HEAD]))
            limit = _LONGEST_BLOCK + _LONGEST_ATOM * (0 if types is None else sum(types.counts))
            end = self._find_title(limit)
        is_too_long = end is None and len(window) > limit + len(token)
        n_bytes = limit if is_too_long else len(window) if end is None else end
        text, n_titles = bytes(window.text[:n_bytes]), dict.fromkeys(_TITLES, 0)
        self._pass_by(n_bytes, n_titles)
        if is_too_long:
            self._pass_by_rest(n_titles)
        return _Text(text, max(n_titles.values()), end is None and not is_too_long, is_too_long)

    def _find_title(self, limit: int) -> int | None:
        """Where the next configuration begins, up to `limit`, having read no further than is needed to know."""
        window, token = self._window, blocks.CONFIGURATION
        start = len(token)
        while (end := window.find_between(token, start, limit + len(token))) is None:
            start = max(start, len(window) - len(token) + 1)
            if len(window) > limit + len(token) or not window.grow():
                break
        return end

    def _pass_by_rest(self, n_titles: dict[bytes, int]) -> None:
        """Drop what stands before the next configuration, piece by piece."""
        window = self._window
        while (end := window.text.find(blocks.CONFIGURATION)) < 0 and not window.exhausted:
            self._pass_by(max(len(window) - _LONGEST_TITLE, 0), n_titles)
            window.grow()
        self._pass_by(len(window) if end < 0 else end, n_titles)

    def _pass_by(self, position: int, n_titles: dict[bytes, int]) -> None:
        """Drop text, having counted the titles that begin in it."""
        for title in n_titles:
            n_titles[title] += self._window.text.count(title, 0, position + len(title) - 1)
        self._window.drop(position)

    def _first_of(self, text: bytes, n_titles: int) -> bytes:
        """The text up to where another configuration begins whose title was damaged; such a one is only counted."""
        if n_titles <= 1:
            return text
        self.n_blocks += n_titles - 1
        self.n_nameless += n_titles - 1
        again = (at for title in _TITLES if (at := text.find(title, text.find(title) + 1)) > 0)
        return text[: min(again, default=len(text))]

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
        window, head, n_titles = self._window, b"", {blocks.POSITIONS: 0}
        while (hit := window.text.find(blocks.CONFIGURATION)) < 0:
            head = head or (bytes(window.text[:_LONGEST_HEAD]) if len(window) >= _LONGEST_HEAD else b"")
            if head:
                self._pass_by(max(len(window) - _LONGEST_TITLE, 0), n_titles)
            if not window.grow():
                break
        head = head or bytes(window.text[: max(hit, 0) or len(window)])
        declared = blocks.section(head, blocks.N_CONFIGURATIONS).split()
        self.n_declared = int(declared[0]) if declared and declared[0].isdigit() else None
        if hit < 0:
            raise UnreadableFile(f"{self.source.name}: {self._why_empty(head)}.", REMEDY)
        # The title of the first configuration may be damaged.
        self._pass_by(hit, n_titles)
        self.n_blocks = self.n_nameless = n_titles[blocks.POSITIONS]
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
