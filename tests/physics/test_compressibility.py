"""Compressibility of melts whose volume fluctuates by a known amount."""

from dataclasses import replace

import numpy as np
import pytest

from operators.physics.compressibility import compressibility
from schemas.frames import Trajectory
from schemas.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_ANGSTROM3

KAPPA_PER_GPA, TEMPERATURE_K, VOLUME = 0.02, 1000.0, 1728.0


def breathing(seed: int, *, n_frames: int = 4000, memory: float = 0.9) -> Trajectory:
    """Volumes with a memory of so much from frame to frame, and the scatter that the compressibility asks for."""
    rng = np.random.default_rng(seed)
    scatter = np.sqrt(KAPPA_PER_GPA * GPA_PER_EV_PER_ANGSTROM3 * BOLTZMANN_EV_PER_K * TEMPERATURE_K * VOLUME)
    apart = np.zeros(n_frames)
    for frame in range(1, n_frames):
        apart[frame] = memory * apart[frame - 1] + np.sqrt(1 - memory**2) * scatter * rng.normal()
    cells = np.eye(3) * np.cbrt(VOLUME + apart)[:, None, None]
    nothing = np.full(n_frames, np.nan)
    return Trajectory(
        run_id="a",
        atomic_numbers=np.full(100, 13, dtype=np.int8),
        time_fs=10.0 * np.arange(n_frames),
        cell_angstrom=cells,
        positions_angstrom=np.zeros((n_frames, 100, 3)),
        energy_ev=nothing,
        virial_trace_ev=nothing,
        temperature_k=np.full(n_frames, TEMPERATURE_K),
        accepted=np.ones(n_frames, dtype=bool),
        label_source=np.full(n_frames, "dft"),
    )


def test_compressibility_is_the_one_that_made_the_volumes_and_its_error_their_scatter() -> None:
    found = [compressibility(breathing(seed)) for seed in range(40)]
    values = np.array([one.compressibility_per_gpa for one in found])
    errors = np.array([one.compressibility_error_per_gpa for one in found])
    assert values.mean() == pytest.approx(KAPPA_PER_GPA, rel=0.04)
    assert np.median(errors) == pytest.approx(values.std(), rel=0.3)


def test_a_short_run_is_not_stiffer_for_being_short() -> None:
    values = [compressibility(breathing(seed, n_frames=200)).compressibility_per_gpa for seed in range(80)]
    assert np.mean(values) == pytest.approx(KAPPA_PER_GPA, rel=0.15)


def test_a_cell_that_is_held_tells_no_compressibility() -> None:
    found = compressibility(breathing(1, memory=1.0))
    assert np.isnan(found.compressibility_per_gpa)
    assert np.isnan(found.compressibility_error_per_gpa)


def test_the_truth_lies_within_the_errors_of_runs_that_have_them() -> None:
    """Volumes that remember a thirtieth of the run: their own scatter alone leaves the truth outside in a tenth."""
    found = [compressibility(breathing(seed, n_frames=1000, memory=0.97)) for seed in range(150)]
    apart = [abs(one.compressibility_per_gpa - KAPPA_PER_GPA) / one.compressibility_error_per_gpa for one in found]
    assert np.mean(np.array(apart) > 3) < 0.05


def test_a_run_of_a_few_picoseconds_tells_no_error() -> None:
    found = compressibility(breathing(1, n_frames=900))
    assert found.compressibility_per_gpa > 0
    assert np.isnan(found.compressibility_error_per_gpa)


def test_a_volume_that_drifts_tells_no_compressibility() -> None:
    rising = breathing(1, n_frames=2000)
    cells = rising.cell_angstrom * np.linspace(0.98, 1.02, 2000)[:, None, None]
    assert np.isnan(compressibility(replace(rising, cell_angstrom=cells)).compressibility_per_gpa)
