"""Committees in closed form: what their potentials disagree in, and what that is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.physics.committee import calibration, disagreement, pooled, true_error
from schemas.errors import MeltlakeError

RNG = np.random.default_rng(5)
TRUTH = (RNG.normal(size=7), RNG.normal(size=(7, 5, 3)), RNG.normal(size=(7, 3, 3)))


def shifted(by: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(part + by for part in TRUTH)  # type: ignore[return-value]


def test_potentials_that_say_the_same_do_not_disagree_however_wrong_they_are() -> None:
    spread, error = disagreement([shifted(0.3)] * 4), true_error([shifted(0.3)] * 4, TRUTH)
    assert spread.max_force_ev_per_angstrom == pytest.approx(np.zeros(7), abs=1e-12)
    assert error.force_ev_per_angstrom == pytest.approx(np.full(7, 0.3))
    assert error.max_force_ev_per_angstrom == pytest.approx(np.full(7, 0.3 * 3**0.5))
    assert error.energy_ev_per_atom == pytest.approx(np.full(7, 0.3 / 5))


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=6))
def test_error_is_deviation_and_common_error_in_quadrature(shifts: list[float]) -> None:
    predictions = [shifted(by) for by in shifts]
    spread, error = disagreement(predictions), true_error(predictions, TRUTH)
    common = np.mean(shifts)
    for name, size in (("force_ev_per_angstrom", 1), ("energy_ev_per_atom", 5), ("virial_ev_per_atom", 5)):
        expected = np.sqrt(getattr(spread, name) ** 2 + (common / size) ** 2)
        np.testing.assert_allclose(getattr(error, name), expected, atol=1e-7)


def test_the_order_of_potentials_does_not_matter() -> None:
    predictions = [shifted(by) for by in (0.1, -0.4, 0.2)]
    one, other = disagreement(predictions), disagreement(predictions[::-1])
    np.testing.assert_allclose(one.max_force_ev_per_angstrom, other.max_force_ev_per_angstrom, rtol=1e-13)


def test_independent_potentials_around_the_truth_are_well_calibrated() -> None:
    """Of M of them, the error is sqrt(M / (M - 1)) deviations, whatever a frame's own scale is."""
    rng, n_potentials = np.random.default_rng(1), 4
    scales = rng.uniform(0.02, 0.2, 200)[:, None, None]
    truth = (np.zeros(200), np.zeros((200, 50, 3)), np.zeros((200, 3, 3)))
    predictions = [
        (np.zeros(200), scales * rng.normal(size=(200, 50, 3)), np.zeros((200, 3, 3))) for _ in range(n_potentials)
    ]
    spread, error = disagreement(predictions), true_error(predictions, truth)
    found = calibration(spread.force_ev_per_angstrom, error.force_ev_per_angstrom, weights=np.ones(200))
    assert found.error_over_deviation == pytest.approx((n_potentials / (n_potentials - 1)) ** 0.5, rel=0.02)
    assert found.correlation > 0.99
    assert (found.within_2_deviations_frac, found.within_3_deviations_frac) == (1.0, 1.0)
    assert found.deviations_for_95_percent == pytest.approx(1.2, abs=0.1)


def test_a_common_error_is_seen_in_the_calibration() -> None:
    deviation, error = np.full(100, 0.1), np.concatenate([np.full(96, 0.15), np.full(4, 0.5)])
    found = calibration(deviation, error, weights=np.ones(100))
    assert (found.within_2_deviations_frac, found.within_3_deviations_frac) == (0.96, 0.96)
    assert found.deviations_for_95_percent == pytest.approx(1.5)
    assert np.isnan(found.correlation)


def test_a_pool_weighs_frames_by_their_atoms_and_leaves_out_what_is_not_known() -> None:
    assert pooled(np.array([3.0, 4.0, np.nan]), np.array([1.0, 3.0, 9.0])) == pytest.approx(((9 + 3 * 16) / 4) ** 0.5)
    assert np.isnan(pooled(np.array([np.nan]), np.ones(1)))


def test_one_potential_is_no_committee() -> None:
    with pytest.raises(MeltlakeError, match="needed two potentials or more, found 1"):
        disagreement([TRUTH])
