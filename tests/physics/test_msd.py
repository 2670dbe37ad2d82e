"""Mean squared displacements against closed forms: free flight, oscillators, Brownian motion."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from operators.physics.msd import MeanSquaredDisplacement, mean_squared_displacement
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_AMU_ANGSTROM2_PER_FS2

CELL = np.array([[19.0, 0, 0], [4.0, 20.0, 0], [-2.0, 6.0, 21.0]])


def msd_of(positions: Floats, numbers: Floats | None = None, n_blocks: int = 0) -> MeanSquaredDisplacement:
    numbers = np.full(positions.shape[1], 29) if numbers is None else numbers
    cells = np.broadcast_to(CELL, (len(positions), 3, 3))
    time = np.arange(len(positions)) * 2.0
    return mean_squared_displacement(
        numbers, positions, cells=cells, time_fs=time, longest_lag_fs=100.0, n_blocks=n_blocks
    )


def brownian(n_frames: int, n_atoms: int, step: float, seed: int = 0) -> Floats:
    kicks = np.random.default_rng(seed).normal(0, step, (n_frames, n_atoms, 3))
    kicks -= kicks.mean(axis=1, keepdims=True)
    return np.cumsum(kicks, axis=0)


def test_free_flight_is_ballistic() -> None:
    flight = np.random.default_rng(1).normal(0, 0.01, (30, 3))
    msd = msd_of(np.arange(200)[:, None, None] * 2.0 * flight)
    peculiar = flight - flight.mean(axis=0)
    expected = np.square(peculiar).sum(axis=1).mean() * msd.lag_fs**2
    np.testing.assert_allclose(msd.msd_angstrom2[0], expected, rtol=1e-9, atol=1e-9)
    assert (msd.lag_fs[-1], msd.duration_fs) == (100.0, 398.0)


def test_oscillators_come_back() -> None:
    n_frames, n_atoms = 600, 12
    phases = 2 * np.pi * (np.arange(n_frames)[:, None] / 60 + np.arange(n_atoms) / n_atoms)
    msd = msd_of(np.cos(phases)[..., None] * np.array([0.3, -0.2, 0.1]))
    expected = 0.14 * (1 - np.cos(2 * np.pi * msd.lag_fs / 120))
    np.testing.assert_allclose(msd.msd_angstrom2[0], expected, atol=1e-9)


def test_an_einstein_crystal_is_displaced_by_its_temperature() -> None:
    rng, time, omega = np.random.default_rng(7), np.arange(1200) * 2.0, 2 * np.pi / 200
    numbers = np.full(2000, 13)
    of_component = BOLTZMANN_EV_PER_K * 900.0 / (masses_amu(numbers)[0] * EV_PER_AMU_ANGSTROM2_PER_FS2 * omega**2)
    amplitudes = rng.normal(0, np.sqrt(of_component), (2, 2000, 3))
    turns = omega * time[:, None, None]
    positions = rng.random((2000, 3)) @ CELL + amplitudes[0] * np.cos(turns) + amplitudes[1] * np.sin(turns)
    msd = msd_of(positions, numbers)
    # <|r(t) - r(0)|^2> = 6 kT / (m w^2) (1 - cos wt): over a period 6 kT / (m w^2), and none after it.
    expected = 6 * of_component * (1 - np.cos(omega * msd.lag_fs))
    np.testing.assert_allclose(msd.msd_angstrom2[0], expected, rtol=0.03, atol=1e-9)


def test_brownian_motion_is_linear_in_time_and_its_errors_are_true() -> None:
    msd = msd_of(brownian(4000, 100, 0.1), n_blocks=20)
    expected = 3 * 0.01 * 0.99 * msd.lag_fs / 2  # the centre of mass took a hundredth
    z = (msd.msd_angstrom2[0] - expected)[1:] / msd.msd_error_angstrom2[0, 1:]
    np.testing.assert_allclose(msd.msd_angstrom2[0], expected, rtol=0.05, atol=1e-12)
    assert msd.block_msd_angstrom2.shape == (20, 1, 51)
    assert np.sqrt(np.mean(z**2)) < 3.0


def test_all_time_origins_count() -> None:
    paths = brownian(203, 5, 0.05)
    msd = msd_of(paths, n_blocks=2)
    for lag in (1, 7, 50):
        apart = np.square(paths[lag:] - paths[:-lag]).sum(axis=2).mean(axis=1)
        assert msd.msd_angstrom2[0, lag] == pytest.approx(apart.mean())
        assert msd.block_msd_angstrom2[0, 0, lag] == pytest.approx(apart[:102].mean())


def test_msd_does_not_depend_on_wrapping_drift_order_or_direction() -> None:
    rng = np.random.default_rng(4)
    numbers = np.repeat([13, 28], 6)
    positions = brownian(120, 12, 0.3) + rng.random((12, 3)) @ CELL
    expected = msd_of(positions, numbers)
    inside = positions @ np.linalg.inv(CELL)
    wrapped = (inside - np.floor(inside)) @ CELL
    drifting = wrapped + 0.01 * np.arange(120)[:, None, None]
    order = rng.permutation(12)
    for same in (msd_of(drifting, numbers), msd_of(wrapped[:, order], numbers[order])):
        assert same.elements == ("Al", "Ni")
        np.testing.assert_allclose(same.msd_angstrom2, expected.msd_angstrom2, atol=1e-9)
    turn, time = Rotation.random(rng=rng).as_matrix(), np.arange(120) * 2.0
    turned = mean_squared_displacement(
        numbers, wrapped @ turn, cells=np.tile(CELL @ turn, (120, 1, 1)), time_fs=time, longest_lag_fs=100.0
    )
    np.testing.assert_allclose(turned.msd_angstrom2, expected.msd_angstrom2, atol=1e-9)


def test_a_breathing_cell_is_not_motion() -> None:
    cells = CELL * (1 + 0.01 * np.sin(np.arange(50.0) / 5))[:, None, None]
    positions = np.random.default_rng(5).random((8, 3)) @ cells
    msd = mean_squared_displacement(
        np.full(8, 29), positions, cells=cells, time_fs=np.arange(50.0), longest_lag_fs=20.0
    )
    np.testing.assert_allclose(msd.msd_angstrom2, 0.0, atol=1e-12)


def test_atoms_whose_image_cannot_be_told_are_refused() -> None:
    gas = np.random.default_rng(6).random((50, 8, 3)) @ CELL
    with pytest.raises(MeltlakeError, match=r"found one that moves by 0\.[45]\d: to which image"):
        msd_of(gas)


def test_three_frames_are_refused() -> None:
    with pytest.raises(MeltlakeError, match="needed 4 frames or more, found 3"):
        msd_of(brownian(3, 5, 0.1))
