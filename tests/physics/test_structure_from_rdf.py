"""Transforms of curves whose transform is known, and the direct sum over the same frames."""

import numpy as np
import pytest

from operators.physics.rdf import RadialDistribution, partial_rdf
from operators.physics.structure_factor import partial_structure_factors
from operators.physics.structure_from_rdf import structure_from_rdf
from schemas.frames import Floats

R = (np.arange(400) + 0.5) * 0.05
Q = np.linspace(0.05, 12.0, 240)


def curve(g: Floats) -> RadialDistribution:
    blocks = np.tile(np.atleast_2d(g), (2, 1, 1))
    return RadialDistribution(pairs=("all",), r_angstrom=R, block_g=blocks, block_n_frames=np.ones(2, dtype=np.int64))


def test_an_ideal_gas_scatters_nothing_but_itself() -> None:
    found = structure_from_rdf(curve(np.ones(400)), Q, atoms_per_angstrom3=0.07)
    np.testing.assert_allclose(found.faber_ziman[0, 2 * np.pi / 20 < Q], 1.0)


def test_a_hole_around_each_atom_has_its_known_transform() -> None:
    diameter, density = 2.5, 0.02
    x = Q * diameter
    expected = 1 - 4 * np.pi * density * (np.sin(x) - x * np.cos(x)) / Q**3
    found = structure_from_rdf(curve((diameter < R).astype(float)), Q, atoms_per_angstrom3=density)
    inside = found.q_min_per_angstrom <= Q
    np.testing.assert_allclose(found.faber_ziman[0, inside], expected[inside], atol=2e-3)


def test_nothing_is_known_of_waves_longer_than_the_curve() -> None:
    found = structure_from_rdf(curve(np.ones(400)), Q, atoms_per_angstrom3=0.07)
    assert found.q_min_per_angstrom == pytest.approx(2 * np.pi / 20)
    np.testing.assert_array_equal(np.isnan(found.faber_ziman[0]), 2 * np.pi / 20 > Q)
    assert np.isnan(found.faber_ziman_error).all()


def test_a_window_takes_ripples_away() -> None:
    cut = 1 + 0.3 * np.cos(2.5 * R)  # does not decay before it ends
    plain, windowed = (
        structure_from_rdf(curve(cut), Q, atoms_per_angstrom3=0.07, window=window) for window in ("none", "lorch")
    )
    far = np.abs(Q - 2.5) > 1.5
    assert np.nanstd(windowed.faber_ziman[0, far]) < 0.25 * np.nanstd(plain.faber_ziman[0, far])
    assert np.nanmax(windowed.faber_ziman) < np.nanmax(plain.faber_ziman)


def test_both_ways_to_a_structure_factor_agree() -> None:
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 2.5
    numbers, cell = rng.permutation(np.repeat([13, 28], [256, 256])), np.eye(3) * 20.0
    # A crystal shaken until nothing but its nearest neighbours is left of it.
    positions = grid + rng.normal(0, 0.8, (60, 512, 3))
    cells = np.broadcast_to(cell, (60, 3, 3))
    direct = partial_structure_factors(numbers, positions, cells=cells, q_max_per_angstrom=6.0, n_blocks=6)
    rdf = partial_rdf(numbers, positions, cells=cells, r_max_angstrom=10.0, n_bins=200)
    found = structure_from_rdf(rdf, direct.q_per_angstrom, atoms_per_angstrom3=512 / 8000)
    far = direct.q_per_angstrom > 1.5 * found.q_min_per_angstrom
    assert found.pairs[:3] == direct.pairs
    for transformed, summed in zip(found.faber_ziman[:3], direct.faber_ziman, strict=True):
        assert np.sqrt(np.mean((transformed - summed)[far] ** 2)) < 0.06
