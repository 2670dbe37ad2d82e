"""Velocity autocorrelations against closed forms: oscillators, free flight, Langevin particles."""

import numpy as np
import pytest

from operators.physics.motion import sampling_fs
from operators.physics.msd import mean_squared_displacement
from operators.physics.vacf import (
    VelocityAutocorrelation,
    central_difference_velocities,
    vacf_from_positions,
    vacf_from_velocities,
)
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_AMU_ANGSTROM2_PER_FS2

CELL = np.array([[9.0, 0, 0], [2.0, 10.0, 0], [-1.0, 3.0, 11.0]])
OMEGA = 2 * np.pi / 120.0  # per fs


def oscillators(time: Floats, n_atoms: int = 12) -> tuple[Floats, Floats]:
    """Evenly spaced phases: the centre of mass rests, and every time average is exact."""
    phase = OMEGA * time[:, None] + 2 * np.pi * np.arange(n_atoms) / n_atoms
    along = np.array([0.3, -0.2, 0.1])
    return np.cos(phase)[..., None] * along, -OMEGA * np.sin(phase)[..., None] * along


def of_positions(positions: Floats, time: Floats, numbers: Floats | None = None) -> VelocityAutocorrelation:
    numbers = np.full(positions.shape[1], 29) if numbers is None else numbers
    cells = np.broadcast_to(CELL, (len(time), 3, 3))
    return vacf_from_positions(numbers, positions, cells=cells, time_fs=time, longest_lag_fs=200.0)


def test_vacf_of_harmonic_oscillators_is_a_cosine() -> None:
    time = np.arange(0, 1000.0, 2.0)
    _, velocities = oscillators(time)
    vacf = vacf_from_velocities(np.full(12, 29), velocities, time_fs=time, longest_lag_fs=200.0)
    np.testing.assert_allclose(vacf.vacf[0], np.cos(OMEGA * vacf.lag_fs), atol=1e-9)
    assert vacf.square_velocity[0] == pytest.approx(0.5 * OMEGA**2 * 0.14)
    assert (vacf.lag_fs[0], vacf.lag_fs[-1], vacf.estimator) == (0.0, 200.0, "velocities")


def test_central_differences_damp_fast_motion_as_known() -> None:
    time = np.arange(0, 1000.0, 5.0)
    positions, _ = oscillators(time)
    vacf = of_positions(positions, time)
    np.testing.assert_allclose(vacf.vacf[0], np.cos(OMEGA * vacf.lag_fs), atol=1e-9)
    damping = (np.sin(OMEGA * 5) / (OMEGA * 5)) ** 2
    assert vacf.square_velocity[0] == pytest.approx(0.5 * OMEGA**2 * 0.14 * damping)
    assert vacf.estimator == "central_differences"


def test_free_flight_never_forgets() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(200.0)
    flight = rng.normal(0, 0.01, (30, 3))
    vacf = of_positions(rng.random((30, 3)) @ CELL + time[:, None, None] * flight, time)
    np.testing.assert_allclose(vacf.vacf, 1.0, atol=1e-9)
    peculiar = flight - flight.mean(axis=0)
    assert vacf.square_velocity[0] == pytest.approx(np.square(peculiar).sum(axis=1).mean())


