"""Atoms of a frame exchanged for other elements. What volume they take then is in `melt_volumes`."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from schemas.composition import element_counts
from schemas.elements import atomic_number, covalent_radii_angstrom


def exchanged(numbers: NDArray[np.int8], wanted: Mapping[str, int], *, seed: int) -> NDArray[np.int8]:
    """The same atoms with the wanted counts: surplus ones, chosen at random, become the missing elements of like size.

    Parameters
    ----------
    numbers
        (n_atoms,), atomic numbers.
    wanted
        Atoms of each element; they add up to n_atoms.
    seed
        Of the choice.
    """
    random = np.random.default_rng(seed)
    present = element_counts(numbers)
    surplus = {element: n - wanted.get(element, 0) for element, n in present.items() if n > wanted.get(element, 0)}
    chosen = [random.choice(np.flatnonzero(numbers == atomic_number(e)), n, replace=False) for e, n in surplus.items()]
    sites = np.concatenate([np.empty(0, dtype=np.int64), *chosen])
    missing = [atomic_number(e) for e, n in wanted.items() for _ in range(n - present.get(e, 0))]
    arrivals = np.array(missing, dtype=np.int8)
    out = numbers.copy()
    by_size = np.argsort(covalent_radii_angstrom(numbers[sites]), kind="stable")
    out[sites[by_size]] = arrivals[np.argsort(covalent_radii_angstrom(arrivals), kind="stable")]
    return out
