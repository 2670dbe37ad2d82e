"""The two ways to count the pairs of a frame, against each other and against crystals."""

from itertools import product

import numpy as np
import pytest

from operators.physics import pair_counts
from operators.physics.cells import fractional, lower_triangular, wrapped
from schemas.frames import Floats

CELLS = {
    "cubic": np.eye(3) * 20.0,
    "sheared": np.array([[20.0, 0, 0], [7.0, 18.0, 0], [-6.0, 5.0, 22.0]]),
    "left-handed": np.array([[0, 17.0, 3.0], [19.0, 2.0, -4.0], [1.0, -3.0, 24.0]]),
    "flat": np.array([[35.0, 0, 0], [-11.0, 13.0, 0], [4.0, -3.0, 14.0]]),
}
either_way = pytest.mark.parametrize("few", [1, 10**9], ids=["columns", "all pairs"])


def counts_of(positions: Floats, cell: Floats, starts: list[int], r_max: float, n_bins: int = 90) -> Floats:
    scaled = fractional(positions[None], cell[None])[0]
    columns = np.ascontiguousarray(wrapped(scaled).T)
    [turned] = lower_triangular(cell[None])
    return pair_counts.pair_counts(columns, np.array(starts), cell=turned, r_max_angstrom=r_max, n_bins=n_bins)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("r_max", [2.0, 5.9])
def test_columns_count_what_all_pairs_count(cell: Floats, r_max: float, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = np.random.default_rng(1).random((500, 3)) @ cell
    found = []
    for few in (1, 10**9):
        monkeypatch.setattr(pair_counts, "_FEWEST_ATOMS", few)
        monkeypatch.setattr(pair_counts, "_LARGEST_SHARE", 9.0)
        found.append(counts_of(positions, cell, [0, 100, 101, 500], r_max))
    assert found[0].shape == (6, 90)
    assert found[0].sum() > 100
    np.testing.assert_array_equal(found[0], found[1])


@either_way
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_counts_are_those_of_every_image_one_by_one(cell: Floats, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "_FEWEST_ATOMS", few)
    monkeypatch.setattr(pair_counts, "_LARGEST_SHARE", 9.0)
    positions = np.random.default_rng(3).random((150, 3)) @ cell
    counts = counts_of(positions, cell, [0, 60, 150], 6.4, n_bins=64)
    images = np.array(list(product((-2, -1, 0, 1, 2), repeat=3))) @ cell
    ways = positions[:, None, None] - positions[None, :, None] + images
    r = np.sqrt(np.square(ways).sum(axis=3))
    for slot, (a, b) in enumerate(
        [(slice(0, 60), slice(0, 60)), (slice(0, 60), slice(60, 150)), (slice(60, 150),) * 2]
    ):
        expected, _ = np.histogram(r[a, b][r[a, b] > 0], bins=64, range=(0, 6.4))
        np.testing.assert_array_equal(counts[slot] * (1 if slot == 1 else 2), expected)


def test_wrapped_coordinates_are_never_one() -> None:
    assert wrapped(np.array([-1e-17, -0.25, 1.0, 2.5, 0.0])).tolist() == [0.0, 0.75, 0.0, 0.5, 0.0]


@either_way
@pytest.mark.parametrize("shift", [0.0, 1e-14, -1e-14, -1e-16, -1e-18, 0.3])
def test_atoms_on_the_faces_of_a_cell_are_counted_once(few: int, shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "_FEWEST_ATOMS", few)
    monkeypatch.setattr(pair_counts, "_LARGEST_SHARE", 9.0)
    grid = np.array(list(product(range(6), repeat=3))) * 4.0 + shift
    counts = counts_of(grid, np.eye(3) * 24.0, [0, 216], 10.0, n_bins=1000)[0]
    # Half of 6, 12 and 8 neighbours at one, sqrt(2) and sqrt(3) lattice constants.
    for distance, n_neighbours in ((4.0, 6), (np.sqrt(32), 12), (np.sqrt(48), 8)):
        at = int(distance * 100)
        assert counts[at - 2 : at + 2].sum() == 108 * n_neighbours
