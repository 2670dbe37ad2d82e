"""Atoms that are too close are pushed apart: what makes a frame with exchanged elements fit to start from.

It is no relaxation: nothing is known of forces. Distances alone are in `pairs`.
"""

import numpy as np
from numpy.typing import NDArray

from operators.physics.cells import plane_distances_angstrom
from operators.physics.pairs import shortest_distances
from schemas.errors import MeltlakeError
from schemas.frames import Floats

_MOST_ROUNDS = 400
_ATOMS_AT_ONCE = 256


def spread_apart(atomic_numbers: NDArray[np.integer], positions: Floats, *, cell: Floats, limits: Floats) -> Floats:
    """Positions in which no pair is closer than its limit, moved as little as pairwise pushes do.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_atoms, 3), Angstrom, wrapped or not.
    cell
        (3, 3), Angstrom, rows a, b, c.
    limits
        (n_elements, n_elements), Angstrom, elements in the order of `np.unique(atomic_numbers)`.

    Returns
    -------
    Floats
        (n_atoms, 3), Angstrom.

    Raises
    ------
    MeltlakeError
        If the cell is too small or too dense for that.
    """
    reach = float(limits.max())
    if plane_distances_angstrom(cell[None]).min() < 2 * reach:
        raise MeltlakeError(
            f"Atoms to be pushed {reach:.2f} angstrom apart needed a cell of twice that between faces, found less.",
            "Start from a run with a larger cell.",
        )
    _, kinds = np.unique(atomic_numbers, return_inverse=True)
    moved = np.array(positions, dtype=np.float64)
    for _ in range(_MOST_ROUNDS):
        pushes = _pushes(moved, cell, kinds, limits)
        if not pushes.any():
            break
        moved += pushes
    _, [ratio] = shortest_distances(atomic_numbers, moved[None], cells=cell[None], limits=limits)
    if not ratio >= 1.0 - 1e-9:
        raise MeltlakeError(
            f"Atoms could not be pushed apart: the closest pair is at {ratio:.2f} of the distance that it needs.",
            "The melt would be too dense: predict its density from more compositions, or start from another run.",
        )
    return moved


def _pushes(positions: Floats, cell: Floats, kinds: NDArray[np.intp], limits: Floats) -> Floats:
    """(n_atoms, 3): half of what each close pair lacks, along the line between the two, a little more to end."""
    inverse, pushes = np.linalg.inv(cell), np.zeros_like(positions)
    for start in range(0, len(positions), _ATOMS_AT_ONCE):
        some = slice(start, start + _ATOMS_AT_ONCE)
        scaled = (positions[some, None, :] - positions[None, :, :]) @ inverse
        apart = (scaled - np.rint(scaled)) @ cell
        distance = np.sqrt((apart**2).sum(axis=2))
        wanted = limits[kinds[some, None], kinds[None, :]]
        here = np.arange(len(positions))[some]
        distance[np.arange(len(here)), here] = np.inf
        lacking = np.where(distance < wanted, 0.5 * (1.002 * wanted - distance), 0.0)
        direction = apart / np.maximum(distance, 1e-6)[:, :, None]
        pushes[some] = (np.where(lacking > 0, lacking, 0.0)[:, :, None] * direction).sum(axis=1)
    return pushes
