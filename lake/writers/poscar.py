"""A frame to start VASP from, as ASE writes a POSCAR: atoms sorted by element, in units of the cell."""

import io

import numpy as np
from numpy.typing import NDArray

from schemas.frames import Floats


def poscar(atomic_numbers: NDArray[np.integer], positions: Floats, *, cell: Floats, comment: str) -> str:
    """The text of a POSCAR. VASP takes no left-handed cell: its vectors are turned round, which spans the same lattice.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_atoms, 3), Angstrom, wrapped or not.
    cell
        (3, 3), Angstrom, rows a, b, c.
    comment
        The first line.
    """
    import ase
    from ase.io.vasp import write_vasp

    right_handed = cell if np.linalg.det(cell) > 0 else -cell
    atoms = ase.Atoms(numbers=atomic_numbers, positions=positions, cell=right_handed, pbc=True)
    atoms.wrap()
    written = io.StringIO()
    write_vasp(written, atoms, direct=True, sort=True)
    # ASE writes the elements there, where VASP expects any words.
    return f"{comment}\n{written.getvalue().partition(chr(10))[2]}"
