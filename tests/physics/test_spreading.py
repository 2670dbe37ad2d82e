"""Atoms pushed apart: no pair below its limit, the rest left where it was."""

import numpy as np
import pytest

from operators.physics.pairs import shortest_distances
from operators.physics.spreading import spread_apart
from schemas.errors import MeltlakeError

TILTED = np.array([[11.0, 0, 0], [3.0, 10.5, 0], [-2.0, 2.5, 10.0]])
LIMITS = np.array([[2.0, 1.8], [1.8, 1.7]])


def crowded(n_atoms, cell, seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat([13, 28], [n_atoms // 2, n_atoms - n_atoms // 2]), rng.uniform(-1, 2, (n_atoms, 3)) @ cell


@pytest.mark.parametrize("cell", [np.eye(3) * 10.5, TILTED])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_pair_stays_below_its_limit(cell, seed):
    numbers, positions = crowded(64, cell, seed)
    before = shortest_distances(numbers, positions[None], cells=cell[None], limits=LIMITS)[1][0]
    moved = spread_apart(numbers, positions, cell=cell, limits=LIMITS)
    after = shortest_distances(numbers, moved[None], cells=cell[None], limits=LIMITS)[1][0]
    assert before < 0.7
    assert after >= 1.0 - 1e-9


def test_atoms_that_are_far_enough_stay():
    numbers, cell = np.array([13, 28, 28]), np.eye(3) * 9.0
    positions = np.array([[0, 0, 0], [8.2, 0, 0], [4.0, 4.0, 4.0]])
    moved = spread_apart(numbers, positions, cell=cell, limits=LIMITS)
    np.testing.assert_array_equal(moved[2], positions[2])
    apart = moved[0] + [9.0, 0, 0] - moved[1]
    assert np.linalg.norm(apart) == pytest.approx(1.8, rel=2e-3)
    np.testing.assert_allclose(moved[0] + moved[1], positions[0] + positions[1], atol=1e-12)


def test_a_melt_too_dense_for_its_limits_is_refused():
    numbers, positions = crowded(64, np.eye(3) * 5.0)
    with pytest.raises(MeltlakeError, match="could not be pushed apart: the closest pair is at"):
        spread_apart(numbers, positions, cell=np.eye(3) * 5.0, limits=LIMITS)


def test_a_cell_too_small_to_tell_images_apart_is_refused():
    with pytest.raises(MeltlakeError, match="needed a cell of twice that between faces"):
        spread_apart(np.array([13, 28]), np.zeros((2, 3)), cell=np.eye(3) * 3.5, limits=LIMITS)
