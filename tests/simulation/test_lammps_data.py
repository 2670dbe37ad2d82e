"""LAMMPS data files hold the same atoms, turned into LAMMPS's orientation."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lake.lammps_data import lammps_data, lower_triangular
from lake.readers.lammps_tables import THERMO_TABLE, thermo_rows
from schemas.errors import MeltlakeError

cells = arrays(np.float64, (3, 3), elements=st.floats(-8, 8, width=16)).filter(
    lambda cell: np.linalg.matrix_rank(cell, 1.0) == 3
)
ATOMS = np.random.default_rng(3).uniform(-1.5, 2.5, (6, 3))


def periodic_distances(cell: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shortest ten distances between atoms, copies of the cell included."""
    reach = np.array(np.meshgrid(*[np.arange(-4, 5)] * 3)).reshape(3, -1).T @ cell
    apart = positions[:, None, None] - positions[None, :, None] + reach
    distances = np.linalg.norm(apart, axis=-1).ravel()
    return np.sort(distances[distances > 1e-6])[:10]


@given(cells)
def test_turning_a_cell_keeps_periodic_distances(cell: NDArray[np.float64]) -> None:
    assume(np.linalg.cond(cell) < 5)
    before = (ATOMS % 1.0) @ cell
    turned, inside = lower_triangular(cell, ATOMS @ cell)
    np.testing.assert_allclose(periodic_distances(turned, inside), periodic_distances(cell, before), atol=1e-6)


@given(cells)
def test_turned_cells_are_lower_triangular_with_a_positive_diagonal(cell: NDArray[np.float64]) -> None:
    turned, inside = lower_triangular(cell, ATOMS @ cell)
    assert not np.triu(turned, 1).any()
    assert (np.diag(turned) > 0).all()
    assert np.prod(np.diag(turned)) == pytest.approx(abs(np.linalg.det(cell)))
    fractional = inside @ np.linalg.inv(turned)
    assert (fractional > -1e-9).all()
    assert (fractional < 1 + 1e-9).all()


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 2, 1]], ids=["right-handed", "left-handed"])
def test_a_cell_of_either_hand_is_turned_and_never_mirrored(rows: list[int]) -> None:
    cell = np.array([[7.0, 1.0, 0.5], [-0.5, 6.0, 1.0], [0.3, -0.8, 8.0]])[rows]
    corner = np.array([[0.4, 0.4, 0.4], [0.6, 0.4, 0.4], [0.4, 0.6, 0.4], [0.4, 0.4, 0.6]]) @ cell
    _, inside = lower_triangular(cell, corner)
    before, after = (np.linalg.det(atoms[1:] - atoms[0]) for atoms in (corner, inside))
    assert after == pytest.approx(before)


def test_an_orthogonal_cell_has_no_tilts() -> None:
    text = lammps_data(np.diag([5.0, 6.0, 7.0]), np.zeros((1, 3)), types=np.array([1]), masses_amu=[26.98])
    assert "0.0 7 zlo zhi" in text
    assert "xy xz yz" not in text


def test_an_atom_a_rounding_error_below_the_cell_is_at_its_origin() -> None:
    _, inside = lower_triangular(5.0 * np.eye(3), np.array([[-1e-17, 0.0, 5.0]]))
    np.testing.assert_array_equal(inside, np.zeros((1, 3)))


def test_a_flat_cell_is_refused() -> None:
    with pytest.raises(MeltlakeError, match="spans no volume"):
        lower_triangular(np.diag([5.0, 5.0, 0.0]), np.zeros((1, 3)))


def test_lammps_finds_the_same_energy_in_another_cell_of_the_same_lattice(simulated, melt, make_plan) -> None:
    melt.simulate(make_plan())
    energies = [thermo_rows(folder / THERMO_TABLE)[0, 2] for folder in (melt.folder, simulated[0].folder)]
    assert energies[0] < -300
    assert energies[1] == pytest.approx(energies[0], rel=1e-10)
