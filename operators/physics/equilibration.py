"""Where the equilibrated part of a run begins, told from its series alone. Means and errors belong in `correlation`.

The start that leaves most independent values behind it divides relaxation from sampling (Chodera, J. Chem. Theory
Comput. 12, 1799 (2016)): every frame of the relaxation that is kept widens the series, every frame that is dropped
without need shortens it. Most of the gain is had well before the maximum, whose place is noisy; the earliest start that
leaves nearly as many is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from operators.physics.correlation import n_independent
from schemas.frames import Floats

FEWEST_FRAMES = 20
"""Of fewer, nothing can be told."""

_SMALLEST_GAIN, _LARGEST_GAIN = 0.1, 0.6
"""What a later start must gain, as a share of the most independent values; more where there are few of them, because
their number is then known only roughly: to about 2 / sqrt(number)."""

_LONGEST_SCANNED = 2048
"""Longer series are averaged over neighbouring frames first."""

_LATEST_START = 0.9
"""Of a series; what is left is too short to compare."""

_N_STARTS = 46


@dataclass(frozen=True, slots=True)
class Equilibration:
    """Where the equilibrated part of a run begins, and what it is worth."""

    start: int
    """First frame of it; 0 where nothing can be told."""
    n_independent: float
    """Independent values of the slowest series from there on; NaN where nothing can be told. About 3 or fewer: the run
    is one drift, and no part of it is equilibrated."""


def statistical_inefficiency(series: Floats) -> float:
    """Frames per independent value, g = 1 + 2 sum_t (1 - t/n) rho(t): Chodera (2016), eq. 11.

    Parameters
    ----------
    series
        (n_frames,), any unit; values that are not finite do not count.

    Returns
    -------
    float
        At least 1; NaN below two values, for a constant, and for a drift.
    """
    return float(np.isfinite(series).sum()) / n_independent(series)


def equilibration(series: Iterable[Floats]) -> Equilibration:
    """The equilibrated part of a run: it begins where the last of its series has relaxed.

    Parameters
    ----------
    series
        (n_frames,) each, any unit: energy, temperature, pressure. Those that are constant, or known in fewer than
        `FEWEST_FRAMES` frames, are passed over.
    """
    told = [values for values in series if _tells(values)]
    if not told:
        return Equilibration(0, np.nan)
    start = max(equilibrated_from(values) for values in told)
    worth = [n_independent(values[start:]) for values in told]
    return Equilibration(start, float(np.nan_to_num(worth, nan=1.0).min()))


def equilibrated_from(series: Floats) -> int:
    """First frame of the equilibrated part of one series.

    Parameters
    ----------
    series
        (n_frames,), any unit; values that are not finite do not count.

    Returns
    -------
    int
        0 where nothing can be told: see `equilibration`.
    """
    if not _tells(series):
        return 0
    n_together = -(-len(series) // _LONGEST_SCANNED)
    scanned = _averaged(series, n_together)
    starts = np.unique(np.linspace(0, _LATEST_START * len(scanned), _N_STARTS).astype(int))
    worth = np.nan_to_num([n_independent(scanned[start:]) for start in starts])
    most = worth.max()
    gain = np.clip(2 / np.sqrt(max(most, 1.0)), _SMALLEST_GAIN, _LARGEST_GAIN)
    return int(starts[np.argmax(worth >= (1 - gain) * most)]) * n_together


def _tells(series: Floats) -> bool:
    known = series[np.isfinite(series)]
    return len(known) >= FEWEST_FRAMES and float(np.ptp(known)) > 1e-12 * float(np.abs(known).max())


def _averaged(series: Floats, n_together: int) -> Floats:
    """Means of so many neighbouring values, of those that are finite; the last may be of fewer."""
    if n_together == 1:
        return series
    starts = np.arange(0, len(series), n_together)
    known = np.isfinite(series)
    n_known = np.add.reduceat(known.astype(np.float64), starts)
    sums = np.add.reduceat(np.where(known, series, 0.0), starts)
    means: Floats = np.divide(sums, n_known, out=np.full(len(starts), np.nan), where=n_known > 0)
    return means
