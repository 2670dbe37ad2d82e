"""Thermodynamics, block errors, pooled errors and agreement against hand formulas."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from operators.physics.agreement import judged, l1_percent, rms_percent, verdict
from operators.physics.blocks import blocks, independent_blocks, standard_error
from operators.physics.correlation import mean_and_error, n_independent
from operators.physics.rmse import LabelErrors, label_errors
from operators.physics.thermodynamics import n_independent_blocks, pressures_gpa, thermodynamics
from schemas.frames import Floats, Trajectory
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_AMU_ANGSTROM2_PER_FS2, GPA_PER_EV_PER_ANGSTROM3


def run_of(numbers: list[int], edge: float, **columns: NDArray[np.generic]) -> Trajectory:
    n_frames = len(next(iter(columns.values())))
    nothing = np.full(n_frames, np.nan)
    defaults = {
        "time_fs": np.arange(n_frames, dtype=float),
        "cell_angstrom": np.tile(np.eye(3) * edge, (n_frames, 1, 1)),
        "positions_angstrom": np.zeros((n_frames, len(numbers), 3)),
        "energy_ev": nothing,
        "virial_trace_ev": nothing,
        "temperature_k": nothing,
        "accepted": np.ones(n_frames, dtype=bool),
        "label_source": np.full(n_frames, "dft"),
    }
    return Trajectory(run_id="a", atomic_numbers=np.array(numbers, dtype=np.int8), **(defaults | columns))


def test_kinetic_pressure_is_the_one_that_vasp_prints() -> None:
    # Reference run si128-nvt-v642, first step: 299.94 K in 1893.63 A^3, `kinetic pressure` 2.78 kB.
    run = run_of([14] * 128, 1893.63 ** (1 / 3), temperature_k=np.array([299.94]), virial_trace_ev=np.zeros(1))
    assert pressures_gpa(run)[0] == pytest.approx(0.278, abs=5e-4)


def test_a_static_run_has_the_pressure_of_its_virial_only() -> None:
    still = {"time_fs": np.array([np.nan]), "energy_ev": np.array([-15.0])}
    run = run_of([13] * 4, 4.05, virial_trace_ev=np.array([6.0]), **still)
    found = thermodynamics(run)
    assert found.pressure_gpa == pytest.approx(2.0 / 4.05**3 * GPA_PER_EV_PER_ANGSTROM3)
    assert found.density_g_per_cm3 == pytest.approx(2.6975, abs=1e-3)
    assert found.energy_ev_per_atom == -3.75
    assert np.isnan([found.temperature_k, found.pressure_error_gpa]).all()


def test_temperature_from_velocities_ignores_drift() -> None:
    rng = np.random.default_rng(1)
    sigma = np.sqrt(BOLTZMANN_EV_PER_K * 1000 / 26.981538 / EV_PER_AMU_ANGSTROM2_PER_FS2)
    velocities = rng.normal(0, sigma, (20, 500, 3)) + 0.01
    found = thermodynamics(run_of([13] * 500, 20.0, velocities_angstrom_per_fs=velocities))
    assert found.temperature_k == pytest.approx(1000, rel=0.02)
    assert np.isnan(found.pressure_gpa)


def test_blocks_cover_a_run_and_their_error_is_that_of_the_mean() -> None:
    parts = blocks(23, n_blocks=10)
    assert [len(range(23)[part]) for part in parts] == [2, 3, 2, 2, 3, 2, 2, 2, 3, 2]
    assert np.concatenate([np.arange(23)[part] for part in parts]).tolist() == list(range(23))
    assert standard_error(np.array([1.0, 3.0, 1.0, 3.0])) == pytest.approx(1 / np.sqrt(3))
    assert np.isnan(standard_error(np.array([1.0, 2.0, 3.0])))


@pytest.mark.parametrize(
    ("n_independent", "duration_fs", "n_blocks"),
    [(7.9, 1e3, 7), (7.9, 499.0, 0), (3.9, 1e3, 0), (500.0, 20e3, 10), (500.0, 30e3, 6), (500.0, 90e3, 10),
     (np.nan, 1e3, 0), (500.0, np.nan, 0)],
)  # fmt: skip
def test_blocks_are_as_many_as_are_independent(n_independent: float, duration_fs: float, n_blocks: int) -> None:
    assert independent_blocks(n_independent, duration_fs=duration_fs) == n_blocks


def ar1(n_frames: int, tau: float, n_samples: int) -> Floats:
    """Series of unit variance whose correlation decays as exp(-t/tau): (n_samples, n_frames)."""
    decay = np.exp(-1 / tau)
    kicks = np.random.default_rng(2).normal(size=(n_samples, n_frames)) * np.sqrt(1 - decay**2)
    kicks[:, 0] /= np.sqrt(1 - decay**2)
    series: Floats = lfilter([1.0], [1.0, -decay], kicks)
    return series


def ar1_error(counted: NDArray[np.bool_], tau: float) -> float:
    """True standard error of the mean of the counted values."""
    at = np.flatnonzero(counted)
    return float(np.sqrt(np.exp(-np.abs(at[:, None] - at) / tau).mean()))


@pytest.mark.parametrize("tau", [1.0, 5.0, 20.0])
@pytest.mark.parametrize(("n_tau", "bounds"), [(50, (0.7, 1.3)), (10, (0.5, 1.3))])
@pytest.mark.parametrize("gaps", [False, True])
def test_errors_of_a_correlated_series_are_the_true_ones(
    tau: float, n_tau: int, bounds: tuple[float, float], gaps: bool
) -> None:
    n_frames = int(n_tau * tau)
    counted = np.random.default_rng(3).random(n_frames) > 0.3 * gaps
    errors = [mean_and_error(np.where(counted, series, np.nan))[1] for series in ar1(n_frames, tau, 300)]
    ratios = np.array(errors) / ar1_error(counted, tau)
    assert bounds[0] < np.nanmedian(ratios) < bounds[1]
    assert bounds[0] < np.sqrt(np.nanmean(ratios**2)) < bounds[1]
    assert np.isnan(ratios).mean() < 0.25


def test_errors_of_independent_values_are_the_textbook_ones() -> None:
    alternating = np.tile([1.0, -1.0], 50)
    assert mean_and_error(alternating) == (0.0, pytest.approx(1 / np.sqrt(99)))
    white = ar1(5000, 1e-3, 1)[0]
    assert mean_and_error(white)[1] == pytest.approx(1 / np.sqrt(5000), rel=0.1)
    assert 3500 < n_independent(white) <= 5000


@pytest.mark.parametrize("n_frames", [1, 2, 3, 10, 1000])
def test_a_drift_has_a_mean_and_no_error(n_frames: int) -> None:
    mean, error = mean_and_error(np.arange(n_frames, dtype=float))
    assert mean == (n_frames - 1) / 2
    assert np.isnan(error)


def test_an_imposed_value_has_no_spread_and_an_empty_series_no_mean() -> None:
    assert mean_and_error(np.full(20, 2.7)) == (pytest.approx(2.7), 0.0)
    assert np.isnan(n_independent(np.full(20, 2.7)))
    assert np.isnan(mean_and_error(np.full(20, np.nan))).all()


def test_rejected_and_force_field_frames_are_not_averaged() -> None:
    energies, sources = np.array([-4.0, -400.0, 7.0, -6.0]), np.array(["dft", "dft", "vasp_mlff", "dft"])
    cells = np.tile(np.eye(3) * 4.05, (4, 1, 1))
    cells[1], cells[2] = np.nan, 0.0
    accepted = np.array([True, False, True, True])
    run = run_of([13] * 4, 4.05, energy_ev=energies, accepted=accepted, label_source=sources, cell_angstrom=cells)
    found = thermodynamics(run)
    assert (found.energy_ev_per_atom, run.n_averaged) == (-1.25, 2)
    assert found.density_g_per_cm3 == pytest.approx(2.6975, abs=1e-3)


@pytest.mark.parametrize(("step_fs", "known"), [(1.0, True), (0.4, False), (np.nan, False)])
def test_errors_need_half_a_picosecond_of_molecular_dynamics(step_fs: float, known: bool) -> None:
    white = ar1(1000, 1e-3, 1)[0]
    found = thermodynamics(run_of([13] * 2, 9.0, energy_ev=white, time_fs=np.arange(1000) * step_fs))
    assert np.isfinite(found.energy_error_ev_per_atom) == known
    assert found.density_error_g_per_cm3 == 0


def test_blocks_of_a_run_follow_its_slowest_series() -> None:
    fast, drift = ar1(2000, 1.0, 1)[0], np.linspace(900, 1000, 2000)
    run = run_of([13] * 2, 9.0, energy_ev=fast, temperature_k=1000 + fast)
    assert n_independent_blocks(run) == 10
    assert n_independent_blocks(run_of([13] * 2, 9.0, energy_ev=fast, temperature_k=drift)) == 0
    assert n_independent_blocks(run_of([13] * 2, 9.0, energy_ev=fast, time_fs=np.full(2000, np.nan))) == 0


def test_pooled_errors_follow_the_hand_formulas() -> None:
    rng = np.random.default_rng(3)
    parts = []
    for n_frames, n_atoms in ((3, 4), (5, 10)):
        shapes = ((n_frames,), (n_frames, n_atoms, 3), (n_frames, 3, 3))
        parts.append(tuple(tuple(rng.normal(size=shape) for shape in shapes) for _ in range(2)))
    merged = LabelErrors.merged(label_errors(predicted, reference) for predicted, reference in parts)
    per_atom = [(p[0] - r[0]) / p[1].shape[1] for p, r in parts]
    virials = [(p[2] - r[2]).ravel() / p[1].shape[1] for p, r in parts]
    forces = np.concatenate([(p[1] - r[1]).ravel() for p, r in parts])
    assert merged.n_frames == 8
    assert merged.energy_ev_per_atom.rmse == pytest.approx(np.sqrt(np.mean(np.concatenate(per_atom) ** 2)))
    assert merged.force_ev_per_angstrom.rmse == pytest.approx(np.sqrt(np.mean(forces**2)))
    assert merged.force_ev_per_angstrom.bias == pytest.approx(np.mean(forces))
    assert merged.virial_ev_per_atom.rmse == pytest.approx(np.sqrt(np.mean(np.concatenate(virials) ** 2)))


def test_pooled_errors_are_those_of_deepmd() -> None:
    metrics = pytest.importorskip("deepmd.utils.eval_metrics")
    weights = pytest.importorskip("deepmd.utils.weight_avg")
    rng = np.random.default_rng(4)
    ours, theirs = [], []
    for n_frames, n_atoms in ((3, 4), (5, 10)):
        names = {"energy": (n_frames,), "force": (n_frames, n_atoms, 3), "virial": (n_frames, 3, 3)}
        predicted, reference = ({name: rng.normal(size=shape) for name, shape in names.items()} for _ in range(2))
        ours.append(label_errors(tuple(predicted.values()), tuple(reference.values())))
        found = dict.fromkeys([f"find_{name}" for name in names], 1.0)
        stat = metrics.compute_energy_type_metrics(predicted, reference | found, n_atoms, has_pbc=True)
        theirs.append(stat.as_weighted_average_errors(metrics.DP_TEST_WEIGHTED_METRIC_KEYS))
    expected, merged = weights.weighted_average(theirs), LabelErrors.merged(ours)
    assert merged.energy_ev_per_atom.rmse == pytest.approx(expected["rmse_ea"], rel=1e-12)
    assert merged.force_ev_per_angstrom.rmse == pytest.approx(expected["rmse_f"], rel=1e-12)
    assert merged.virial_ev_per_atom.rmse == pytest.approx(expected["rmse_va"], rel=1e-12)


def test_frames_without_virials_do_not_count() -> None:
    energy, forces, virial = np.ones(2), np.ones((2, 3, 3)), np.ones((2, 3, 3))
    none = label_errors((energy, forces, virial), (energy, forces, np.full((2, 3, 3), np.nan)))
    assert none.virial_ev_per_atom.rmse is None
    assert none.virial_trace_ev_per_atom.bias is None
    both = LabelErrors.merged([none, label_errors((energy, forces, virial + 3), (energy, forces, virial))])
    assert both.virial_ev_per_atom.rmse == both.virial_trace_ev_per_atom.bias == 1.0
    assert both.energy_ev_per_atom.rmse == 0.0


def test_agreement_with_the_floor_of_finite_sampling() -> None:
    one, reference = np.array([0.0, 1.1, 0.9]), np.array([0.0, 1.0, 1.0])
    assert l1_percent(one, reference) == pytest.approx(10.0)
    assert rms_percent(one, reference) == pytest.approx(100 * np.sqrt(0.02 / 3))
    found = judged(4.0, 2.0 * np.sqrt(2), sampled_fs=500.0)
    assert (found.floor_percent, found.z, found.verdict) == (pytest.approx(2.0), pytest.approx(2.0), "good")


@pytest.mark.parametrize(
    ("between_halves", "sampled_fs"), [(2.0, 495.0), (2.0, np.nan), (36.0, 1e4), (0.0, 1e4), (np.nan, 1e4)]
)
def test_too_little_sampling_gives_no_verdict(between_halves: float, sampled_fs: float) -> None:
    found = judged(4.0, between_halves, sampled_fs=sampled_fs)
    assert (found.l1_percent, found.verdict) == (4.0, "undecided")
    assert judged(4.0, 34.0, sampled_fs=1e4).verdict == "indistinguishable"


@pytest.mark.parametrize(
    ("z", "word"),
    [(0.9, "indistinguishable"), (1.5, "indistinguishable"), (3.0, "good"), (6.0, "visible"), (7, "disagrees")],
)
def test_verdicts(z: float, word: str) -> None:
    assert verdict(z) == word


def test_two_samples_of_one_melt_are_indistinguishable() -> None:
    rng = np.random.default_rng(5)
    halves = 1 + 0.02 * rng.normal(size=(4, 5000))
    one, other = halves[:2].mean(axis=0), halves[2:].mean(axis=0)
    found = judged(l1_percent(one, other), l1_percent(halves[2], halves[3]), sampled_fs=1e4)
    assert found.z == pytest.approx(1.0, abs=0.05)
