"""Distances of curves against hand formulas, and floors against how far samples of one melt really are apart."""

import numpy as np
import pytest

from operators.physics.agreement import (
    Estimate,
    curve_distances,
    floor_percent,
    judged,
    judged_difference,
    overlap_percent,
    wright_percent,
)


def test_measures_follow_their_formulas() -> None:
    one, reference = np.array([0.0, 1.5, 0.5]), np.array([0.0, 1.0, 1.0])
    assert overlap_percent(one, reference) == pytest.approx(75.0)
    assert wright_percent(one, reference) == pytest.approx(50.0)
    assert (overlap_percent(one, one), wright_percent(one, one)) == (100.0, 0.0)
    assert overlap_percent(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0.0


@pytest.mark.parametrize("longer", [1, 4])
def test_floors_are_how_far_samples_of_one_melt_are_apart(longer: int) -> None:
    rng = np.random.default_rng(longer)
    g = 1 + 0.8 * np.cos(np.linspace(0, 20, 4000)) ** 2
    halves = g + 0.02 * rng.normal(size=(2, 4000))
    other = g + 0.02 * rng.normal(size=4000) / np.sqrt(2 / longer)  # a `longer`-th of the reference run
    found = curve_distances(other, halves.mean(axis=0), halves=(halves[0], halves[1]), sample_ratio=float(longer))
    for distance in (found.l1, found.wright, found.not_shared):
        assert distance.percent == pytest.approx(distance.floor_percent, rel=0.06)


def test_a_wrong_curve_is_many_floors_away_by_every_measure() -> None:
    rng = np.random.default_rng(3)
    g = 1 + 0.8 * np.cos(np.linspace(0, 20, 4000)) ** 2
    halves = g + 0.01 * rng.normal(size=(2, 4000))
    found = curve_distances(g**1.2, g, halves=(halves[0], halves[1]))
    assert min(one.percent / one.floor_percent for one in (found.l1, found.wright, found.not_shared)) > 6
    assert judged(found.l1.percent, found.l1.floor_percent * np.sqrt(2), sampled_fs=1e4).verdict == "disagrees"


def test_a_short_simulation_has_a_higher_floor() -> None:
    assert floor_percent(2.0) == pytest.approx(np.sqrt(2))
    assert floor_percent(2.0, sample_ratio=3.0) == 2.0
    assert floor_percent(2.0, sample_ratio=0.0) == 1.0
    assert judged(3.5, 2.0, sampled_fs=1e4).verdict == "good"
    assert judged(3.5, 2.0, sampled_fs=1e4, sample_ratio=8.0).verdict == "indistinguishable"


def estimate(value: float, error: float) -> Estimate:
    return Estimate(value=value, error=error)


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.05, "indistinguishable"), (-0.12, "good"), (0.25, "visible"), (-0.4, "disagrees")]
)
def test_differences_are_judged_by_the_errors_of_both(shift: float, verdict: str) -> None:
    found = judged_difference(estimate(2.5 + shift, 0.03), estimate(2.5, 0.04), largest_error=0.1)
    assert (found.difference, found.error) == (pytest.approx(shift), pytest.approx(0.05))
    assert (found.z, found.verdict, found.reason) == (pytest.approx(abs(shift) / 0.05), verdict, None)


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ((np.nan, 0.1), "no error bar"),
        ((0.0, 0.0), "no scatter in either run"),
        ((0.3, 0.4), "standard error 0.5, above 0.2"),
    ],
)
def test_what_errors_cannot_judge_is_undecided_with_its_reason(errors: tuple[float, float], reason: str) -> None:
    found = judged_difference(estimate(2.0, errors[0]), estimate(1.0, errors[1]), largest_error=0.2)
    assert found.verdict == "undecided"
    assert reason in str(found.reason)


@pytest.mark.parametrize(
    ("between_halves", "sampled_fs", "reason"),
    [(0.0, 1e4, "no noise floor"), (60.0, 1e4, "above 25 %"), (2.0, 100.0, "run too short")],
)
def test_undecided_curves_say_why(between_halves: float, sampled_fs: float, reason: str) -> None:
    found = judged(5.0, between_halves, sampled_fs=sampled_fs)
    assert found.verdict == "undecided"
    assert reason in str(found.reason)