@pytest.mark.parametrize("cell", [np.eye(3) * 10.0, CELL], ids=["cubic", "triclinic"])
def test_thermal_flight_has_the_speed_of_its_temperature(cell: Floats) -> None:
    rng, n_atoms = np.random.default_rng(6), 20_000
    numbers, time = np.tile([13, 28], n_atoms // 2), np.arange(0, 12.0, 1.0)
    of_component = BOLTZMANN_EV_PER_K * 1600.0 / (masses_amu(numbers) * EV_PER_AMU_ANGSTROM2_PER_FS2)
    flight = rng.normal(size=(n_atoms, 3)) * np.sqrt(of_component)[:, None]
    inside = rng.random((n_atoms, 3)) + time[:, None, None] * (flight @ np.linalg.inv(cell))
    cells = np.broadcast_to(cell, (len(time), 3, 3))
    run = {"cells": cells, "time_fs": time}
    positions = (inside - np.floor(inside)) @ cell
    vacf = vacf_from_positions(numbers, positions, longest_lag_fs=2.0, **run)
    msd = mean_squared_displacement(numbers, positions, longest_lag_fs=5.0, **run)
    expected = 3 * of_component[[0, 1]]  # 3 kT / m
    np.testing.assert_allclose(vacf.square_velocity, expected, rtol=0.03)
    np.testing.assert_allclose(msd.msd_angstrom2, vacf.square_velocity[:, None] * msd.lag_fs**2, rtol=1e-6, atol=1e-12)


def test_langevin_particles_forget_exponentially() -> None:
    rng = np.random.default_rng(2)
    decay = np.exp(-0.02 * 2.0)
    velocities = np.empty((2000, 300, 3))
    velocities[0] = rng.normal(size=(300, 3))
    for step in range(1, 2000):
        velocities[step] = decay * velocities[step - 1] + np.sqrt(1 - decay**2) * rng.normal(size=(300, 3))
    vacf = vacf_from_velocities(
        np.full(300, 29), velocities, time_fs=np.arange(2000) * 2.0, longest_lag_fs=200.0, n_blocks=10
    )
    np.testing.assert_allclose(vacf.vacf[0], np.exp(-0.02 * vacf.lag_fs), atol=0.02)
    z = (vacf.vacf[0] - np.exp(-0.02 * vacf.lag_fs))[1:] / vacf.vacf_error[0, 1:]
    assert 0.2 < np.sqrt(np.mean(z**2)) < 3.0


def test_all_time_origins_count() -> None:
    velocities = np.random.default_rng(3).normal(size=(103, 5, 3))
    velocities -= velocities.mean(axis=1)[:, None]
    vacf = vacf_from_velocities(np.full(5, 29), velocities, time_fs=np.arange(103.0), longest_lag_fs=20.0)
    expected = [np.mean(np.sum(velocities[: 103 - lag] * velocities[lag:], axis=2)) for lag in range(21)]
    np.testing.assert_allclose(vacf.vacf[0] * vacf.square_velocity[0], expected, atol=1e-12)


def test_vacf_does_not_depend_on_wrapping_drift_or_order() -> None:
    rng = np.random.default_rng(4)
    time = np.arange(120.0)
    numbers = np.repeat([13, 28], 6)
    positions = np.cumsum(rng.normal(0, 0.02, (120, 12, 3)), axis=0) + rng.random((12, 3)) @ CELL
    expected = of_positions(positions, time, numbers)
    inside = positions @ np.linalg.inv(CELL)
    wrapped = (inside - np.floor(inside)) @ CELL
    drifting = wrapped + 0.01 * time[:, None, None]
    order = rng.permutation(12)
    for same in (of_positions(drifting, time, numbers), of_positions(wrapped[:, order], time, numbers[order])):
        assert same.elements == ("Al", "Ni")
        np.testing.assert_allclose(same.vacf, expected.vacf, atol=1e-9)


def test_a_breathing_cell_is_not_motion() -> None:
    cells = CELL * (1 + 0.01 * np.sin(np.arange(50.0) / 5))[:, None, None]
    positions = np.random.default_rng(5).random((8, 3)) @ cells
    velocities = central_difference_velocities(positions, cells, masses_amu=np.ones(8), step_fs=1.0)
    np.testing.assert_allclose(velocities, 0.0, atol=1e-12)


def test_atoms_that_never_move_are_refused() -> None:
    still = np.tile(np.random.default_rng(5).random((8, 3)), (50, 1, 1))
    with pytest.raises(MeltlakeError, match="needed moving atoms"):
        of_positions(still, np.arange(50.0))


def test_an_element_that_is_held_has_no_normalised_noise() -> None:
    """Atoms of aluminium swing, those of nickel are written with the same digits in every frame."""
    time, numbers = np.arange(50.0), np.array([13] * 4 + [28] * 4)
    at = np.tile(np.random.default_rng(5).random((8, 3)), (50, 1, 1))
    swing = 0.1 * np.sin(time)[:, None]
    at[:, 0], at[:, 1] = at[:, 0] + swing, at[:, 1] - swing
    with pytest.raises(MeltlakeError, match="of each element, found Ni at rest"):
        vacf_from_positions(numbers, at, cells=np.tile(CELL, (50, 1, 1)), time_fs=time, longest_lag_fs=10.0)


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0])
def test_broken_cells_are_refused(broken: float) -> None:
    time = np.arange(40.0)
    cells = np.tile(CELL, (40, 1, 1))
    cells[20] = broken
    with pytest.raises(MeltlakeError, match="needed every position and cell"):
        vacf_from_positions(np.full(12, 29), oscillators(time)[0], cells=cells, time_fs=time, longest_lag_fs=20.0)


def test_a_run_without_independent_blocks_has_no_errors() -> None:
    time = np.arange(0, 1000.0, 2.0)
    assert np.isnan(of_positions(oscillators(time)[0], time).vacf_error).all()


def test_runs_pasted_together_are_refused() -> None:
    time = np.arange(0, 400.0, 2.0)
    positions, _ = oscillators(time)
    pasted = np.concatenate([positions[:90], positions[120:]])
    with pytest.raises(MeltlakeError, match=r"jump near frame (89|90)"):
        of_positions(pasted, time[:170])


@pytest.mark.parametrize("time", [[0, 1, 2, 4, 5], [0, 1, 2, 2, 3], [0, 1, 0, 1, 2]])
def test_a_gap_or_overlap_is_refused(time: list[float]) -> None:
    with pytest.raises(MeltlakeError, match=r"needed frames every 1 fs, found .* between frames"):
        sampling_fs(np.array(time, dtype=float))


def test_a_run_without_time_or_of_three_frames_is_refused() -> None:
    with pytest.raises(MeltlakeError, match="needed frames on a time axis"):
        sampling_fs(np.full(5, np.nan))
    with pytest.raises(MeltlakeError, match="at 4 frames or more, found 1"):
        of_positions(np.random.default_rng(6).random((3, 2, 3)), np.arange(3.0))
