"""Shortest periodic distances of a frame, its own images included. Distributions of distances belong in `rdf`.

The nearest image by rounding fractional coordinates is exact for every pair in a rectangular cell, and in any cell up
to half the smallest plane distance. Only frames beyond both are searched image by image.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from operators.physics.cells import fractional, lower_triangular, plane_distances_angstrom
from schemas.frames import Floats

_FAST = {"nnan", "nsz", "contract", "reassoc"}  # infinities keep their meaning: the search starts from one


def shortest_distances(
    atomic_numbers: NDArray[np.integer], positions: Floats, *, cells: Floats, limits: Floats
) -> tuple[Floats, Floats]:
    """Shortest pair distance of each frame, and shortest in units of what is allowed for the two elements.

    All periodic images count, also those of an atom with itself: in a one-atom cell the answer is the shortest
    lattice vector.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    limits
        (n_elements, n_elements), Angstrom: symmetric, positive, elements in the order of `np.unique(atomic_numbers)`.

    Returns
    -------
    tuple of Floats
        (n_frames,) min r in Angstrom, and (n_frames,) min r_ij / limit_ij, dimensionless. NaN for a frame whose
        positions are not finite or whose cell has no volume.
    """
    elements, kinds = np.unique(atomic_numbers, return_inverse=True)
    order = np.argsort(kinds, kind="stable")
    starts = np.searchsorted(kinds[order], np.arange(len(elements) + 1))
    distances, ratios = np.full(len(positions), np.nan), np.full(len(positions), np.nan)
    usable = _usable(positions, cells)
    if not usable.any():
        return distances, ratios
    reduced = np.stack([_shortest_basis(cell) for cell in cells[usable]])
    inside = fractional(positions[usable][:, order], reduced)
    turned, planes = lower_triangular(reduced), plane_distances_angstrom(reduced)
    for slot, scaled, cell, plane in zip(np.flatnonzero(usable), inside, turned, planes, strict=True):
        columns = np.ascontiguousarray((scaled - np.floor(scaled)).T)
        distances[slot], ratios[slot] = _shortest_of_frame(columns, starts, cell, plane, limits)
    return distances, ratios


def _usable(positions: Floats, cells: Floats) -> NDArray[np.bool_]:
    finite = np.isfinite(positions).all(axis=(1, 2)) & np.isfinite(cells).all(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        sizes = np.abs(np.linalg.det(cells)) / np.prod(np.linalg.norm(cells, axis=2), axis=1)
    usable: NDArray[np.bool_] = finite & (sizes > 1e-9)
    return usable


@njit(cache=True)  # type: ignore[untyped-decorator]
def _shortest_basis(cell: Floats) -> Floats:
    """The same lattice with vectors that no sum or difference of the others shortens; keeps image searches small."""
    basis = cell.copy()
    shorter = True
    while shorter:
        shorter = False
        for k in range(3):
            a, b = basis[(k + 1) % 3], basis[(k + 2) % 3]
            for other in (a, b, a + b, a - b):
                step = np.rint((basis[k] * other).sum() / (other * other).sum())
                candidate = basis[k] - step * other
                if (candidate * candidate).sum() < (basis[k] * basis[k]).sum() * (1 - 1e-12):
                    basis[k] = candidate
                    shorter = True
    return basis


@njit(cache=True)  # type: ignore[untyped-decorator]
def _shortest_of_frame(
    scaled: Floats, starts: NDArray[np.int64], cell: Floats, planes: Floats, limits: Floats
) -> tuple[float, float]:
    n_elements = len(starts) - 1
    lattice = np.sqrt((cell * cell).sum(axis=1)).min()
    distance = ratio = np.inf
    for a in range(n_elements):
        if starts[a + 1] > starts[a]:
            distance, ratio = min(distance, lattice), min(ratio, lattice / limits[a, a])
        for b in range(a, n_elements):
            nearest = np.sqrt(_nearest_images(scaled, starts, cell, a, b))
            distance, ratio = min(distance, nearest), min(ratio, nearest / limits[a, b])
    # Whatever is still to be found is at least as close as one of the two answers so far.
    reach = max(distance, ratio * limits.max())
    rectangular = cell[1, 0] == 0.0 and cell[2, 0] == 0.0 and cell[2, 1] == 0.0
    if rectangular or reach < 0.5 * planes.min():
        return distance, ratio
    searched: tuple[float, float] = _search_images(scaled, starts, cell, np.floor(reach / planes + 0.5), limits)
    return searched


@njit(cache=True, fastmath=_FAST, error_model="numpy")  # type: ignore[untyped-decorator]
def _nearest_images(scaled: Floats, starts: NDArray[np.int64], cell: Floats, a: int, b: int) -> float:
    """Smallest squared distance between atoms of elements a and b, nearest images by rounding."""
    xx, yx, yy, zx, zy, zz = cell[0, 0], cell[1, 0], cell[1, 1], cell[2, 0], cell[2, 1], cell[2, 2]
    best = np.inf
    for i in range(starts[a], starts[a + 1]):
        x, y, z = scaled[0, i], scaled[1, i], scaled[2, i]
        for j in range(i + 1 if a == b else starts[b], starts[b + 1]):
            s, t, u = scaled[0, j] - x, scaled[1, j] - y, scaled[2, j] - z
            s, t, u = s - np.rint(s), t - np.rint(t), u - np.rint(u)
            dx, dy, dz = s * xx + t * yx + u * zx, t * yy + u * zy, u * zz
            best = min(best, dx * dx + dy * dy + dz * dz)
    return best


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _search_images(
    scaled: Floats, starts: NDArray[np.int64], cell: Floats, reach: Floats, limits: Floats
) -> tuple[float, float]:
    """Shortest distances over all images whose planes are within reach of the nearest one by rounding."""
    n_elements, n_atoms = len(starts) - 1, scaled.shape[1]
    kinds = np.empty(n_atoms, np.int64)
    for a in range(n_elements):
        kinds[starts[a] : starts[a + 1]] = a
    distance = ratio = np.inf
    for i in range(n_atoms):
        for j in range(i, n_atoms):
            s = scaled[:, j] - scaled[:, i]
            s -= np.rint(s)
            best = np.inf
            for p in range(-int(reach[0]), int(reach[0]) + 1):
                for q in range(-int(reach[1]), int(reach[1]) + 1):
                    for r in range(-int(reach[2]), int(reach[2]) + 1):
                        if i == j and p == 0 and q == 0 and r == 0:
                            continue
                        z = (s[2] + r) * cell[2, 2]
                        y = (s[1] + q) * cell[1, 1] + (s[2] + r) * cell[2, 1]
                        x = (s[0] + p) * cell[0, 0] + (s[1] + q) * cell[1, 0] + (s[2] + r) * cell[2, 0]
                        best = min(best, x * x + y * y + z * z)
            nearest = np.sqrt(best)
            distance, ratio = min(distance, nearest), min(ratio, nearest / limits[kinds[i], kinds[j]])
    return distance, ratio
