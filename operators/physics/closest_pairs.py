"""How close atoms of two elements come: the smallest distance of each pair of elements in each frame.

One number per frame, without regard to elements, belongs in `pairs`; distributions belong in `rdf`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.physics.cells import plane_distances_angstrom
from schemas.frames import Floats

REACH_ANGSTROM = 5.0
"""Pairs that never come this close are not looked for: no such distance limits a simulation of a melt."""


def closest_by_pair(positions: Floats, cells: Floats, types: NDArray[np.integer], *, n_types: int) -> Floats:
    """Smallest distance of each pair of types in each frame, all periodic images included.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c; any shape of cell with a volume.
    types
        (n_atoms,), dimensionless, below `n_types`.
    n_types
        Number of types.

    Returns
    -------
    Floats
        (n_frames, n_types, n_types), Angstrom, symmetric; infinite where no two atoms are within 5 Angstrom.
    """
    closest = np.full((len(positions), n_types, n_types), np.inf)
    heights = plane_distances_angstrom(cells)
    kinds = np.ascontiguousarray(types, dtype=np.int64)
    for frame, (where, cell) in enumerate(zip(positions, cells, strict=True)):
        # Wrapped differences are at most half a cell: the copy n cells away is at least |n| - 1/2 heights away.
        reach = np.floor(REACH_ANGSTROM / heights[frame] + 0.5).astype(np.int64)
        fractional = np.ascontiguousarray(where @ np.linalg.inv(cell))
        _closest_of_frame(fractional, np.ascontiguousarray(cell), kinds, reach, closest[frame])
    found: Floats = np.sqrt(np.minimum(closest, closest.transpose(0, 2, 1)))
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _closest_of_frame(
    fractional: Floats, cell: Floats, kinds: NDArray[np.int64], reach: NDArray[np.int64], closest: Floats
) -> None:
    """Squares of the smallest distances, into `closest`."""
    most = REACH_ANGSTROM * REACH_ANGSTROM
    for i in range(len(fractional)):
        for j in range(i, len(fractional)):
            a = fractional[j, 0] - fractional[i, 0]
            b = fractional[j, 1] - fractional[i, 1]
            c = fractional[j, 2] - fractional[i, 2]
            a, b, c = a - np.rint(a), b - np.rint(b), c - np.rint(c)
            for n_a in range(-reach[0], reach[0] + 1):
                for n_b in range(-reach[1], reach[1] + 1):
                    for n_c in range(-reach[2], reach[2] + 1):
                        if i == j and n_a == 0 and n_b == 0 and n_c == 0:
                            continue
                        x = (a + n_a) * cell[0, 0] + (b + n_b) * cell[1, 0] + (c + n_c) * cell[2, 0]
                        y = (a + n_a) * cell[0, 1] + (b + n_b) * cell[1, 1] + (c + n_c) * cell[2, 1]
                        z = (a + n_a) * cell[0, 2] + (b + n_b) * cell[1, 2] + (c + n_c) * cell[2, 2]
                        squared = x * x + y * y + z * z
                        if squared < most and squared < closest[kinds[i], kinds[j]]:
                            closest[kinds[i], kinds[j]] = squared
