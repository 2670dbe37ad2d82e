"""Diffusion coefficients of motion whose coefficient is known: Langevin particles, oscillators, free flight."""

import numpy as np
import pytest

from operators.physics.diffusion import (
    Diffusion,
    Viscous,
    Window,
    einstein_diffusion,
    fit_window,
    green_kubo_diffusion,
    in_an_infinite_cell,
    of_replicas,
    running_diffusion,
)
from operators.physics.msd import MeanSquaredDisplacement, mean_squared_displacement
from operators.physics.vacf import VelocityAutocorrelation, vacf_from_positions, vacf_from_velocities
from schemas.errors import MeltlakeError
from schemas.frames import Floats

STEP_FS = 4.0
FRICTION_PER_FS = 0.01
SPEED = 0.005  # Angstrom/fs, of each component
KNOWN = SPEED**2 / FRICTION_PER_FS * 1000  # Angstrom^2/ps: D = kT / (m gamma)


@pytest.fixture(scope="module")
def langevin() -> tuple[Floats, Floats]:
    """Positions and velocities of free Langevin particles, by the exact propagator of both."""
    rng = np.random.default_rng(3)
    n_frames, n_atoms, x = 10_000, 200, FRICTION_PER_FS * STEP_FS
    decay, reach = np.exp(-x), (1 - np.exp(-x)) / FRICTION_PER_FS
    var_v, var_r = SPEED**2 * (1 - decay**2), SPEED**2 / FRICTION_PER_FS**2 * (2 * x - 3 + 4 * decay - decay**2)
    covariance = SPEED**2 / FRICTION_PER_FS * (1 - decay) ** 2
    root = np.linalg.cholesky([[var_v, covariance], [covariance, var_r]])
    velocity, moves, velocities = rng.normal(0, SPEED, (n_atoms, 3)), [], []
    for _ in range(n_frames):
        velocities.append(velocity)
        kick = np.tensordot(root, rng.normal(size=(2, n_atoms, 3)), 1)
        moves.append(reach * velocity + kick[1])
        velocity = decay * velocity + kick[0]
    return np.cumsum(moves, axis=0), np.array(velocities)


def msd_of(positions: Floats, n_blocks: int = 0) -> MeanSquaredDisplacement:
    time, cells = np.arange(len(positions)) * STEP_FS, np.broadcast_to(np.eye(3) * 50, (len(positions), 3, 3))
    numbers = np.full(positions.shape[1], 13)
    return mean_squared_displacement(
        numbers, positions, cells=cells, time_fs=time, longest_lag_fs=fit_window(time[-1]).until_fs, n_blocks=n_blocks
    )


def vacf_of(velocities: Floats, n_blocks: int = 0, longest_lag_fs: float = 2000.0) -> VelocityAutocorrelation:
    return vacf_from_velocities(
        np.full(velocities.shape[1], 13),
        velocities,
        time_fs=np.arange(len(velocities)) * STEP_FS,
        longest_lag_fs=longest_lag_fs,
        n_blocks=n_blocks,
    )


def value(diffusion: Diffusion) -> float:
    assert diffusion.reason is None
    assert diffusion.diffusion_angstrom2_per_ps is not None
    return diffusion.diffusion_angstrom2_per_ps


def test_einstein_finds_the_diffusion_of_langevin_particles(langevin: tuple[Floats, Floats]) -> None:
    [found] = einstein_diffusion(msd_of(langevin[0], n_blocks=10))
    assert found.window == Window(from_fs=1000.0, until_fs=39_996 / 8)
    assert found.error_angstrom2_per_ps is not None
    assert 0.005 < found.error_angstrom2_per_ps / KNOWN < 0.06
    assert abs(value(found) - KNOWN * 199 / 200) < 3.5 * found.error_angstrom2_per_ps


def test_green_and_kubo_agree_with_einstein(langevin: tuple[Floats, Floats]) -> None:
    [slope] = einstein_diffusion(msd_of(langevin[0]))
    [integral] = green_kubo_diffusion(vacf_of(langevin[1], n_blocks=8), until_fs=2000.0)
    assert integral.error_angstrom2_per_ps is not None
    assert abs(value(integral) - KNOWN) < 3.5 * integral.error_angstrom2_per_ps
    assert value(integral) == pytest.approx(value(slope), rel=0.1)


def test_central_differences_lose_no_diffusion(langevin: tuple[Floats, Floats]) -> None:
    cells = np.broadcast_to(np.eye(3) * 50, (10_000, 3, 3))
    time = np.arange(10_000) * STEP_FS
    numbers = np.full(200, 13)
    vacf = vacf_from_positions(numbers, langevin[0], cells=cells, time_fs=time, longest_lag_fs=2000.0)
    [damped], [true] = (green_kubo_diffusion(one, until_fs=2000.0) for one in (vacf, vacf_of(langevin[1])))
    assert value(damped) == pytest.approx(value(true), rel=0.01)
    assert running_diffusion(vacf)[0, -1] == pytest.approx(value(damped))


