"""Partial structure factors from the positions, at the wave vectors that the periodic cell allows.

    S_ab(q) = <rho_a(q) rho_b(q)*> / N,   rho_a(q) = sum_{j of a} exp(i q.r_j),   q = 2 pi (h^-1) n

for integers n: nothing is cut off, so that this is the truth at small q, which a transform of g(r) is not (that is in
`structure_from_rdf`). Other definitions are sums of these: Faber and Ziman, Phil. Mag. 11, 153 (1965); Ashcroft and
Langreth, Phys. Rev. 156, 685 (1967); Bhatia and Thornton, Phys. Rev. B 2, 3004 (1970).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from operators.physics.blocks import blocks, standard_error
from operators.physics.cells import fractional, volumes_angstrom3
from operators.physics.vectors import atoms_of_elements, in_batches, require_finite
from operators.physics.wave_vectors import (
    SHELL_PER_ANGSTROM,
    lengths_per_angstrom,
    products_of_densities,
    shell_numbers,
    wave_vectors,
)
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Vectors

_WHAT = "A structure factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureFactor:
    """Partial structure factors of one run, averaged over shells of wave vectors."""

    concentrations: dict[str, float]
    """Of each element, in alphabetical order; their sum is 1."""
    q_per_angstrom: Floats
    """(n_q,), mean length of a shell's wave vectors; shells without any are absent."""
    n_vectors: NDArray[np.int64]
    """(n_q,), of a shell, each standing for its opposite as well; few of them, few frames: a noisy point."""
    block_s: Floats
    """(n_blocks, n_pairs, n_q), S_ab = <rho_a rho_b*> / N, pairs in the order of `pairs`."""

    @property
    def pairs(self) -> tuple[str, ...]:
        """(n_pairs,), elements in alphabetical order: `Al-Ni`."""
        return tuple(f"{a}-{b}" for a, b in combinations_with_replacement(self.concentrations, 2))

    @property
    def faber_ziman(self) -> Floats:
        """(n_pairs, n_q): a_ab = 1 + (S_ab - c_a delta_ab) / (c_a c_b); 1 at large q, 1 everywhere for a gas."""
        return self._faber_ziman(self.block_s.mean(axis=0))

    @property
    def faber_ziman_error(self) -> Floats:
        """(n_pairs, n_q), standard errors from blocks; NaN for too few independent ones."""
        return standard_error(self._faber_ziman(self.block_s))

    @property
    def ashcroft_langreth(self) -> Floats:
        """(n_pairs, n_q): S_ab / sqrt(c_a c_b); 1 at large q for like pairs, 0 for unlike ones."""
        products = self._products()
        langreth: Floats = self.block_s.mean(axis=0) / np.sqrt(products)[:, None]
        return langreth

    @property
    def number_number(self) -> Floats:
        """(n_q,): S_NN, atoms of all elements counting alike."""
        return bhatia_thornton(self.block_s.mean(axis=0), self.concentrations, next(iter(self.concentrations)))[0]

    @property
    def number_number_error(self) -> Floats:
        """(n_q,), standard errors from blocks; NaN for too few independent ones."""
        first = next(iter(self.concentrations))
        return standard_error(np.stack([bhatia_thornton(s, self.concentrations, first)[0] for s in self.block_s]))

    def of_concentration(self, element: str) -> tuple[Floats, Floats]:
        """(n_q,) each: S_NC and S_CC of one element against all others; S_CC is c (1 - c) where atoms are mixed."""
        _, mixed, concentration = bhatia_thornton(self.block_s.mean(axis=0), self.concentrations, element)
        return mixed, concentration

    def weighted(self, amplitudes: Mapping[str, float | Floats]) -> Floats:
        """(n_q,): what scattering with these amplitudes of the elements shows, sum c_a c_b f_a f_b a_ab / <f>^2.

        Parameters
        ----------
        amplitudes
            Of each element: neutron scattering lengths, or X-ray form factors, (n_q,). Their unit cancels.
        """
        shares = [c * np.broadcast_to(amplitudes[one], self.q_per_angstrom.shape)
                  for one, c in self.concentrations.items()]  # fmt: skip
        total = np.zeros_like(self.q_per_angstrom)
        order = combinations_with_replacement(range(len(shares)), 2)
        for (a, b), curve in zip(order, self.faber_ziman, strict=True):
            total += (1 if a == b else 2) * shares[a] * shares[b] * curve
        of_atom: Floats = total / np.sum(shares, axis=0) ** 2
        return of_atom

    def _faber_ziman(self, s: Floats) -> Floats:
        products = self._products()
        alone = [
            c if a == b else 0.0 for (a, c), (b, _) in combinations_with_replacement(self.concentrations.items(), 2)
        ]
        ziman: Floats = 1 + (s - np.array(alone)[:, None]) / products[:, None]
        return ziman

    def _products(self) -> Floats:
        return np.array([a * b for a, b in combinations_with_replacement(self.concentrations.values(), 2)])


