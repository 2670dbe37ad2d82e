"""Test frames are far from training frames in time, or the smaller distance is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.physics.split import block_split, random_split, smallest_gap

runs = st.tuples(st.integers(min_value=3, max_value=400), st.sampled_from([0.5, 1.0, 5.0, 50.0]), st.floats(0.05, 0.5))


def test_a_long_run_keeps_half_a_picosecond_between_training_and_test() -> None:
    time = np.arange(20_000) * 2.0
    split = block_split(time, test_fraction=0.25)
    assert smallest_gap(time, split) >= 500.0
    assert np.sum(split == "test") == 5_000
    assert np.sum(split == "gap") <= 2_000


def test_a_long_run_is_tested_in_several_parts_of_its_time() -> None:
    split = block_split(np.arange(20_000) * 2.0, test_fraction=0.25)
    starts = np.flatnonzero((split[1:] == "test") & (split[:-1] != "test"))
    assert 2 <= len(starts) <= 5


def test_ten_frames_give_a_test_frame_and_a_train_majority() -> None:
    split = block_split(np.arange(10) * 0.5, test_fraction=0.25)
    assert split.tolist() == ["train"] * 7 + ["gap"] + ["test"] * 2
    assert smallest_gap(np.arange(10) * 0.5, split) == 1.0


@pytest.mark.parametrize(("n_frames", "n_test"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)])
def test_the_shortest_runs_still_train(n_frames: int, n_test: int) -> None:
    split = block_split(np.arange(n_frames, dtype=float), test_fraction=0.25)
    assert np.sum(split == "test") == n_test
    assert np.sum(split == "train") > n_test


@given(runs)
def test_training_frames_are_the_majority_and_never_beside_a_test_frame(run: tuple[int, float, float]) -> None:
    n_frames, step_fs, test_fraction = run
    split = block_split(np.arange(n_frames) * step_fs, test_fraction=test_fraction)
    is_test = np.flatnonzero(split == "test")
    train = np.flatnonzero(split == "train")
    assert 1 <= len(is_test) < len(train)
    if n_frames > 3:
        assert np.abs(train[:, None] - is_test[None, :]).min() > 1


def test_a_gap_is_measured_in_time_across_rejected_frames() -> None:
    time = np.concatenate([np.arange(0, 1500), np.arange(1800, 2300)]).astype(float)
    split = block_split(time, test_fraction=0.25, gap=400.0)
    assert smallest_gap(time, split) >= 400.0


def test_random_split_is_three_to_one_and_repeats_with_its_seed() -> None:
    first, again, other = (random_split(400, test_fraction=0.25, seed=(seed, 7)) for seed in (1, 1, 2))
    assert np.sum(first == "test") == 100
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_split_leaks_neighbours_in_time() -> None:
    time = np.arange(400.0)
    assert smallest_gap(time, random_split(400, test_fraction=0.25, seed=(1,))) == 1.0


def test_a_run_without_test_frames_has_no_gap() -> None:
    assert smallest_gap(np.arange(2.0), block_split(np.arange(2.0), test_fraction=0.25)) is None
