"""A POSCAR that VASP takes: its cell is right-handed, and its atoms are where they were."""

import io

import ase.io
import numpy as np
import pytest
from ase.geometry import get_distances

from lake.writers.poscar import poscar


@pytest.mark.parametrize("cell", [np.diag([4.0, 4.0, -4.0]), np.diag([4.0, 5.0, 6.0]), -np.eye(3) * 5.0])
def test_a_left_handed_cell_becomes_a_right_handed_one_of_the_same_lattice(cell) -> None:
    positions = np.array([[0.1, 0.2, 0.3], [1.5, -2.0, 3.1]])
    text = poscar(np.array([13, 28]), positions, cell=cell, comment="Al50Ni50")
    atoms = ase.io.read(io.StringIO(text), format="vasp")
    assert np.linalg.det(atoms.cell.array) > 0
    np.testing.assert_allclose(atoms.get_volume(), abs(np.linalg.det(cell)))
    apart = get_distances(atoms.positions, positions, cell=cell, pbc=True)[1]
    np.testing.assert_allclose(np.diag(apart), 0, atol=1e-9)
