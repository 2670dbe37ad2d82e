"""How much a quantity that a run conserves drifts all the same: too long a time step, or forces that are not exact."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.physics.correlation import FEWEST_INDEPENDENT, n_independent
from schemas.frames import Floats
from schemas.units import FS_PER_PS, MEV_PER_EV


@dataclass(frozen=True, slots=True)
class Drift:
    """Slope of a straight line through a series; NaN where it cannot be told."""

    mev_per_atom_per_ps: float
    error_mev_per_atom_per_ps: float
    """Standard error, from residuals worth fewer values than frames; NaN where they are one slow wave."""


def drift(conserved_ev: Floats, time_fs: Floats, *, n_atoms: int, segment: NDArray[np.integer] | None = None) -> Drift:
    """Drift of a conserved energy: least squares, whose error counts independent residuals only.

    Parameters
    ----------
    conserved_ev
        (n_frames,), eV of the whole cell: with kinetic and thermostat energy. What is not finite does not count.
    time_fs
        (n_frames,), fs, even.
    n_atoms
        Of the cell.
    segment
        (n_frames,): at a restart the conserved energy counts from elsewhere, so that each segment has its own level.
    """
    known = np.isfinite(conserved_ev) & np.isfinite(time_fs)
    which = np.zeros(len(time_fs), dtype=int) if segment is None else np.unique(segment, return_inverse=True)[1]
    since = _from_mean(time_fs, which, known) / FS_PER_PS
    energies = _from_mean(conserved_ev, which, known) * (MEV_PER_EV / n_atoms)
    squares = float(np.sum(since[known] ** 2))
    if known.sum() < 3 or squares == 0:
        return Drift(np.nan, np.nan)
    slope = float(np.sum(since[known] * energies[known])) / squares
    residual = np.where(known, energies - slope * since, np.nan)
    return Drift(slope, float(_spread_of_mean(residual) * np.sqrt(known.sum() / squares)))


def _from_mean(values: Floats, which: NDArray[np.integer], known: NDArray[np.bool_]) -> Floats:
    """(n_frames,): less the mean of the segment's known values."""
    n_known = np.bincount(which, known)
    sums = np.bincount(which, np.where(known, values, 0.0))
    apart: Floats = values - (sums / np.maximum(n_known, 1))[which]
    return apart


def _spread_of_mean(residual: Floats) -> float:
    """Standard error that the residuals' mean would have; NaN where they are worth too few values."""
    known = residual[np.isfinite(residual)]
    spread = float(np.sqrt(np.sum(known**2) / (len(known) - 2)))
    if spread <= 1e-9:
        return 0.0  # a straight line to all decimals
    worth = n_independent(residual)
    return spread / float(np.sqrt(worth)) if worth > FEWEST_INDEPENDENT else np.nan
