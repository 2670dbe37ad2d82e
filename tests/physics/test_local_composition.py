"""Environments of crystals and of random alloys, whose compositions are known."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from operators.physics.local_composition import Environments, coverage, environments, local_composition
from schemas.errors import MeltlakeError
from schemas.frames import Floats

CELL = np.array([[16.0, 0, 0], [5.0, 17.0, 0], [-4.0, 3.0, 18.0]])
CUBIC = np.eye(3)
TRICLINIC = np.array([[1.0, 0, 0], [1.0, 1.0, 0], [0, -1.0, 1.0]])
"""Spans the lattice of the cube."""


def fcc(n_cells: int) -> Floats:
    corners = np.array(list(product(range(n_cells), repeat=3)))
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return (corners[:, None] + basis).reshape(-1, 3) * 4.0


def gas(n_atoms: int, n_frames: int = 1, seed: int = 0) -> Iterator[tuple[Floats, Floats]]:
    rng = np.random.default_rng(seed)
    return ((rng.random((n_atoms, 3)) @ CELL, CELL) for _ in range(n_frames))


def shaken(counts: dict[int, int], seed: int = 0, n_frames: int = 20, shape: Floats = CUBIC) -> Environments:
    """Atoms labelled at random on an fcc lattice of 256 sites, labels drawn anew in each frame."""
    rng = np.random.default_rng(seed)
    numbers, sites, cell = np.repeat(list(counts), list(counts.values())), fcc(4), shape * 16.0
    return environments(numbers, ((rng.permutation(sites), cell) for _ in range(n_frames)), r_cut_angstrom=5.0)


@pytest.mark.parametrize("shape", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_random_labels_scatter_hypergeometrically(shape: Floats) -> None:
    found = shaken({13: 86, 29: 85, 28: 85}, n_frames=60, shape=shape)
    assert found.n_environments == 60 * 256
    assert np.all(found.neighbours.sum(axis=1) == 42)  # 12 + 6 + 24 of fcc's first three shells
    for row in local_composition(found):
        assert row.mean_at_percent == pytest.approx(100 / 3, abs=0.3)
        assert row.random_at_percent == pytest.approx(100 * np.sqrt(2 / 9 / 42 * 213 / 254), rel=0.01)
        assert row.sigma_at_percent == pytest.approx(row.random_at_percent, rel=0.03)
        assert 3.0 < row.p999_at_percent / row.sigma_at_percent < 3.7
        assert row.p999_at_percent <= row.max_at_percent < 5 * row.sigma_at_percent


def test_b2_environments_have_two_kinds() -> None:
    corners = np.array(list(product(range(4), repeat=3)))
    positions = (corners[:, None] + np.array([[0, 0, 0], [0.5, 0.5, 0.5]])).reshape(-1, 3) * 4.0
    found = environments(np.tile([13, 28], 64), [(positions, np.eye(3) * 16)], r_cut_angstrom=3.6)
    assert found.neighbours.tolist() == [[0, 8], [8, 0]]
    al, ni = local_composition(found)
    assert (al.mean_at_percent, al.sigma_at_percent, al.max_at_percent) == (50.0, 50.0, 50.0)
    assert (ni.element, ni.p999_at_percent) == ("Ni", 50.0)


def test_a_pure_melt_has_one_composition() -> None:
    [row] = local_composition(environments(np.full(100, 13), gas(100, 3), r_cut_angstrom=6.0))
    assert (row.mean_at_percent, row.sigma_at_percent, row.max_at_percent) == (100.0, 0.0, 0.0)


def test_periodic_copies_count_in_small_cells() -> None:
    numbers, cell = np.repeat([13, 28], [2, 3]), CELL / 4
    positions = np.random.default_rng(1).random((5, 3)) @ cell
    found = environments(numbers, [(positions, cell)], r_cut_angstrom=6.0)
    shifts = np.array(list(product(range(-4, 5), repeat=3))) @ cell
    distances = np.linalg.norm(positions[:, None, None] - positions[:, None] - shifts, axis=3)
    near = ((distances < 6.0) & (distances > 0)).sum(axis=2)
    expected = np.unique(np.stack([near[:, :2].sum(axis=1), near[:, 2:].sum(axis=1)], axis=1), axis=0)
    np.testing.assert_array_equal(found.neighbours, expected)


def test_the_frame_of_reference_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    numbers = rng.permutation(np.repeat([13, 28, 29], [60, 50, 40]))
    [(positions, cell)] = gas(150)
    expected = environments(numbers, [(positions, cell)], r_cut_angstrom=6.0)
    turn, order = Rotation.random(rng=rng).as_matrix(), rng.permutation(150)
    moved = positions + rng.integers(-3, 4, positions.shape) @ cell
    for labels, frame in (
        (numbers, (positions @ turn, cell @ turn)),
        (numbers[order], (positions[order], cell)),
        (numbers, (moved, cell)),
    ):
        same = environments(labels, [frame], r_cut_angstrom=6.0)
        np.testing.assert_array_equal(same.neighbours, expected.neighbours)
        np.testing.assert_array_equal(same.n_of, expected.n_of)


def test_parts_of_a_run_merge_into_the_whole() -> None:
    numbers = np.repeat([13, 28], [60, 40])
    frames = list(gas(100, 7))
    whole = environments(numbers, frames, r_cut_angstrom=6.0)
    first, second = (environments(numbers, part, r_cut_angstrom=6.0) for part in (frames[:3], frames[3:]))
    merged = first.merged(second)
    np.testing.assert_array_equal(merged.neighbours, whole.neighbours)
    np.testing.assert_array_equal(merged.n_of, whole.n_of)
    with pytest.raises(MeltlakeError, match="found Al60Ni40 within 6 angstrom and Al99Ni1 within 6 angstrom"):
        whole.merged(environments(np.repeat([13, 28], [99, 1]), frames, r_cut_angstrom=6.0))


def test_a_melt_covers_itself_and_its_like_but_not_another() -> None:
    melt, again = shaken({13: 128, 28: 128}), shaken({13: 128, 28: 128}, seed=1)
    far, pure = shaken({13: 20, 28: 236}), shaken({13: 256}, n_frames=1)
    assert 0.99 <= coverage(melt, [melt]) < 1.0
    assert coverage(again, [melt]) == pytest.approx(0.99, abs=0.01)
    assert coverage(far, [melt]) < 0.01
    assert coverage(pure, [melt]) == 0.0
    assert coverage(shaken({13: 128, 29: 128}), [melt]) == 0.0
    assert coverage(far, [melt, far]) == pytest.approx(0.985, abs=0.015)


def test_coverage_falls_with_the_distance_to_the_training_composition() -> None:
    melt = shaken({13: 128, 28: 128})
    covered = [coverage(shaken({13: 128 + n, 28: 128 - n}), [melt]) for n in (0, 13, 26, 51, 77)]
    assert covered == sorted(covered, reverse=True)
    assert covered[2] > 0.8
    assert covered[4] < 0.3


def test_environments_that_cannot_be_compared_are_refused() -> None:
    melt = environments(np.full(100, 13), gas(100), r_cut_angstrom=6.0)
    with pytest.raises(MeltlakeError, match="within 6 angstrom, found none"):
        coverage(melt, [])
    with pytest.raises(MeltlakeError, match="within 6 angstrom, found Al100 within 7 angstrom"):
        coverage(melt, [environments(np.full(100, 13), gas(100), r_cut_angstrom=7.0)])
    with pytest.raises(MeltlakeError, match="needed a frame, found none"):
        environments(np.full(100, 13), [], r_cut_angstrom=6.0)
    with pytest.raises(MeltlakeError, match=r"found none of atom 1 in frame 0"):
        environments(np.full(3, 13), [(np.diag([0.0, 9.0, 1.0]), np.eye(3) * 30)], r_cut_angstrom=2.0)
    with pytest.raises(MeltlakeError, match="found others in frame 0"):
        environments(np.full(3, 13), [(np.full((3, 3), np.nan), CELL)], r_cut_angstrom=6.0)
