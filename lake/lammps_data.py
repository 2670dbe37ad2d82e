"""LAMMPS data files: a cell and its atoms as LAMMPS reads them. What is simulated with them is not known here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.errors import MeltlakeError
from schemas.frames import Floats

_NO_TILT_ANGSTROM = 1e-9
"""Rounding noise of a rotation; a box without tilts is orthogonal, which LAMMPS runs faster."""


def lower_triangular(cell: Floats, positions: Floats) -> tuple[Floats, Floats]:
    """The same crystal turned so that a lies along x and b in the xy plane, as LAMMPS needs it.

    A left-handed cell has b and c exchanged first: it spans the same lattice, and nothing is mirrored.

    Parameters
    ----------
    cell
        (3, 3), Angstrom, rows a, b, c.
    positions
        (n_atoms, 3), Angstrom, Cartesian, wrapped or not.

    Returns
    -------
    tuple
        Cell (3, 3), Angstrom, lower triangular with a positive diagonal; positions (n_atoms, 3), Angstrom, inside it.

    Raises
    ------
    MeltlakeError
        If the vectors of the cell span no volume.
    """
    volume = np.linalg.det(cell)
    if not abs(volume) > 0:
        raise MeltlakeError(
            f"The start frame's cell spans no volume: {cell.tolist()}.", "Start from a frame of another run."
        )
    right_handed = cell if volume > 0 else cell[[0, 2, 1]]
    # rows @ rows.T is unchanged by a rotation, and its Cholesky factor is the lower-triangular cell.
    turned = np.linalg.cholesky(right_handed @ right_handed.T).astype(np.float64)
    turned[np.abs(turned) < _NO_TILT_ANGSTROM] = 0.0
    fractional = np.linalg.solve(right_handed.T, positions.T).T % 1.0
    fractional[fractional >= 1.0] = 0.0  # -1e-17 % 1.0 is 1.0
    return turned, fractional @ turned


def rotation(cell: Floats) -> Floats:
    """(3, 3): a row vector times it is turned as `lower_triangular` turns positions; any cell with a volume."""
    turned, _ = lower_triangular(cell, np.zeros((1, 3)))
    right_handed = cell if np.linalg.det(cell) > 0 else cell[[0, 2, 1]]
    turn: Floats = np.linalg.solve(right_handed, turned).astype(np.float64)
    return turn


def lammps_data(cell: Floats, positions: Floats, *, types: NDArray[np.integer], masses_amu: Sequence[float]) -> str:
    """Text of a data file, atom style `atomic`.

    Parameters
    ----------
    cell
        (3, 3), Angstrom, rows a, b, c; any orientation and handedness.
    positions
        (n_atoms, 3), Angstrom, Cartesian.
    types
        (n_atoms,), from 1.
    masses_amu
        One per type, amu; types without an atom count too.

    Raises
    ------
    MeltlakeError
        If the vectors of the cell span no volume.
    """
    box, inside = lower_triangular(cell, positions)
    lines = [
        "atoms as meltlake writes them",
        "",
        f"{len(inside)} atoms",
        f"{len(masses_amu)} atom types",
        *(f"0.0 {box[axis, axis]:.16g} {name}lo {name}hi" for axis, name in enumerate("xyz")),
    ]
    if np.tril(box, -1).any():
        lines.append(f"{box[1, 0]:.16g} {box[2, 0]:.16g} {box[2, 1]:.16g} xy xz yz")
    lines += ["", "Masses", "", *(f"{number} {mass:.10g}" for number, mass in enumerate(masses_amu, start=1))]
    lines += ["", "Atoms # atomic", ""]
    lines += [
        f"{number} {kind} {x:.16g} {y:.16g} {z:.16g}"
        for number, (kind, (x, y, z)) in enumerate(zip(types, inside, strict=True), start=1)
    ]
    return "\n".join([*lines, ""])


def write_lammps_data(
    path: Path, cell: Floats, positions: Floats, *, types: NDArray[np.integer], masses_amu: Sequence[float]
) -> None:
    """The same as a file."""
    path.write_text(lammps_data(cell, positions, types=types, masses_amu=masses_amu), encoding="ascii")
