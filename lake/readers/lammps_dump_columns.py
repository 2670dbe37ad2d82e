"""Which columns of a dump hold what, and their numbers in our units. Frames and files do not belong here."""

from dataclasses import dataclass

from schemas.frames import Floats
from schemas.units import ANGSTROM_PER_FS_PER_ANGSTROM_PER_PS, EV_PER_KCAL_PER_MOL, FS_PER_PS

NAME_ELEMENTS = "name the elements of the types with `dump_modify ID element Al Cu ...`"

_POSITIONS = (("xu", "yu", "zu"), ("xsu", "ysu", "zsu"), ("x", "y", "z"), ("xs", "ys", "zs"))
_VELOCITIES = ("vx", "vy", "vz")
_FORCES = ("fx", "fy", "fz")
_IMAGES = ("ix", "iy", "iz")


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
    def has_forces(self) -> bool:
        return self._has(_FORCES)

    @property
    def _position_names(self) -> tuple[str, ...] | None:
        return next((names for names in _POSITIONS if self._has(names)), None)

    def _has(self, names: tuple[str, ...]) -> bool:
        return all(name.encode() in self.names for name in names)

    def ids(self, tables: Floats) -> Floats:
        """(..., n_atoms)."""
        return tables[..., self.names.index(b"id")]

    def atomic_numbers(self, tables: Floats) -> Floats:
        """(..., n_atoms); negative for what is no element."""
        return tables[..., self.names.index(b"element")]

    def positions(self, tables: Floats, cells: Floats, origins: Floats) -> Floats:
        """Positions as the dump tells them, unwrapped where it tells how; NaN where that needs a box and there is none.

        Parameters
        ----------
        tables
            (n_frames, n_atoms, n_columns).
        cells
            (n_frames, 3, 3), Angstrom, NaN where there is no box.
        origins
            (n_frames, 3), Angstrom, NaN where there is no box.

        Returns
        -------
        NDArray
            (n_frames, n_atoms, 3), Angstrom.
        """
        names = self._position_names or _POSITIONS[0]
        values = self._vectors(tables, names)
        if "s" in names[0]:
            values = origins[:, None, :] + _times(values, cells)
        if "u" not in names[0] and self._has(_IMAGES):
            values = values + _times(self._vectors(tables, _IMAGES), cells)
        return values

    def velocities(self, tables: Floats) -> Floats | None:
        """(n_frames, n_atoms, 3), Angstrom/fs; None if the dump has none."""
        return self._vectors(tables, _VELOCITIES) * self.units.velocity if self._has(_VELOCITIES) else None

    def forces(self, tables: Floats) -> Floats | None:
        """(n_frames, n_atoms, 3), eV/Angstrom; None if the dump has none."""
        return self._vectors(tables, _FORCES) * self.units.force if self._has(_FORCES) else None

    def _vectors(self, tables: Floats, names: tuple[str, ...]) -> Floats:
        places = [self.names.index(name.encode()) for name in names]
        first = places[0]
        if places == [first, first + 1, first + 2]:
            return tables[..., first : first + 3]
        return tables[..., places]


def _times(vectors: Floats, cells: Floats) -> Floats:
    """(n_frames, n_atoms, 3), Angstrom. Written out, so that no BLAS decides the order of the sum."""
    x, y, z = (vectors[..., axis : axis + 1] * cells[:, None, axis] for axis in range(3))
    sums: Floats = x + y + z
    return sums
