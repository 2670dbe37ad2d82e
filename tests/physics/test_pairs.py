"""The shortest distance in a frame is the shortest over all periodic images, in any cell."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from operators.physics.forces import largest_forces
from operators.physics.pairs import shortest_distances
from schemas.frames import Floats

COPPER = np.array([[1.5]])
IMAGES = np.array(list(product(range(-4, 5), repeat=3)))

lengths = st.floats(2.0, 9.0)
shears = st.floats(-3.0, 3.0)
cells = st.tuples(lengths, shears, lengths, shears, shears, lengths).map(
    lambda c: np.array([[c[0], 0, 0], [c[1], c[2], 0], [c[3], c[4], c[5]]])
)


def over_images(numbers: list[int], positions: Floats, cell: Floats, limits: Floats) -> tuple[float, float]:
    """The definition, image by image."""
    kinds = np.unique(numbers, return_inverse=True)[1]
    distance = ratio = np.inf
    for i, j in product(range(len(numbers)), repeat=2):
        r = np.linalg.norm(positions[j] - positions[i] + IMAGES @ cell, axis=1)
        nearest = np.min(r[r > 1e-9]) if i == j else np.min(r)
        distance, ratio = min(distance, nearest), min(ratio, nearest / limits[kinds[i], kinds[j]])
    return distance, ratio


@settings(max_examples=150, deadline=None)
@given(cells, st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=5), st.integers(0, 3))
def test_shortest_distance_is_that_over_all_images(cell: Floats, inside: list[tuple[float, ...]], n_al: int) -> None:
    numbers = [13 if i < n_al else 28 for i in range(len(inside))]
    positions = np.array(inside) @ cell
    limits = np.array([[1.5, 0.9], [0.9, 1.2]]) if len(set(numbers)) == 2 else COPPER
    found = shortest_distances(np.array(numbers), positions[None], cells=cell[None], limits=limits)
    expected = over_images(numbers, positions, cell, limits)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize(
    ("cell", "shortest"),
    [
        (np.eye(3) * 3.6, 3.6),
        (np.array([[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]]), 3.6 / np.sqrt(2)),
        (np.array([[3.0, 0, 0], [30.5, 4.0, 0], [0, 0, 5.0]]), 3.0),
    ],
)
def test_a_lone_atom_sees_its_own_images(cell: Floats, shortest: float) -> None:
    distance, ratio = shortest_distances(np.array([29]), np.zeros((1, 1, 3)), cells=cell[None], limits=COPPER)
    assert distance[0] == pytest.approx(shortest)
    assert ratio[0] == pytest.approx(shortest / 1.5)


@pytest.mark.parametrize("cell", [np.eye(3) * 9, np.array([[9.0, 0, 0], [3, 8, 0], [-2, 1, 10]])])
def test_shortest_distance_does_not_depend_on_the_frame_of_reference(cell: Floats) -> None:
    rng = np.random.default_rng(1)
    numbers = np.repeat([13, 28], 20)
    limits = np.array([[1.5, 1.0], [1.0, 1.2]])
    positions = rng.random((40, 3)) @ cell
    turn = Rotation.random(rng=rng).as_matrix()
    shuffled = np.concatenate([rng.permutation(20), 20 + rng.permutation(20)])
    views = np.stack(
        [positions, positions @ turn, positions[shuffled], positions + rng.integers(-3, 4, (40, 3)) @ cell]
    )
    of_views = np.stack([cell, cell @ turn, cell, cell])
    distance, ratio = shortest_distances(numbers, views, cells=of_views, limits=limits)
    np.testing.assert_allclose(distance, distance[0], rtol=1e-9)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(cells, st.integers(1, 40), st.floats(1e-3, 0.5), st.sampled_from([0.0, 0.02]), st.integers(0, 2**32 - 1))
def test_frames_of_a_run_are_as_close_as_each_alone(
    cell: Floats, n_atoms: int, step: float, strain: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    of_frames = cell * np.exp(np.cumsum(rng.normal(0, strain, 70)))[:, None, None]
    inside = rng.random((n_atoms, 3)) + np.cumsum(rng.normal(0, step / 9, (70, n_atoms, 3)), axis=0)
    positions = (inside + rng.integers(-1, 2, inside.shape)) @ of_frames
    positions[rng.integers(70), 0, 1] = np.nan
    limits = rng.uniform(0.5, 2.5, (2, 2))[: min(n_atoms, 2), : min(n_atoms, 2)]
    limits, numbers = limits + limits.T, np.where(np.arange(n_atoms), 13, 28)
    found = shortest_distances(numbers, positions, cells=of_frames, limits=limits)
    alone = [
        shortest_distances(numbers, positions[f, None], cells=of_frames[f, None], limits=limits) for f in range(70)
    ]
    np.testing.assert_allclose(found, np.array(alone)[:, :, 0].T, rtol=1e-12)


def test_a_frame_without_numbers_or_volume_has_no_distance() -> None:
    positions, cells = np.zeros((3, 2, 3)), np.stack([np.eye(3) * 4] * 3)
    positions[:, 1] = 1.0
    positions[1, 0, 2] = np.nan
    cells[2, 2] = cells[2, 1]
    distance, ratio = shortest_distances(np.array([29, 29]), positions, cells=cells, limits=COPPER)
    np.testing.assert_array_equal(np.isnan(distance), [False, True, True])
    np.testing.assert_array_equal(np.isnan(ratio), [False, True, True])


def test_largest_force_and_net_force() -> None:
    forces = np.zeros((2, 3, 3))
    forces[0, 0], forces[0, 1] = [3, 4, 0], [-3, -4, -0.5]
    forces[1, 2, 2] = np.nan
    largest, net = largest_forces(forces)
    assert (largest[0], net[0]) == pytest.approx((np.sqrt(25.25), 0.5))
    assert np.isnan([largest[1], net[1]]).all()


def test_a_force_too_large_to_be_squared_is_not_taken_for_a_missing_one() -> None:
    forces = np.zeros((1, 3, 3))
    forces[0, 0, 0] = 1e200
    largest, net = largest_forces(forces)
    assert (largest[0], net[0]) == (np.inf, 1e200)
