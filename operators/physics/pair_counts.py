"""How many pairs of atoms of one frame lie how far apart: the kernels below `rdf`. No averages, no normalisation.

Two ways that count the same. All pairs, each at its nearest image, for short work and for radii near half the cell.
Columns for smaller radii: atoms are sorted into columns along the first cell vector and by their place within, so that
what is within reach of an atom is a few runs of consecutive atoms, at distances without a nearest image to look for.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from schemas.frames import Floats

_COLUMN_ANGSTROM = 10.0
"""Width of a column: narrow ones hold runs too short for the processor, wide ones pairs that are out of reach."""

_FEWEST_ATOMS = 1500
_LARGEST_SHARE = 0.25
"""Of the cell's volume, taken by a cube of twice the radius: beyond it, and for fewer atoms, all pairs cost less."""


def pair_counts(
    scaled: Floats, starts: NDArray[np.int64], *, cell: Floats, r_max_angstrom: float, n_bins: int
) -> NDArray[np.int64]:
    """Unordered pairs of atoms of one frame by distance.

    Parameters
    ----------
    scaled
        (3, n_atoms), in units of the cell, wrapped; atoms sorted by element.
    starts
        (n_elements + 1,): where each element begins, and the number of atoms.
    cell
        (3, 3), Angstrom, rows a, b, c; zero above the diagonal.
    r_max_angstrom
        Upper edge of the last bin; at most half the smallest plane distance, which is not checked here.
    n_bins
        Bins between 0 and r_max_angstrom.

    Returns
    -------
    NDArray
        (n_pairs, n_bins), dimensionless: pairs of elements in the order 00, 01, .. 11, 12 ...
    """
    share = (2 * r_max_angstrom) ** 3 / abs(np.prod(np.diagonal(cell)))
    if scaled.shape[1] < _FEWEST_ATOMS or share > _LARGEST_SHARE:
        counts: NDArray[np.int64] = _of_all_pairs(scaled, starts, cell, r_max_angstrom, n_bins)
        return counts
    return _of_columns(scaled, starts, cell=cell, r_max_angstrom=r_max_angstrom, n_bins=n_bins)


