"""Mean squared displacement of each element, over all time origins, by FFT. Diffusion coefficients are `diffusion`'s.

|r(t + lag) - r(t)|^2 summed over origins is the sum of both squares less twice the lagged product (Calandrini et al.,
Collection SFN 12, 201 (2011)). The centre of mass rests: its motion is the thermostat's, not the melt's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.physics.blocks import blocks, standard_error
from operators.physics.lagged_products import lagged_products, n_origins
from operators.physics.motion import at_rest, moves_angstrom, sampling_fs
from schemas.elements import SYMBOLS, masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats

_WHAT = "A mean squared displacement"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSquaredDisplacement:
    """Mean squared displacements of one run."""

    elements: tuple[str, ...]
    """(n_elements,), in alphabetical order."""
    lag_fs: Floats
    """(n_lags,), from 0."""
    msd_angstrom2: Floats
    """(n_elements, n_lags)."""
    block_msd_angstrom2: Floats
    """(n_blocks, n_elements, n_lags), of blocks of time origins; one block where there are no independent ones."""
    duration_fs: float
    """Of the run."""

    @property
    def msd_error_angstrom2(self) -> Floats:
        """(n_elements, n_lags), standard errors from blocks; NaN for too few independent ones."""
        return standard_error(self.block_msd_angstrom2)

    def curve(self, element: str) -> Floats:
        """(n_lags,), Angstrom^2, of one element."""
        curve: Floats = self.msd_angstrom2[self.elements.index(element)]
        return curve


def mean_squared_displacement(
    atomic_numbers: NDArray[np.integer],
    positions: Floats,
    *,
    cells: Floats,
    time_fs: Floats,
    longest_lag_fs: float,
    n_blocks: int = 0,
) -> MeanSquaredDisplacement:
    """Mean squared displacement of every element.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not; frames so near that no atom crosses half the cell
        in between.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    time_fs
        (n_frames,), fs, even.
    longest_lag_fs
        As far as half of the run allows; that of `diffusion.fit_window` for a slope, since blocks are twice as long.
    n_blocks
        How many blocks of the run are independent; 0 gives no errors.

    Raises
    ------
    MeltlakeError
        If the time axis is missing or uneven, a position or a cell is not finite, atoms jump, or the run is too short.
    """
    step_fs = sampling_fs(time_fs, what=_WHAT)
    n_frames = len(time_fs)
    n_lags = min(int(longest_lag_fs / step_fs + 1e-6), n_frames // 2) + 1
    if n_lags < 3:
        raise MeltlakeError(f"{_WHAT} needed 4 frames or more, found {n_frames}.", "Use a longer run.")
    # A block of time origins is at least twice as long as the longest lag, or its error means little.
    parts = blocks(n_frames, n_blocks=max(1, min(n_blocks, n_frames // (2 * (n_lags - 1)))))
    symbols = np.array([SYMBOLS[number] for number in atomic_numbers])
    elements = sorted({SYMBOLS[number] for number in atomic_numbers})
    moves = at_rest(moves_angstrom(positions, cells, what=_WHAT), masses_amu(atomic_numbers))
    sums = np.zeros((len(parts), len(elements), n_lags))
    for slot, element in enumerate(elements):
        for paths in _paths(moves.take(np.flatnonzero(symbols == element), axis=1)):
            sums[:, slot] += [_squares(paths, part, n_lags=n_lags) for part in parts]
        sums[:, slot] /= (symbols == element).sum()
    origins = np.stack([n_origins(n_frames, part, n_lags=n_lags) for part in parts])[:, None]
    return MeanSquaredDisplacement(
        elements=tuple(elements),
        lag_fs=np.arange(n_lags, dtype=np.float64) * step_fs,
        msd_angstrom2=sums.sum(axis=0) / origins.sum(axis=0),
        block_msd_angstrom2=sums / origins,
        duration_fs=float(time_fs[-1] - time_fs[0]),
    )


def _paths(moves: Floats) -> Iterator[Floats]:
    """(n_frames, n_atoms, 3), Angstrom: where a few atoms at a time are, seen from where they are on average."""
    for first in range(0, moves.shape[1], 64):
        some = moves[:, first : first + 64]
        paths = np.concatenate([np.zeros_like(some[:1]), np.cumsum(some, axis=0)])
        yield paths - paths.mean(axis=0)  # smaller numbers, less rounding in the difference of their squares


def _squares(paths: Floats, origins: slice, *, n_lags: int) -> Floats:
    """(n_lags,), Angstrom^2: sum over time origins and atoms of |r(t + lag) - r(t)|^2."""
    before = np.concatenate([[0.0], np.cumsum(np.einsum("fax,fax->f", paths, paths))])
    lags = np.arange(n_lags)
    last = np.minimum(origins.stop, len(paths) - lags)
    now = before[last] - before[origins.start]
    later = before[last + lags] - before[origins.start + lags]
    squares: Floats = now + later - 2 * lagged_products(paths, origins, n_lags=n_lags)
    squares[0] = 0.0
    return squares