def bhatia_thornton(s: Floats, concentrations: Mapping[str, float], element: str) -> tuple[Floats, Floats, Floats]:
    """S_NN, S_NC and S_CC of one element against all others, whose density is rho_C = rho_a - c_a rho_N.

    Parameters
    ----------
    s
        (n_pairs, n_q), S_ab = <rho_a rho_b*> / N.
    concentrations
        Of each element, in the order of the pairs.
    element
        Whose concentration fluctuates; of a binary alloy either, with S_NC of the other sign.

    Returns
    -------
    tuple of Floats
        (n_q,), dimensionless, each.
    """
    names, c = list(concentrations), concentrations[element]
    matrix = np.empty((len(names), len(names), s.shape[-1]))
    for slot, (a, b) in enumerate(combinations_with_replacement(range(len(names)), 2)):
        matrix[a, b] = matrix[b, a] = s[slot]
    one = names.index(element)
    number, with_number, alone = matrix.sum(axis=(0, 1)), matrix[one].sum(axis=0), matrix[one, one]
    return number, with_number - c * number, alone - 2 * c * with_number + c**2 * number


def partial_structure_factors(
    atomic_numbers: NDArray[np.integer],
    positions: Floats | Vectors,
    *,
    cells: Floats,
    q_max_per_angstrom: float,
    n_blocks: int = 0,
    shell_per_angstrom: float = SHELL_PER_ANGSTROM,
) -> StructureFactor:
    """Partial structure factors of all pairs of elements.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c; any shape, constant or not.
    q_max_per_angstrom
        Up to here.
    n_blocks
        How many blocks of the frames are independent; 0 gives no errors.
    shell_per_angstrom
        Width of the shells that are averaged over.

    Raises
    ------
    MeltlakeError
        If a position or cell is not finite, there is no frame, or no wave vector of the cell is that short.
    """
    if not len(positions):
        raise MeltlakeError("A structure factor needed a frame, found 0 frames.", "Leave this run out.")
    require_finite(cells, what=_WHAT)
    with np.errstate(divide="ignore"):
        require_finite(1 / volumes_angstrom3(cells), what=_WHAT)
    vectors = _vectors(cells, q_max_per_angstrom, shell_per_angstrom)
    symbols, groups = atoms_of_elements(atomic_numbers)
    parts = blocks(len(positions), n_blocks=max(1, n_blocks))
    block_of = np.repeat(np.arange(len(parts)), [part.stop - part.start for part in parts])
    n_shells = int(np.ceil(q_max_per_angstrom / shell_per_angstrom)) + 1
    sums = np.zeros((len(parts), 2 + len(symbols) * (len(symbols) + 1) // 2, n_shells))
    for frames, batch in in_batches(positions):
        require_finite(batch, what=_WHAT)
        found = _shell_sums(batch, cells[frames], groups, vectors=vectors, n_shells=n_shells, width=shell_per_angstrom)
        for block, of_frame in zip(block_of[frames], found, strict=True):
            sums[block] += of_frame
    # A shell that a breathing cell leaves empty in a block is no shell.
    there = np.flatnonzero((sums[:, 0, :-1] > 0).all(axis=0))
    n_seen = sums[:, 0, there]
    return StructureFactor(
        concentrations={a: len(group) / len(atomic_numbers) for a, group in zip(symbols, groups, strict=True)},
        q_per_angstrom=sums[:, 1, there].sum(axis=0) / n_seen.sum(axis=0),
        n_vectors=np.rint(n_seen.sum(axis=0) / len(positions)).astype(np.int64),
        block_s=sums[:, 2:, there] / n_seen[:, None] / len(atomic_numbers),
    )


def _vectors(cells: Floats, q_max_per_angstrom: float, shell_per_angstrom: float) -> NDArray[np.int64]:
    """(n_vectors, 3): wave vectors of the mean cell, one at least."""
    vectors = wave_vectors(cells.mean(axis=0), q_max_per_angstrom, shell_per_angstrom=shell_per_angstrom)
    if not len(vectors):
        shortest = 2 * np.pi / np.linalg.norm(cells.mean(axis=0), axis=1).max()
        raise MeltlakeError(
            f"A structure factor up to {q_max_per_angstrom:g} per angstrom needed a wave vector of the cell, found the "
            f"shortest to be about {shortest:.2g} per angstrom.",
            "Ask for larger wave vectors, or simulate a larger cell.",
        )
    return vectors


def _shell_sums(
    positions: Floats,
    cells: Floats,
    groups: Sequence[NDArray[np.intp]],
    *,
    vectors: NDArray[np.int64],
    n_shells: int,
    width: float,
) -> Iterator[Floats]:
    """(2 + n_pairs, n_shells) of each frame: how many vectors, their lengths, products of densities."""
    order, starts = np.concatenate(groups), np.cumsum([0, *map(len, groups)])
    for inside, cell in zip(fractional(positions, cells), cells, strict=True):
        products = products_of_densities(np.ascontiguousarray(inside.take(order, axis=0).T), starts, vectors)
        q = lengths_per_angstrom(vectors, cell)
        shells = np.minimum(shell_numbers(q, width), n_shells - 1)
        yield np.stack([np.bincount(shells, of, minlength=n_shells) for of in (np.ones_like(q), q, *products)])