@njit(cache=True, fastmath={"nnan", "nsz", "contract"}, error_model="numpy")  # type: ignore[untyped-decorator]
def _of_all_pairs(
    scaled: Floats, starts: NDArray[np.int64], cell: Floats, r_max: float, n_bins: int
) -> NDArray[np.int64]:
    xx, yx, yy, zx, zy, zz = cell[0, 0], cell[1, 0], cell[1, 1], cell[2, 0], cell[2, 1], cell[2, 2]
    n_elements = len(starts) - 1
    counts = np.zeros((n_elements * (n_elements + 1) // 2, n_bins), np.int64)
    # Four histograms in turn, so that an increment need not wait for the one before it to be written.
    lanes = np.empty((4, n_bins + 1), np.int64)
    bins = np.empty(scaled.shape[1], np.uint32)  # unsigned: an index that cannot count from the end
    per_angstrom, slot = n_bins / r_max, 0
    upright = yx == 0.0 and zx == 0.0 and zy == 0.0
    a_bins, b_bins, c_bins = abs(xx) * per_angstrom, abs(yy) * per_angstrom, abs(zz) * per_angstrom
    all_x, all_y, all_z = scaled[0], scaled[1], scaled[2]
    if upright:  # in units of a bin
        all_x, all_y, all_z = all_x * a_bins, all_y * b_bins, all_z * c_bins
    for a in range(n_elements):
        for b in range(a, n_elements):
            lanes[:] = 0
            for i in range(starts[a], starts[a + 1]):
                first = i + 1 if a == b else starts[b]
                # Views from the first partner on: what is read at a sum of indices is gathered, four times as slowly.
                x, y, z = all_x[i], all_y[i], all_z[i]
                xs, ys, zs = all_x[first : starts[b + 1]], all_y[first : starts[b + 1]], all_z[first : starts[b + 1]]
                # Bin n_bins takes all pairs beyond r_max: cheaper than asking.
                if upright:  # the nearest image without rounding, because signs do not matter
                    for k in range(len(xs)):
                        dx = abs(xs[k] - x)
                        dy = abs(ys[k] - y)
                        dz = abs(zs[k] - z)
                        dx, dy, dz = min(dx, a_bins - dx), min(dy, b_bins - dy), min(dz, c_bins - dz)
                        bins[k] = np.uint32(np.int32(min(np.sqrt(dx * dx + dy * dy + dz * dz), n_bins)))
                else:
                    for k in range(len(xs)):
                        s, t, u = xs[k] - x, ys[k] - y, zs[k] - z
                        s, t, u = s - np.rint(s), t - np.rint(t), u - np.rint(u)
                        dx, dy, dz = s * xx + t * yx + u * zx, t * yy + u * zy, u * zz
                        bins[k] = np.uint32(np.int32(min(np.sqrt(dx * dx + dy * dy + dz * dz) * per_angstrom, n_bins)))
                for k in range(len(xs)):
                    lanes[k & 3, bins[k]] += 1
            counts[slot] = lanes[:, :n_bins].sum(axis=0)
            slot += 1
    return counts


def _of_columns(
    scaled: Floats, starts: NDArray[np.int64], *, cell: Floats, r_max_angstrom: float, n_bins: int
) -> NDArray[np.int64]:
    n_elements = len(starts) - 1
    heights = np.abs(np.diagonal(cell))[1:]
    n_columns = np.maximum(1, (heights / _COLUMN_ANGSTROM).astype(np.int64))
    at = np.minimum((scaled[1:] * n_columns[:, None]).astype(np.int64), n_columns[:, None] - 1)
    column = at[0] * n_columns[1] + at[1]
    order = np.lexsort((scaled[0], column))
    begins = np.searchsorted(column[order], np.arange(np.prod(n_columns) + 1))
    elements = np.repeat(np.arange(n_elements), np.diff(starts))[order].astype(np.int32)
    counts = _count_columns(
        scaled.take(order, axis=1), elements, begins, n_columns, cell, r_max_angstrom, n_bins, n_elements
    )
    unordered = counts + counts.transpose(1, 0, 2)
    unordered[np.diag_indices(n_elements)] //= 2
    of_pairs: NDArray[np.int64] = unordered[np.triu_indices(n_elements)]
    return of_pairs


@njit(cache=True)  # type: ignore[untyped-decorator]
def _span(low: float, high: float, length: float) -> tuple[float, float]:
    """Smallest and largest multiple of a length by a number in between."""
    return min(low * length, high * length), max(low * length, high * length)


@njit(cache=True, fastmath={"nnan", "nsz", "contract"}, error_model="numpy")  # type: ignore[untyped-decorator]
def _count_columns(  # noqa: C901, PLR0917  # a kernel: atoms, columns around them, runs of atoms there
    scaled: Floats,
    elements: NDArray[np.int32],
    begins: NDArray[np.int64],
    n_columns: NDArray[np.int64],
    cell: Floats,
    r_max: float,
    n_bins: int,
    n_elements: int,
) -> NDArray[np.int64]:
    """(n_elements, n_elements, n_bins): each unordered pair once, with either of its atoms first."""
    xx, yx, yy, zx, zy, zz = cell[0, 0], cell[1, 0], cell[1, 1], cell[2, 0], cell[2, 1], cell[2, 2]
    x, y, z = scaled[0] * xx + scaled[1] * yx + scaled[2] * zx, scaled[1] * yy + scaled[2] * zy, scaled[2] * zz
    offsets = elements * np.int32(n_bins + 1)
    lanes = np.zeros((n_elements, 4, n_elements * (n_bins + 1)), np.int64)
    bins = np.empty(len(x), np.uint32)
    (n_b, n_c), per_angstrom = n_columns, n_bins / r_max
    # Columns further along c than this are out of reach, and further along b even with what the shear adds.
    reach_c = int(np.ceil(r_max / abs(zz) * n_c))
    reach_b = int(np.ceil((r_max + abs(zy) * (r_max / abs(zz) + 2 / n_c)) / abs(yy) * n_b)) + 1
    for i in range(len(x)):
        s, t, u, own = scaled[0, i], scaled[1, i], scaled[2, i], lanes[elements[i]]
        at_b, at_c = min(int(t * n_b), n_b - 1), min(int(u * n_c), n_c - 1)
        for to_c in range(at_c, at_c + reach_c + 1):
            low_u, high_u = to_c / n_c - u, (to_c + 1) / n_c - u
            z_low, z_high = _span(low_u, high_u, zz)
            gap_z = max(0.0, z_low, -z_high)
            # Each pair once: from the column of smaller c, or of the same c and smaller b.
            for to_b in range(at_b - reach_b if to_c > at_c else at_b, at_b + reach_b + 1):
                low_t, high_t = to_b / n_b - t, (to_b + 1) / n_b - t
                y_low, y_high = _span(low_t, high_t, yy)
                shear_low, shear_high = _span(low_u, high_u, zy)
                gap_y = max(0.0, y_low + shear_low, -y_high - shear_high)
                left = r_max * r_max - gap_z * gap_z - gap_y * gap_y
                if left < 0:
                    continue
                t_low, t_high = _span(low_t, high_t, yx)
                u_low, u_high = _span(low_u, high_u, zx)
                along = np.sqrt(left)
                low_s, high_s = _span(-along - t_high - u_high, along - t_low - u_low, 1 / xx)
                # A hair wider: what rounding left out would be missing, what it adds is beyond the last bin.
                low_s, high_s = s + low_s - 1e-9, s + high_s + 1e-9
                within = to_b == at_b and to_c == at_c
                if within:
                    low_s = s
                image_b, image_c = to_b // n_b, to_c // n_c
                column = (to_b - image_b * n_b) * n_c + to_c - image_c * n_c
                first, last = begins[column], begins[column + 1]
                for image_a in range(int(np.floor(low_s)), int(np.floor(high_s)) + 1):
                    begin, end = first, last
                    if within and image_a == 0:
                        begin = i + 1
                    elif low_s > image_a:
                        begin += np.searchsorted(scaled[0, first:last], low_s - image_a)
                    if high_s < image_a + 1:
                        end = first + np.searchsorted(scaled[0, first:last], high_s - image_a)
                    px = x[i] - image_a * xx - image_b * yx - image_c * zx
                    py, pz = y[i] - image_b * yy - image_c * zy, z[i] - image_c * zz
                    xs, ys, zs, places = x[begin:end], y[begin:end], z[begin:end], offsets[begin:end]
                    for k in range(len(xs)):
                        dx, dy, dz = xs[k] - px, ys[k] - py, zs[k] - pz
                        distance = np.sqrt(dx * dx + dy * dy + dz * dz) * per_angstrom
                        bins[k] = np.uint32(places[k] + np.int32(min(distance, n_bins)))
                    for k in range(len(xs)):
                        own[k & 3, bins[k]] += 1
    counts: NDArray[np.int64] = lanes.sum(axis=1).reshape(n_elements, n_elements, n_bins + 1)[:, :, :n_bins]
    return counts
