"""First shells of crystals, whose answers are known by counting."""

from itertools import product

import numpy as np
import pytest

from operators.physics.rdf import TOTAL, largest_radius_angstrom, partial_rdf
from operators.physics.short_range_order import (
    ShortRangeOrder,
    first_minimum_angstrom,
    first_peak,
    short_range_order,
)
from schemas.composition import element_counts
from schemas.frames import Floats

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
BCC = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


CUBIC = np.eye(3)
TRICLINIC = np.array([[1.0, 0, 0], [1.0, 1.0, 0], [0, -1.0, 1.0]])
"""Spans the lattice of the cube."""
both_cells = pytest.mark.parametrize("shape", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])


def order_of(numbers: Floats, positions: Floats, edge: float, shape: Floats = CUBIC) -> dict[str, ShortRangeOrder]:
    cells = shape[None] * edge
    n_bins = int(largest_radius_angstrom(cells) / 0.05)
    rdf = partial_rdf(numbers, positions[None], cells=cells, r_max_angstrom=n_bins * 0.05, n_bins=n_bins)
    rows = short_range_order(rdf, counts=element_counts(numbers), volume_angstrom3=edge**3)
    return {row.pair: row for row in rows}


def crystal(basis: Floats, lattice_constant: float, n_cells: int = 4) -> Floats:
    corners = np.array(list(product(range(n_cells), repeat=3)))
    return (corners[:, None] + basis).reshape(-1, 3) * lattice_constant


@both_cells
def test_fcc_has_twelve_neighbours(shape: Floats) -> None:
    found = order_of(np.full(864, 13), crystal(FCC, 4.05, 6), 6 * 4.05, shape)["Al-Al"]
    assert found.coordination == pytest.approx(12)
    assert found.first_peak_angstrom == pytest.approx(4.05 / np.sqrt(2), abs=0.05)
    assert np.isnan(found.warren_cowley)


@both_cells
def test_b2_orders_completely(shape: Floats) -> None:
    numbers = np.tile([13, 28], 216)
    found = order_of(numbers, crystal(BCC, 6.0, 6), 36.0, shape)
    assert found["Al-Ni"].coordination == found["Ni-Al"].coordination == pytest.approx(8)
    # All neighbours are of the other kind, against 216 of the 431 other atoms at random: -1 of a large crystal.
    assert found["Al-Ni"].warren_cowley == pytest.approx(1 - 431 / 216)
    assert found["Al-Al"].warren_cowley == pytest.approx(1)


def test_a_random_alloy_has_no_order() -> None:
    rng = np.random.default_rng(7)
    numbers = np.repeat([13, 29, 28], [16, 8, 8])
    found: dict[str, list[float]] = {}
    for _ in range(400):
        for pair, row in order_of(rng.permutation(numbers), crystal(FCC, 4.0, 2), 8.0).items():
            found.setdefault(pair, []).append(row.warren_cowley)
    # In a box of 32 atoms, concentrations instead of shares of the other atoms would be off by up to 0.1.
    for pair, values in found.items():
        error = np.std(values) / np.sqrt(len(values))
        assert error < 0.015, pair
        assert abs(np.mean(values)) < 3.5 * error, pair


def test_coordination_balances_between_elements() -> None:
    numbers = np.repeat([13, 28], [100, 156])
    thermal = np.random.default_rng(8).normal(0, 0.15, (256, 3))
    found = order_of(np.random.default_rng(9).permutation(numbers), crystal(FCC, 4.0) + thermal, 16.0)
    assert 100 * found["Al-Ni"].coordination == pytest.approx(156 * found["Ni-Al"].coordination)
    assert sum(0.0 + found[f"Al-{b}"].coordination for b in ("Al", "Ni")) == pytest.approx(12, abs=1.5)


def test_a_peak_is_read_between_bins() -> None:
    r = (np.arange(200) + 0.5) * 0.05
    wave = 1 + 1.5 * np.cos(2 * np.pi * (r - 2.512) / 2.4) * np.exp(-np.abs(r - 2.512) / 6)
    g = wave / (1 + np.exp(-(r - 2.0) / 0.05))
    position, height = first_peak(r, g)
    assert position == pytest.approx(2.512, abs=0.01)
    assert height == pytest.approx(2.5, abs=0.05)
    assert first_minimum_angstrom(r, g) == pytest.approx(r[np.argmin(np.where((r > 2.5) & (r < 4.5), g, 9))], abs=0.1)


@pytest.mark.parametrize("g", [np.zeros(100), np.full(100, 0.9), np.linspace(0, 5, 100), np.linspace(5, 0, 100)])
def test_a_curve_without_a_shell_has_no_minimum(g: Floats) -> None:
    assert np.isnan(first_minimum_angstrom((np.arange(100) + 0.5) * 0.05, g))


def test_a_single_solute_has_no_like_neighbour() -> None:
    numbers = np.array([28] + [13] * 255)
    found = order_of(numbers, crystal(FCC, 4.0), 16.0)
    assert found["Ni-Ni"].coordination == 0
    assert found["Ni-Al"].coordination == pytest.approx(12)
    assert np.isnan(found["Ni-Ni"].first_peak_angstrom)
    assert np.isnan(found["Ni-Ni"].warren_cowley)
    assert found["Ni-Al"].warren_cowley == pytest.approx(0)
    assert TOTAL not in found
