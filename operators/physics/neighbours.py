"""How many neighbours of each element an atom has, and at most: what DeePMD's `sel` must hold. No choice of frames.

What the numbers say of the melt belongs in `local_composition`.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.physics.cells import lower_triangular
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Integers

SEL_MARGIN = 1.15
"""Head-room over the largest count seen: a simulation visits denser places than its training frames."""
SEL_MULTIPLE = 4


def max_neighbours(
    positions_angstrom: Floats, cell_angstrom: Floats, types: Integers, *, r_cut_angstrom: float, n_types: int
) -> NDArray[np.int64]:
    """Largest number of neighbours of each type within the cutoff, over all atoms of all frames.

    Periodic copies count one by one, so that cells smaller than the cutoff are right too.

    Parameters
    ----------
    positions_angstrom
        (n_frames, n_atoms, 3), A, wrapped or not.
    cell_angstrom
        (n_frames, 3, 3), A, rows a, b, c; any shape of cell.
    types
        (n_atoms,), dimensionless, below `n_types`.
    r_cut_angstrom
        Cutoff radius.
    n_types
        Number of types.

    Returns
    -------
    NDArray
        (n_types,), dimensionless.

    Raises
    ------
    MeltlakeError
        If a cell has no volume.
    """
    most = np.zeros(n_types, dtype=np.int64)
    for positions, cell in zip(positions_angstrom, cell_angstrom, strict=True):
        counts = neighbour_counts(positions, cell, types, r_cut_angstrom=r_cut_angstrom, n_types=n_types)
        np.maximum(most, counts.max(axis=0, initial=0), out=most)
    return most


def neighbour_counts(
    positions_angstrom: Floats,
    cell_angstrom: Floats,
    types: NDArray[np.integer],
    *,
    r_cut_angstrom: float,
    n_types: int,
) -> NDArray[np.int64]:
    """Neighbours of each type within the cutoff of each atom of a frame, itself not among them.

    Periodic copies count one by one, so that cells smaller than the cutoff are right too.

    Parameters
    ----------
    positions_angstrom
        (n_atoms, 3), A, wrapped or not.
    cell_angstrom
        (3, 3), A, rows a, b, c; any shape of cell.
    types
        (n_atoms,), dimensionless, below `n_types`.
    r_cut_angstrom
        Cutoff radius.
    n_types
        Number of types.

    Returns
    -------
    NDArray
        (n_atoms, n_types), dimensionless.

    Raises
    ------
    MeltlakeError
        If the cell has no volume.
    """
    if abs(np.linalg.det(cell_angstrom)) == 0:
        raise MeltlakeError("A frame's cell has no volume.", "Look at the run's cell vectors.")
    inverse = np.linalg.inv(cell_angstrom)
    # Distance between opposite faces: |a.(b x c)| / |b x c| = 1 / |column of the inverse|.
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    # Wrapped differences are at most half a cell: the copy n cells away is at least |n| - 1/2 heights away.
    reach = np.floor(r_cut_angstrom / heights + 0.5).astype(int)
    copies = np.array(list(product(*(range(-most, most + 1) for most in reach))), dtype=np.float64)
    order = np.argsort(types, kind="stable")
    starts = np.searchsorted(types[order], np.arange(n_types + 1))
    [cell] = lower_triangular(cell_angstrom[None])
    scaled = np.ascontiguousarray((positions_angstrom[order] @ inverse).T)
    counts = np.empty((len(order), n_types), dtype=np.int64)
    counts[order] = _count_neighbours(scaled, starts, copies, cell, r_cut_angstrom)
    return counts


def sel(most: Sequence[int]) -> list[int]:
    """Neighbour slots per type: 15 % head-room, rounded up to a multiple of four, and at least four."""
    return [SEL_MULTIPLE * max(1, int(np.ceil(SEL_MARGIN * count / SEL_MULTIPLE))) for count in most]


def require_room(slots: Sequence[int], most: Sequence[int], type_map: Sequence[str]) -> None:
    """Refuse slots that leave neighbours out: DeePMD would drop the farthest without an error, and train on.

    Parameters
    ----------
    slots
        (n_types,), dimensionless: DeePMD's `sel`.
    most
        (n_types,), dimensionless: what `max_neighbours` found.
    type_map
        Elements, in the same order.

    Raises
    ------
    MeltlakeError
        If an atom has more neighbours of an element than there are slots.
    """
    short = [
        f"{n_slots} for up to {found} {element}"
        for element, n_slots, found in zip(type_map, slots, most, strict=True)
        if n_slots < found
    ]
    if short:
        raise MeltlakeError(
            f"sel: needed a slot for every neighbour within the cutoff, found {', '.join(short)}.",
            f"Use at least {', '.join(map(str, sel(most)))} for {', '.join(type_map)}, or a smaller cutoff.",
        )


@njit(cache=True, fastmath={"nnan", "nsz", "contract"}, error_model="numpy")  # type: ignore[untyped-decorator]
def _count_neighbours(
    scaled: Floats, starts: NDArray[np.int64], copies: Floats, cell: Floats, r_cut: float
) -> NDArray[np.int64]:
    """(n_atoms, n_types), of atoms sorted by type, in a cell that is zero above the diagonal."""
    xx, yx, yy, zx, zy, zz = cell[0, 0], cell[1, 0], cell[1, 1], cell[2, 0], cell[2, 1], cell[2, 2]
    n_atoms, n_types, squared = scaled.shape[1], len(starts) - 1, r_cut * r_cut
    counts = np.zeros((n_atoms, n_types), np.int64)
    for i in range(n_atoms):
        x, y, z = scaled[0, i], scaled[1, i], scaled[2, i]
        for kind in range(n_types):
            n_near = 0
            for copy in range(len(copies)):
                a, b, c = copies[copy, 0], copies[copy, 1], copies[copy, 2]
                for j in range(starts[kind], starts[kind + 1]):
                    s, t, u = scaled[0, j] - x, scaled[1, j] - y, scaled[2, j] - z
                    s, t, u = s - np.rint(s) + a, t - np.rint(t) + b, u - np.rint(u) + c
                    dx, dy, dz = s * xx + t * yx + u * zx, t * yy + u * zy, u * zz
                    n_near += dx * dx + dy * dy + dz * dz < squared
            itself = starts[kind] <= i < starts[kind + 1]
            counts[i, kind] = n_near - itself
    return counts
