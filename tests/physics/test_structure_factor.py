"""Structure factors of gases and crystals, which are known, and of the same frame in other words."""

from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from operators.physics.structure_factor import StructureFactor, partial_structure_factors
from operators.physics.wave_vectors import wave_vectors
from schemas.errors import MeltlakeError
from schemas.frames import Floats

CUBE = np.eye(3) * 16.0
SHEARED = np.array([[16.0, 0, 0], [5.0, 17.0, 0], [-4.0, 3.0, 18.0]])
both_cells = pytest.mark.parametrize("cell", [CUBE, SHEARED], ids=["cubic", "triclinic"])


def factors(numbers: Floats, positions: Floats, cell: Floats, q_max: float = 4.0, n_blocks: int = 0) -> StructureFactor:
    cells = np.broadcast_to(cell, (len(positions), 3, 3))
    return partial_structure_factors(numbers, positions, cells=cells, q_max_per_angstrom=q_max, n_blocks=n_blocks)


def crystal(basis: list[list[float]], lattice_constant: float, n_cells: int) -> Floats:
    corners = np.array(list(product(range(n_cells), repeat=3)))
    return ((corners[:, None] + np.array(basis)).reshape(1, -1, 3)) * lattice_constant


@both_cells
def test_structure_factors_of_an_ideal_gas_are_one(cell: Floats) -> None:
    numbers = np.repeat([13, 28, 29], [60, 30, 10])
    gas = np.random.default_rng(1).random((200, 100, 3)) @ cell
    found = factors(numbers, gas, cell, n_blocks=10)
    assert found.pairs == ("Al-Al", "Al-Cu", "Al-Ni", "Cu-Cu", "Cu-Ni", "Ni-Ni")
    weights = found.n_vectors
    assert np.average(found.number_number, weights=weights) == pytest.approx(1.0, abs=0.01)
    z = (found.faber_ziman - 1) / found.faber_ziman_error
    assert 0.7 < np.sqrt(np.mean(z**2)) < 1.6
    assert 0.6 < np.sqrt(np.mean(((found.number_number - 1) / found.number_number_error) ** 2)) < 1.8
    _, s_cc = found.of_concentration("Al")
    assert np.average(s_cc, weights=weights) == pytest.approx(0.24, abs=0.005)


