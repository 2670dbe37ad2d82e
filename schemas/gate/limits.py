"""Bounds of the gate that depend on the elements."""

import numpy as np
from numpy.typing import NDArray

from schemas.elements import covalent_radii_angstrom

SHORTEST_TRAINABLE_PAIR_ANGSTROM = 1.5
"""Closest approach of two metal atoms in a melt that may still be trained on."""

SHORTEST_BOND_FRACTION = 0.65
"""The same for lighter pairs (O-H, C-H), as a fraction of the sum of covalent radii."""


def shortest_trainable_pairs_angstrom(atomic_numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Shortest distance that a pair of these elements may have in a frame that is trained on.

    Parameters
    ----------
    atomic_numbers
        (n_elements,), dimensionless.

    Returns
    -------
    NDArray
        (n_elements, n_elements), Angstrom.
    """
    radii = covalent_radii_angstrom(atomic_numbers)
    bond = SHORTEST_BOND_FRACTION * (radii[:, None] + radii[None, :])
    limits: NDArray[np.float64] = np.minimum(bond, SHORTEST_TRAINABLE_PAIR_ANGSTROM)
    return limits
