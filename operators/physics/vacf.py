"""Velocity autocorrelation of each element, over all time origins, by FFT. Diffusion coefficients do not belong here.

Velocities come from the run, or from central differences of positions saved every few femtoseconds. The latter damp
fast motion (at 5 fs by 0.002 rms of the normalised function, at 20 fs by 0.04), so two curves are compared only when
they come from one estimator at one sampling: the estimator is part of the result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from operators.physics.blocks import blocks, standard_error
from operators.physics.cells import fractional, volumes_angstrom3
from schemas.elements import SYMBOLS, masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats

Estimator = Literal["velocities", "central_differences"]

_ATOMS_AT_ONCE = 64
_EVEN_TO_FS = 1e-3
_SHARPEST_KINK = 5.0
"""In kinks of the run's quietest quarter, rms over the atoms; between forces that change smoothly it is below 3."""


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
    estimator: Estimator


def sampling_fs(time_fs: Floats) -> float:
    """Time between consecutive frames.

    Parameters
    ----------
    time_fs
        (n_frames,), fs.

    Raises
    ------
    MeltlakeError
        If there is no time axis, or it is not even: a gap would put wrong velocities into every lag.
    """
    if len(time_fs) < 2 or np.isnan(time_fs).any():
        raise MeltlakeError(
            f"A velocity autocorrelation needed frames on a time axis, found {len(time_fs)} frames, "
            f"{int(np.isnan(time_fs).sum())} of them without a time.",
            "Use a molecular dynamics run.",
        )
    steps = np.diff(time_fs)
    step = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - step) > _EVEN_TO_FS)
    if len(uneven) or step <= 0:
        at = int(uneven[0]) if len(uneven) else 0
        raise MeltlakeError(
            f"A velocity autocorrelation needed frames every {step:g} fs, found {steps[at]:g} fs between frames {at} "
            f"and {at + 1}.",
            "Ingest the run without its gap or overlap, or leave it out.",
        )
    return step


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
        If the atoms jump between two frames.
    """
    moves = np.diff(fractional(positions, cells), axis=0)
    moves -= np.rint(moves)
    moves = moves @ (0.5 * (cells[1:] + cells[:-1]))
    _refuse_a_jump(moves)
    velocities: Floats = moves[1:] + moves[:-1]
    velocities /= 2 * step_fs
    return without_drift(velocities, masses_amu)


def _refuse_a_jump(moves: Floats) -> None:
    """A file may go on counting where its frames do not go on: runs pasted together have an even time axis."""
    if len(moves) < 3:
        return
    length, kink = _rms_over_atoms(moves), _rms_over_atoms(np.diff(moves, axis=0))
    at = int(np.argmax(kink))
    if kink[at] > _SHARPEST_KINK * np.quantile(kink, 0.25) and kink[at] > 0.5 * np.median(length):
        raise MeltlakeError(
            f"A velocity autocorrelation needed frames that follow each other, found atoms that jump near frame "
            f"{at + 1}: the velocity changes there by {kink[at] / np.median(length):.2g} times its typical value.",
            "Ingest the parts as runs of their own.",
        )


def _rms_over_atoms(moves: Floats) -> Floats:
    """(n_frames,), Angstrom."""
    lengths: Floats = np.sqrt(np.einsum("fax,fax->f", moves, moves) / moves.shape[1])
    return lengths


def without_drift(velocities: Floats, masses_amu: Floats) -> Floats:
    """The same velocities with the centre of mass at rest in every frame.

    Parameters
    ----------
    velocities
        (n_frames, n_atoms, 3), Angstrom/fs.
    masses_amu
        (n_atoms,), amu.

    Returns
    -------
    Floats
        (n_frames, n_atoms, 3), Angstrom/fs.
    """
    at_rest: Floats = velocities - np.average(velocities, axis=1, weights=masses_amu)[:, None]
    return at_rest


def vacf_from_positions(
    atomic_numbers: NDArray[np.integer],
    positions: Floats,
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
    step_fs = sampling_fs(time_fs)
    if not (np.isfinite(positions).all() and np.isfinite(cells).all() and volumes_angstrom3(cells).all()):
        raise MeltlakeError(
            "A velocity autocorrelation needed every position and cell, found some that are not finite.",
            "Leave the run out.",
        )
    masses = masses_amu(atomic_numbers)
    velocities = central_difference_velocities(positions, cells, masses_amu=masses, step_fs=step_fs)
    return _vacf(
        atomic_numbers,
        velocities,
        step_fs=step_fs,
        longest_lag_fs=longest_lag_fs,
        estimator="central_differences",
        n_blocks=n_blocks,
    )


def vacf_from_velocities(
    atomic_numbers: NDArray[np.integer],
    velocities: Floats,
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
    step_fs = sampling_fs(time_fs)
    if not np.isfinite(velocities).all():
        raise MeltlakeError(
            "A velocity autocorrelation needed every velocity, found some that are not finite.", "Leave the run out."
        )
    at_rest = without_drift(velocities, masses_amu(atomic_numbers))
    return _vacf(
        atomic_numbers,
        at_rest,
        step_fs=step_fs,
        longest_lag_fs=longest_lag_fs,
        estimator="velocities",
        n_blocks=n_blocks,
    )


def _vacf(
    atomic_numbers: NDArray[np.integer],
    velocities: Floats,
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
    if not velocities.any(axis=(0, 2)).any():
        raise MeltlakeError("A velocity autocorrelation needed moving atoms, found none.", "Leave the run out.")
    elements = sorted({SYMBOLS[number] for number in atomic_numbers})
    symbols = np.array([SYMBOLS[number] for number in atomic_numbers])
    # A block of time origins is at least twice as long as the longest lag, or its error means little.
    parts = blocks(n_frames, n_blocks=max(1, min(n_blocks, n_frames // (2 * (n_lags - 1)))))
    origins = np.array([[min(p.stop, n_frames - lag) - p.start for lag in range(n_lags)] for p in parts])
    curves, errors, squares = [], [], []
    for element in elements:
        of_element = velocities[:, symbols == element]
        sums = np.stack([_correlation(of_element, part, n_lags) for part in parts]) / of_element.shape[1]
        mean = sums.sum(axis=0) / origins.sum(axis=0)
        squares.append(mean[0])
        curves.append(mean / mean[0])
        of_blocks = sums / origins
        errors.append(standard_error(of_blocks / of_blocks[:, :1]))
    return VelocityAutocorrelation(
        elements=tuple(elements),
        lag_fs=np.arange(n_lags, dtype=np.float64) * step_fs,
        vacf=np.stack(curves),
        vacf_error=np.stack(errors),
        square_velocity=np.array(squares),
        estimator=estimator,
    )


def _correlation(velocities: Floats, origins: slice, n_lags: int) -> Floats:
    """(n_lags,): sum over time origins in a block and over atoms of v(t) v(t + lag), Angstrom^2/fs^2."""
    n_origins = origins.stop - origins.start
    length = fft.next_fast_len(n_origins + n_lags, real=True)
    spectrum = np.zeros(length // 2 + 1, dtype=complex)
    for columns in _columns(velocities[origins.start : origins.stop + n_lags - 1]):
        later = fft.rfft(columns, length, axis=1)
        now = fft.rfft(columns[:, :n_origins], length, axis=1)
        spectrum += np.einsum("cw,cw->w", now.conj(), later)
    correlation: Floats = fft.irfft(spectrum, length)[:n_lags]
    return correlation


def _columns(velocities: Floats) -> Iterator[Floats]:
    """Components of a few atoms at a time, (3 * n_atoms, n_frames): short enough to stay in the cache."""
    for first in range(0, velocities.shape[1], _ATOMS_AT_ONCE):
        some = velocities[:, first : first + _ATOMS_AT_ONCE]
        yield np.ascontiguousarray(some.reshape(len(some), -1).T)
