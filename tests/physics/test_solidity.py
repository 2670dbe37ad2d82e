"""Solids and liquids whose displacement and diffraction are known."""

import numpy as np
import pytest

from operators.physics.solidity import displacement, first_peak, thinned
from schemas.frames import Floats

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
LATTICE = 3.6


def crystal(n_cells: int, *, rms: float, n_frames: int = 20, seed: int = 1) -> tuple[Floats, Floats]:
    """Fcc crystal whose atoms shake by `rms` Angstrom along each axis: positions and cells."""
    steps = np.stack(np.meshgrid(*[np.arange(n_cells)] * 3), axis=-1).reshape(-1, 1, 3)
    sites = ((steps + FCC) * LATTICE).reshape(-1, 3)
    shaken = sites + np.random.default_rng(seed).normal(0, rms, (n_frames, len(sites), 3))
    return shaken, np.tile(np.eye(3) * n_cells * LATTICE, (n_frames, 1, 1))


def walk(n_frames: int, n_atoms: int, *, rms: float, edge: float = 12.0) -> tuple[Floats, Floats]:
    """Random walk of `rms` Angstrom per frame and axis, wrapped into its cell."""
    rng = np.random.default_rng(2)
    ways = np.cumsum(rng.normal(0, rms, (n_frames, n_atoms, 3)), axis=0)
    return (rng.random((n_atoms, 3)) * edge + ways) % edge, np.tile(np.eye(3) * edge, (n_frames, 1, 1))


def test_displacement_of_a_random_walk() -> None:
    positions, cells = walk(401, 200, rms=0.1)
    found = displacement(positions, cells, masses_amu=np.ones(200), step_fs=50.0)
    assert found is not None
    assert found.lag_fs == 1e4
    assert found.msd_angstrom2 == pytest.approx(3 * 0.01 * 200, rel=0.05)
    assert found.over_limit == pytest.approx(6 / 6.25, rel=0.05)


def test_displacement_does_not_see_the_centre_of_mass() -> None:
    positions, cells = walk(201, 50, rms=0.1)
    masses = np.repeat([27.0, 59.0], 25)
    drifting = (positions + 0.2 * np.arange(201)[:, None, None]) % 12.0
    rest, moved = (displacement(p, cells, masses_amu=masses, step_fs=50.0) for p in (positions, drifting))
    assert rest is not None
    assert moved is not None
    assert moved.msd_angstrom2 == pytest.approx(rest.msd_angstrom2)


def test_displacement_breathes_with_a_triclinic_cell() -> None:
    skewed = np.array([[12.0, 0, 0], [5.0, 11.0, 0], [-4.0, 3.0, 10.0]])
    inside = np.cumsum(np.random.default_rng(3).normal(0, 0.01, (201, 50, 3)), axis=0)
    breath = (1 + 1e-3 * np.sin(np.arange(201)))[:, None, None] * skewed
    still, breathing = (
        displacement((inside % 1.0) @ c, c, masses_amu=np.ones(50), step_fs=50.0)
        for c in (np.tile(skewed, (201, 1, 1)), breath)
    )
    assert still is not None
    assert breathing is not None
    assert breathing.msd_angstrom2 == pytest.approx(still.msd_angstrom2, rel=0.01)


@pytest.mark.parametrize(("n_frames", "lag_fs"), [(40, None), (41, 1000.0), (121, 3000.0), (401, 1e4), (900, 1e4)])
def test_short_runs_are_judged_at_half_their_length(n_frames: int, lag_fs: float | None) -> None:
    positions, cells = crystal(2, rms=0.1, n_frames=n_frames)
    found = displacement(positions, cells, masses_amu=np.ones(32), step_fs=50.0)
    assert (found and found.lag_fs) == lag_fs
    assert found is None or found.over_limit < 1


@pytest.mark.parametrize("n_cells", [2, 3, 5])
@pytest.mark.parametrize("rms", [0.05, 0.15])
def test_a_crystal_is_one_in_a_cell_of_any_size(n_cells: int, rms: float) -> None:
    found = first_peak(*crystal(n_cells, rms=rms))
    # Debye and Waller: |F|^2 = exp(-q^2 u^2), here of the (111) reflection.
    assert found.bragg_share == pytest.approx(np.exp(-((2 * np.pi * np.sqrt(3) / LATTICE * rms) ** 2)), rel=0.1)
    assert found.over_limit > 1
    assert found.height > 5


@pytest.mark.parametrize("n_atoms", [32, 108, 500])
def test_an_ideal_gas_is_no_crystal(n_atoms: int) -> None:
    positions = np.random.default_rng(4).random((20, n_atoms, 3)) * (n_atoms * 14.0) ** (1 / 3)
    found = first_peak(positions, np.tile(np.eye(3) * (n_atoms * 14.0) ** (1 / 3), (20, 1, 1)))
    assert found.over_limit < 1
    assert found.height == pytest.approx(1.3, abs=0.3)  # the highest of 40 shells that are 1 on average


def test_diffraction_does_not_see_rotation_nor_images() -> None:
    positions, cells = crystal(3, rms=0.1, n_frames=3)
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    images = np.random.default_rng(6).integers(-2, 3, positions.shape) @ cells
    plain, turned, imaged = (
        first_peak(p, c) for p, c in ((positions, cells), (positions @ turn, cells @ turn), (positions + images, cells))
    )
    for other in (turned, imaged):
        assert other.bragg_share == pytest.approx(plain.bragg_share, rel=1e-4)
    assert plain.q_per_angstrom == pytest.approx(2 * np.pi * np.sqrt(3) / LATTICE, abs=0.05)


@pytest.mark.parametrize(
    ("step_fs", "n_frames", "n_chosen", "stride"), [(1.0, 30_001, 401, 50), (3.0, 4000, 250, 16), (80.0, 500, 251, 1)]
)
def test_the_end_of_a_run_is_thinned(step_fs: float, n_frames: int, n_chosen: int, stride: int) -> None:
    chosen = thinned(np.arange(n_frames) * step_fs)
    assert (len(chosen), chosen[-1], set(np.diff(chosen))) == (n_chosen, n_frames - 1, {stride})


def test_a_run_without_time_is_not_thinned() -> None:
    assert len(thinned(np.full(100, np.nan))) == len(thinned(np.zeros(1))) == 0
