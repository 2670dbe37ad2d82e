"""The first shell of a melt: peaks, coordination, Warren-Cowley order. The curves themselves are `rdf`'s."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from operators.physics.rdf import TOTAL, RadialDistribution
from schemas.frames import Floats

_SMOOTHING_ANGSTROM = 0.1
"""Enough to walk from peak to minimum without stopping at noise; positions are then read off the curve itself."""

_MINIMUM_WIDTH_ANGSTROM = 0.5
"""Of a melt's first minimum, over which it is a parabola: its lowest bin alone is a matter of luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRangeOrder:
    """First shell around atoms of one element, of one element; NaN where the curve does not show it."""

    pair: str
    """Centre-neighbour: `Al-Ni` is about Ni around Al."""
    warren_cowley: float
    """1 - (Z_ab / Z_a) / ((N_b - delta_ab) / (N - 1)): 0 at random, negative where the pair attracts.

    The share of b among the other atoms of a closed box is what random labels give, not its concentration. NaN for a
    single element, and for the like pair of a single atom.
    """
    coordination: float
    """Neighbours up to r_min, the same for all pairs."""
    first_peak_angstrom: float
    first_peak_height: float
    r_min_angstrom: float
    """The first minimum of the total g, unless a comparison asks for that of another run."""


def short_range_order(
    rdf: RadialDistribution,
    *,
    counts: Mapping[str, int],
    volume_angstrom3: float,
    r_min_angstrom: float | None = None,
) -> list[ShortRangeOrder]:
    """Short-range order of every ordered pair of elements.

    Parameters
    ----------
    rdf
        Radial distribution functions of a run.
    counts
        Number of atoms of each element.
    volume_angstrom3
        Mean volume of the cell.
    r_min_angstrom
        Where the first shell ends; None: at the first minimum of the total g of this run.
    """
    r_min = first_minimum_angstrom(rdf.r_angstrom, rdf.curve(TOTAL)) if r_min_angstrom is None else r_min_angstrom
    curves = dict(zip(rdf.pairs, rdf.g, strict=True))
    elements = sorted(counts)
    shell = {
        (a, b): _neighbours(curves, (a, b), counts=counts, r_angstrom=rdf.r_angstrom, r_min=r_min) / volume_angstrom3
        for a in elements
        for b in elements
    }
    rows = []
    for (a, b), coordination in shell.items():
        around = sum(shell[a, other] for other in elements)
        share = (counts[b] - (a == b)) / max(sum(counts.values()) - 1, 1)
        ordered = len(elements) > 1 and around > 0 and share > 0
        curve = curves.get(_unordered(a, b))
        position, height = (np.nan, np.nan) if curve is None else first_peak(rdf.r_angstrom, curve)
        rows.append(
            ShortRangeOrder(
                pair=f"{a}-{b}",
                warren_cowley=1 - coordination / (share * around) if ordered else np.nan,
                coordination=coordination,
                first_peak_angstrom=position,
                first_peak_height=height,
                r_min_angstrom=r_min,
            )
        )
    return rows


def first_peak(r_angstrom: Floats, g: Floats) -> tuple[float, float]:
    """Position (Angstrom) and height of the first peak that rises above 1; NaN when there is none.

    Parameters
    ----------
    r_angstrom
        (n_bins,), Angstrom, centres of even bins.
    g
        (n_bins,), dimensionless.
    """
    start, stop = _first_region_above_one(r_angstrom, g)
    if start == stop:
        return np.nan, np.nan
    top = start + int(np.argmax(g[start:stop]))
    window = slice(max(0, top - 2), top + 3)
    width = r_angstrom[1] - r_angstrom[0]
    offset = (r_angstrom[window] - r_angstrom[top]) / width
    if len(offset) == 5:
        curvature, slope, level = np.polyfit(offset, g[window], 2)
        if curvature < 0 and abs(shift := -slope / (2 * curvature)) <= 1:
            return float(r_angstrom[top] + shift * width), float(level + slope * shift / 2)
    return float(r_angstrom[top]), float(g[top])


