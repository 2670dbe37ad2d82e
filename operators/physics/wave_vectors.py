"""Wave vectors that a periodic cell allows, and what its atoms scatter into them. Averages are `structure_factor`'s."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from schemas.frames import Floats

SHELL_PER_ANGSTROM = 0.1
MOST_VECTORS = 150
"""Of a shell: at large q there are thousands, which say nothing that a few do not."""

_ROUNDING = 1e-9


def wave_vectors(
    cell: Floats, q_max_per_angstrom: float, *, shell_per_angstrom: float = SHELL_PER_ANGSTROM
) -> NDArray[np.int64]:
    """Integers n of the wave vectors 2 pi h^-1 n up to a length, without opposites; of a full shell every so many.

    Parameters
    ----------
    cell
        (3, 3), Angstrom, rows a, b, c.
    q_max_per_angstrom
        Length of the longest.
    shell_per_angstrom
        Width of a shell, which has at most `MOST_VECTORS`.

    Returns
    -------
    NDArray
        (n_vectors, 3), dimensionless, sorted by shell.
    """
    most = np.floor(q_max_per_angstrom * np.linalg.norm(cell, axis=1) / (2 * np.pi) + _ROUNDING).astype(int)
    n_a, n_b, n_c = (np.arange(first, last + 1) for first, last in zip([0, *-most[1:]], most, strict=True))
    all_vectors = np.stack(np.meshgrid(n_a, n_b, n_c, indexing="ij"), axis=-1).reshape(-1, 3)
    a, b, c = all_vectors.T
    half = all_vectors[(a > 0) | ((a == 0) & ((b > 0) | ((b == 0) & (c > 0))))]
    lengths = lengths_per_angstrom(half, cell)
    within = lengths <= q_max_per_angstrom * (1 + _ROUNDING)
    half, shells = half[within], shell_numbers(lengths[within], shell_per_angstrom)
    order = np.lexsort((*half.T, shells))
    first = np.searchsorted(shells[order], shells[order])  # where the shell of each vector begins
    thinning = -(-np.bincount(shells, minlength=1)[shells[order]] // MOST_VECTORS)
    vectors: NDArray[np.int64] = half[order][(np.arange(len(order)) - first) % thinning == 0]
    return vectors


def lengths_per_angstrom(vectors: NDArray[np.int64], cell: Floats) -> Floats:
    """(n_vectors,), 1/Angstrom."""
    lengths: Floats = 2 * np.pi * np.linalg.norm(vectors @ np.linalg.inv(cell).T, axis=1)
    return lengths


def shell_numbers(lengths: Floats, shell_per_angstrom: float) -> NDArray[np.int64]:
    """(n_vectors,): which shell each is in; one on a border is in the outer shell, however its length was rounded."""
    return (lengths / shell_per_angstrom + _ROUNDING).astype(np.int64)


@njit(cache=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator]
def products_of_densities(inside: Floats, starts: NDArray[np.int64], vectors: NDArray[np.int64]) -> Floats:
    """(n_pairs, n_vectors): real part of rho_a rho_b*, of atoms sorted by element."""
    n_atoms, n_elements = inside.shape[1], len(starts) - 1
    most = np.abs(vectors).max()
    # cos and sin of 2 pi n s: powers of the first, so that no cosine is taken twice.
    real, imaginary = np.ones((3, most + 1, n_atoms)), np.zeros((3, most + 1, n_atoms))
    for axis in range(3):
        for i in range(n_atoms):
            turn = 2 * np.pi * inside[axis, i]
            c, s = np.cos(turn), np.sin(turn)
            for n in range(1, most + 1):
                before, after = real[axis, n - 1, i], imaginary[axis, n - 1, i]
                real[axis, n, i], imaginary[axis, n, i] = before * c - after * s, before * s + after * c
    products = np.empty((n_elements * (n_elements + 1) // 2, len(vectors)))
    densities = np.empty((2, n_elements))
    for v in range(len(vectors)):
        n_a, n_b, n_c = vectors[v, 0], vectors[v, 1], vectors[v, 2]
        sign_b, sign_c = np.float64(1 if n_b >= 0 else -1), np.float64(1 if n_c >= 0 else -1)
        for element in range(n_elements):
            atoms = slice(starts[element], starts[element + 1])
            a_real, a_imaginary = real[0, n_a, atoms], imaginary[0, n_a, atoms]
            b_real, b_imaginary = real[1, abs(n_b), atoms], imaginary[1, abs(n_b), atoms]
            c_real, c_imaginary = real[2, abs(n_c), atoms], imaginary[2, abs(n_c), atoms]
            re, im = 0.0, 0.0
            for i in range(len(a_real)):
                x = a_real[i] * b_real[i] - sign_b * a_imaginary[i] * b_imaginary[i]
                y = sign_b * a_real[i] * b_imaginary[i] + a_imaginary[i] * b_real[i]
                re += x * c_real[i] - sign_c * y * c_imaginary[i]
                im += sign_c * x * c_imaginary[i] + y * c_real[i]
            densities[0, element], densities[1, element] = re, im
        slot = 0
        for one in range(n_elements):
            for other in range(one, n_elements):
                products[slot, v] = densities[0, one] * densities[0, other] + densities[1, one] * densities[1, other]
                slot += 1
    return products
