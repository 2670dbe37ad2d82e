"""The box of a LAMMPS dump: three lines behind `ITEM: BOX BOUNDS` become a cell and an origin. No atoms here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.frames import Floats

_GENERAL = (b"abc", b"origin")


@dataclass(frozen=True, slots=True)
class Box:
    """Where atoms live."""

    cell: Floats
    """(3, 3), Angstrom, rows a, b, c."""
    origin: Floats
    """(3,), Angstrom."""


def box_of(bounds: Sequence[bytes], title: Sequence[bytes] = ()) -> Box:
    """The box of one frame (LAMMPS manual, `Howto triclinic`).

    A tilted box is written as the bounds of the smallest upright box around it; with `triclinic/general yes` the
    lines are the three edges instead, each followed by one component of the origin.

    Parameters
    ----------
    title
        The words behind `ITEM: BOX BOUNDS`.

    Raises
    ------
    ValueError
        If the lines are not a box.
    """
    values = np.array([line.split() for line in bounds], dtype=np.float64)
    if tuple(title[:2]) == _GENERAL:
        return _finite(values[:, :3], values[:, 3])
    low, high = values[:, 0].copy(), values[:, 1].copy()
    if values.shape[1] == 2:
        return _finite(np.diag(high - low), low)
    xy, xz, yz = values[:, 2]
    length = high - low
    low[0] -= min(0.0, xy, xz, xy + xz)
    low[1] -= min(0.0, yz)
    length[0] -= max(0.0, xy, xz, xy + xz) - min(0.0, xy, xz, xy + xz)
    length[1] -= max(0.0, yz) - min(0.0, yz)
    return _finite(np.array([[length[0], 0.0, 0.0], [xy, length[1], 0.0], [xz, yz, length[2]]]), low)


def _finite(cell: Floats, origin: Floats) -> Box:
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or not np.isfinite(origin).all():
        raise ValueError("the box holds a value that is not a number")
    return Box(cell, origin)
