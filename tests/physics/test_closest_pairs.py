"""Closest pairs by elements, in closed form and against ASE."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from operators.physics.closest_pairs import REACH_ANGSTROM, closest_by_pair

TILTED = np.array([[9.0, 0.0, 0.0], [4.0, 8.0, 0.0], [-3.0, 2.0, 7.0]])


def test_closest_pairs_of_rock_salt_are_half_the_lattice_constant_and_its_diagonal() -> None:
    edge, half = 4.2, 2.1
    sites = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]) * half
    [found] = closest_by_pair(sites[None], edge * np.eye(3)[None], np.repeat([0, 1], 4), n_types=2)
    assert found == pytest.approx(np.array([[half * 2**0.5, half], [half, half * 2**0.5]]))


def test_a_lone_atom_meets_its_own_images() -> None:
    [found] = closest_by_pair(np.zeros((1, 1, 3)), np.diag([3.0, 4.0, 9.0])[None], np.zeros(1, dtype=int), n_types=2)
    assert found[0, 0] == pytest.approx(3.0)
    assert np.isinf(found[1, 1])


def test_pairs_further_apart_than_the_reach_are_not_known() -> None:
    positions = np.array([[[0.0, 0.0, 0.0], [REACH_ANGSTROM + 0.01, 0.0, 0.0]]])
    [found] = closest_by_pair(positions, 20 * np.eye(3)[None], np.array([0, 1]), n_types=2)
    assert np.isinf(found).all()


@pytest.mark.parametrize("cell", [TILTED, 8.0 * np.eye(3), np.diag([5.0, 9.0, 20.0])])
def test_closest_pairs_are_those_of_ase_in_any_cell(cell: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    positions, kinds = rng.uniform(-9, 20, (3, 20, 3)), rng.integers(0, 3, 20)
    found = closest_by_pair(positions, np.tile(cell, (3, 1, 1)), kinds, n_types=3)
    for frame, where in enumerate(positions):
        i, j, distance = neighbor_list("ijd", Atoms(["H"] * 20, positions=where, cell=cell, pbc=True), REACH_ANGSTROM)
        expected = np.full((3, 3), np.inf)
        np.minimum.at(expected, (kinds[i], kinds[j]), distance)
        np.testing.assert_allclose(found[frame], expected, rtol=1e-12)
