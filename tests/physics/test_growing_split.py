"""However often a run grows, what was tested on is never trained on, and what is known is not decided again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.physics.growing_split import UNKNOWN, grown_block_split, grown_random_split, thinned
from operators.physics.split import DECORRELATION_FS, block_split, random_split, smallest_gap

growths = st.lists(st.integers(1, 2500), min_size=2, max_size=6)
steps = st.sampled_from([0.5, 5.0, 50.0])
fractions = st.sampled_from([0.1, 0.25, 0.4])
memories = st.lists(st.sampled_from([300.0, 500.0, 900.0, 5_000.0, 20_000.0]), min_size=1, max_size=4)


def known_of(split: np.ndarray, n_frames: int) -> np.ndarray:
    known = np.full(n_frames, UNKNOWN, dtype="<U8")
    known[: len(split)] = np.where(split == "gap", UNKNOWN, split)
    return known


def grow(n_new: list[int], step_fs: float, test_fraction: float, gaps: list[float] | None = None) -> list[np.ndarray]:
    """The splits of a run after each growth."""
    splits = [np.zeros(0, dtype="<U8")]
    for place, n_frames in enumerate(np.cumsum(n_new)):
        time = np.arange(n_frames) * step_fs
        gap = DECORRELATION_FS if gaps is None else gaps[place % len(gaps)]
        known, everywhere = known_of(splits[-1], n_frames), np.ones(n_frames, dtype=bool)
        splits.append(grown_block_split(time, known, test_fraction=test_fraction, gap=gap, may_test=everywhere))
    return splits[1:]


@given(growths, steps, fractions)
def test_no_test_frame_is_ever_trained_on_however_a_run_grows(n_new, step_fs, test_fraction) -> None:
    splits = grow(n_new, step_fs, test_fraction, gaps=[500.0, 900.0, 300.0])
    for place, before in enumerate(splits):
        for after in splits[place + 1 :]:
            assert (after[: len(before)][before == "test"] == "test").all()
            assert not (after[: len(before)][before == "train"] == "test").any()


@given(growths, steps, fractions, memories)
def test_a_split_of_the_same_frames_does_not_change(n_new, step_fs, test_fraction, gaps) -> None:
    last = grow(n_new, step_fs, test_fraction, gaps)[-1]
    n_frames = len(last)
    again = grown_block_split(
        np.arange(n_frames) * step_fs,
        known_of(last, n_frames),
        test_fraction=test_fraction,
        gap=gaps[(len(n_new) - 1) % len(gaps)],
        may_test=np.ones(n_frames, dtype=bool),
    )
    assert again.tolist() == last.tolist()


@given(growths, steps)
def test_a_grown_run_keeps_the_gap_of_its_length_unless_gaps_cost_a_fifth(n_new, step_fs) -> None:
    split = grow(n_new, step_fs, 0.25)[-1]
    time = np.arange(len(split)) * step_fs
    gap = smallest_gap(time, split)
    is_test = split == "test"
    n_sides = int(np.sum(is_test[1:] != is_test[:-1]))
    costs_a_fifth = np.sum(split == "gap") > 0.2 * len(split) - 1 - n_sides
    assert gap is None or costs_a_fifth or len(split) < 4 or gap >= min(DECORRELATION_FS, 0.2 * time[-1]) - 1e-6


@pytest.mark.parametrize("gap_fs", [1_000.0, 10_000.0, 50_000.0])
def test_a_longer_memory_costs_five_blocks_no_more_than_a_fifth_of_the_run(gap_fs: float) -> None:
    time, everywhere = np.arange(2000) * 50.0, np.ones(2000, dtype=bool)
    first = block_split(time, test_fraction=0.25, gap=500.0)
    assert [int(np.sum(first == name)) for name in ("train", "gap", "test")] == [1419, 81, 500]
    later = grown_block_split(time, known_of(first, 2000), test_fraction=0.25, gap=gap_fs, may_test=everywhere)
    assert ((later == "test") == (first == "test")).all()
    assert (later == "train").sum() >= 1100
    assert smallest_gap(time, later) >= min(gap_fs, 2_000.0)


@pytest.mark.parametrize("n_new", [[1000] * 40, [200] * 200, [20_000, 300, 300, 20_000]])
def test_a_run_that_grows_is_tested_on_its_share_and_loses_little_to_gaps(n_new) -> None:
    split = grow(n_new, 1.0, 0.25)[-1]
    counts = {name: float(np.mean(split == name)) for name in ("train", "test", "gap")}
    assert counts["gap"] < 0.25
    assert 0.17 < counts["test"] / (counts["train"] + counts["test"]) < 0.33
    assert (np.flatnonzero(split == "test") > 0.7 * len(split)).any()


def test_without_anything_known_it_is_the_first_split() -> None:
    time, everywhere = np.arange(3000) * 2.0, np.ones(3000, dtype=bool)
    first = grown_block_split(time, known_of(time[:0], 3000), test_fraction=0.25, gap=500.0, may_test=everywhere)
    assert first.tolist() == block_split(time, test_fraction=0.25).tolist()


def test_frames_of_the_relaxation_are_trained_on_and_never_tested_on() -> None:
    time = np.arange(2000) * 5.0
    split = block_split(time, test_fraction=0.25, may_test=time >= 2000.0)
    assert (split == "test").sum() == 500
    assert (split[time < 1500.0] == "train").all()
    drawn = random_split(2000, test_fraction=0.25, seed=(1,), may_test=time >= 2000.0)
    assert (drawn == "test").sum() == 500
    assert (drawn[time < 2000.0] == "train").all()


def test_a_random_split_keeps_what_it_drew_and_its_share() -> None:
    splits = [np.zeros(0, dtype="<U8")]
    for n_frames in (100, 150, 400):
        known, everywhere = known_of(splits[-1], n_frames), np.ones(n_frames, dtype=bool)
        splits.append(grown_random_split(known, test_fraction=0.25, seed=(1, 2), may_test=everywhere))
    assert splits[2][:100].tolist() == splits[1].tolist()
    assert splits[3][:150].tolist() == splits[2].tolist()
    assert [int((split == "test").sum()) for split in splits[1:]] == [25, 38, 100]


def test_thinning_keeps_frames_apart_and_those_that_were_chosen_before() -> None:
    time = np.arange(100) * 5.0
    first = thinned(time[:50], every=25.0, kept=np.zeros(50, dtype=bool))
    assert np.flatnonzero(first).tolist() == list(range(0, 50, 5))
    shifted = np.roll(np.pad(first, (0, 50)), 2)
    later = thinned(time, every=25.0, kept=shifted)
    assert later[shifted].all()
    assert np.diff(time[later]).min() >= 25.0


def test_thinning_by_less_than_the_step_keeps_every_frame() -> None:
    assert thinned(np.arange(10) * 0.7, every=0.7, kept=np.zeros(10, dtype=bool)).all()
