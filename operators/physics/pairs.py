"""Shortest periodic distances of a frame, its own images included. Distributions of distances belong in `rdf`.

Neighbours are looked up once for a stretch of frames (Verlet, Phys. Rev. 159, 98 (1967)): a pair that is too far apart
in the middle one for what atoms and cell move is not the closest in any. The same again tells which of them matter in a
few frames. So NumPy is quick enough, and a process that reads files need not load a compiler, which is as large as all
the rest of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from operators.physics.cells import fractional, lower_triangular, plane_distances_angstrom, volumes_angstrom3
from schemas.frames import Floats

_CLOSEST_PACKING = 2 ** (1 / 6)
"""No arrangement of points keeps all pairs further apart than this, in units of (volume / points)^(1/3)."""

_FRAMES_PER_STRETCH = 64
_FRAMES_PER_PART = 16
_FURTHEST_REACH = 1.8
"""A stretch is halved where neighbours would have to be looked up this much further than in one frame alone."""

_FURTHEST_WAY = 0.2
"""The same for an atom's way in units of the cell, so that its images are not mixed up."""

_CANDIDATES_AT_ONCE = 1 << 16
_NUMBERS_AT_ONCE = 1 << 13
"""What fits a processor's cache, and memory that is used again instead of being asked of the system."""

_TICKS = 1 << 16
"""Of a cell vector: differences of such integers of 16 bits are those to the nearest image, without rounding."""

