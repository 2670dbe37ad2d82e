"""How many neighbours of each element an atom has at most: what DeePMD's `sel` must hold. No choice of frames here."""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from schemas.errors import MeltlakeError
from schemas.frames import Floats, Integers

SEL_MARGIN = 1.15
"""Head-room over the largest count seen: a simulation visits denser places than its training frames."""
SEL_MULTIPLE = 4


def max_neighbours(
    positions_angstrom: Floats, cell_angstrom: Floats, types: Integers, *, r_cut_angstrom: float, n_types: int
) -> NDArray[np.int64]:
    """Largest number of neighbours of each type within the cutoff, over all atoms of all frames.

    Periodic copies count one by one, so that cells smaller than the cutoff are right too.

    Parameters
    ----------
    positions_angstrom
        (n_frames, n_atoms, 3), A, wrapped or not.
    cell_angstrom
        (n_frames, 3, 3), A, rows a, b, c; any shape of cell.
    types
        (n_atoms,), dimensionless, below `n_types`.
    r_cut_angstrom
        Cutoff radius.
    n_types
        Number of types.

    Returns
    -------
    NDArray
        (n_types,), dimensionless.

    Raises
    ------
    MeltlakeError
        If a cell has no volume.
    """
    most = np.zeros(n_types, dtype=np.int64)
    for positions, cell in zip(positions_angstrom, cell_angstrom, strict=True):
        volume = abs(np.linalg.det(cell))
        if volume == 0:
            raise MeltlakeError("A frame's cell has no volume.", "Look at the run's cell vectors.")
        inverse = np.linalg.inv(cell)
        # Distance between opposite faces: |a.(b x c)| / |b x c| = 1 / |column of the inverse|.
        heights = 1.0 / np.linalg.norm(inverse, axis=0)
        # Wrapped differences are at most half a cell: the copy n cells away is at least |n| - 1/2 heights away.
        reach = np.floor(r_cut_angstrom / heights + 0.5).astype(np.int64)
        fractional = np.ascontiguousarray(positions @ inverse)
        _count_frame(fractional, np.ascontiguousarray(cell), types.astype(np.int64), reach, r_cut_angstrom, most)
    return most


def sel(most: Sequence[int]) -> list[int]:
    """Neighbour slots per type: 15 % head-room, rounded up to a multiple of four, and at least four."""
    return [SEL_MULTIPLE * max(1, int(np.ceil(SEL_MARGIN * count / SEL_MULTIPLE))) for count in most]


def require_room(slots: Sequence[int], most: Sequence[int], type_map: Sequence[str]) -> None:
    """Refuse slots that leave neighbours out: DeePMD would drop the farthest without an error, and train on.

    Parameters
    ----------
    slots
        (n_types,), dimensionless: DeePMD's `sel`.
    most
        (n_types,), dimensionless: what `max_neighbours` found.
    type_map
        Elements, in the same order.

    Raises
    ------
    MeltlakeError
        If an atom has more neighbours of an element than there are slots.
    """
    short = [
        f"{n_slots} for up to {found} {element}"
        for element, n_slots, found in zip(type_map, slots, most, strict=True)
        if n_slots < found
    ]
    if short:
        raise MeltlakeError(
            f"sel: needed a slot for every neighbour within the cutoff, found {', '.join(short)}.",
            f"Use at least {', '.join(map(str, sel(most)))} for {', '.join(type_map)}, or a smaller cutoff.",
        )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _count_frame(  # noqa: C901, PLR0917  # a kernel: loops over pairs and three axes of periodic copies
    fractional: Floats,
    cell: Floats,
    types: NDArray[np.int64],
    reach: NDArray[np.int64],
    r_cut: float,
    most: NDArray[np.int64],
) -> None:
    n_atoms = len(fractional)
    counts = np.zeros((n_atoms, len(most)), dtype=np.int64)
    squared = r_cut * r_cut
    for i in range(n_atoms):
        for j in range(i, n_atoms):
            a = fractional[j, 0] - fractional[i, 0]
            b = fractional[j, 1] - fractional[i, 1]
            c = fractional[j, 2] - fractional[i, 2]
            a -= np.rint(a)
            b -= np.rint(b)
            c -= np.rint(c)
            for n_a in range(-reach[0], reach[0] + 1):
                for n_b in range(-reach[1], reach[1] + 1):
                    for n_c in range(-reach[2], reach[2] + 1):
                        if i == j and n_a == 0 and n_b == 0 and n_c == 0:
                            continue
                        x = (a + n_a) * cell[0, 0] + (b + n_b) * cell[1, 0] + (c + n_c) * cell[2, 0]
                        y = (a + n_a) * cell[0, 1] + (b + n_b) * cell[1, 1] + (c + n_c) * cell[2, 1]
                        z = (a + n_a) * cell[0, 2] + (b + n_b) * cell[1, 2] + (c + n_c) * cell[2, 2]
                        if x * x + y * y + z * z < squared:
                            counts[i, types[j]] += 1
                            if i != j:
                                counts[j, types[i]] += 1
    for i in range(n_atoms):
        for kind in range(len(most)):
            most[kind] = max(most[kind], counts[i, kind])
