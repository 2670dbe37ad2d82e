"""Compositions as points: grids, distances, what is foretold between known ones, which to look at next."""

from math import comb

import numpy as np
import pytest

from operators.physics.composition_space import as_points, half_l1, interpolated, mixed, most_wanted, simplex_grid
from schemas.composition import half_l1_at_percent, parse_composition
from schemas.errors import MeltlakeError

CORNERS = 100 * np.eye(3)


@pytest.mark.parametrize(("n_elements", "step"), [(1, 5), (2, 5), (3, 5), (3, 20), (4, 10), (3, 12.5)])
def test_a_grid_has_every_composition_once(n_elements: int, step: float) -> None:
    points = simplex_grid(n_elements, step_at_percent=step)
    n_steps = round(100 / step)
    assert len(points) == comb(n_steps + n_elements - 1, n_elements - 1)
    assert len(np.unique(points, axis=0)) == len(points)
    np.testing.assert_allclose(points.sum(axis=1), 100)
    np.testing.assert_allclose(points / step, np.rint(points / step))


@pytest.mark.parametrize("step", [7.0, 0.0, -5.0, 150.0])
def test_a_step_that_does_not_divide_100_is_refused(step: float) -> None:
    with pytest.raises(MeltlakeError, match=f"needed a step that divides 100 at.%, found {step:g}"):
        simplex_grid(3, step_at_percent=step)


def test_too_many_compositions_are_refused() -> None:
    with pytest.raises(MeltlakeError, match=r"A grid of 6 elements in steps of 5 at.% has 53130 compositions"):
        simplex_grid(6, step_at_percent=5)


def test_distances_are_those_of_labels() -> None:
    labels = ["Al60Cu20Ni20", "Al50Cu25Ni25", "Ni100", "Al50Ni50"]
    points = as_points([parse_composition(label) for label in labels], ("Al", "Cu", "Ni"))
    expected = [[half_l1_at_percent(one, other) for other in labels] for one in labels]
    np.testing.assert_allclose(half_l1(points, points), expected)


def test_interpolation_is_exact_where_known_and_stays_between() -> None:
    known = np.concatenate([CORNERS, [[40, 30, 30]]])
    values = np.array([10.0, 20.0, 40.0, 5.0])
    np.testing.assert_allclose(interpolated(known, known, values=values), values, rtol=1e-9)
    between = interpolated(simplex_grid(3, step_at_percent=10), known, values=values)
    assert between.min() >= 5.0 - 1e-9
    assert between.max() <= 40.0 + 1e-9


def test_additive_volumes_are_foretold_exactly_everywhere() -> None:
    known = np.array([[60, 20, 20], [20, 60, 20], [20, 20, 60], [50, 50, 0]], dtype=float)
    own = np.array([19.4, 13.8, 12.9])
    points = simplex_grid(3, step_at_percent=10)
    np.testing.assert_allclose(mixed(points, known, values=known @ own / 100), points @ own / 100, rtol=1e-9)


def test_volumes_that_are_not_additive_are_exact_where_known() -> None:
    known = np.concatenate([CORNERS, [[50, 0, 50], [33, 34, 33]]])
    values = np.array([19.35, 13.77, 12.94, 15.26, 14.65])
    np.testing.assert_allclose(mixed(known, known, values=values), values, rtol=1e-9)


def test_one_known_melt_foretells_its_own_value() -> None:
    only = np.array([[100.0, 0.0]])
    np.testing.assert_allclose(mixed(simplex_grid(2, step_at_percent=50), only, values=np.array([16.0])), 16.0)


@pytest.mark.parametrize("foretold", [interpolated, mixed])
def test_nothing_is_foretold_from_nothing(foretold) -> None:
    with pytest.raises(MeltlakeError, match="needed one that is known, found none"):
        foretold(CORNERS, CORNERS[:0], values=np.array([]))


def test_the_most_wanted_are_far_from_what_is_known_and_from_each_other() -> None:
    points = simplex_grid(2, step_at_percent=10)
    chosen = most_wanted(points, np.array([[50.0, 50.0]]), weights=np.ones(len(points)), n_wanted=4)
    assert [(points[place].tolist(), distance) for place, _, distance in chosen[:2]] == [
        ([100.0, 0.0], 50.0),
        ([0.0, 100.0], 50.0),
    ]
    assert {distance for _, _, distance in chosen[2:]} == {20.0}
    scores = [score for _, score, _ in chosen]
    assert scores == sorted(scores, reverse=True)


def test_what_is_known_is_never_wanted() -> None:
    weights = np.array([1.0, 0.0, 1.0])
    chosen = most_wanted(CORNERS, CORNERS[:1], weights=weights, n_wanted=3)
    assert [place for place, _, _ in chosen] == [2]
    assert most_wanted(CORNERS, CORNERS, weights=np.ones(3), n_wanted=3) == []
