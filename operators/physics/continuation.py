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
    ways = predicted_ways(last, cell=cell, forces=forces, masses_amu=masses_amu, time_step_fs=time_step_fs)
    offs = [_rms(nearest_images(first - last[1] - way, cell)) / farthest_off_angstrom(way) for way in ways]
    n_missing = int(np.argmin(offs))
    return n_missing if offs[n_missing] < 1.0 else None


def predicted_ways(last: Floats, *, cell: Floats, forces: Floats, masses_amu: Floats, time_step_fs: float) -> Floats:
    """Where the atoms go from the last frame: (1 + MOST_MISSING_STEPS, n_atoms, 3), Angstrom, after 1, 2, ... steps.

    Parameters are those of `missing_steps`.
    """
    bend = np.nan_to_num(forces) / (masses_amu[:, None] * EV_PER_AMU_ANGSTROM2_PER_FS2) * time_step_fs**2
    way = nearest_images(last[1] - last[0], cell) + bend
    n_missing = np.arange(MOST_MISSING_STEPS + 1)[:, None, None]
    ways: Floats = (n_missing + 1) * way + bend * (n_missing * (n_missing + 1) / 2)
    return ways


def farthest_off_angstrom(way: Floats) -> float:
    """How far a frame may be from where a way, (n_atoms, 3), leads: root mean square of its components."""
    return _TOLERANCE_OF_WAY * max(_rms(way), SAME_POSITION_ANGSTROM)


def nearest_images(differences: Floats, cell: Floats) -> Floats:
    """(n_atoms, 3), Angstrom: each difference by the lattice vectors that bring its fractions nearest to zero."""
    scaled = fractional(differences[None], cell[None])[0]
    images: NDArray[np.float64] = (scaled - np.rint(scaled)) @ cell
    return images


def _rms(vectors: Floats) -> float:
    return float(np.sqrt(np.mean(vectors**2)))
