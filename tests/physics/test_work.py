"""Labels that belong together and labels that do not: springs whose energy, forces and virial are known."""

from dataclasses import replace

import numpy as np
import pytest

from operators.physics.steps import LabelledFrames, Steps, steps
from operators.physics.work import Work, slope, work
from schemas.frames import Floats

N_ATOMS, BAD = 64, 70


def springs(
    n_frames: int = 200, per_frame: float = 0.1, *, breathing: float = 0.0, amplitudes: Floats | None = None
) -> LabelledFrames:
    """Anharmonic springs that bind each atom to its site; sites and springs scale with a cell that may breathe.

    `per_frame` is the phase that a vibration goes on between frames.
    """
    rng = np.random.default_rng(1)
    sites, phases = rng.random((N_ATOMS, 3)), rng.random((N_ATOMS, 3)) * 2 * np.pi
    speeds = per_frame * rng.uniform(0.5, 1.5, (N_ATOMS, 3))
    t = np.arange(n_frames)[:, None, None]
    cells = np.eye(3) * 12 * (1 + breathing * np.sin(0.05 * t))
    away = 0.3 / 12 * np.sin(phases + speeds * t) @ cells
    away *= 1.0 if amplitudes is None else amplitudes[:, None, None]
    square = np.einsum("fax,fax->fa", away, away)
    pull = 4 * away * (1 + square)[..., None]
    return LabelledFrames(
        positions_angstrom=sites @ cells + away,
        cell_angstrom=cells,
        energy_ev=np.sum(2 * square + square**2, axis=1),
        forces_ev_per_angstrom=-pull,
        virial_ev=-np.einsum("fax,fay->fxy", pull, away),
    )


def judged(frames: LabelledFrames) -> Work:
    n_frames = len(frames.energy_ev)
    return work(steps(frames, before=None, consecutive=np.arange(n_frames) > 0), N_ATOMS)


def with_changed(frames: LabelledFrames, name: str, at: int | slice, factor: float) -> LabelledFrames:
    values = getattr(frames, name).copy()
    values[at] *= factor
    return replace(frames, **{name: values})


def bad_frames(found: Work) -> list[int]:
    mismatches = (found.energy, found.forces, found.virial, found.ways)
    worst = np.nanmax([mismatch.over_limit for mismatch in mismatches], axis=0)
    return np.flatnonzero((worst > 1) | (np.abs(found.level_ev_per_atom) > found.energy.limit)).tolist()


@pytest.mark.parametrize("per_frame", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("breathing", [0.0, 0.01])
def test_sound_labels_fit_each_other(per_frame: float, breathing: float) -> None:
    found = judged(springs(per_frame=per_frame, breathing=breathing))
    assert found.slope.value == pytest.approx(1, abs=0.02)
    assert found.slope.off(0.1) < 0.2
    assert bad_frames(found) == []
    assert found.n_pairs == 199
    assert np.isnan(found.virial_slope.value) == (breathing == 0)


@pytest.mark.parametrize("amplitude", [2.0, 0.3])
def test_a_part_may_be_hotter_or_colder(amplitude: float) -> None:
    quench = np.interp(np.arange(2000), [300, 600], [amplitude, 1])
    assert bad_frames(judged(springs(2000, 0.05, amplitudes=quench))) == []


@pytest.mark.parametrize("factor", [-1.0, 0.1, 0.529, 2.0])
def test_forces_of_another_unit_or_sign_are_told_by_the_slope(factor: float) -> None:
    found = judged(with_changed(springs(), "forces_ev_per_angstrom", slice(None), factor))
    assert found.slope.value == pytest.approx(1 / factor, rel=0.02)
    assert found.slope.off(0.1) > 1


def test_forces_of_other_atoms_are_told_by_the_slope() -> None:
    frames = springs()
    shuffled = replace(frames, forces_ev_per_angstrom=np.roll(frames.forces_ev_per_angstrom, 1, axis=1))
    found = judged(shuffled)
    assert abs(found.slope.value) < 0.3
    assert found.slope.off(0.1) > 1
    assert found.unexplained > 0.5


@pytest.mark.parametrize("factor", [-1.0, 0.1, 10.0])
def test_a_wrong_virial_is_told_where_the_cell_changes(factor: float) -> None:
    found = judged(with_changed(springs(per_frame=0.05, breathing=0.01), "virial_ev", slice(None), factor))
    assert found.virial_slope.value == pytest.approx(1 / factor, rel=0.1)
    assert found.virial_slope.off(0.5) > 1


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("forces_ev_per_angstrom", 0.1),
        ("forces_ev_per_angstrom", -1.0),
        ("virial_ev", -1.0),
        ("virial_ev", 10.0),
        ("energy_ev", 1.01),
        ("energy_ev", 100.0),
    ],
)
@pytest.mark.parametrize("at", [1, BAD, 198])
def test_one_bad_frame_is_found_and_its_neighbours_are_not_blamed(name: str, factor: float, at: int) -> None:
    found = judged(with_changed(springs(), name, at, factor))
    assert bad_frames(found) == [at]
    assert found.slope.off(0.1) < 0.2


