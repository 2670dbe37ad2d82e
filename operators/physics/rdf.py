"""Partial radial distribution functions of all pairs of elements, and the total, in one pass over the frames.

g_ab(r) = V / (N_a (N_b - delta_ab)) <sum_i sum_j delta(r - r_ij)> / (4 pi r^2 dr), averaged over frames with the
volume of each, over the exact volume of each shell. What is read off the curves belongs in `short_range_order`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from operators.physics.blocks import blocks, standard_error
from operators.physics.cells import fractional, lower_triangular, plane_distances_angstrom, volumes_angstrom3, wrapped
from operators.physics.pair_counts import pair_counts
from operators.physics.vectors import atoms_of_elements, in_batches, require_finite
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Vectors

TOTAL = "all"
_WHAT = "A radial distribution function"


@dataclass(frozen=True, slots=True, kw_only=True)
class RadialDistribution:
    """Radial distribution functions of one run."""

    pairs: tuple[str, ...]
    """(n_pairs,), elements in alphabetical order (`Al-Ni`); the last is `all`. A pair that has no atoms is absent."""
    r_angstrom: Floats
    """(n_bins,), centres of the bins."""
    block_g: Floats
    """(n_blocks, n_pairs, n_bins), averages over contiguous blocks of frames."""
    block_n_frames: NDArray[np.int64]
    """(n_blocks,)."""

    @property
    def g(self) -> Floats:
        """(n_pairs, n_bins), averages over all frames."""
        return self._mean(slice(None))

    @property
    def g_error(self) -> Floats:
        """(n_pairs, n_bins), standard errors from blocks; NaN where there are too few independent ones."""
        return standard_error(self.block_g)

    @property
    def halves(self) -> tuple[Floats, Floats]:
        """(n_pairs, n_bins) of the first and of the second half of the blocks.

        Raises
        ------
        MeltlakeError
            If there is only one frame.
        """
        middle = len(self.block_g) // 2
        if middle == 0:
            raise MeltlakeError("A run of one frame has no halves.", "Compare runs with two frames or more.")
        return self._mean(slice(None, middle)), self._mean(slice(middle, None))

    def curve(self, pair: str) -> Floats:
        """(n_bins,), g of one pair."""
        curve: Floats = self.g[self.pairs.index(pair)]
        return curve

    def _mean(self, of_blocks: slice) -> Floats:
        mean: Floats = np.average(self.block_g[of_blocks], axis=0, weights=self.block_n_frames[of_blocks])
        return mean


def largest_radius_angstrom(cells: Floats) -> float:
    """Half the smallest distance between opposite faces of any cell: up to here nearest images are unique.

    Parameters
    ----------
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    """
    return 0.5 * float(plane_distances_angstrom(cells).min())


def shell_volumes_angstrom3(r_max_angstrom: float, n_bins: int) -> Floats:
    """Volumes of the spherical shells between bin edges: (n_bins,), Angstrom^3."""
    edges = np.linspace(0.0, r_max_angstrom, n_bins + 1)
    shells: Floats = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return shells


def partial_rdf(
    atomic_numbers: NDArray[np.integer],
    positions: Floats | Vectors,
    *,
    cells: Floats,
    r_max_angstrom: float,
    n_bins: int,
    n_blocks: int = 0,
) -> RadialDistribution:
    """Radial distribution functions of all pairs of elements.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless; at least two atoms.
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c; any shape, constant or not.
    r_max_angstrom
        Upper edge of the last bin.
    n_bins
        Bins between 0 and r_max_angstrom.
    n_blocks
        How many blocks of the frames are independent; 0 gives two halves and no errors.

    Raises
    ------
    MeltlakeError
        If there is no pair or no frame, if a position or a cell is not finite, or if r_max_angstrom is beyond half
        the smallest plane distance.
    """
    _require_pairs_in_view(atomic_numbers, cells, r_max_angstrom)
    symbols, groups = atoms_of_elements(atomic_numbers)
    order, starts = np.concatenate(groups), np.cumsum([0, *map(len, groups)])
    parts = blocks(len(positions), n_blocks=max(2, n_blocks))
    block_n_frames = np.array([part.stop - part.start for part in parts])
    sums = np.zeros((len(parts), len(groups) * (len(groups) + 1) // 2, n_bins))
    block_of = np.repeat(np.arange(len(parts)), block_n_frames)
    for frames, batch in in_batches(positions):
        require_finite(batch, what=_WHAT)
        counts = _weighted_counts(
            batch, cells[frames], order=order, starts=starts, r_max_angstrom=r_max_angstrom, n_bins=n_bins
        )
        for block, of_frame in zip(block_of[frames], counts, strict=True):
            sums[block] += of_frame
    shells = shell_volumes_angstrom3(r_max_angstrom, n_bins)
    names, normalised = _normalise(sums / block_n_frames[:, None, None], symbols, starts=starts, shells=shells)
    return RadialDistribution(
        pairs=names,
        r_angstrom=(np.arange(n_bins, dtype=np.float64) + 0.5) * (r_max_angstrom / n_bins),
        block_g=normalised,
        block_n_frames=block_n_frames,
    )


def _require_pairs_in_view(atomic_numbers: NDArray[np.integer], cells: Floats, r_max_angstrom: float) -> None:
    """The kernel trusts its numbers: a distance that is none would be counted outside its histogram."""
    if len(atomic_numbers) < 2 or len(cells) == 0:
        raise MeltlakeError(
            f"{_WHAT} needed two atoms and a frame, found {len(atomic_numbers)} atoms in {len(cells)} frames.",
            "Leave this run out.",
        )
    require_finite(cells, what=_WHAT)
    if not r_max_angstrom <= (limit := largest_radius_angstrom(cells)) * (1 + 1e-12):
        raise MeltlakeError(
            f"{_WHAT} up to {r_max_angstrom:g} angstrom needed a cell twice as wide, found half the smallest plane "
            f"distance at {limit:g} angstrom.",
            f"Ask for at most {limit:g} angstrom, or simulate a larger cell.",
        )


def _weighted_counts(
    positions: Floats,
    cells: Floats,
    *,
    order: NDArray[np.intp],
    starts: NDArray[np.int64],
    r_max_angstrom: float,
    n_bins: int,
) -> Iterator[Floats]:
    """(n_pairs, n_bins) of each frame: volume times unordered pairs, Angstrom^3."""
    turned, volumes = lower_triangular(cells), volumes_angstrom3(cells)
    scaled = wrapped(fractional(positions, cells))
    for inside, cell, volume in zip(scaled, turned, volumes, strict=True):
        columns = np.ascontiguousarray(inside.take(order, axis=0).T)
        yield volume * pair_counts(columns, starts, cell=cell, r_max_angstrom=r_max_angstrom, n_bins=n_bins)


def _normalise(
    counts: Floats, symbols: Sequence[str], *, starts: NDArray[np.int64], shells: Floats
) -> tuple[tuple[str, ...], Floats]:
    """Names of the pairs that exist, and (n_blocks, n_pairs + 1, n_bins) g of them and of the total."""
    n_of = np.diff(starts)
    n_atoms = int(n_of.sum())
    names, curves = [], []
    for slot, (a, b) in enumerate(combinations_with_replacement(range(len(symbols)), 2)):
        n_pairs = n_of[a] * (n_of[a] - 1) // 2 if a == b else n_of[a] * n_of[b]
        if n_pairs:
            names.append(f"{symbols[a]}-{symbols[b]}")
            curves.append(counts[:, slot] / (n_pairs * shells))
    curves.append(counts.sum(axis=1) / (n_atoms * (n_atoms - 1) // 2 * shells))
    return (*names, TOTAL), np.stack(curves, axis=1)
