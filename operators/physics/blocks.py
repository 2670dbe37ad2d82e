"""Blocks of a run, for the standard errors of whole curves. Scalars have their errors from `correlation`."""

from itertools import pairwise

import numpy as np

from operators.physics.split import DECORRELATION_FS
from schemas.frames import Floats

MOST_BLOCKS = 10
FEWEST_BLOCKS = 4
"""The scatter of fewer says little about their mean."""

SHORTEST_RUN_FS = DECORRELATION_FS
"""A run that a melt remembers from end to end is one sample, whatever its number of frames: it has no error."""

LONG_BLOCK_FS = 5000.0
"""Longer than what a metallic melt remembers of its structure; a run of five such blocks has no shorter ones."""


def blocks(n_frames: int, *, n_blocks: int) -> list[slice]:
    """Contiguous blocks of nearly equal length that cover all frames; fewer when there are fewer frames."""
    edges = np.linspace(0, n_frames, min(n_blocks, n_frames) + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(edges)]


def is_long_enough(duration_fs: float) -> bool:
    """Whether a run of this length has error bars at all; one without a time axis (NaN) has none."""
    return duration_fs >= SHORTEST_RUN_FS * (1 - 1e-9)


def independent_blocks(n_independent: float, *, duration_fs: float) -> int:
    """Into how many blocks a run may be cut so that their averages are independent; 0 when too few to give an error.

    A block is at least as long as one independent value of the run's slowest series: two correlation times.

    Parameters
    ----------
    n_independent
        How many independent values that series is worth; NaN when unknown.
    duration_fs
        Length of the run, fs; NaN without a time axis.
    """
    if np.isnan(n_independent) or not is_long_enough(duration_fs):
        return 0
    n_blocks = min(MOST_BLOCKS, int(n_independent))
    if (n_long := int(duration_fs / LONG_BLOCK_FS + 1e-6)) > FEWEST_BLOCKS:
        n_blocks = min(n_blocks, n_long)
    return n_blocks if n_blocks >= FEWEST_BLOCKS else 0


def standard_error(block_means: Floats) -> Floats:
    """Standard error of the mean over independent blocks, along the first axis; NaN below four blocks.

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
    if n_blocks < FEWEST_BLOCKS:
        return np.full(block_means.shape[1:], np.nan)
    error: Floats = np.std(block_means, axis=0, ddof=1) / np.sqrt(n_blocks)
    return error
