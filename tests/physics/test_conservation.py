"""Drift, temperature and fluctuations of series that are known."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import chi2

from operators.physics.drift import drift
from operators.physics.fluctuations import energy_virial_correlation
from operators.physics.temperature import runaway_temperature_k, temperature_offset
from operators.physics.thermodynamics import canonical_spread_k
from schemas.frames import Floats


def ar1(n_frames: int, tau: float, n_samples: int) -> Floats:
    """Series of unit variance whose correlation decays as exp(-t/tau): (n_samples, n_frames)."""
    decay = np.exp(-1 / tau)
    kicks = np.random.default_rng(1).normal(size=(n_samples, n_frames)) * np.sqrt(1 - decay**2)
    kicks[:, 0] /= np.sqrt(1 - decay**2)
    series: Floats = lfilter([1.0], [1.0, -decay], kicks)
    return series


@pytest.mark.parametrize("tau", [1e-3, 10.0])
@pytest.mark.parametrize("per_ps", [0.0, -0.7])
def test_a_drift_is_found_within_its_error(tau: float, per_ps: float) -> None:
    time_fs = np.arange(2000) * 2.0
    noise = ar1(2000, tau, 100)
    found = [drift(0.1 * (per_ps * time_fs / 1e3 + one), time_fs, n_atoms=100) for one in noise]
    off = np.array([one.mev_per_atom_per_ps - per_ps for one in found])
    errors = np.array([one.error_mev_per_atom_per_ps for one in found])
    assert np.sqrt(np.mean((off / errors) ** 2)) == pytest.approx(1, abs=0.3)


def test_a_straight_line_has_a_slope_without_error() -> None:
    time_fs = np.arange(500.0)
    found = drift(-1000 + 0.256 * time_fs / 1e3, time_fs, n_atoms=256)
    assert found.mev_per_atom_per_ps == pytest.approx(1.0)
    assert found.error_mev_per_atom_per_ps == pytest.approx(0, abs=1e-6)


def test_drift_skips_missing_frames_and_needs_a_time_axis() -> None:
    time_fs = np.arange(500.0)
    conserved = np.where(np.arange(500) % 7 == 0, np.nan, 0.1 * time_fs / 1e3)
    assert drift(conserved, time_fs, n_atoms=100).mev_per_atom_per_ps == pytest.approx(1.0)
    for nothing in (drift(conserved, np.full(500, np.nan), n_atoms=100), drift(conserved[:2], time_fs[:2], n_atoms=1)):
        assert np.isnan([nothing.mev_per_atom_per_ps, nothing.error_mev_per_atom_per_ps]).all()


def test_a_restart_that_begins_at_another_level_is_no_drift() -> None:
    segment = np.repeat([0, 1], [700, 300])
    conserved = 5.0 * segment + 0.1 * np.arange(1000.0) / 1e3
    together, apart = (drift(conserved, np.arange(1000.0), n_atoms=100, segment=one) for one in (None, segment))
    assert abs(together.mev_per_atom_per_ps) > 10
    assert apart.mev_per_atom_per_ps == pytest.approx(1.0)


@pytest.mark.parametrize("tau", [1e-3, 20.0])
def test_temperatures_of_the_canonical_ensemble_are_within_the_width(tau: float) -> None:
    n_atoms, target = 512, 1673.0
    series = target + canonical_spread_k(target, n_atoms=n_atoms) * ar1(4000, tau, 100)
    z = np.array([temperature_offset(one, target, n_atoms=n_atoms).z for one in series])
    assert np.abs(z).max() < 4
    hot = [temperature_offset(one + 60, target, n_atoms=n_atoms).z for one in series]
    assert min(hot) > 4


def test_either_count_of_degrees_of_freedom_is_within_the_width() -> None:
    series = 1000 + canonical_spread_k(1000, n_atoms=32) * ar1(20_000, 5.0, 1)[0]
    assert abs(temperature_offset(series * 32 / 31, 1000.0, n_atoms=32).z) < 2


@pytest.mark.parametrize("series", [np.full(50, np.nan), np.linspace(300, 400, 50), np.empty(0)])
def test_a_mean_temperature_needs_independent_values(series: Floats) -> None:
    assert np.isnan(temperature_offset(series, 300.0, n_atoms=100).z)


@pytest.mark.parametrize("n_atoms", [8, 64, 512, 4096])
def test_runaway_scales_with_the_number_of_atoms(n_atoms: int) -> None:
    freedom = 3 * (n_atoms - 1)
    limit = runaway_temperature_k(1000.0, n_atoms=n_atoms)
    assert limit == pytest.approx(1.5 * 1000 * chi2.isf(9.866e-10, freedom) / freedom, rel=0.03)
    assert limit > 1500


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 0.9), (-1.0, -0.9)])
def test_energy_and_virial_fluctuate_together_despite_a_drift(sign: float, expected: float) -> None:
    common, own = ar1(2000, 5.0, 2)
    trace = sign * (0.9 * common + np.sqrt(1 - 0.81) * own) - 0.01 * np.arange(2000)
    found = energy_virial_correlation(common + 0.01 * np.arange(2000), trace)
    assert found.value == pytest.approx(expected, abs=0.03)
    assert found.n_independent > 500


@pytest.mark.parametrize("energy", [np.full(100, np.nan), np.zeros(100), np.arange(2.0)])
def test_no_fluctuation_no_correlation(energy: Floats) -> None:
    traces = np.random.default_rng(2).normal(size=len(energy))
    assert np.isnan(energy_virial_correlation(energy, traces).value)
