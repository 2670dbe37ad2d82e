"""First shells of crystals, and whether their errors are how far they scatter."""

from itertools import product

import numpy as np
import pytest

from operators.physics.first_shell import FirstShell, first_shells, jackknife_error
from operators.physics.rdf import RadialDistribution, partial_rdf
from operators.physics.short_range_order import neighbours_within
from schemas.frames import Floats

R = (np.arange(160) + 0.5) * 0.05


def melt_like(n_blocks: int, noise: float, seed: int) -> RadialDistribution:
    """A curve with the shells of a melt, seen through noise that falls as that of counted pairs does."""
    wave = 1 + 1.6 * np.cos(2 * np.pi * (R - 2.5) / 2.3) * np.exp(-np.abs(R - 2.5) / 1.8)
    g = wave / (1 + np.exp(-(R - 2.1) / 0.06))
    kicks = np.random.default_rng(seed).normal(0, noise, (n_blocks, 1, 160)) * np.sqrt(g) / R
    n_frames = np.ones(n_blocks, dtype=np.int64)
    return RadialDistribution(
        pairs=("Al-Al", "all"), r_angstrom=R, block_g=np.repeat(g + kicks, 2, axis=1), block_n_frames=n_frames
    )


def shell_of(rdf: RadialDistribution) -> FirstShell:
    [shell] = first_shells(rdf, counts={"Al": 500}, volume_angstrom3=8000.0)
    return shell


def test_errors_of_a_shell_are_its_scatter() -> None:
    shells = [shell_of(melt_like(10, 0.04, seed)) for seed in range(60)]
    for value, error in (
        ([shell.order.coordination for shell in shells], [shell.coordination_error for shell in shells]),
        ([shell.order.first_peak_angstrom for shell in shells], [shell.first_peak_error_angstrom for shell in shells]),
        ([shell.order.first_peak_height for shell in shells], [shell.first_peak_height_error for shell in shells]),
        ([shell.order.r_min_angstrom for shell in shells], [shell.r_min_error_angstrom for shell in shells]),
    ):
        assert 0.6 < np.sqrt(np.mean(np.square(error))) / np.std(value) < 1.6
    assert np.std([shell.order.r_min_angstrom for shell in shells]) < 0.03


def test_neighbours_are_counted_up_to_the_distance_asked_for() -> None:
    curves = melt_like(10, 0.04, 0)
    [shell] = first_shells(curves, counts={"Al": 500}, volume_angstrom3=8000.0, r_min_angstrom=3.4)
    assert shell.order.r_min_angstrom == 3.4
    assert shell.order.coordination == pytest.approx(
        neighbours_within(curves.curve("Al-Al"), R, neighbours_per_angstrom3=499 / 8000, within_angstrom=3.4)
    )
    assert 0 < shell.coordination_error < shell_of(curves).coordination_error * 2


def test_neighbours_beyond_the_curve_are_not_counted() -> None:
    assert np.isnan(neighbours_within(np.ones(160), R, neighbours_per_angstrom3=0.05, within_angstrom=8.1))
    assert neighbours_within(np.ones(160), R, neighbours_per_angstrom3=0.05, within_angstrom=8.0) == pytest.approx(
        0.05 * 4 / 3 * np.pi * 8**3
    )


def test_two_blocks_have_no_error() -> None:
    shell = shell_of(melt_like(2, 0.05, 0))
    assert np.isnan([shell.coordination_error, shell.first_peak_error_angstrom, shell.own_coordination_error]).all()
    assert shell.own_coordination == pytest.approx(shell.order.coordination)


def test_each_pair_has_its_own_shell() -> None:
    corners = np.array(list(product(range(5), repeat=3)))
    positions = (corners[:, None] + np.array([[0, 0, 0], [0.5, 0.5, 0.5]])).reshape(1, -1, 3) * 4.0
    shaken = positions + np.random.default_rng(1).normal(0, 0.06, (8, 250, 3))
    cells = np.tile(np.eye(3) * 20, (8, 1, 1))
    rdf = partial_rdf(np.tile([13, 28], 125), shaken, cells=cells, r_max_angstrom=9.0, n_bins=180, n_blocks=8)
    found = {
        shell.order.pair: shell for shell in first_shells(rdf, counts={"Al": 125, "Ni": 125}, volume_angstrom3=8000.0)
    }
    # Eight unlike neighbours at 3.46 angstrom, six like ones at 4.0, beyond the first shell of all.
    assert found["Al-Ni"].own_coordination == pytest.approx(8)
    assert found["Al-Al"].own_coordination == pytest.approx(6, abs=0.05)
    assert found["Al-Al"].own_r_min_angstrom > 4.1
    assert found["Al-Ni"].order.coordination == pytest.approx(8, abs=0.1)
    shares = {"Al": 124 / 249, "Ni": 125 / 249}
    assert sum(shares[b] * found[f"Al-{b}"].order.warren_cowley for b in shares) == pytest.approx(0)


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(2).normal(size=12)
    without = np.array([np.delete(values, block).mean() for block in range(12)])
    assert jackknife_error(without) == pytest.approx(values.std(ddof=1) / np.sqrt(12))


@pytest.mark.parametrize("within", [2.0, 2.01, 3.333, 8.0])
def test_neighbours_of_a_gas_fill_the_sphere(within: float) -> None:
    found = neighbours_within(np.ones(160), R, neighbours_per_angstrom3=0.05, within_angstrom=within)
    assert found == pytest.approx(0.05 * 4 / 3 * np.pi * within**3)


def test_neighbours_without_a_shell_are_unknown() -> None:
    flat: Floats = np.ones(160)
    assert np.isnan(neighbours_within(flat, R, neighbours_per_angstrom3=0.05, within_angstrom=np.nan))
