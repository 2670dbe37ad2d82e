"""Distances of curves against hand formulas, and floors against how far samples of one melt really are apart."""

from dataclasses import replace

import numpy as np
import pytest

from operators.physics.agreement import (
    curve_distances,
    floor_percent,
    judged,
    overlap_percent,
    peak_shift,
    wright_percent,
)
from operators.physics.first_shell import FirstShell
from operators.physics.short_range_order import ShortRangeOrder


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
    found = curve_distances(other, halves.mean(axis=0), halves=(halves[0], halves[1]), length_ratio=float(longer))
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
    assert floor_percent(2.0, length_ratio=3.0) == 2.0
    assert floor_percent(2.0, length_ratio=0.0) == 1.0
    assert judged(3.5, 2.0, sampled_fs=1e4).verdict == "good"
    assert judged(3.5, 2.0, sampled_fs=1e4, length_ratio=8.0).verdict == "indistinguishable"


def test_peaks_shift_by_their_difference_and_errors_add_in_squares() -> None:
    order = ShortRangeOrder(
        pair="Al-Ni",
        warren_cowley=-0.16,
        coordination=4.0,
        first_peak_angstrom=2.52,
        first_peak_height=3.8,
        r_min_angstrom=3.6,
    )
    names = ("warren_cowley_error", "coordination_error", "first_peak_error_angstrom", "first_peak_height_error",
             "r_min_error_angstrom", "own_coordination", "own_coordination_error", "own_r_min_angstrom",
             "own_r_min_error_angstrom")  # fmt: skip
    one = FirstShell(order=order, **dict.fromkeys(names, 0.03))
    other = replace(
        one, order=replace(order, first_peak_angstrom=2.5, first_peak_height=4.0), first_peak_error_angstrom=0.04
    )
    found = peak_shift(one, other)
    assert (found.position_angstrom, found.height) == (pytest.approx(0.02), pytest.approx(-0.2))
    assert found.position_error_angstrom == pytest.approx(0.05)
    assert found.height_error == pytest.approx(0.03 * np.sqrt(2))
