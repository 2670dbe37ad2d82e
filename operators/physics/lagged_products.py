"""Products of series with themselves some time later, summed over time origins by FFT. What they mean is elsewhere.

sum_t x(t) x(t + lag) is a convolution, so that its transform is the product of transforms (Kneller et al., Comput.
Phys. Commun. 91, 191 (1995)): n log n instead of n^2. Zeros are appended so that the end does not meet the beginning.
"""

from collections.abc import Iterator

import numpy as np
from scipy import fft

from schemas.frames import Floats

_SERIES_AT_ONCE = 192
"""So that those of a long run stay in the cache."""


def lagged_products(series: Floats, origins: slice, *, n_lags: int) -> Floats:
    """Sum over time origins, and over all series, of the product of each value with that so many frames later.

    Parameters
    ----------
    series
        (n_frames, ...), any unit; all axes but the first number the series.
    origins
        Frames that are time origins; the later value may be beyond them. Where the series ends first, an origin has
        fewer lags: see `n_origins`.
    n_lags
        Number of lags, from 0.

    Returns
    -------
    Floats
        (n_lags,), the square of the unit.
    """
    first = origins.stop - origins.start
    used = series[origins.start : origins.stop + n_lags - 1]
    length = fft.next_fast_len(max(first + n_lags, len(used)), real=True)
    spectrum = np.zeros(length // 2 + 1, dtype=complex)
    for columns in _columns(used.reshape(len(used), -1)):
        later = fft.rfft(columns, length, axis=1)
        now = later if first == len(used) else fft.rfft(columns[:, :first], length, axis=1)
        spectrum += np.einsum("cw,cw->w", now.conj(), later)
    products: Floats = fft.irfft(spectrum, length)[:n_lags]
    return products


def n_origins(n_frames: int, origins: slice, *, n_lags: int) -> Floats:
    """(n_lags,): how many time origins of a run have a frame that much later."""
    counts: Floats = np.minimum(origins.stop, n_frames - np.arange(n_lags)) - float(origins.start)
    return np.maximum(counts, 0.0)


def _columns(series: Floats) -> Iterator[Floats]:
    """A few series at a time, (n_series, n_frames), each contiguous."""
    for first in range(0, series.shape[1], _SERIES_AT_ONCE):
        yield np.ascontiguousarray(series[:, first : first + _SERIES_AT_ONCE].T)
