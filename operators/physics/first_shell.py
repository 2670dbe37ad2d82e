"""First shells with their errors, and up to each pair's own minimum. What a shell is, `short_range_order` says.

Peaks and minima are no averages over frames, so that their errors come from leaving out one block of the run after the
other (Quenouille's jackknife; Efron, Ann. Stat. 7, 1 (1979)): sqrt((n - 1) / n sum_k (x_k - mean x)^2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from operators.physics.blocks import FEWEST_BLOCKS
from operators.physics.rdf import RadialDistribution
from operators.physics.short_range_order import (
    ShortRangeOrder,
    first_minimum_angstrom,
    neighbours_within,
    short_range_order,
)
from schemas.frames import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstShell:
    """First shell of one element around another; errors are standard, NaN below four independent blocks."""

    order: ShortRangeOrder
    """Its coordination is up to the first minimum of the total g, the same for all pairs."""
    warren_cowley_error: float
    coordination_error: float
    first_peak_error_angstrom: float
    first_peak_height_error: float
    r_min_error_angstrom: float
    own_coordination: float
    """Up to the first minimum of the pair's own g; NaN where it has none."""
    own_coordination_error: float
    own_r_min_angstrom: float
    own_r_min_error_angstrom: float


def first_shells(
    rdf: RadialDistribution,
    *,
    counts: Mapping[str, int],
    volume_angstrom3: float,
    r_min_angstrom: float | None = None,
) -> list[FirstShell]:
    """First shell of every ordered pair of elements, with errors.

    Parameters
    ----------
    rdf
        Radial distribution functions of a run, in independent blocks.
    counts
        Number of atoms of each element.
    volume_angstrom3
        Mean volume of the cell.
    r_min_angstrom
        Up to where neighbours are counted, exactly; None: up to the first minimum of the total g of this run.
    """

    def orders_in(curves: RadialDistribution) -> list[ShortRangeOrder]:
        return short_range_order(
            curves, counts=counts, volume_angstrom3=volume_angstrom3, r_min_angstrom=r_min_angstrom
        )

    orders = orders_in(rdf)
    own = _own_shells(rdf, orders, counts=counts, volume_angstrom3=volume_angstrom3)
    without_one = []
    for rest in _leaving_out_one_block(rdf) if len(rdf.block_g) >= FEWEST_BLOCKS else ():
        of_rest = orders_in(rest)
        shells = _own_shells(rest, of_rest, counts=counts, volume_angstrom3=volume_angstrom3)
        without_one.append(np.concatenate([[_numbers(order) for order in of_rest], shells], axis=1))
    errors = jackknife_error(np.stack(without_one)) if without_one else np.full((len(orders), 7), np.nan)
    return [
        FirstShell(
            order=order,
            warren_cowley_error=float(error[0]),
            coordination_error=float(error[1]),
            first_peak_error_angstrom=float(error[2]),
            first_peak_height_error=float(error[3]),
            r_min_error_angstrom=float(error[4]),
            own_coordination=float(shell[0]),
            own_coordination_error=float(error[5]),
            own_r_min_angstrom=float(shell[1]),
            own_r_min_error_angstrom=float(error[6]),
        )
        for order, shell, error in zip(orders, own, errors, strict=True)
    ]


def jackknife_error(without_one: Floats) -> Floats:
    """Standard error of an estimate, from what it is without each of the blocks in turn.

    Parameters
    ----------
    without_one
        (n_blocks, ...), any unit.

    Returns
    -------
    Floats
        (...), the same unit; NaN where an estimate is.
    """
    n_blocks = len(without_one)
    error: Floats = np.std(without_one, axis=0) * np.sqrt(n_blocks - 1)
    return error


def _leaving_out_one_block(rdf: RadialDistribution) -> list[RadialDistribution]:
    return [
        replace(rdf, block_g=np.delete(rdf.block_g, block, axis=0), block_n_frames=np.delete(rdf.block_n_frames, block))
        for block in range(len(rdf.block_g))
    ]


def _numbers(order: ShortRangeOrder) -> tuple[float, ...]:
    return (
        order.warren_cowley,
        order.coordination,
        order.first_peak_angstrom,
        order.first_peak_height,
        order.r_min_angstrom,
    )


def _own_shells(
    rdf: RadialDistribution, orders: list[ShortRangeOrder], *, counts: Mapping[str, int], volume_angstrom3: float
) -> Floats:
    """(n_ordered_pairs, 2): neighbours up to the minimum of the pair's own curve, and where that is."""
    shells = []
    for order in orders:
        a, b = order.pair.split("-")
        name = "-".join(sorted((a, b)))
        if name not in rdf.pairs:
            shells.append((0.0, np.nan))  # a single atom has no like neighbour
            continue
        curve = rdf.curve(name)
        r_min = first_minimum_angstrom(rdf.r_angstrom, curve)
        density = (counts[b] - (a == b)) / volume_angstrom3
        shells.append(
            (neighbours_within(curve, rdf.r_angstrom, neighbours_per_angstrom3=density, within_angstrom=r_min), r_min)
        )
    return np.array(shells)