def first_minimum_angstrom(r_angstrom: Floats, g: Floats) -> float:
    """Lowest point between the first peak and the next rise above 1; NaN when the curve ends before it.

    That of a parabola through the curve around its lowest bin, so that another sample of the melt has nearly the same.

    Parameters
    ----------
    r_angstrom
        (n_bins,), Angstrom, centres of even bins.
    g
        (n_bins,), dimensionless.
    """
    start, stop = _first_region_above_one(r_angstrom, g)
    if start == stop or stop == len(g):
        return np.nan
    smooth = _smooth(r_angstrom, g)
    rises = np.flatnonzero(smooth[stop:] > 1)
    end = stop + int(rises[0]) if len(rises) else len(g)
    lowest = stop + int(np.argmin(smooth[stop:end]))
    if lowest == len(g) - 1:
        return np.nan  # a curve that still falls where it ends has not shown its minimum
    near = np.abs(r_angstrom - r_angstrom[lowest]) <= _MINIMUM_WIDTH_ANGSTROM / 2
    near[:stop], near[end:] = False, False
    if near.sum() >= 5:
        curvature, slope, _ = np.polyfit(r_angstrom[near] - r_angstrom[lowest], g[near], 2)
        if curvature > 0 and abs(shift := -slope / (2 * curvature)) <= _MINIMUM_WIDTH_ANGSTROM / 2:
            return float(r_angstrom[lowest] + shift)
    return float(r_angstrom[lowest])


def neighbours_within(
    curve: Floats, r_angstrom: Floats, *, neighbours_per_angstrom3: float, within_angstrom: float
) -> float:
    """Neighbours up to a distance, 4 pi rho int g r^2 dr; of the bin where it ends, the part inside counts.

    Parameters
    ----------
    curve
        (n_bins,), g of the pair.
    r_angstrom
        (n_bins,), Angstrom, centres of even bins that begin at 0.
    neighbours_per_angstrom3
        Density of possible neighbours: without the atom itself, if it is one.
    within_angstrom
        The distance; NaN, or one beyond the end of the curve, gives NaN.
    """
    edges = (r_angstrom[1] - r_angstrom[0]) * np.arange(len(r_angstrom) + 1)
    if not within_angstrom <= edges[-1]:
        return np.nan
    edges = np.minimum(edges, within_angstrom)
    return float(neighbours_per_angstrom3 * 4 / 3 * np.pi * (curve @ np.diff(edges**3)))


def _neighbours(
    curves: Mapping[str, Floats],
    pair: tuple[str, str],
    *,
    counts: Mapping[str, int],
    r_angstrom: Floats,
    r_min: float,
) -> float:
    """Neighbours of the second element around one atom of the first up to r_min, times the volume."""
    curve = curves.get(_unordered(*pair))
    if curve is None:
        return 0.0  # a single atom has no like neighbour
    partners = counts[pair[1]] - (pair[0] == pair[1])
    return neighbours_within(curve, r_angstrom, neighbours_per_angstrom3=float(partners), within_angstrom=r_min)


def _first_region_above_one(r_angstrom: Floats, g: Floats) -> tuple[int, int]:
    """First and past-the-last bin of the first region where the smoothed curve exceeds 1; equal when there is none."""
    above = _smooth(r_angstrom, g) > 1
    if not above.any():
        return 0, 0
    start = int(np.argmax(above))
    below = np.flatnonzero(~above[start:])
    return start, start + int(below[0]) if len(below) else len(g)


def _smooth(r_angstrom: Floats, g: Floats) -> Floats:
    width = r_angstrom[1] - r_angstrom[0]
    smooth: Floats = gaussian_filter1d(g, _SMOOTHING_ANGSTROM / width, mode="nearest")
    return smooth


def _unordered(a: str, b: str) -> str:
    return "-".join(sorted((a, b)))
