"""Partial structure factors are those of dynasor, wave vector by wave vector."""

from pathlib import Path

import numpy as np
import pytest

from operators.physics.structure_factor import partial_structure_factors
from operators.physics.wave_vectors import lengths_per_angstrom, shell_numbers, wave_vectors
from schemas.frames import Floats

CELLS = {
    "cubic": np.eye(3) * 14.0,
    "triclinic": np.array([[14.0, 0, 0], [3.0, 15.0, 0], [-2.0, 4.0, 16.0]]),
}
Q_MAX = 3.0


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_structure_factors_are_those_of_dynasor(cell: Floats, tmp_path: Path) -> None:
    dynasor = pytest.importorskip("dynasor", reason="pip install meltlake[bench]")
    numbers = np.repeat([13, 28], [40, 30])
    positions = np.random.default_rng(1).random((4, 70, 3)) @ cell
    vectors = wave_vectors(cell, Q_MAX)
    q_points = 2 * np.pi * vectors @ np.linalg.inv(cell).T
    _write_extxyz(tmp_path / "melt.xyz", positions, cell)
    atoms = {"Al": np.arange(40), "Ni": np.arange(40, 70)}
    run = dynasor.Trajectory(str(tmp_path / "melt.xyz"), trajectory_format="extxyz", atomic_indices=atoms)
    sample = dynasor.compute_static_structure_factors(run, q_points)
    ours = partial_structure_factors(numbers, positions, cells=np.tile(cell, (4, 1, 1)), q_max_per_angstrom=Q_MAX)
    shells = shell_numbers(lengths_per_angstrom(vectors, cell), 0.1)
    n_of = np.bincount(shells)
    there = np.flatnonzero(n_of)
    assert len(there) > 20
    for pair, mine in zip(ours.pairs, ours.block_s[0], strict=True):
        both = 1 if pair in ("Al-Al", "Ni-Ni") else 2  # dynasor adds Al-Ni and Ni-Al
        theirs = getattr(sample, f"Sq_{pair.replace('-', '_')}").ravel() / both
        np.testing.assert_allclose(
            mine, (np.bincount(shells, theirs) / np.maximum(n_of, 1))[there], rtol=1e-6, atol=1e-9
        )


def _write_extxyz(path: Path, positions: Floats, cell: Floats) -> None:
    lattice = " ".join(f"{number:.17g}" for number in cell.ravel())
    with path.open("w") as file:
        for frame in positions:
            file.write(f'{len(frame)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"\n')
            file.writelines(f"X {x:.17g} {y:.17g} {z:.17g}\n" for x, y, z in frame)
