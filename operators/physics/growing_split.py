"""The split of a run that has grown since it was split: what was trained or tested on stays so. First splits: `split`.

A frame that was once tested on is never trained on later, or the test errors of two potentials could not be compared.
A training frame may become a gap when a longer run tells a longer memory, as far as all gaps together cost no more than
a fifth of the run: blocks that were placed for a shorter gap have it on more sides than a run can pay for. New frames
are tested on where the test share has fallen behind, in blocks that cost no more than a fifth of the time for gaps: a
run that grows by little becomes longer by one kind of frames until the other is due.
"""

import numpy as np
from numpy.typing import NDArray

from operators.physics.split import (
    LARGEST_GAP_SHARE,
    Splits,
    affordable_gap,
    beside_test,
    block_split,
    blocks_to_test,
    gap_within_share,
    random_split,
    wanted_tests,
)
from schemas.frames import Floats

UNKNOWN = ""
"""Label of a frame that was never trained or tested on."""


def grown_block_split(
    time: Floats, known: Splits, *, test_fraction: float, gap: float, may_test: NDArray[np.bool_]
) -> Splits:
    """Block split that keeps what is known; without anything known, that of `block_split`.

    Parameters
    ----------
    time
        (n_frames,), fs, increasing; a run without a time axis counts frames instead.
    known
        (n_frames,), `train`, `test` or `UNKNOWN`.
    test_fraction
        Share of the frames to test on, in the long run.
    gap
        fs: the least time wanted between a training and a test frame.
    may_test
        (n_frames,), false for frames that are trained on at most; what was tested on stays a test frame.

    Returns
    -------
    Splits
        (n_frames,), each `train`, `test` or `gap`.
    """
    if not (known != UNKNOWN).any():
        return block_split(time, test_fraction=test_fraction, gap=gap, may_test=may_test)
    gap = affordable_gap(time[may_test], test_fraction=test_fraction, gap=gap)
    split = np.where(known == UNKNOWN, "train", known).astype("<U8")
    last_known = int(np.flatnonzero(known != UNKNOWN)[-1])
    new = np.flatnonzero((np.arange(len(time)) > last_known) & may_test)
    tested = time[known == "test"]
    n_test = min(wanted_tests(len(time), test_fraction) - len(tested), len(new))
    if n_test > 0 and known[last_known] == "test" and time[-1] - time[last_known] < gap / LARGEST_GAP_SHARE:
        split[new[:n_test]] = "test"
    elif n_test > 0:
        last_test = float(tested[-1]) if len(tested) else -np.inf
        # Ten gaps, so that the two around a new block cost a fifth of the time; in a shorter run the share waits.
        is_due = time[-1] - last_test >= 2 * gap / LARGEST_GAP_SHARE
        new = new[time[new] - last_test >= gap]
        split[new] = _split_of_new(time[new], n_test, test_fraction=test_fraction, gap=gap, is_due=is_due)
    test = split == "test"
    gap = gap_within_share(time, test, test_fraction=test_fraction, gap=gap)
    split[beside_test(time, test, gap=gap)] = "gap"
    return split


def grown_random_split(
    known: Splits, *, test_fraction: float, seed: tuple[int, ...], may_test: NDArray[np.bool_]
) -> Splits:
    """Random split that keeps what is known, and draws the missing test frames from the new ones.

    Parameters
    ----------
    known
        (n_frames,), `train`, `test` or `UNKNOWN`.
    test_fraction
        Share of the frames to test on.
    seed
        Of the draw.
    may_test
        (n_frames,), false for frames that are trained on at most.

    Returns
    -------
    Splits
        (n_frames,), each `train` or `test`.
    """
    n_known = int((known != UNKNOWN).sum())
    if n_known == 0:
        return random_split(len(known), test_fraction=test_fraction, seed=seed, may_test=may_test)
    split = np.where(known == UNKNOWN, "train", known).astype("<U8")
    new = np.flatnonzero((known == UNKNOWN) & may_test)
    n_missing = wanted_tests(len(known), test_fraction) - int((known == "test").sum())
    n_test = int(np.clip(n_missing, 0, len(new)))
    split[np.random.default_rng((*seed, n_known)).choice(new, n_test, replace=False)] = "test"
    return split


def thinned(time: Floats, *, every: float, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames at least `every` apart, from the first on; those to be kept are kept, and others keep away from them.

    Parameters
    ----------
    time
        (n_frames,), fs, increasing.
    every
        fs.
    kept
        (n_frames,), true for frames that an earlier thinning chose.

    Returns
    -------
    NDArray
        (n_frames,), true for frames that stay.
    """
    least = every * (1 - 1e-9)
    upcoming = np.minimum.accumulate(np.where(kept, time, np.inf)[::-1])[::-1]
    stays = kept.copy()
    last = -np.inf
    for frame, when in enumerate(time.tolist()):
        stays[frame] |= when - last >= least and upcoming[frame] - when >= least
        if stays[frame]:
            last = when
    return stays


def _split_of_new(time: Floats, n_test: int, *, test_fraction: float, gap: float, is_due: bool) -> Splits:
    """(n_new,): `train`, `test`, or `gap` where the frames wait for more of their kind."""
    split = np.full(len(time), "train", dtype="<U8")
    if len(time) == 0:
        return split
    if time[-1] - time[0] >= gap / LARGEST_GAP_SHARE:
        n_test = min(n_test, -(-len(time) // 2))
        split[blocks_to_test(time, n_test=n_test, test_fraction=test_fraction, gap=gap)] = "test"
    elif is_due:
        far = np.flatnonzero(time - time[0] >= gap)
        split[far[-n_test:]] = "test"
        if len(far) == 0:
            split[:] = "gap"
    return split
