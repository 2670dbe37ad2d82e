"""Viscosities of made-up stress whose integral is known, and the runs that are too short for one."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from operators.physics.viscosity import (
    StressAutocorrelation,
    needed_duration_fs,
    pressure_tensors_gpa,
    stress_autocorrelation,
    viscosity,
)
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_AMU_ANGSTROM2_PER_FS2, GPA_PER_EV_PER_ANGSTROM3

VOLUME, TEMPERATURE, STEP_FS = 7500.0, 1673.0, 5.0
SPREAD_GPA, MEMORY_FS = 0.8, 80.0
KNOWN_MPA_S = VOLUME * 1e-30 * (SPREAD_GPA * 1e9) ** 2 * MEMORY_FS * 1e-15 / (1.380649e-23 * TEMPERATURE) * 1e3


def stress(n_frames: int, seed: int = 0, memory_fs: float = MEMORY_FS) -> Floats:
    """Isotropic Gaussian tensors with <P_xy(0) P_xy(t)> = spread^2 exp(-t / memory), and a pressure of their own."""
    decay = np.exp(-STEP_FS / memory_fs)
    kicks = np.random.default_rng(seed).normal(size=(n_frames, 3, 3)) * np.sqrt(1 - decay**2)
    kicks[0] /= np.sqrt(1 - decay**2)
    series = lfilter([1.0], [1.0, -decay], kicks, axis=0) * SPREAD_GPA * np.sqrt(2)
    symmetric: Floats = 0.5 * (series + np.swapaxes(series, 1, 2))
    return symmetric + 3.0 * np.eye(3)


def correlation(pressures: Floats) -> StressAutocorrelation:
    time = np.arange(len(pressures)) * STEP_FS
    return stress_autocorrelation(pressures, time_fs=time, volume_angstrom3=VOLUME, temperature_k=TEMPERATURE)


def test_viscosity_of_a_maxwell_liquid_is_known() -> None:
    found = viscosity(correlation(stress(200_000)))
    assert found.reason is None
    assert found.viscosity_mpa_s is not None
    assert found.error_mpa_s is not None
    assert found.integrated_to_fs == pytest.approx(10 * MEMORY_FS, rel=0.1)
    assert abs(found.viscosity_mpa_s - KNOWN_MPA_S) < 3.5 * found.error_mpa_s
    predicted = 2 * np.sqrt(found.integrated_to_fs / (5 * 200_000 * STEP_FS))
    assert 0.4 < found.error_mpa_s / KNOWN_MPA_S / predicted < 2.0


def test_errors_of_viscosities_are_their_scatter() -> None:
    found = [viscosity(correlation(stress(20_000, seed))) for seed in range(40)]
    values = np.array([one.viscosity_mpa_s for one in found], dtype=float)
    errors = np.array([one.error_mpa_s for one in found], dtype=float)
    assert values.mean() == pytest.approx(KNOWN_MPA_S, abs=3.5 * values.std() / np.sqrt(40))
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.4)
    assert 2 * np.sqrt(10 * MEMORY_FS / (5 * 20_000 * STEP_FS)) == pytest.approx(values.std() / KNOWN_MPA_S, rel=0.4)


def test_all_five_components_count_alike() -> None:
    pressures = stress(4000)
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    expected = correlation(pressures).gpa2
    np.testing.assert_allclose(correlation(turn @ pressures @ turn.T).gpa2, expected, rtol=1e-9)
    np.testing.assert_allclose(correlation(pressures + 9 * np.eye(3)).gpa2, expected, rtol=1e-9)
    of_xy = [np.mean(pressures[: 4000 - lag, 0, 1] * pressures[lag:, 0, 1]) for lag in range(20)]
    np.testing.assert_allclose(expected[:20], of_xy, atol=0.2 * expected[0])


def test_a_run_too_short_for_its_memory_is_refused_with_what_it_needs() -> None:
    found = viscosity(correlation(stress(8000)))
    assert found.viscosity_mpa_s is None
    assert found.needed_fs == needed_duration_fs(found.integrated_to_fs or 0.0)
    assert 40_000 < found.needed_fs < 90_000
    assert "ps was needed" in str(found.reason)
    assert "found it for 40 ps" in str(found.reason)


def test_replicas_are_worth_their_sum() -> None:
    replicas = [correlation(stress(8000, seed)) for seed in range(4)]
    merged = StressAutocorrelation.merged(replicas)
    found = viscosity(merged)
    assert (merged.duration_fs, merged.block_gpa2.shape[0]) == (160_000.0, 40)
    assert found.viscosity_mpa_s == pytest.approx(KNOWN_MPA_S, rel=0.25)
    with pytest.raises(MeltlakeError, match="one time between frames, found none"):
        StressAutocorrelation.merged([])
    with pytest.raises(MeltlakeError, match="of about one length, found 8 to 40 ps"):
        StressAutocorrelation.merged([replicas[0], correlation(stress(1600))])


def test_a_solid_has_no_viscosity() -> None:
    frozen = stress(4000) + 2.0 * (np.eye(3)[[1, 0, 2]] - np.diag([0, 0, 1.0]))
    assert "found one that does not" in str(viscosity(correlation(frozen)).reason)
    assert "found none" in str(viscosity(correlation(np.tile(np.eye(3), (400, 1, 1)))).reason)


def test_stress_that_is_saved_too_seldom_is_refused() -> None:
    assert "found it to lose" in str(viscosity(correlation(stress(20_000, memory_fs=6.0))).reason)
    with pytest.raises(MeltlakeError, match="needed 40 frames or more, found 39"):
        correlation(stress(39))
    with pytest.raises(MeltlakeError, match="found some without"):
        correlation(np.where(np.arange(400)[:, None, None] == 7, np.nan, stress(400)))


def test_pressure_of_an_ideal_gas_is_its_kinetic_part() -> None:
    sigma = np.sqrt(BOLTZMANN_EV_PER_K * 1000 / 27.0 / EV_PER_AMU_ANGSTROM2_PER_FS2)
    velocities = np.random.default_rng(2).normal(0, sigma, (400, 200, 3)) + 0.1
    cells = np.tile(np.eye(3) * 20.0, (400, 1, 1))
    tensors = pressure_tensors_gpa(np.zeros((400, 3, 3)), cells, masses_amu=np.full(200, 27.0), velocities=velocities)
    expected = 199 * BOLTZMANN_EV_PER_K * 1000 / 8000 * GPA_PER_EV_PER_ANGSTROM3
    np.testing.assert_allclose(tensors.mean(axis=0), expected * np.eye(3), atol=0.02 * expected)
