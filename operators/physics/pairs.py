"""Shortest periodic distances of a frame, its own images included. Distributions of distances belong in `rdf`.

Neighbours are looked up once for a stretch of frames (Verlet, Phys. Rev. 159, 98 (1967)): a pair that is too far apart
in the middle one for what atoms and cell move is not the closest in any. So NumPy is quick enough, and a process that
reads files need not load a compiler, which is as large as all the rest of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.physics.cells import fractional, lower_triangular, plane_distances_angstrom, volumes_angstrom3
from schemas.frames import Floats

_CLOSEST_PACKING = 2 ** (1 / 6)
"""No arrangement of points keeps all pairs further apart than this, in units of (volume / points)^(1/3)."""

_FRAMES_PER_STRETCH = 64
_FURTHEST_REACH = 1.8
"""A stretch is halved where neighbours would have to be looked up this much further than in one frame alone."""

_FURTHEST_WAY = 0.2
"""The same for an atom's way in units of the cell, so that its images are not mixed up."""

_N_NEAREST = 200
_CANDIDATES_AT_ONCE = 1 << 16
_NUMBERS_AT_ONCE = 1 << 16

_STEPS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
_NEIGHBOUR_CELLS = _STEPS[_STEPS.any(axis=1)]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Consecutive frames of one run."""

    inside: Floats
    """(n_frames, n_atoms, 3), in units of the cell, wrapped."""
    cells: Floats
    """(n_frames, 3, 3), Angstrom, zero above the diagonal."""
    kinds: NDArray[np.int64]
    """(n_atoms,), numbers of the elements in `limits`."""
    limits: Floats
    """(n_elements, n_elements), Angstrom."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of atoms, each with one image of the second."""

    first: NDArray[np.int64]
    """(n_pairs,)."""
    second: NDArray[np.int64]
    """(n_pairs,)."""
    apart: Floats
    """(n_pairs, 3): from the first to that image of the second in units of the cell, in the frame of the look-up."""
    distance: Floats
    """(n_pairs,), Angstrom, in that frame."""

    def within(self, reach_angstrom: float, ways: Floats) -> "_Pairs":
        """Those that can come so close where each atom goes no further than its way, (n_atoms,) in Angstrom."""
        return self._only(self.distance - ways[self.first] - ways[self.second] <= reach_angstrom)

    def nearest(self, n_pairs: int) -> "_Pairs":
        """So many of the closest."""
        return self if n_pairs >= len(self.first) else self._only(np.argpartition(self.distance, n_pairs)[:n_pairs])

    def _only(self, chosen: NDArray[Any]) -> "_Pairs":
        return _Pairs(self.first[chosen], self.second[chosen], self.apart[chosen], self.distance[chosen])


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
    usable = np.flatnonzero(_usable(positions, cells))
    if not len(usable):
        return distances, ratios
    reduced = _shortest_bases(cells[usable])
    inside = fractional(positions[usable], reduced)
    inside -= np.floor(inside)
    turned = lower_triangular(reduced)
    for frames in _stretches(inside, turned):
        found = _shortest_of_stretch(_Stretch(inside[frames], turned[frames], kinds, limits))
        distances[usable[frames]], ratios[usable[frames]] = found
    return distances, ratios


