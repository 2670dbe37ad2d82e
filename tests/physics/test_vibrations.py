"""Densities of states of motion whose spectrum is known: oscillators, Langevin particles, a Debye solid."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from operators.physics.vacf import Estimator, VelocityAutocorrelation, vacf_from_positions
from operators.physics.vibrations import VibrationalDensity, vibrational_density
from schemas.errors import MeltlakeError
from schemas.frames import Floats


def known(curve: Floats, lag_fs: Floats, estimator: Estimator = "velocities") -> VelocityAutocorrelation:
    curve = np.atleast_2d(curve)
    return VelocityAutocorrelation(
        elements=("Al", "Ni")[: len(curve)],
        lag_fs=lag_fs,
        vacf=curve,
        vacf_error=np.full_like(curve, np.nan),
        square_velocity=np.ones(len(curve)),
        block_vacf=curve[None],
        estimator=estimator,
    )


def n_modes(density: VibrationalDensity) -> Floats:
    modes: Floats = trapezoid(density.density_per_thz, density.frequency_thz, axis=1)
    return modes


def test_an_oscillator_is_one_line_of_three_modes() -> None:
    lag_fs = np.arange(0, 2001.0, 4.0)
    density = vibrational_density(known(np.cos(2 * np.pi * 0.0075 * lag_fs), lag_fs))
    [line] = density.density_per_thz
    assert density.frequency_thz[np.argmax(line)] == pytest.approx(7.5, abs=0.1)
    assert n_modes(density)[0] == pytest.approx(3.0, rel=0.01)
    wide = density.frequency_thz[line > 0.5 * line.max()]
    assert np.ptp(wide) == pytest.approx(density.resolution_thz, abs=0.15)


def test_langevin_particles_have_a_lorentzian() -> None:
    lag_fs = np.arange(0, 2001.0, 2.0)
    rate = 0.01  # per fs
    density = vibrational_density(known(np.exp(-rate * lag_fs), lag_fs))
    omega = 2 * np.pi * density.frequency_thz * 1e-3
    expected = 12 * rate / (rate**2 + omega**2) * 1e-3
    np.testing.assert_allclose(density.density_per_thz[0], expected, atol=0.03 * expected[0])
    assert n_modes(density)[0] == pytest.approx(3.0, rel=0.02)


def test_a_debye_solid_has_a_parabola() -> None:
    lag_fs = np.arange(0, 4001.0, 4.0)
    x = 2 * np.pi * 0.008 * lag_fs[1:]
    curve = np.concatenate([[1.0], 3 * ((x**2 - 2) * np.sin(x) + 2 * x * np.cos(x)) / x**3])
    density = vibrational_density(known(curve, lag_fs))
    expected = 9 * density.frequency_thz**2 / 8.0**3
    inside = (density.frequency_thz > 1.0) & (density.frequency_thz < 7.5)
    np.testing.assert_allclose(density.density_per_thz[0, inside], expected[inside], atol=0.02)
    assert n_modes(density)[0] == pytest.approx(3.0, rel=0.01)


def test_central_differences_are_divided_out() -> None:
    time = np.arange(0, 12_000.0, 5.0)
    phases = 2 * np.pi * np.arange(12) / 12
    slow, fast = (np.cos(2 * np.pi * time[:, None] * f + phases)[..., None] / f for f in (0.003, 0.012))
    cells = np.broadcast_to(np.eye(3) * 40, (len(time), 3, 3))
    positions = 1e-4 * (slow * np.array([1.0, 0, 0]) + fast * np.array([0, 1.0, 0]))
    vacf = vacf_from_positions(np.full(12, 13), positions, cells=cells, time_fs=time, longest_lag_fs=2000.0)
    density = vibrational_density(vacf)
    low = density.frequency_thz < 7.5
    modes = [trapezoid(density.density_per_thz[0, part], density.frequency_thz[part]) for part in (low, ~low)]
    assert modes == pytest.approx([1.5, 1.5], rel=0.02)
    assert density.frequency_thz[-1] < 45  # half of the spectrum is left at 44 THz, for frames every 5 fs


def test_the_melt_is_the_mean_over_its_atoms_and_short_functions_are_refused() -> None:
    lag_fs = np.arange(0, 2001.0, 4.0)
    density = vibrational_density(known(np.exp(-np.outer([0.01, 0.02], lag_fs)), lag_fs))
    total = density.of_all({"Al": 30, "Ni": 10})
    np.testing.assert_allclose(total, 0.75 * density.density_per_thz[0] + 0.25 * density.density_per_thz[1])
    with pytest.raises(MeltlakeError, match="needed 20 lags, found 10"):
        vibrational_density(known(np.ones(10), lag_fs[:10]))
