"""What happens between frames: ways, still atoms, and work against the energies of the toy potential."""

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest

from operators.physics import toy_potential
from operators.physics.steps import LabelledFrames, Steps, steps
from schemas.frames import Floats

COPIES = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)))
CELL = np.array([[4.3, 0.0, 0.0], [0.6, 4.1, 0.0], [-0.4, 0.5, 4.2]])
INSIDE = np.array([[0.05, -0.03, 0.06], [0.45, 0.52, 0.02], [0.53, 0.07, 0.46], [-0.04, 0.44, 0.53]])


def energy_ev(positions: Floats, cell: Floats) -> float:
    """Of nickel, by direct summation."""
    apart = positions[None, :, None] - positions[:, None, None] + COPIES @ cell
    r = np.linalg.norm(apart, axis=-1)
    near = (r > 0) & (r < toy_potential.CUTOFF_ANGSTROM)
    kept = np.where(near, r, 3.0)
    pairs = np.where(near, toy_potential.pair_energy("Ni", "Ni", kept), 0).sum()
    densities = np.where(near, toy_potential.electron_density("Ni", kept), 0).sum(axis=(1, 2))
    return float(0.5 * pairs + toy_potential.embedding_energy("Ni", densities).sum())


def labelled(insides: list[Floats], cells: list[Floats]) -> LabelledFrames:
    """Frames with forces and virials from differences of the energy."""
    h, forces, virials = 1e-4, [], []
    for inside, cell in zip(insides, cells, strict=True):
        positions = inside @ cell
        moves = [np.reshape(row, positions.shape) for row in h * np.eye(positions.size)]
        force = [energy_ev(positions - m, cell) - energy_ev(positions + m, cell) for m in moves]
        strains = [np.reshape(row, (3, 3)) for row in h * np.eye(9)]
        virial = [energy_ev(positions - positions @ s, cell - cell @ s) for s in strains]
        virial = [
            v - energy_ev(positions + positions @ s, cell + cell @ s) for v, s in zip(virial, strains, strict=True)
        ]
        forces.append(np.reshape(force, positions.shape) / (2 * h))
        virials.append(np.reshape(virial, (3, 3)) / (2 * h))
    return LabelledFrames(
        positions_angstrom=np.array([inside @ cell for inside, cell in zip(insides, cells, strict=True)]),
        cell_angstrom=np.array(cells),
        energy_ev=np.array([energy_ev(i @ c, c) for i, c in zip(insides, cells, strict=True)]),
        forces_ev_per_angstrom=np.array(forces),
        virial_ev=np.array(virials),
    )


def stepped(size: float, *, moves: float, strains: float) -> Steps:
    rng = np.random.default_rng(3)
    way, strain = rng.normal(size=INSIDE.shape) * moves * size, rng.normal(size=(3, 3)) * strains * size
    frames = labelled([INSIDE, INSIDE + way], [CELL, CELL + CELL @ (strain + strain.T)])
    return steps(frames, before=None, consecutive=np.array([False, True]))