def test_oscillators_do_not_diffuse() -> None:
    phases = 2 * np.pi * (np.arange(5000)[:, None] * STEP_FS / 170 + np.arange(12) / 12)
    along = np.array([0.3, -0.2, 0.1])
    [slope] = einstein_diffusion(msd_of(np.cos(phases)[..., None] * along))
    assert slope.diffusion_angstrom2_per_ps is None
    assert slope.reason is not None
    assert "grows linearly was needed from 1000 to 2500 fs, found the power" in slope.reason
    vacf = vacf_of(-2 * np.pi / 170 * np.sin(phases)[..., None] * along, longest_lag_fs=1020.0)
    assert abs(running_diffusion(vacf)[0, -1]) < 1e-6 * running_diffusion(vacf)[0].max()


def test_free_flight_is_no_diffusion() -> None:
    flight = np.random.default_rng(1).normal(0, SPEED, (30, 3))
    flown = np.arange(4000)[:, None, None] * STEP_FS * flight
    assert "the power 2.00" in str(einstein_diffusion(msd_of(flown))[0].reason)
    [integral] = green_kubo_diffusion(vacf_of(np.tile(flight, (4000, 1, 1))), until_fs=1000.0)
    assert "flat was needed from 0 to 1000 fs" in str(integral.reason)


def test_a_run_of_8_ps_is_too_short_for_a_slope_behind_the_cage(langevin: tuple[Floats, Floats]) -> None:
    assert fit_window(8000.0).until_fs == 1000.0
    assert "a run of more than 8 ps was needed" in str(einstein_diffusion(msd_of(langevin[0][:2000]))[0].reason)
    beyond = einstein_diffusion(msd_of(langevin[0][:4000]), Window(from_fs=1000.0, until_fs=10_000.0))
    assert "to the end of 1000 to 10000 fs was needed, found it to " in str(beyond[0].reason)
    [integral] = green_kubo_diffusion(vacf_of(langevin[1], longest_lag_fs=500.0), until_fs=1000.0)
    assert "found them to 500 fs" in str(integral.reason)


def known(error: float | None = None, found: float | None = 0.5, until_fs: float = 1.0) -> Diffusion:
    return Diffusion(
        element="Al",
        diffusion_angstrom2_per_ps=found,
        error_angstrom2_per_ps=error,
        window=Window(from_fs=0, until_fs=until_fs),
        reason=None if found is not None else "it was too short",
    )


def test_replicas_scatter_by_their_error() -> None:
    four = of_replicas([known(9.0, found) for found in (0.4, 0.5, 0.6, 0.5)])
    assert (value(four), four.error_angstrom2_per_ps) == (pytest.approx(0.5), pytest.approx(np.sqrt(0.02 / 3) / 2))
    two = of_replicas([known(0.03, 0.4), known(0.04, 0.6)])
    assert (value(two), two.error_angstrom2_per_ps) == (pytest.approx(0.5), pytest.approx(0.025))
    assert of_replicas([known(0.03), known()]).error_angstrom2_per_ps is None
    assert "of one of 2 replicas, it was too short" in str(of_replicas([known(), known(found=None)]).reason)
    with pytest.raises(MeltlakeError, match="found Al from 0 to 1 fs, Al from 0 to 2 fs"):
        of_replicas([known(), known(until_fs=2.0)])


def test_a_periodic_cell_slows_diffusion_by_what_yeh_and_hummer_say() -> None:
    melt = Viscous(temperature_k=1673.0, viscosity_mpa_s=2.0, error_mpa_s=0.2)
    infinite = in_an_infinite_cell(known(0.01), np.eye(3) * 19.6, melt)
    thermal, eta, edge = 1.380649e-23 * 1673, 2e-3, 19.6e-10
    slowed = 2.837297 * thermal / (6 * np.pi * eta * edge) * 1e8  # 1 m^2/s is 1e8 Angstrom^2/ps
    assert value(infinite) == pytest.approx(0.5 + slowed)
    assert infinite.error_angstrom2_per_ps == pytest.approx(np.hypot(0.01, 0.1 * slowed))
    assert value(in_an_infinite_cell(known(), np.eye(3) * 39.2, melt)) == pytest.approx(0.5 + slowed / 2)
    assert in_an_infinite_cell(known(), np.eye(3) * 39.2, melt).error_angstrom2_per_ps is None


@pytest.mark.parametrize(
    ("cell", "viscosity", "reason"),
    [(np.diag([20.0, 20, 24]), 2.0, "a cube was needed"), (np.eye(3) * 20, 0.0, "a viscosity above 0 was needed")],
)
def test_only_cubes_of_known_viscosity_are_corrected(cell: Floats, viscosity: float, reason: str) -> None:
    found = in_an_infinite_cell(known(), cell, Viscous(temperature_k=1000.0, viscosity_mpa_s=viscosity))
    assert found.diffusion_angstrom2_per_ps is None
    assert reason in str(found.reason)
