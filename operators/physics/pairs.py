"""Shortest periodic distances of a frame, its own images included. Distributions of distances belong in `rdf`.

Atoms are sorted along c, so that only those within reach of the shortest distance so far are looked at. The nearest
image by rounding fractional coordinates is exact for every pair in a rectangular cell, and in any cell up to half the
smallest plane distance. Only frames beyond both are searched image by image.
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
    _, kinds = np.unique(atomic_numbers, return_inverse=True)
    distances, ratios = np.full(len(positions), np.nan), np.full(len(positions), np.nan)
    usable = _usable(positions, cells)
    if not usable.any():
        return distances, ratios
    reduced = np.stack([_shortest_basis(cell) for cell in cells[usable]])
    inside = fractional(positions[usable], reduced)
    inside -= np.floor(inside)
    upwards = np.argsort(inside[:, :, 2], axis=1)
    turned, planes = lower_triangular(reduced), plane_distances_angstrom(reduced)
    for slot, scaled, order, cell, plane in zip(np.flatnonzero(usable), inside, upwards, turned, planes, strict=True):
        columns = np.ascontiguousarray(scaled[order].T)
        distances[slot], ratios[slot] = _shortest_of_frame(columns, kinds[order], cell, plane, limits)
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
    scaled: Floats, kinds: NDArray[np.int64], cell: Floats, planes: Floats, limits: Floats
) -> tuple[float, float]:
    distance, ratio = _nearest_images(scaled, kinds, cell, planes[2], limits)
    # Whatever is still to be found is at least as close as one of the two answers so far.
    reach = max(distance, ratio * limits.max())
    rectangular = cell[1, 0] == 0.0 and cell[2, 0] == 0.0 and cell[2, 1] == 0.0
    if rectangular or reach < 0.5 * planes.min():
        return distance, ratio
    searched: tuple[float, float] = _search_images(scaled, kinds, cell, np.floor(reach / planes + 0.5), limits)
    return searched


@njit(cache=True, fastmath=_FAST, error_model="numpy")  # type: ignore[untyped-decorator]
def _nearest_images(
    scaled: Floats, kinds: NDArray[np.int64], cell: Floats, plane: float, limits: Floats
) -> tuple[float, float]:
    """Shortest distances between nearest images by rounding; atoms sorted along c, whose planes are `plane` apart."""
    n_atoms, weights = scaled.shape[1], 1.0 / (limits * limits)
    xx, yx, yy, zx, zy, zz = cell[0, 0], cell[1, 0], cell[1, 1], cell[2, 0], cell[2, 1], cell[2, 2]
    nearest = (cell * cell).sum(axis=1).min()  # squared, as is the next
    closest = min([nearest * weights[kind, kind] for kind in kinds])
    above = np.concatenate((scaled, scaled), axis=1)  # the atoms of the next cell along c come after those of this one
    above[2, n_atoms:] += 1.0
    kinds_above = np.concatenate((kinds, kinds))
    for i in range(n_atoms):
        x, y, z = scaled[0, i], scaled[1, i], scaled[2, i]
        reach = np.sqrt(max(nearest, closest * (limits * limits).max())) / plane
        stop = min(i + n_atoms, np.searchsorted(above[2], z + reach, side="right"))
        for j in range(i + 1, stop):
            s, t, u = above[0, j] - x, above[1, j] - y, above[2, j] - z
            s, t, u = s - np.rint(s), t - np.rint(t), u - np.rint(u)
            dx, dy, dz = s * xx + t * yx + u * zx, t * yy + u * zy, u * zz
            squared = dx * dx + dy * dy + dz * dz
            nearest = min(nearest, squared)
            closest = min(closest, squared * weights[kinds[i], kinds_above[j]])
    return np.sqrt(nearest), np.sqrt(closest)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _search_images(
    scaled: Floats, kinds: NDArray[np.int64], cell: Floats, reach: Floats, limits: Floats
) -> tuple[float, float]:
    """Shortest distances over all images whose planes are within reach of the nearest one by rounding."""
    n_atoms = scaled.shape[1]
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
