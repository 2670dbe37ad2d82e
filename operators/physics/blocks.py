"""Block averages of a correlated series and their standard errors. What is averaged is decided elsewhere."""

from itertools import pairwise

import numpy as np

from schemas.frames import Floats

N_BLOCKS = 10
"""Blocks of a run: 2 ps each for a run of 20 ps, longer than what a metallic melt remembers of its structure."""


def blocks(n_frames: int, *, n_blocks: int = N_BLOCKS) -> list[slice]:
    """Contiguous blocks of nearly equal length that cover all frames; fewer when there are fewer frames."""
    edges = np.linspace(0, n_frames, min(n_blocks, n_frames) + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(edges)]


def standard_error(block_means: Floats) -> Floats:
    """Standard error of the mean over blocks, along the first axis; NaN below two blocks.

    Parameters
    ----------
    block_means
        (n_blocks, ...), any unit.

    Returns
    -------
    Floats
        (...), the same unit.
    """
    n_blocks = len(block_means)
    if n_blocks < 2:
        return np.full(block_means.shape[1:], np.nan)
    error: Floats = np.std(block_means, axis=0, ddof=1) / np.sqrt(n_blocks)
    return error


def mean_and_error(series: Floats) -> tuple[float, float]:
    """Mean of a series and its standard error from blocks; values that are NaN do not count.

    Parameters
    ----------
    series
        (n_frames,), any unit.

    Returns
    -------
    tuple of float
        Mean and standard error, same unit; both NaN for an empty series, the error alone below two blocks.
    """
    present = series[~np.isnan(series)]
    if len(present) == 0:
        return np.nan, np.nan
    means = np.array([present[block].mean() for block in blocks(len(present))])
    return float(present.mean()), float(standard_error(means))
