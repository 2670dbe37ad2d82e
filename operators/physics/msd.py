"""Mean squared displacement of each element, over all time origins, by FFT. Diffusion coefficients are `diffusion`'s.

|r(t + lag) - r(t)|^2 summed over origins is the sum of both squares less twice the lagged product (Calandrini et al.,
Collection SFN 12, 201 (2011)). The centre of mass rests: its motion is the thermostat's, not the melt's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.physics.blocks import blocks, standard_error
from operators.physics.lagged_products import LaggedSums, lagged_sums, n_origins
from operators.physics.motion import Moves, Paths, sampling_fs
from operators.physics.vectors import atoms_of_elements
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Vectors

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
    positions: Floats | Vectors,
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
    elements, groups = atoms_of_elements(atomic_numbers)
    moves = Moves(positions=positions, cells=cells, masses_amu=masses_amu(atomic_numbers), what=_WHAT)
    found = lagged_sums(Paths(moves), groups, parts, n_lags=n_lags)
    sums = np.stack([_squares(found, number, part) for number, part in enumerate(parts)])
    sums /= np.array([len(group) for group in groups])[:, None]
    origins = np.stack([n_origins(n_frames, part, n_lags=n_lags) for part in parts])[:, None]
    return MeanSquaredDisplacement(
        elements=elements,
        lag_fs=np.arange(n_lags, dtype=np.float64) * step_fs,
        msd_angstrom2=sums.sum(axis=0) / origins.sum(axis=0),
        block_msd_angstrom2=sums / origins,
        duration_fs=float(time_fs[-1] - time_fs[0]),
    )


def _squares(found: LaggedSums, number: int, origins: slice) -> Floats:
    """(n_elements, n_lags), Angstrom^2: sum over time origins and atoms of |r(t + lag) - r(t)|^2."""
    n_frames, lags = found.squares.shape[1], np.arange(found.products.shape[2])
    before = np.cumsum(np.pad(found.squares, ((0, 0), (1, 0))), axis=1)
    last = np.minimum(origins.stop, n_frames - lags)
    now = before[:, last] - before[:, [origins.start]]
    later = before[:, last + lags] - before[:, origins.start + lags]
    squares: Floats = now + later - 2 * found.products[number]
    squares[:, 0] = 0.0
    return squares