@pytest.mark.parametrize("at", [0, 199])
def test_a_bad_energy_at_an_end_is_found(at: int) -> None:
    assert bad_frames(judged(with_changed(springs(), "energy_ev", at, 1.01))) == [at]


def test_a_frame_of_shuffled_atoms_is_found() -> None:
    frames = springs()
    frames.positions_angstrom[BAD] = np.roll(frames.positions_angstrom[BAD], 1, axis=0)
    found = judged(frames)
    assert bad_frames(found) == np.flatnonzero(found.ways.over_limit > 1).tolist() == [BAD]


def test_a_stretch_with_another_kind_of_energy_is_found() -> None:
    frames = springs()
    frames.energy_ev[60:90] += 0.01 * N_ATOMS
    found = judged(frames)
    assert bad_frames(found) == list(range(60, 90))
    assert found.level_ev_per_atom[75] == pytest.approx(0.01, rel=0.01)


def test_a_stretch_whose_other_energy_changes_a_little_is_found() -> None:
    frames = springs()
    frames.energy_ev[60:90] += np.linspace(0.01, 0.008, 30) * N_ATOMS
    assert bad_frames(judged(frames)) == list(range(60, 90))


@pytest.mark.parametrize("factor", [0.1, 0.0, -1.0])
def test_many_frames_with_bad_forces_are_found_and_those_between_are_not_blamed(factor: float) -> None:
    frames = springs()
    frames.forces_ev_per_angstrom[5::10] *= factor
    assert bad_frames(judged(frames)) == list(range(5, 200, 10))


def test_two_forces_that_change_places_blame_nobody_else() -> None:
    frames = springs()
    frames.forces_ev_per_angstrom[5::10, :2] = frames.forces_ev_per_angstrom[5::10, 1::-1]
    assert set(bad_frames(judged(frames))) <= set(range(5, 200, 10))


def test_an_energy_that_stays_another_one_is_a_jump() -> None:
    frames = springs()
    frames.energy_ev[90:] += 0.01 * N_ATOMS
    found = judged(frames)
    assert bad_frames(found) == []
    assert np.flatnonzero(np.abs(found.residual_ev_per_atom) > found.energy.limit).tolist() == [90]


def test_a_run_may_start_without_forces() -> None:
    frames = springs()
    ramp = np.minimum(np.arange(200) / 10, 1)
    found = judged(replace(frames, forces_ev_per_angstrom=frames.forces_ev_per_angstrom * ramp[:, None, None]))
    assert np.nanmax(found.forces.over_limit) < 1


@pytest.mark.parametrize(("n_frames", "per_frame"), [(5, 0.1), (200, 3.0)])
def test_few_pairs_and_long_ways_tell_nothing(n_frames: int, per_frame: float) -> None:
    found = judged(springs(n_frames, per_frame))
    assert np.isnan([found.slope.value, found.slope.off(0.1), found.unexplained]).all()
    assert np.isnan([found.energy.values, found.energy.limit, found.level_ev_per_atom]).all()


def test_the_slope_bears_that_nearly_half_the_pairs_are_wrong() -> None:
    rng = np.random.default_rng(2)
    x: Floats = rng.normal(size=300)
    y = 1.3 * x + rng.normal(0, 0.1, 300)
    y[:100] *= -1e6
    x[100:120] *= 1e6
    found = slope(x, y)
    assert found.value == pytest.approx(1.3, abs=0.2)
    clean = slope(x[120:], y[120:])
    assert clean.value == pytest.approx(1.3, abs=4 * clean.error)
    assert clean.error == pytest.approx(0.1 / np.sqrt(180), rel=0.3)


def test_frames_without_labels_between_do_not_hide_the_rest() -> None:
    frames = springs()
    frames.energy_ev[::10] = np.nan
    found = judged(with_changed(frames, "energy_ev", 75, 1.01))
    assert (found.n_pairs, bad_frames(found)) == (160, [75])
    assert isinstance(steps(frames, before=None, consecutive=np.ones(200, bool)), Steps)
