"""Whether one stretch of molecular dynamics goes on where another one stopped.

Which runs are compared is not decided here.
"""

import numpy as np
from numpy.typing import NDArray

from operators.physics.cells import fractional
from schemas.frames import Floats
from schemas.units import EV_PER_AMU_ANGSTROM2_PER_FS2

MOST_MISSING_STEPS = 10
"""Beyond this, extrapolation says little about where the atoms of a melt have gone."""

FEWEST_ATOMS = 4
"""Fewer atoms are near a predicted place by chance too often."""

_TOLERANCE_OF_WAY = 0.2
"""How far from the prediction, as a fraction of the way that atoms went: thermostats and printed decimals."""

SAME_POSITION_ANGSTROM = 3e-5
"""OUTCAR prints five decimals, other files more."""


def same_positions(one: Floats, other: Floats, *, cell: Floats, other_cell: Floats) -> bool:
    """Whether two frames are one configuration to the decimals that VASP prints.

    Parameters
    ----------
    one, other
        (n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cell, other_cell
        (3, 3), Angstrom, rows a, b, c.
    """
    if not np.allclose(cell, other_cell, rtol=0, atol=SAME_POSITION_ANGSTROM):
        return False
    return bool(np.abs(nearest_images(one - other, cell)).max(initial=0.0) <= SAME_POSITION_ANGSTROM)


def missing_steps(
    last: Floats, first: Floats, *, cell: Floats, forces: Floats, masses_amu: Floats, time_step_fs: float
) -> int | None:
    """How many steps lie between a run's end and another run's first frame; None if that cannot be told.

    Positions are extrapolated from the last two frames with Verlet's step, x(n+1) = 2 x(n) - x(n-1) + F dt^2 / m
    (Verlet, Phys. Rev. 159, 98 (1967), eq. 4), and with constant acceleration beyond.

    Parameters
    ----------
    last
        (2, n_atoms, 3), Angstrom: the last two frames, one time step apart.
    first
        (n_atoms, 3), Angstrom: the first frame of what may go on from there.
    cell
        (3, 3), Angstrom.
    forces
        (n_atoms, 3), eV/Angstrom, of the last frame; NaN where it has none.
    masses_amu
        (n_atoms,).
    time_step_fs
        Between consecutive frames.
    """
    if len(first) < FEWEST_ATOMS:
        return None
    bend = np.nan_to_num(forces) / (masses_amu[:, None] * EV_PER_AMU_ANGSTROM2_PER_FS2) * time_step_fs**2
    way = nearest_images(last[1] - last[0], cell) + bend
    found: list[tuple[float, int]] = []
    for n_missing in range(MOST_MISSING_STEPS + 1):
        n_steps = n_missing + 1
        predicted = n_steps * way + bend * (n_missing * n_steps / 2)
        off = nearest_images(first - last[1] - predicted, cell)
        found.append((_rms(off) / max(_rms(predicted), SAME_POSITION_ANGSTROM), n_missing))
    distance, n_missing = min(found)
    return n_missing if distance < _TOLERANCE_OF_WAY else None


def nearest_images(differences: Floats, cell: Floats) -> Floats:
    """(n_atoms, 3), Angstrom: each difference by the lattice vectors that bring its fractions nearest to zero."""
    scaled = fractional(differences[None], cell[None])[0]
    images: NDArray[np.float64] = (scaled - np.rint(scaled)) @ cell
    return images


def _rms(vectors: Floats) -> float:
    return float(np.sqrt(np.mean(vectors**2)))
