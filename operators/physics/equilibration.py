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

SHORTEST_FS = 1000.0
LARGEST_SHARE = 0.25
"""Of a run that starts anew, 1 ps is never called equilibrated; of runs shorter than 4 ps, a quarter."""


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


@dataclass(frozen=True, slots=True)
class Memory:
    """How long a run remembers what it was."""

    correlation_time_fs: float
    """Time per independent value of the slowest series, about two correlation times; NaN where nothing can be told."""
    n_independent: float
    """What that series is worth. Three or fewer: the run is no longer than its memory; the time is a lower bound."""


def equilibration_of_run(time_fs: Floats, series: Iterable[Floats], *, goes_on: bool) -> Equilibration:
    """The equilibrated part of a run on a time axis, never its first picosecond unless it goes on from another run.

    Parameters
    ----------
    time_fs
        (n_frames,), fs; a run without a time axis (NaN) has no relaxation.
    series
        (n_frames,) each, any unit, as for `equilibration`.
    goes_on
        Whether another run was equilibrated before it.
    """
    if not len(time_fs) or not np.isfinite(time_fs).all():
        return Equilibration(0, np.nan)
    found = equilibration(series)
    if goes_on:
        return found
    shortest = min(SHORTEST_FS, LARGEST_SHARE * float(time_fs[-1] - time_fs[0]))
    least = int(np.searchsorted(time_fs - time_fs[0], shortest))
    return Equilibration(max(found.start, min(least, len(time_fs) - 1)), found.n_independent)


def memory(time_fs: Floats, series: Iterable[Floats]) -> Memory:
    """The statistical inefficiency of a run's slowest series, as a time.

    Parameters
    ----------
    time_fs
        (n_frames,), fs, increasing and even.
    series
        (n_frames,) each, any unit, of the equilibrated part: energy, temperature, pressure. Those that are constant, or
        known in fewer than `FEWEST_FRAMES` frames, are passed over.
    """
    steps = np.diff(time_fs)
    worth = [(n_independent(values), int(np.isfinite(values).sum())) for values in series if _tells(values)]
    if not worth or not (steps > 0).any():
        return Memory(np.nan, np.nan)
    step_fs = float(np.median(steps[steps > 0]))
    # A drift is worth nothing that can be told: one value.
    n_told = [(1.0 if np.isnan(n) else n, n_known) for n, n_known in worth]
    return Memory(max(step_fs * n_known / n for n, n_known in n_told), min(n for n, _ in n_told))


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
