"""Which columns of a dump hold what, and their numbers in our units. Frames and files do not belong here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.readers.lammps_box import Box
from lake.readers.word_tables import WordTable
from schemas.elements import SYMBOLS
from schemas.frames import Floats
from schemas.units import ANGSTROM_PER_FS_PER_ANGSTROM_PER_PS, EV_PER_KCAL_PER_MOL, FS_PER_PS

NAME_ELEMENTS = "name the elements of the types with `dump_modify ID element Al Cu ...`"

_POSITIONS = (("xu", "yu", "zu"), ("xsu", "ysu", "zsu"), ("x", "y", "z"), ("xs", "ys", "zs"))
_VELOCITIES = ("vx", "vy", "vz")
_FORCES = ("fx", "fy", "fz")
_IMAGES = ("ix", "iy", "iz")
_ATOMIC_NUMBER = {symbol.encode(): number for number, symbol in enumerate(SYMBOLS) if number}


@dataclass(frozen=True, slots=True)
class Units:
    """What one of LAMMPS's units is in ours."""

    velocity: float
    force: float
    time: float


UNITS = {
    "metal": Units(ANGSTROM_PER_FS_PER_ANGSTROM_PER_PS, 1.0, FS_PER_PS),
    "real": Units(1.0, EV_PER_KCAL_PER_MOL, 1.0),
}


class UnusableColumns(ValueError):
    """A dump that does not tell what a run needs; the first argument is why, the second what to do."""


@dataclass(frozen=True, slots=True)
class DumpColumns:
    """The columns of every frame of a dump, as its first frame has them."""

    names: tuple[bytes, ...]
    units: Units

    def __post_init__(self) -> None:
        told = " ".join(name.decode("ascii", "replace") for name in self.names)
        if b"id" not in self.names:
            raise UnusableColumns(
                f"its columns ({told}) do not tell the ids of its atoms", "Write it with `dump ... custom ... id ...`."
            )
        if b"element" not in self.names:
            raise UnusableColumns(
                f"its columns ({told}) do not tell the elements of its atoms",
                f"Write it with the column `element`, and {NAME_ELEMENTS}.",
            )
        for names in (*_POSITIONS, _VELOCITIES, _FORCES, _IMAGES):
            if 0 < sum(name.encode() in self.names for name in names) < len(names):
                raise UnusableColumns(
                    f"of the columns {', '.join(names)} it has only some ({told})", "Write all three of them, or none."
                )
        if self._position_names is None:
            raise UnusableColumns("it has no columns of positions", "Write it with `xu yu zu` or `x y z`.")

    @property
    def has_velocities(self) -> bool:
        return self._has(_VELOCITIES)

    @property
    def _position_names(self) -> tuple[str, ...] | None:
        return next((names for names in _POSITIONS if self._has(names)), None)

    def _has(self, names: tuple[str, ...]) -> bool:
        return all(name.encode() in self.names for name in names)

    def sorted_rows(self, table: WordTable) -> tuple[Floats, WordTable]:
        """Ids in rising order, (n_atoms,), and the rows in that order."""
        place = self.names.index(b"id")
        rows = table.sorted_by(place)
        return rows.numbers[:, place], rows

    def atomic_numbers(self, table: WordTable) -> NDArray[np.int8]:
        """(n_atoms,); 0 for what is no element."""
        names = table.words[self.names.index(b"element")]
        return np.array([_ATOMIC_NUMBER.get(name, 0) for name in names], dtype=np.int8)

    def element_named(self, table: WordTable, row: int) -> str:
        return table.words[self.names.index(b"element")][row].decode("ascii", "replace")

    def positions(self, table: WordTable, box: Box | None) -> Floats:
        """(n_atoms, 3), Angstrom, unwrapped where the dump tells how; NaN where that needs a box and there is none."""
        names = self._position_names or _POSITIONS[0]
        values = self._vectors(table, names)
        is_scaled, is_unwrapped = "s" in names[0], "u" in names[0]
        images = None if is_unwrapped or not self._has(_IMAGES) else self._vectors(table, _IMAGES)
        if box is None:
            return np.full_like(values, np.nan) if is_scaled or images is not None else values
        if is_scaled:
            values = box.origin + _times(values, box.cell)
        return values if images is None else values + _times(images, box.cell)

    def velocities(self, table: WordTable) -> Floats | None:
        """(n_atoms, 3), Angstrom/fs; None if the dump has none."""
        return self._vectors(table, _VELOCITIES) * self.units.velocity if self._has(_VELOCITIES) else None

    def forces(self, table: WordTable) -> Floats | None:
        """(n_atoms, 3), eV/Angstrom; None if the dump has none."""
        return self._vectors(table, _FORCES) * self.units.force if self._has(_FORCES) else None

    def _vectors(self, table: WordTable, names: tuple[str, ...]) -> Floats:
        return table.numbers[:, [self.names.index(name.encode()) for name in names]]


def _times(vectors: Floats, cell: Floats) -> Floats:
    """(n_atoms, 3), Angstrom. Written out, so that no BLAS decides the order of the sum."""
    sums: Floats = vectors[:, 0:1] * cell[0] + vectors[:, 1:2] * cell[1] + vectors[:, 2:3] * cell[2]
    return sums
