"""Velocity autocorrelation of each element, over all time origins, by FFT. Diffusion coefficients do not belong here.

Velocities come from the run, or from central differences of positions saved every few femtoseconds. The latter damp
fast motion (at 5 fs by 0.002 rms of the normalised function, at 20 fs by 0.04), so two curves are compared only when
they come from one estimator at one sampling: the estimator is part of the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from operators.physics.blocks import blocks, standard_error
from operators.physics.lagged_products import lagged_sums, n_origins
from operators.physics.motion import AtRest, CentralDifferences, Moves, sampling_fs
from operators.physics.vectors import atoms_of_elements
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Vectors

Estimator = Literal["velocities", "central_differences"]

_WHAT = "A velocity autocorrelation"
AT_REST = 1e-12
"""Angstrom^2/fs^2: an atom of aluminium has as much at 1e-5 K, and a held one no more than rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VelocityAutocorrelation:
    """Velocity autocorrelation functions of one run, normalised by their value at zero lag."""

    elements: tuple[str, ...]
    """(n_elements,), in alphabetical order."""
    lag_fs: Floats
    """(n_lags,), from 0."""
    vacf: Floats
    """(n_elements, n_lags)."""
    vacf_error: Floats
    """(n_elements, n_lags), standard errors from blocks of time origins; NaN for too few independent ones."""
    square_velocity: Floats
    """(n_elements,), Angstrom^2/fs^2: <v^2>, what the functions were divided by; 3kT/m in equilibrium."""
    block_vacf: Floats
    """(n_blocks, n_elements, n_lags), Angstrom^2/fs^2, not divided; one block where there are no independent ones."""
    estimator: Estimator


def central_difference_velocities(positions: Floats, cells: Floats, *, masses_amu: Floats, step_fs: float) -> Floats:
    """Velocities at all frames but the first and the last, centre of mass at rest.

    A displacement is the nearest image in fractional coordinates, so that wrapping does not matter and a breathing cell
    does not count as motion.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    masses_amu
        (n_atoms,), amu.
    step_fs
        Time between frames.

    Returns
    -------
    Floats
        (n_frames - 2, n_atoms, 3), Angstrom/fs.

    Raises
    ------
    MeltlakeError
        If a position or a cell is not finite, or atoms jump between two frames.
    """
    moves = Moves(positions=positions, cells=cells, masses_amu=masses_amu, what=_WHAT)
    velocities: Floats = np.concatenate(
        [np.empty((0, *moves.shape[1:])), *CentralDifferences(moves, step_fs).batches()]
    )
    return velocities


def vacf_from_positions(
    atomic_numbers: NDArray[np.integer],
    positions: Floats | Vectors,
    *,
    cells: Floats,
    time_fs: Floats,
    longest_lag_fs: float,
    n_blocks: int = 0,
) -> VelocityAutocorrelation:
    """Velocity autocorrelation from central differences of positions.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    time_fs
        (n_frames,), fs, even.
    longest_lag_fs
        As far as a quarter of the run allows.
    n_blocks
        How many blocks of the run are independent; 0 gives no errors.

    Raises
    ------
    MeltlakeError
        If the time axis is missing or uneven, a position or a cell is not finite, or the run is too short.
    """
    step_fs = sampling_fs(time_fs, what=_WHAT)
    moves = Moves(positions=positions, cells=cells, masses_amu=masses_amu(atomic_numbers), what=_WHAT)
    return _vacf(
        atomic_numbers,
        CentralDifferences(moves, step_fs),
        step_fs=step_fs,
        longest_lag_fs=longest_lag_fs,
        estimator="central_differences",
        n_blocks=n_blocks,
    )


def vacf_from_velocities(
    atomic_numbers: NDArray[np.integer],
    velocities: Floats | Vectors,
    *,
    time_fs: Floats,
    longest_lag_fs: float,
    n_blocks: int = 0,
) -> VelocityAutocorrelation:
    """Velocity autocorrelation from the velocities of a run; the drift of its centre of mass is removed.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    velocities
        (n_frames, n_atoms, 3), Angstrom/fs.
    time_fs
        (n_frames,), fs, even.
    longest_lag_fs
        As far as a quarter of the run allows.
    n_blocks
        How many blocks of the run are independent; 0 gives no errors.

    Raises
    ------
    MeltlakeError
        If the time axis is missing or uneven, a velocity is not finite, or the run is too short.
    """
    step_fs = sampling_fs(time_fs, what=_WHAT)
    return _vacf(
        atomic_numbers,
        AtRest(velocities, masses_amu(atomic_numbers), _WHAT),
        step_fs=step_fs,
        longest_lag_fs=longest_lag_fs,
        estimator="velocities",
        n_blocks=n_blocks,
    )


def _vacf(
    atomic_numbers: NDArray[np.integer],
    velocities: Vectors,
    *,
    step_fs: float,
    longest_lag_fs: float,
    estimator: Estimator,
    n_blocks: int,
) -> VelocityAutocorrelation:
    n_frames = len(velocities)
    n_lags = min(int(longest_lag_fs / step_fs + 1e-6), n_frames // 4) + 1
    if n_lags < 2:
        raise MeltlakeError(
            f"A velocity autocorrelation needed velocities at 4 frames or more, found {n_frames}.",
            "Use a longer run.",
        )
    elements, groups = atoms_of_elements(atomic_numbers)
    # A block of time origins is at least twice as long as the longest lag, or its error means little.
    parts = blocks(n_frames, n_blocks=max(1, min(n_blocks, n_frames // (2 * (n_lags - 1)))))
    sums = lagged_sums(velocities, groups, parts, n_lags=n_lags)
    _require_motion(elements, sums.squares.mean(axis=1) / [len(group) for group in groups])
    origins = np.stack([n_origins(n_frames, part, n_lags=n_lags) for part in parts])
    of_blocks = sums.products / (origins[:, None] * np.array([len(group) for group in groups])[:, None])
    mean = np.average(of_blocks, axis=0, weights=np.broadcast_to(origins[:, None], of_blocks.shape))
    return VelocityAutocorrelation(
        elements=elements,
        lag_fs=np.arange(n_lags, dtype=np.float64) * step_fs,
        vacf=mean / mean[:, :1],
        vacf_error=standard_error(of_blocks / of_blocks[:, :, :1]),
        square_velocity=mean[:, 0],
        block_vacf=of_blocks,
        estimator=estimator,
    )


def _require_motion(elements: Sequence[str], mean_squares: Floats) -> None:
    """Refuse to normalise what is nothing but rounding: atoms that are held, and the only atom of a cell."""
    if held := [element for element, square in zip(elements, mean_squares, strict=True) if not square > AT_REST]:
        raise MeltlakeError(
            f"A velocity autocorrelation needed moving atoms of each element, found {', '.join(held)} at rest.",
            "Leave the run out.",
        )