def _usable(positions: Floats, cells: Floats) -> NDArray[np.bool_]:
    finite = np.isfinite(positions).all(axis=(1, 2)) & np.isfinite(cells).all(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        sizes = np.abs(np.linalg.det(cells)) / np.prod(np.linalg.norm(cells, axis=2), axis=1)
    usable: NDArray[np.bool_] = finite & (sizes > 1e-9)
    return usable


def _shortest_bases(cells: Floats) -> Floats:
    """The same lattices with vectors that no sum or difference of the others shortens; keeps image searches small."""
    bases = cells.copy()
    shorter = np.ones(len(cells), dtype=bool)
    while shorter.any():
        shorter[:] = False
        for k in range(3):
            a, b = bases[:, (k + 1) % 3], bases[:, (k + 2) % 3]
            for other in (a, b, a + b, a - b):
                step = np.rint((bases[:, k] * other).sum(axis=1) / (other * other).sum(axis=1))
                candidate = bases[:, k] - step[:, None] * other
                better = (candidate**2).sum(axis=1) < (bases[:, k] ** 2).sum(axis=1) * (1 - 1e-12)
                bases[better, k] = candidate[better]
                shorter |= better
    return bases


def _stretches(inside: Floats, cells: Floats) -> Iterator[slice]:
    """Consecutive frames in which no atom goes far, so that one look-up of neighbours serves them all."""
    start = 0
    while start < len(inside):
        n_frames = min(_FRAMES_PER_STRETCH, len(inside) - start)
        while n_frames > 1 and _goes_far(inside[start : start + n_frames], cells[start : start + n_frames]):
            n_frames //= 2
        yield slice(start, start + n_frames)
        start += n_frames


def _goes_far(inside: Floats, cells: Floats) -> bool:
    ways, packed = _ways(inside), _closest_packed(inside, cells)
    reach = (packed * _stretched(cells)).max() + 2 * _longest_ways(ways, cells).max()
    return bool(reach > _FURTHEST_REACH * packed[_middle(inside)] or np.abs(ways).max() > _FURTHEST_WAY)


def _middle(frames: Floats) -> int:
    """The frame in which neighbours are looked up."""
    return len(frames) // 2


def _ways(inside: Floats) -> Floats:
    """(n_frames, n_atoms, 3): from where an atom is in the middle frame, in units of the cell."""
    ways: Floats = inside - inside[_middle(inside)]
    ways -= np.rint(ways)
    return ways


def _longest_ways(ways: Floats, cells: Floats) -> Floats:
    """(n_atoms,), Angstrom, measured in the middle frame's cell."""
    moved = ways @ cells[_middle(cells)]
    longest: Floats = np.sqrt(np.einsum("fax,fax->fa", moved, moved).max(axis=0))
    return longest


def _stretched(cells: Floats) -> Floats:
    """(n_frames,): the middle frame's cell makes nothing longer than this, in units of the length in the frame."""
    middle = cells[_middle(cells)]
    stretched = np.ones(len(cells))
    other = (cells != middle).any(axis=(1, 2))
    stretched[other] = np.linalg.norm(np.linalg.inv(cells[other]) @ middle, ord=2, axis=(1, 2))
    return stretched * (1 + 1e-9)


def _closest_packed(inside: Floats, cells: Floats) -> Floats:
    """(n_frames,), Angstrom: the closest pair is not further apart."""
    bound: Floats = _CLOSEST_PACKING * np.cbrt(volumes_angstrom3(cells) / inside.shape[1])
    return bound


def _shortest_of_stretch(stretch: _Stretch) -> tuple[Floats, Floats]:
    inside, cells, limits = stretch.inside, stretch.cells, stretch.limits
    middle, ways, stretched = _middle(inside), _longest_ways(_ways(inside), cells), _stretched(cells)
    distances = np.sqrt(((_NEIGHBOUR_CELLS @ cells) ** 2).sum(axis=2).min(axis=1))  # of an atom's own images
    found = distances, distances / limits[stretch.kinds, stretch.kinds].max()
    reach = float((_closest_packed(inside, cells) * stretched).max())
    pairs = _pairs_within(inside[middle], cells[middle], reach + 2 * ways.max())
    # What is closest in the middle frame bounds what is to be found in the others.
    distances, ratios = found = _shorter(*found, pairs=pairs.nearest(_N_NEAREST), stretch=stretch)
    # A pair that is r apart in one frame is |(r + way_j - way_i) (A^-1 A')| apart in the middle one, with cells A, A'.
    needed = float((np.maximum(distances, ratios * limits.max()) * stretched).max())
    if needed > reach:
        pairs = _pairs_within(inside[middle], cells[middle], needed + 2 * ways.max())
    return _shorter(*found, pairs=pairs.within(needed, ways), stretch=stretch)


def _shorter(distances: Floats, ratios: Floats, *, pairs: _Pairs, stretch: _Stretch) -> tuple[Floats, Floats]:
    """The shorter of what was found and what these pairs have."""
    if not len(pairs.first):
        return distances, ratios
    distances, ratios = distances.copy(), ratios.copy()
    weights = stretch.limits[stretch.kinds[pairs.first], stretch.kinds[pairs.second]] ** -2
    at_once = max(1, _NUMBERS_AT_ONCE // len(weights))
    columns = np.ascontiguousarray(np.moveaxis(stretch.inside, 2, 0))
    for start in range(0, len(distances), at_once):
        frames = slice(start, start + at_once)
        squared = _squared(pairs, columns[:, frames], stretch.cells[frames])
        distances[frames] = np.minimum(distances[frames], np.sqrt(squared.min(axis=1)))
        squared *= weights
        ratios[frames] = np.minimum(ratios[frames], np.sqrt(squared.min(axis=1)))
    return distances, ratios


def _squared(pairs: _Pairs, columns: Floats, cells: Floats) -> Floats:
    """(n_frames, n_pairs), Angstrom^2, from fractional coordinates (3, n_frames, n_atoms)."""
    apart = []
    for column, before in zip(columns, pairs.apart.T, strict=True):
        difference = column[:, pairs.second]
        difference -= column[:, pairs.first]
        difference += np.rint(before - difference)  # the same image as in the frame of the look-up
        apart.append(difference)
    squared: Floats = np.zeros_like(apart[0])
    for axis in range(3):  # cells are zero above the diagonal
        along = apart[axis] * cells[:, axis, axis, None]
        for vector in range(axis + 1, 3):
            if cells[:, vector, axis].any():
                along += apart[vector] * cells[:, vector, axis, None]
        along *= along
        squared += along
    return squared


def _pairs_within(inside: Floats, cell: Floats, reach_angstrom: float) -> _Pairs:
    """Every pair of different atoms of one frame with every image that is so close; an atom's own images are not."""
    order = np.argsort(inside[:, 2], kind="stable")
    inside = inside[order]
    reach = reach_angstrom / plane_distances_angstrom(cell[None])[0]
    heights = (inside[:, 2] + np.arange(int(reach[2]) + 2)[:, None]).ravel()  # the next cells along c come after this
    counts = np.searchsorted(heights, inside[:, 2] + reach[2], side="right") - np.arange(1, len(inside) + 1)
    around = [np.arange(-int(r + 0.5), int(r + 0.5) + 1) for r in reach[:2]]
    found = []
    for atoms in _portions(counts * len(around[0]) * len(around[1])):
        lower, upper = _candidates(inside, atoms, counts, reach)
        second = upper % len(inside)
        apart = inside[second] - inside[lower]
        apart[:, :2] -= np.rint(apart[:, :2])
        apart[:, 2] += upper // len(inside)
        for image in product(*around, [0]):
            there = apart + np.array(image)
            distance = np.sqrt(((there @ cell) ** 2).sum(axis=1))
            near = distance <= reach_angstrom
            found.append(_Pairs(order[lower[near]], order[second[near]], there[near], distance[near]))
    return _Pairs(*(np.concatenate([getattr(part, name) for part in found]) for name in _Pairs.__slots__))


def _candidates(
    inside: Floats, atoms: NDArray[np.int64], counts: NDArray[np.int64], reach: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """These atoms with those above them, of atoms sorted along c; numbers go on in the next cells.

    Parameters
    ----------
    inside
        (n_atoms, 3), in units of the cell.
    atoms
        Numbers of atoms.
    counts
        (n_atoms,): how many atoms are within reach along c.
    reach
        (3,), in units of the distances between the cell's planes.
    """
    counts = counts[atoms]
    lower = np.repeat(atoms, counts)
    upper = lower + 1 + np.arange(len(lower)) - np.repeat(np.cumsum(counts) - counts, counts)
    near = upper % len(inside) != lower
    for axis in range(2):
        if reach[axis] < 0.5:  # atoms are never closer than their planes
            lower, upper = lower[near], upper[near]
            along = inside[upper % len(inside), axis] - inside[lower, axis]
            near = np.abs(along - np.rint(along)) <= reach[axis]
    return lower[near], upper[near]


def _portions(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Atoms in portions with so many candidates as fit a processor's cache."""
    portion = np.cumsum(counts) // _CANDIDATES_AT_ONCE
    starts = np.flatnonzero(np.diff(portion)) + 1
    yield from np.split(np.arange(len(counts)), starts)