_STEPS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
_NEIGHBOUR_CELLS = _STEPS[_STEPS.any(axis=1)]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Consecutive frames of one run."""

    inside: Floats
    """(3, n_frames, n_atoms), in units of the cell, wrapped."""
    cells: Floats
    """(n_frames, 3, 3), Angstrom, zero above the diagonal."""
    kinds: NDArray[np.int64]
    """(n_atoms,), numbers of the elements in `limits`."""
    limits: Floats
    """(n_elements, n_elements), Angstrom."""

    def __getitem__(self, frames: slice) -> "_Stretch":
        return _Stretch(self.inside[:, frames], self.cells[frames], self.kinds, self.limits)

    @property
    def n_frames(self) -> int:
        return len(self.cells)

    @property
    def middle(self) -> int:
        """The frame in which neighbours are looked up."""
        return self.n_frames // 2

    @property
    def own_limit(self) -> float:
        """Angstrom: the largest of an atom's own images."""
        return float(self.limits[self.kinds, self.kinds].max())


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of atoms, each with one image of the second."""

    first: NDArray[np.int64]
    """(n_pairs,)."""
    second: NDArray[np.int64]
    """(n_pairs,)."""
    apart: Floats
    """(3, n_pairs): from the first to that image of the second in units of the cell, in the frame of the look-up."""
    limits: Floats
    """(n_pairs,), Angstrom."""

    def where(self, chosen: NDArray[np.bool_]) -> "_Pairs":
        """Some of them."""
        which = np.flatnonzero(chosen)
        return _Pairs(
            self.first.take(which), self.second.take(which), self.apart.take(which, axis=1), self.limits.take(which)
        )


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
    chosen = slice(None) if len(usable) == len(positions) else usable  # numbers copy what they choose
    reduced = _shortest_bases(cells[chosen])
    inside = np.ascontiguousarray(np.moveaxis(fractional(positions[chosen], reduced), 2, 0))
    for column in inside:
        np.subtract(column, np.floor(column), out=column)
    for stretch, ways, frames in _stretches(_Stretch(inside, lower_triangular(reduced), kinds, limits)):
        distances[usable[frames]], ratios[usable[frames]] = _shortest_of_stretch(stretch, ways)
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


def _stretches(run: _Stretch) -> Iterator[tuple[_Stretch, Floats, slice]]:
    """Consecutive frames in which no atom goes far, so that one look-up of neighbours serves them all, with `ways`."""
    start, n_frames = 0, _FRAMES_PER_STRETCH
    while start < run.n_frames:
        n_frames = min(2 * n_frames, _FRAMES_PER_STRETCH, run.n_frames - start)
        stretch = run[start : start + n_frames]
        ways = _longest_ways(stretch)
        while stretch.n_frames > 1 and _goes_far(stretch, ways):
            stretch = stretch[: stretch.n_frames // 2]
            ways = _longest_ways(stretch)
        n_frames = stretch.n_frames
        yield stretch, ways, slice(start, start + n_frames)
        start += n_frames


def _goes_far(stretch: _Stretch, ways: Floats) -> bool:
    packed, furthest = _closest_packed(stretch), float(ways.max())
    reach = packed * _distortion(stretch) + 2 * furthest
    [planes] = plane_distances_angstrom(stretch.cells[stretch.middle, None])
    return reach > _FURTHEST_REACH * packed or furthest > _FURTHEST_WAY * planes.min()


def _longest_ways(stretch: _Stretch) -> Floats:
    """(n_atoms,), Angstrom: how far each atom goes from where it is in the middle frame, measured in its cell."""
    middle, cell = stretch.inside[:, stretch.middle, None], stretch.cells[stretch.middle, None, None]
    squares = np.zeros(len(stretch.kinds))
    for frames in _portions(stretch.n_frames, len(stretch.kinds)):
        ways = stretch.inside[:, frames] - middle
        ways -= np.rint(ways)
        np.maximum(squares, _squares(ways, cell).max(axis=0), out=squares)
    longest: Floats = np.sqrt(squares)
    return longest


def _portions(n_frames: int, n_per_frame: int) -> Iterator[slice]:
    """So many frames at once as have few enough numbers."""
    at_once = max(1, _NUMBERS_AT_ONCE // n_per_frame)
    for start in range(0, n_frames, at_once):
        yield slice(start, min(start + at_once, n_frames))


def _distortion(stretch: _Stretch) -> float:
    """By how much the ratio of two lengths can differ between the middle frame's cell and another's."""
    middle = stretch.cells[stretch.middle]
    other = (stretch.cells != middle).any(axis=(1, 2))
    worst = np.linalg.cond(np.linalg.inv(stretch.cells[other]) @ middle).max() if other.any() else 1.0
    return float(worst) * (1 + 1e-9)


def _closest_packed(stretch: _Stretch) -> float:
    """Angstrom: in the middle frame the closest pair is not further apart."""
    [volume] = volumes_angstrom3(stretch.cells[stretch.middle, None])
    return float(_CLOSEST_PACKING * np.cbrt(volume / len(stretch.kinds)))


def _shortest_of_stretch(stretch: _Stretch, ways: Floats) -> tuple[Floats, Floats]:
    distances = _own_images(stretch.cells)
    ratios = distances / stretch.own_limit
    pairs = _pairs_of_stretch(stretch, ways)
    is_little = len(pairs.first) * stretch.n_frames <= 2 * _NUMBERS_AT_ONCE
    n_frames = stretch.n_frames if is_little else _FRAMES_PER_PART
    for start in range(0, stretch.n_frames, n_frames):
        part = stretch[start : start + n_frames]
        near = pairs if part.n_frames == stretch.n_frames else _pairs_of_part(part, pairs)
        weights = near.limits**-2
        for frames in _portions(part.n_frames, len(weights)) if len(weights) else ():
            squared = _squared(near, part[frames])
            there = slice(start + frames.start, start + frames.stop)
            distances[there] = np.minimum(distances[there], np.sqrt(squared.min(axis=1)))
            squared *= weights
            ratios[there] = np.minimum(ratios[there], np.sqrt(squared.min(axis=1)))
    return distances, ratios


def _own_images(cells: Floats) -> Floats:
    """(n_frames,), Angstrom: from an atom to its nearest own image."""
    distances: Floats = np.sqrt(((_NEIGHBOUR_CELLS @ cells) ** 2).sum(axis=2).min(axis=1))
    return distances


def _pairs_of_stretch(stretch: _Stretch, ways: Floats) -> _Pairs:
    """What can be closest in any of its frames, of all pairs with all images."""
    reach = _closest_packed(stretch) + 2 * float(ways.max())
    while True:
        pairs, distance = _pairs_within(stretch, reach)
        chosen, needed = _closest(pairs, distance, ways=ways, stretch=stretch)
        if needed <= reach:
            return pairs.where(chosen)
        reach = needed


def _pairs_of_part(part: _Stretch, pairs: _Pairs) -> _Pairs:
    """The same of a few of its frames, of the pairs of the stretch."""
    if not len(pairs.first):
        return pairs
    [squared] = _squared(pairs, part[part.middle : part.middle + 1])
    chosen, _ = _closest(pairs, np.sqrt(squared), ways=_longest_ways(part), stretch=part)
    return pairs.where(chosen)


def _closest(pairs: _Pairs, distance: Floats, *, ways: Floats, stretch: _Stretch) -> tuple[NDArray[np.bool_], float]:
    """Which of these pairs can be closest in a frame of the stretch, and how far apart such pairs are at most.

    Parameters
    ----------
    pairs
        Of atoms.
    distance
        (n_pairs,), Angstrom, in the middle frame.
    ways
        (n_atoms,), Angstrom: no atom goes further from where it is in the middle frame.
    stretch
        The frames.
    """
    # A pair that is r apart in one frame is |(r + way_j - way_i) (A^-1 A')| apart in the middle one, with cells A, A'.
    between, limits = ways.take(pairs.first) + ways.take(pairs.second), pairs.limits
    [own] = _own_images(stretch.cells[stretch.middle, None])
    furthest = distance + between
    distortion = _distortion(stretch)
    shortest = float(furthest.min(initial=own)) * distortion
    least = float((furthest / limits).min(initial=own / stretch.own_limit)) * distortion
    needed = max(shortest, least * float(stretch.limits.max())) + 2 * float(ways.max())
    return distance - between <= np.maximum(shortest, least * limits), needed


def _squared(pairs: _Pairs, stretch: _Stretch) -> Floats:
    """(n_frames, n_pairs), Angstrom^2."""
    apart = []
    for column, before in zip(stretch.inside, pairs.apart, strict=True):
        difference = column.take(pairs.second, axis=1)  # several times quicker than an index in brackets
        difference -= column.take(pairs.first, axis=1)
        difference += np.rint(before - difference)  # the same image as in the frame of the look-up
        apart.append(difference)
    return _squares(apart, stretch.cells[:, None])


def _squares(apart: Sequence[Floats] | Floats, cells: Floats) -> Floats:
    """(n_frames, n), Angstrom^2, of three columns (n_frames, n) in units of the cells, (n_frames or 1, 1, 3, 3)."""
    squares: Floats = np.zeros_like(apart[0])
    for axis in range(3):  # cells are zero above the diagonal
        along = apart[axis] * cells[..., axis, axis]
        for vector in range(axis + 1, 3):
            if np.count_nonzero(cells[..., vector, axis]):  # quicker than `any`, and asked often
                along += apart[vector] * cells[..., vector, axis]
        along *= along
        squares += along
    return squares


def _pairs_within(stretch: _Stretch, reach_angstrom: float) -> tuple[_Pairs, Floats]:
    """Every pair of different atoms with every image that is so close in the middle frame, and their distances."""
    inside, cell = stretch.inside[:, stretch.middle], stretch.cells[stretch.middle]
    reach = reach_angstrom / plane_distances_angstrom(cell[None])[0]
    images = np.array(list(product(*(range(-int(r + 0.5), int(r + 0.5) + 1) for r in reach))), dtype=float)
    found = []
    for first, second in _candidates(inside, reach):
        apart = inside.take(second, axis=1)
        apart -= inside.take(first, axis=1)
        apart -= np.rint(apart)
        for image in images:
            there = apart + image[:, None]
            distance = np.sqrt(_squares(there[:, None], cell[None, None])[0])
            near = np.flatnonzero(distance <= reach_angstrom)
            found.append((first.take(near), second.take(near), there.take(near, axis=1), distance.take(near)))
    first, second, apart, distance = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    kinds = stretch.kinds.take(first) * len(stretch.limits) + stretch.kinds.take(second)
    return _Pairs(first, second, apart, stretch.limits.take(kinds)), distance


def _candidates(inside: Floats, reach: Floats) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of atoms whose planes are within reach, (3,) in units of the distances between the cell's planes."""
    n_atoms = inside.shape[1]
    ticks = np.floor(inside * _TICKS).astype(np.int64).astype(np.uint16)
    most = np.minimum(reach * _TICKS + 2, _TICKS // 2).astype(np.uint16)
    widths = np.minimum(2 * most.astype(np.int64), _TICKS - 1).astype(np.uint16)
    n_rows = max(1, _CANDIDATES_AT_ONCE // n_atoms)
    for start in range(0, n_atoms, n_rows):
        near = np.ones((min(n_rows, n_atoms - start), n_atoms - start), dtype=bool)
        for axis, most_ticks, width in zip(ticks, most, widths, strict=True):
            near &= (axis[start:] + most_ticks) - axis[start : start + n_rows, None] <= width
        rows, columns = np.divmod(np.flatnonzero(near), n_atoms - start)
        upper = columns > rows
        yield start + rows[upper], start + columns[upper]
