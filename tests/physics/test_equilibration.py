"""Where equilibrium begins: series whose correlation and relaxation are known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from operators.physics.equilibration import equilibrated_from, equilibration, statistical_inefficiency
from schemas.frames import Floats


def ar1(n_frames: int, tau: float, n_samples: int, seed: int = 1) -> Floats:
    """Series of unit variance whose correlation decays as exp(-t/tau): (n_samples, n_frames)."""
    decay = np.exp(-1 / tau)
    kicks = np.random.default_rng(seed).normal(size=(n_samples, n_frames)) * np.sqrt(1 - decay**2)
    kicks[:, 0] /= np.sqrt(1 - decay**2)
    series: Floats = lfilter([1.0], [1.0, -decay], kicks)
    return series


@pytest.mark.parametrize("tau", [1e-3, 2.0, 10.0, 50.0])
def test_statistical_inefficiency_of_a_known_memory(tau: float) -> None:
    decay = np.exp(-1 / tau)
    found = [statistical_inefficiency(series) for series in ar1(20_000, tau, 10)]
    assert np.mean(found) == pytest.approx((1 + decay) / (1 - decay), rel=0.1)


@pytest.mark.parametrize(("n_frames", "tau"), [(200, 1e-3), (2000, 1e-3), (2000, 10.0), (30_000, 50.0)])
def test_nothing_is_cut_off_what_is_in_equilibrium(n_frames: int, tau: float) -> None:
    starts = [equilibrated_from(series) / n_frames for series in ar1(n_frames, tau, 20)]
    assert np.median(starts) == 0
    assert np.mean(np.array(starts) > 0.05) <= 0.1


@pytest.mark.parametrize("n_frames", [2000, 20_000])
@pytest.mark.parametrize("amplitude", [20.0, 100.0])
def test_relaxation_is_cut_off_after_a_few_of_its_times(n_frames: int, amplitude: float) -> None:
    relaxation = n_frames / 20
    series = ar1(n_frames, 5.0, 20) + amplitude * np.exp(-np.arange(n_frames) / relaxation)
    starts = np.array([equilibrated_from(one) / relaxation for one in series])
    assert np.median(starts) == pytest.approx(np.log(amplitude), abs=0.7)
    assert starts.max() < np.log(amplitude) + 3


def test_the_slowest_series_decides_and_silent_ones_do_not() -> None:
    settled, slow = ar1(2000, 5.0, 2)
    relaxing = slow + 50 * np.exp(-np.arange(2000) / 100)
    found = equilibration([settled, relaxing, np.full(2000, np.nan), np.full(2000, 7.3)])
    assert found.start == equilibrated_from(relaxing) > 200
    assert 100 < found.n_independent < 250


@pytest.mark.parametrize("series", [np.full(500, np.nan), np.full(500, -2.7), np.arange(19.0), np.empty(0)])
def test_of_a_series_without_a_message_nothing_is_cut_off(series: Floats) -> None:
    found = equilibration([series])
    assert (found.start, equilibrated_from(series)) == (0, 0)
    assert np.isnan(found.n_independent)


def test_a_drift_is_not_worth_more_than_three_values() -> None:
    found = equilibration([np.arange(1000.0) + 0.1 * ar1(1000, 5.0, 1)[0]])
    assert found.n_independent <= 3


def test_rejected_frames_are_gaps() -> None:
    series = ar1(3000, 5.0, 1)[0] + 50 * np.exp(-np.arange(3000) / 100)
    gappy = np.where(np.random.default_rng(2).random(3000) < 0.1, np.nan, series)
    assert equilibrated_from(gappy) == pytest.approx(equilibrated_from(series), abs=150)
    assert statistical_inefficiency(gappy[600:]) == pytest.approx(statistical_inefficiency(series[600:]), rel=0.2)
