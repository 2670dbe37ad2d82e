"""What volume atoms take after some were exchanged for other elements. The exchange itself is `start_frame`'s."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors
from operators.physics.closest_pairs import closest_by_pair
from schemas.composition import element_counts, parse_composition
from schemas.frames import Floats
from schemas.gate import shortest_trainable_pairs_angstrom

_LARGEST_VOLUME_RATIO = 1.6


def volume_ratio(
    lake: Lake, rows: Sequence[Mapping[str, object]], *, before: NDArray[np.integer], after: NDArray[np.integer]
) -> float:
    """Volume of the atoms after an exchange over that before, each element with its mean volume in the lake's runs.

    1 where the runs do not tell the elements apart.
    """
    elements = sorted({element for row in rows for element in parse_composition(str(row["composition"]))})
    shares = np.zeros((len(rows), len(elements)))
    volumes = np.empty(len(rows))
    for place, row in enumerate(rows):
        parts = parse_composition(str(row["composition"]))
        shares[place] = [parts.get(element, 0.0) for element in elements]
        batch = next(iter(lake.frame_batches(str(row["run_id"]), ("cell_angstrom",), stop=1)))
        volumes[place] = abs(np.linalg.det(vectors(batch.column(0), 3)[0])) / int(str(row["n_atoms"]))
    shares /= shares.sum(axis=1, keepdims=True)
    sound = np.isfinite(volumes) & (volumes > 0)
    counted = [element_counts(numbers) for numbers in (before, after)]
    asked = np.array([[counts.get(element, 0) for element in elements] for counts in counted], dtype=np.float64)
    is_known = set(counted[1]) <= set(elements)
    if not is_known or np.linalg.matrix_rank(shares[sound]) < np.linalg.matrix_rank(np.vstack([shares[sound], asked])):
        return 1.0
    of_before, of_after = asked @ np.linalg.lstsq(shares[sound], volumes[sound])[0]
    ratio = float(of_after / of_before) if of_before > 0 else 0.0
    return ratio if 1 / _LARGEST_VOLUME_RATIO < ratio < _LARGEST_VOLUME_RATIO else 1.0


def are_apart(numbers: NDArray[np.integer], positions: Floats, *, cell: Floats) -> bool:
    """Whether no two atoms are closer than any two atoms of a melt are."""
    elements, kinds = np.unique(numbers, return_inverse=True)
    closest = closest_by_pair(positions[None], cell[None], kinds, n_types=len(elements))[0]
    return bool((closest >= shortest_trainable_pairs_angstrom(elements)).all())