def test_fcc_scatters_where_bragg_says() -> None:
    found = factors(np.full(256, 13), crystal([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 4.0, 4), CUBE)
    scattered = found.number_number * found.n_vectors
    lit = found.q_per_angstrom[scattered > 1e-6]
    expected = 2 * np.pi / 4.0 * np.sqrt([3, 4])  # 111 and 200; 220 is beyond
    np.testing.assert_allclose(lit, expected, atol=0.1)
    assert scattered.sum() == pytest.approx(256 * (8 + 6) / 2)


def test_b2_has_its_superlattice_in_the_concentration() -> None:
    numbers = np.tile([13, 28], 64)
    found = factors(numbers, crystal([[0, 0, 0], [0.5, 0.5, 0.5]], 4.0, 4), CUBE, q_max=2.5)
    _, s_cc = found.of_concentration("Al")
    # 100 scatters by the difference of the two sublattices, 110 by their sum.
    assert (s_cc * found.n_vectors).max() == pytest.approx(128 / 4 * 3)
    assert found.q_per_angstrom[np.argmax(s_cc * found.n_vectors)] == pytest.approx(2 * np.pi / 4.0, abs=0.1)
    assert (found.number_number * found.n_vectors).max() == pytest.approx(128 * 6)
    assert found.q_per_angstrom[np.argmax(found.number_number)] == pytest.approx(2 * np.pi / 4.0 * np.sqrt(2), abs=0.1)


@both_cells
def test_the_frame_of_reference_does_not_matter(cell: Floats) -> None:
    rng = np.random.default_rng(3)
    numbers = rng.permutation(np.repeat([13, 28, 29], [20, 10, 10]))
    positions = rng.random((3, 40, 3)) @ cell
    expected = factors(numbers, positions, cell).faber_ziman
    turn, order = Rotation.random(rng=rng).as_matrix(), rng.permutation(40)
    moved = positions + rng.integers(-3, 4, positions.shape) @ cell + rng.normal(size=3)
    for same in (
        factors(numbers, positions @ turn, cell @ turn),
        factors(numbers[order], positions[:, order], cell),
        factors(numbers, moved, cell),
    ):
        np.testing.assert_allclose(same.faber_ziman, expected, atol=1e-8)


def test_a_replicated_cell_scatters_eight_times_into_the_same_vectors() -> None:
    numbers = np.repeat([13, 28], [8, 12])
    positions = np.random.default_rng(4).random((1, 20, 3)) @ SHEARED
    shifts = np.array(list(product((0, 1), repeat=3))) @ SHEARED
    larger = (positions[0][None] + shifts[:, None]).reshape(1, -1, 3)
    once = factors(numbers, positions, SHEARED, q_max=1.0)
    replicated = factors(np.tile(numbers, 8), larger, 2 * SHEARED, q_max=1.0)
    of_once, of_replicated = ((one.block_s[0] * one.n_vectors).sum(axis=1) for one in (once, replicated))
    np.testing.assert_allclose(of_replicated, 8 * of_once, rtol=1e-9)


@both_cells
def test_every_wave_vector_counts_once(cell: Floats) -> None:
    positions = np.random.default_rng(5).random((1, 30, 3)) @ cell
    grid = np.array(list(product(range(-5, 6), repeat=3)))
    q = 2 * np.pi * grid @ np.linalg.inv(cell).T
    short = (np.linalg.norm(q, axis=1) <= 1.4) & grid.any(axis=1)
    expected = np.abs(np.exp(1j * positions[0] @ q[short].T).sum(axis=0)) ** 2 / 30
    found = factors(np.full(30, 13), positions, cell, q_max=1.4)
    assert found.n_vectors.sum() == short.sum() / 2 == len(wave_vectors(cell, 1.4))
    assert (found.number_number * found.n_vectors).sum() == pytest.approx(expected.sum() / 2)


def test_bhatia_and_thornton_are_faber_and_ziman_in_other_words() -> None:
    numbers = np.repeat([13, 28], [30, 70])
    found = factors(numbers, np.random.default_rng(6).random((5, 100, 3)) @ CUBE, CUBE)
    (aa, ab, bb), c, d = found.faber_ziman, 0.3, 0.7
    s_nc, s_cc = found.of_concentration("Al")
    np.testing.assert_allclose(found.number_number, c * c * aa + 2 * c * d * ab + d * d * bb, atol=1e-9)
    np.testing.assert_allclose(s_nc, c * d * (c * (aa - ab) - d * (bb - ab)), atol=1e-9)
    np.testing.assert_allclose(s_cc, c * d * (1 + c * d * (aa + bb - 2 * ab)), atol=1e-9)
    np.testing.assert_allclose(found.of_concentration("Ni")[0], -s_nc, atol=1e-9)
    langreth = [1 + c * (aa - 1), np.sqrt(c * d) * (ab - 1), 1 + d * (bb - 1)]
    np.testing.assert_allclose(found.ashcroft_langreth, langreth, atol=1e-9)


def test_equal_scatterers_show_numbers_and_one_alone_its_partial() -> None:
    numbers = np.repeat([13, 28], [30, 70])
    found = factors(numbers, np.random.default_rng(7).random((2, 100, 3)) @ CUBE, CUBE)
    ones = np.ones_like(found.q_per_angstrom)
    np.testing.assert_allclose(found.weighted({"Al": 3.4, "Ni": 3.4 * ones}), found.number_number, atol=1e-9)
    np.testing.assert_allclose(found.weighted({"Al": 0.0, "Ni": 10.3}), found.faber_ziman[2], atol=1e-9)


def test_large_shells_are_thinned_and_a_breathing_cell_is_not_mixed_up() -> None:
    cells = CUBE * np.linspace(0.98, 1.02, 5)[:, None, None]
    positions = np.random.default_rng(8).random((40, 3)) @ cells
    found = partial_structure_factors(np.full(40, 13), positions, cells=cells, q_max_per_angstrom=6.0)
    assert found.n_vectors.max() < 320
    assert np.all(np.diff(found.q_per_angstrom) > 0)
    np.testing.assert_array_less(np.abs(found.q_per_angstrom / 0.1 % 1 - 0.5), 0.5)


def test_what_cannot_scatter_is_refused() -> None:
    with pytest.raises(MeltlakeError, match=r"needed a wave vector of the cell, found the shortest to be about 0\.39"):
        factors(np.full(3, 13), np.zeros((1, 3, 3)), CUBE, q_max=0.3)
    with pytest.raises(MeltlakeError, match="found 0 frames"):
        factors(np.full(3, 13), np.zeros((0, 3, 3)), CUBE)
    with pytest.raises(MeltlakeError, match="found frames with others"):
        factors(np.full(3, 13), np.full((1, 3, 3), np.nan), CUBE)
