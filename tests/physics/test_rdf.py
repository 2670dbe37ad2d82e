"""Radial distribution functions against closed forms, invariances, freud and LAMMPS."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from operators.physics.rdf import RadialDistribution, largest_radius_angstrom, partial_rdf, shell_volumes_angstrom3
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from tests.physics.lammps_oracle import run_lammps

CUBE = np.eye(3) * 16.0
SHEARED = np.array([[16.0, 0, 0], [5.0, 17.0, 0], [-4.0, 3.0, 18.0]])
_INPUT = (
    "units metal\nboundary p p p\natom_style atomic\nread_data start.lmp\npair_style zero 7.5\npair_coeff * *\n"
    "neighbor 0.5 bin\ncompute g all rdf 70 1 1 1 2 2 2 * * cutoff 7.0\ncomm_modify cutoff 8.5\n"
    "fix f all ave/time 1 1 1 c_g[*] file rdf.txt mode vector format ' %.10g'\nrun 0\n"
)
both_cells = pytest.mark.parametrize("cell", [CUBE, SHEARED], ids=["cubic", "triclinic"])


def gas(numbers: Floats, cell: Floats, n_frames: int = 1, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random((n_frames, len(numbers), 3)) @ cell


def rdf_of(
    numbers: Floats, positions: Floats, cell: Floats, r_max: float = 6.0, n_bins: int = 60
) -> RadialDistribution:
    cells = np.broadcast_to(cell, (len(positions), 3, 3))
    return partial_rdf(numbers, positions, cells=cells, r_max_angstrom=r_max, n_bins=n_bins, n_blocks=10)


@both_cells
def test_rdf_of_ideal_gas_is_flat(cell: Floats) -> None:
    numbers = np.repeat([13, 28], 250)
    r_max = largest_radius_angstrom(cell[None])
    rdf = rdf_of(numbers, gas(numbers, cell, n_frames=500), cell, r_max, n_bins=100)
    means = np.average(rdf.g, axis=1, weights=shell_volumes_angstrom3(r_max, 100))
    assert rdf.pairs == ("Al-Al", "Al-Ni", "Ni-Ni", "all")
    np.testing.assert_allclose(means, 1.0, atol=1e-3)
    deviations = ((rdf.g - 1) / rdf.g_error)[:, 20:]
    assert 0.8 < np.sqrt(np.mean(np.square(deviations))) < 1.5


@both_cells
def test_rdf_counts_every_pair_of_the_explicit_images(cell: Floats) -> None:
    numbers = np.array([13] * 20 + [28] * 21)
    positions = gas(numbers, cell)
    rdf = rdf_of(numbers, positions, cell)
    images = np.array(list(product((-1, 0, 1), repeat=3))) @ cell
    r = np.linalg.norm(positions[0][:20, None, None] - positions[0][None, 20:, None] + images, axis=3)
    expected, _ = np.histogram(r, bins=60, range=(0, 6))
    volume = np.linalg.det(cell)
    found = rdf.curve("Al-Ni") * 20 * 21 * shell_volumes_angstrom3(6.0, 60) / volume
    np.testing.assert_allclose(found, expected, atol=1e-9)


@both_cells
def test_rdf_does_not_depend_on_the_frame_of_reference(cell: Floats) -> None:
    rng = np.random.default_rng(3)
    numbers = rng.permutation(np.repeat([13, 28, 29], [30, 20, 10]))
    positions = gas(numbers, cell, n_frames=4)
    expected = rdf_of(numbers, positions, cell).g
    turn, order = Rotation.random(rng=rng).as_matrix(), rng.permutation(60)
    moved = positions + rng.integers(-3, 4, positions.shape) @ cell
    np.testing.assert_allclose(rdf_of(numbers, positions @ turn, cell @ turn).g, expected, atol=1e-9)
    np.testing.assert_allclose(rdf_of(numbers[order], positions[:, order], cell).g, expected, atol=1e-9)
    np.testing.assert_allclose(rdf_of(numbers, moved, cell).g, expected, atol=1e-9)


def test_rdf_of_a_replicated_cell_is_the_same() -> None:
    numbers = np.repeat([13, 28], [10, 30])
    positions = gas(numbers, SHEARED)
    shifts = np.array(list(product((0, 1), repeat=3))) @ SHEARED
    larger = (positions[0][None] + shifts[:, None]).reshape(1, -1, 3)
    once, replicated = rdf_of(numbers, positions, SHEARED), rdf_of(np.tile(numbers, 8), larger, 2 * SHEARED)
    np.testing.assert_allclose(replicated.curve("Al-Ni"), once.curve("Al-Ni"), atol=1e-9)
    # Like pairs of a closed box lack the atom itself: N(N-1), not N^2.
    np.testing.assert_allclose(replicated.curve("Ni-Ni") * 239 / 240, once.curve("Ni-Ni") * 29 / 30, atol=1e-9)


def test_rdf_of_a_breathing_cell_is_the_mean_over_frames() -> None:
    numbers = np.repeat([13], 50)
    cells = CUBE * np.array([1.0, 1.1, 0.95])[:, None, None]
    positions = np.random.default_rng(5).random((3, 50, 3)) @ cells
    rdf = partial_rdf(numbers, positions, cells=cells, r_max_angstrom=7.0, n_bins=70)
    frames = [rdf_of(numbers, positions[i : i + 1], cells[i], 7.0, 70).g for i in range(3)]
    np.testing.assert_allclose(rdf.g, np.mean(frames, axis=0), atol=1e-12)


@both_cells
def test_rdf_refuses_to_look_beyond_the_nearest_image(cell: Floats) -> None:
    numbers = np.repeat([13], 4)
    limit = largest_radius_angstrom(cell[None])
    rdf_of(numbers, gas(numbers, cell), cell, limit)
    with pytest.raises(MeltlakeError, match="half the smallest plane distance"):
        rdf_of(numbers, gas(numbers, cell), cell, limit * 1.001)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 0.0])
def test_rdf_refuses_broken_cells_and_positions(broken: float) -> None:
    numbers = np.repeat([13, 28], 50)
    positions = gas(numbers, CUBE, n_frames=3)
    cells = np.tile(CUBE, (3, 1, 1))
    cells[1] = broken
    with pytest.raises(MeltlakeError, match=r"needed (finite positions and cells|a cell twice as wide)"):
        partial_rdf(numbers, positions, cells=cells, r_max_angstrom=6.0, n_bins=60)
    if not np.isfinite(broken):
        positions[2, 7, 1] = broken
        with pytest.raises(MeltlakeError, match="needed finite positions and cells"):
            rdf_of(numbers, positions, CUBE)


def test_rdf_without_independent_blocks_has_halves_and_no_errors() -> None:
    numbers = np.repeat([13], 20)
    cells = np.tile(CUBE, (8, 1, 1))
    rdf = partial_rdf(numbers, gas(numbers, CUBE, n_frames=8), cells=cells, r_max_angstrom=6.0, n_bins=30)
    assert np.isnan(rdf.g_error).all()
    np.testing.assert_allclose(np.mean(rdf.halves, axis=0), rdf.g)


def test_rdf_of_a_lone_atom_is_refused() -> None:
    with pytest.raises(MeltlakeError, match="needed two atoms"):
        rdf_of(np.array([13]), np.zeros((1, 1, 3)), CUBE)


def test_one_frame_has_no_error_and_a_single_solute_no_like_pair() -> None:
    numbers = np.array([28] + [13] * 9)
    rdf = rdf_of(numbers, gas(numbers, CUBE), CUBE)
    assert rdf.pairs == ("Al-Al", "Al-Ni", "all")
    assert np.isnan(rdf.g_error).all()
    with pytest.raises(MeltlakeError, match="no halves"):
        _ = rdf.halves


@both_cells
def test_rdf_equals_freud(cell: Floats) -> None:
    freud = pytest.importorskip("freud")
    numbers = np.repeat([13, 28], [200, 300])
    positions = gas(numbers, cell)
    rdf = rdf_of(numbers, positions, cell, 7.0, 140)
    box = freud.box.Box.from_matrix(cell.T)
    points, query = box.wrap(positions[0][:200]), box.wrap(positions[0][200:])
    unlike = freud.density.RDF(140, 7.0, normalization_mode="exact").compute((box, points), query)
    like = freud.density.RDF(140, 7.0, normalization_mode="finite_size").compute((box, query))
    # freud works in float32: a pair on the edge between two bins may fall on the other side.
    per_pair = np.linalg.det(cell) / shell_volumes_angstrom3(7.0, 140)
    np.testing.assert_array_less(np.abs(rdf.curve("Al-Ni") - unlike.rdf), 1.5 * per_pair / (200 * 300) + 1e-4)
    np.testing.assert_array_less(np.abs(rdf.curve("Ni-Ni") - like.rdf), 1.5 * per_pair / (300 * 299 / 2) + 1e-4)
    assert np.mean(np.abs(rdf.curve("Al-Ni") - unlike.rdf)) < 1e-3


@both_cells
@pytest.mark.parametrize("scale", [1.0, 2.0], ids=["small", "large"])
def test_rdf_equals_lammps(cell: Floats, scale: float, tmp_path: Path) -> None:
    cell = cell * scale  # pairs of a large cell are counted by columns
    numbers = np.repeat([13, 28], np.array([150, 350]) * int(scale) ** 3)
    positions = gas(numbers, cell)
    _write_lammps(tmp_path, numbers, positions[0], cell)
    run_lammps(tmp_path, _INPUT)
    table = np.loadtxt(tmp_path / "rdf.txt", skiprows=4)
    rdf = rdf_of(numbers, positions, cell, 7.0, 70)
    np.testing.assert_allclose(rdf.r_angstrom, table[:, 1], rtol=1e-5)
    for column, pair in ((2, "Al-Al"), (4, "Al-Ni"), (6, "Ni-Ni"), (8, "all")):
        np.testing.assert_allclose(rdf.curve(pair), table[:, column], rtol=1e-4, atol=1e-6)


def _write_lammps(folder: Path, numbers: Floats, positions: Floats, cell: Floats) -> None:
    (a, _, _), (xy, b, _), (xz, yz, c) = cell
    atoms = [
        f"{i} {1 if number == 13 else 2} {x:.17g} {y:.17g} {z:.17g}"
        for i, (number, (x, y, z)) in enumerate(zip(numbers, positions, strict=True), start=1)
    ]
    head = [f"{len(atoms)} atoms", "2 atom types", f"0 {a} xlo xhi", f"0 {b} ylo yhi", f"0 {c} zlo zhi"]
    tilt = [] if cell[1, 0] == 0 else [f"{xy} {xz} {yz} xy xz yz"]
    lines = ["start", "", *head, *tilt, "", "Masses", "", "1 27.0", "2 58.7", "", "Atoms # atomic", "", *atoms, ""]
    (folder / "start.lmp").write_text("\n".join(lines))
