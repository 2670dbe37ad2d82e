"""Which frames of one run are trained on and which are set aside for testing. Choosing runs belongs in `materialize`.

Runs that grow after they were split are `growing_split`'s.

Consecutive frames of a molecular dynamics run are nearly the same picture of the melt: 0.01 A apart after 1 fs, about
1 A after 0.5 ps. A test frame beside a training frame therefore tests memory, not prediction.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.frames import Floats

Split = Literal["train", "test", "held_out", "gap"]
Splits = NDArray[np.str_]

DECORRELATION_FS = 500.0
"""Time after which a metallic melt has forgotten where its atoms were, well enough for testing."""

MOST_BLOCKS = 5
LARGEST_GAP_SHARE = 0.2
"""A run too short to give this share of its time to a gap of `DECORRELATION_FS` gets a smaller gap."""
SHARE_FOR_MORE_GAPS = 0.1
"""More than one test block only while all gaps together cost no more than this share of the run."""
FEWEST_FRAMES_WITH_GAP = 4


def block_split(
    time: Floats, *, test_fraction: float, gap: float = DECORRELATION_FS, may_test: NDArray[np.bool_] | None = None
) -> Splits:
    """Contiguous test blocks, each separated from the training frames by a gap that is neither.

    A long run gives up to five test blocks spread over its time, a short one a single block at its end. The gap shrinks
    to a fifth of a short run's time, and at last to the one frame beside the block; runs of fewer than four frames
    have none. Training frames are always the majority of what is not a gap.

    Parameters
    ----------
    time
        (n_frames,), fs, increasing: when each frame was. A run without a time axis counts frames instead.
    test_fraction
        Share of the frames to test on; rounded, and at least one frame when there are three.
    gap
        fs: the least time wanted between a training and a test frame.
    may_test
        (n_frames,), false for frames that are trained on at most, such as those of a run's relaxation; all true by
        default.

    Returns
    -------
    Splits
        (n_frames,), each `train`, `test` or `gap`.
    """
    split = np.full(len(time), "train", dtype="<U8")
    testable = _testable(len(time), may_test)
    n_test = min(wanted_tests(len(time), test_fraction), -(-len(testable) // 2))
    split[testable[blocks_to_test(time[testable], n_test=n_test, test_fraction=test_fraction, gap=gap)]] = "test"
    gap = affordable_gap(time[testable], test_fraction=test_fraction, gap=gap)
    split[beside_test(time, split == "test", gap=gap)] = "gap"
    return split


def random_split(
    n_frames: int, *, test_fraction: float, seed: tuple[int, ...], may_test: NDArray[np.bool_] | None = None
) -> Splits:
    """Test frames drawn without replacement, with no regard to time: the paper's 3:1. It flatters the test error.

    Returns
    -------
    Splits
        (n_frames,), each `train` or `test`.
    """
    split = np.full(n_frames, "train", dtype="<U8")
    testable = _testable(n_frames, may_test)
    n_test = min(wanted_tests(n_frames, test_fraction), len(testable))
    split[np.random.default_rng(seed).choice(testable, n_test, replace=False)] = "test"
    return split


def blocks_to_test(time: Floats, *, n_test: int, test_fraction: float, gap: float) -> NDArray[np.bool_]:
    """(n_frames,): true in blocks of `n_test` frames together, each at the end of its share of the time."""
    n_frames = len(time)
    test = np.zeros(n_frames, dtype=np.bool_)
    if n_test == 0:
        return test
    share = min(_gap_share(test_fraction), SHARE_FOR_MORE_GAPS)
    n_blocks = _n_blocks(n_frames, span=float(time[-1] - time[0]), gap=gap, gap_share=share, n_test=n_test)
    for block in range(n_blocks):
        end = (block + 1) * n_frames // n_blocks
        length = (block + 1) * n_test // n_blocks - block * n_test // n_blocks
        test[end - length : end] = True
    return test


def affordable_gap(time: Floats, *, test_fraction: float, gap: float) -> float:
    """The wanted gap, or what a run too short for it can give; `time` is that of the frames that may be tested on."""
    return min(gap, _gap_share(test_fraction) * float(time[-1] - time[0])) if len(time) else gap


def gap_within_share(time: Floats, test: NDArray[np.bool_], *, test_fraction: float, gap: float) -> float:
    """The wanted gap, or the longest whose frames, on both sides of all test frames together, are a fifth of the run.

    Parameters
    ----------
    time
        (n_frames,), fs, increasing.
    test
        (n_frames,), true for test frames; they are where they are, because an earlier split had them there.
    test_fraction
        Share of the frames to test on; beyond 0.3 there is less than a fifth for gaps.
    gap
        fs, as wanted.
    """
    if not test.any() or test.all():
        return gap
    distances = np.sort(_distance_to_nearest(time[~test], time[test]))
    n_affordable = int(_gap_share(test_fraction) * len(time))
    return min(gap, float(distances[n_affordable])) if n_affordable < len(distances) else gap


def wanted_tests(n_frames: int, test_fraction: float) -> int:
    """At least one of three frames, and so few that training frames stay the majority beside a gap of one frame."""
    most = (n_frames - 2) // 2 if n_frames >= FEWEST_FRAMES_WITH_GAP else (n_frames - 1) // 2
    return int(np.clip(round(test_fraction * n_frames), min(1, most), max(0, most)))


def beside_test(time: Floats, test: NDArray[np.bool_], *, gap: float) -> NDArray[np.bool_]:
    """(n_frames,): training frames closer than `gap` to a test frame, and those next to one, whatever the time.

    Of fewer than four frames none, lest nothing be left to train on.
    """
    if len(time) < FEWEST_FRAMES_WITH_GAP or not test.any():
        return np.zeros_like(test)
    near = _distance_to_nearest(time, time[test]) < gap
    neighbour = np.zeros_like(test)
    neighbour[1:] |= test[:-1]
    neighbour[:-1] |= test[1:]
    return (near | neighbour) & ~test


def smallest_gap(time: Floats, split: Splits) -> float | None:
    """Least time between a training and a test frame of one run, in the unit of `time`; None without such a pair.

    Parameters
    ----------
    time
        (n_frames,), fs.
    split
        (n_frames,), as `block_split` or `random_split` give it.
    """
    train, test = np.sort(time[split == "train"]), np.sort(time[split == "test"])
    if len(train) == 0 or len(test) == 0:
        return None
    return float(_distance_to_nearest(train, test).min())


def _testable(n_frames: int, may_test: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    return np.arange(n_frames) if may_test is None else np.flatnonzero(may_test)


def _gap_share(test_fraction: float) -> float:
    return min(LARGEST_GAP_SHARE, max(0.0, 0.5 - test_fraction))


def _n_blocks(n_frames: int, *, span: float, gap: float, gap_share: float, n_test: int) -> int:
    """As many blocks as leave both sides of each a whole gap, within the share of time and of frames for gaps."""
    affordable = int(min(gap_share * span / (2 * gap), gap_share * n_frames / 2))
    return max(1, min(MOST_BLOCKS, n_test, affordable))


def _distance_to_nearest(points: Floats, others: Floats) -> Floats:
    """(n_points,): distance of each point to the nearest of the sorted others."""
    right = np.clip(np.searchsorted(others, points), 0, len(others) - 1)
    left = np.clip(right - 1, 0, len(others) - 1)
    distance: Floats = np.minimum(np.abs(others[right] - points), np.abs(others[left] - points))
    return distance