@pytest.mark.parametrize(("moves", "strains"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_energy_changes_by_the_work_of_forces_and_virial(moves: float, strains: float) -> None:
    errors = []
    for size in (4e-3, 2e-3):
        found = stepped(size, moves=moves, strains=strains)
        assert found.foreseen_change_ev[1] == pytest.approx(found.energy_change_ev[1], rel=0.01)
        assert (found.work_of_virial_ev[1] != 0) == (strains > 0)
        errors.append(found.foreseen_change_ev[1] - found.energy_change_ev[1])
    assert errors[0] / errors[1] > 6  # of third order in the step


def chain(n_frames: int = 30, n_atoms: int = 200) -> LabelledFrames:
    rng = np.random.default_rng(4)
    ways = np.cumsum(rng.normal(0, 0.01, (n_frames, n_atoms, 3)), axis=0)
    return LabelledFrames(
        positions_angstrom=rng.random((n_atoms, 3)) @ (3 * CELL) + ways,
        cell_angstrom=np.tile(3 * CELL, (n_frames, 1, 1)),
        energy_ev=rng.normal(size=n_frames),
        forces_ev_per_angstrom=rng.normal(size=ways.shape),
        virial_ev=rng.normal(size=(n_frames, 3, 3)),
    )


def assert_same(one: Steps, other: Steps, atol: float = 1e-9) -> None:
    for field in fields(Steps):
        np.testing.assert_allclose(getattr(one, field.name), getattr(other, field.name), atol=atol)


def test_batches_give_what_the_whole_run_gives() -> None:
    frames, follows = chain(), np.arange(30) > 0
    whole = steps(frames, before=None, consecutive=follows)
    cuts = [slice(0, 7), slice(7, 8), slice(8, 30)]
    before = [None, frames[:7], frames[:8]]
    parts = [steps(frames[cut], before=b, consecutive=follows[cut]) for cut, b in zip(cuts, before, strict=True)]
    joined = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Steps)}
    assert_same(Steps(**joined), whole)
    assert np.isnan(whole.energy_change_ev).tolist() == [True] + [False] * 29


def test_atoms_may_be_wrapped_into_the_cell() -> None:
    frames = chain()
    images = np.random.default_rng(5).integers(-2, 3, frames.positions_angstrom.shape)
    wrapped = replace(frames, positions_angstrom=frames.positions_angstrom + images @ (3 * CELL))
    follows = np.arange(30) > 0
    assert_same(steps(wrapped, before=None, consecutive=follows), steps(frames, before=None, consecutive=follows))


def test_the_furthest_atom_and_the_still_ones_are_found() -> None:
    frames = chain(3)
    frames.positions_angstrom[1, :5] = frames.positions_angstrom[0, :5]
    frames.positions_angstrom[2] = frames.positions_angstrom[1]
    frames.positions_angstrom[2, 7, 0] += 0.7
    found = steps(frames, before=None, consecutive=np.array([False, True, True]))
    assert found.n_still[1:].tolist() == [5, 199]
    assert found.largest_way_angstrom[2] == pytest.approx(0.7)


def test_a_repeated_frame_has_no_still_atoms() -> None:
    frames = chain(1)
    found = steps(frames, before=frames, consecutive=np.array([True]))
    assert (found.n_still[0], found.largest_way_angstrom[0], found.foreseen_change_ev[0]) == (0, 0, 0)


def test_what_does_not_follow_or_is_missing_is_not_told() -> None:
    frames, follows = chain(), np.arange(30) > 0
    follows[11] = False
    frames.forces_ev_per_angstrom[20, 3] = np.nan
    frames.positions_angstrom[22, 0, 0] = np.nan
    frames.cell_angstrom[25] = 0
    frames.virial_ev[15] = np.nan
    found = steps(frames, before=None, consecutive=follows)
    assert np.flatnonzero(np.isnan(found.foreseen_change_ev)).tolist() == [0, 11, 20, 21, 22, 23, 25, 26]
    assert np.flatnonzero(np.isnan(found.largest_way_angstrom)).tolist() == [0, 11, 22, 23, 25, 26]
    assert np.flatnonzero(np.isnan(found.virial_change_ev)).tolist() == [0, 11, 15, 16, 22, 23, 25, 26]


@pytest.mark.parametrize(("factor", "unlikeness"), [(1.0, 0.0), (0.1, 0.9), (10.0, 0.9), (-1.0, 2.0), (0.0, 1.0)])
def test_unlike_forces(factor: float, unlikeness: float) -> None:
    frames = chain(2)
    frames.forces_ev_per_angstrom[1] = factor * frames.forces_ev_per_angstrom[0]
    found = steps(frames, before=None, consecutive=np.array([False, True]))
    assert found.force_unlikeness[1] == pytest.approx(unlikeness)
