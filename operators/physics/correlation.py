"""Mean of a correlated series, its standard error, and how many independent values it is worth. Curves use `blocks`.

With cov(t) the autocovariance of n known values, and P(t) how many pairs of them lie t frames apart, the variance of
their mean is V = sum_t P(t) cov(t) / n^2 over lags of both signs. For a series without gaps that is sigma^2 g / n, with
the statistical inefficiency g = 1 + 2 sum_t (1 - t/n) rho(t), about two correlation times. Lags count up to the first
one that is not positive; beyond it there is only noise (Chodera et al., J. Chem. Theory Comput. 3, 26 (2007)). An
estimate of cov(t) is too small by V, because the mean was estimated too. Solved for V,

    V = sum_t P(t) cov(t) / (n^2 - sum_t P(t)),

which is s^2 / n where neighbours are independent. Frames that do not count are gaps: their pairs are missing in P(t).
"""

import numpy as np

from schemas.frames import Floats

FEWEST_INDEPENDENT = 3.0
"""A steady drift, however long, looks like 2 to 3 independent values: so does any run shorter than its memory."""


def mean_and_error(series: Floats) -> tuple[float, float]:
    """Mean of a series in time order and its standard error; values that are not finite do not count.

    Parameters
    ----------
    series
        (n_frames,), any unit, one value per frame of an even time axis.

    Returns
    -------
    tuple of float
        Mean and standard error, same unit; both NaN for an empty series, the error alone where the series is not worth
        more than three independent values.
    """
    known = np.isfinite(series)
    if not known.any():
        return np.nan, np.nan
    mean, spread = float(series[known].mean()), float(series[known].std())
    if known.sum() > FEWEST_INDEPENDENT and spread <= 1e-12 * abs(mean):
        return mean, 0.0  # imposed, like the density of a fixed cell
    if not n_independent(series) > FEWEST_INDEPENDENT:
        return mean, np.nan
    return mean, float(np.sqrt(_variance_of_mean(series)))


def n_independent(series: Floats) -> float:
    """How many independent values a series is worth: the variance of its values over that of its mean.

    Parameters
    ----------
    series
        (n_frames,), any unit, one value per frame of an even time axis; values that are not finite do not count.

    Returns
    -------
    float
        At most the number of values; NaN below two values, and for a constant.
    """
    known = series[np.isfinite(series)]
    variance = _variance_of_mean(series)
    return float(min(len(known), 1 + known.var() / variance)) if variance > 0 else np.nan


def _variance_of_mean(series: Floats) -> float:
    """The formula of the module; NaN where too few values are known."""
    known = np.isfinite(series)
    n_known = int(known.sum())
    if n_known < 2:
        return np.nan
    apart = np.where(known, series - series[known].mean(), 0.0)
    n_frames = len(series)
    n_pairs = np.arange(n_frames, 0, -1.0) if n_known == n_frames else np.rint(_products(known.astype(np.float64)))
    products = _products(apart)
    uncorrelated = np.flatnonzero((n_pairs > 0) & (products <= 0))
    stop = int(uncorrelated[0]) if len(uncorrelated) else n_frames
    n_used = n_pairs[0] + 2 * n_pairs[1:stop].sum()
    if n_used >= n_known**2:
        return np.nan
    return float((products[0] + 2 * products[1:stop].sum()) / (n_known**2 - n_used))


def _products(values: Floats) -> Floats:
    """(n_frames,): sum over frames of the product of values t frames apart, for every t."""
    length = 1 << (2 * len(values)).bit_length()  # SciPy has quicker lengths, but is 15 MB in every process that reads
    spectrum = np.fft.rfft(values, length)
    products: Floats = np.fft.irfft(np.abs(spectrum) ** 2, length)[: len(values)]
    return products
