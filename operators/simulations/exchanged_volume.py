"""What volume atoms take after some were exchanged for other elements. The exchange itself is `start_frame`'s."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors
from operators.physics.closest_pairs import closest_by_pair
from operators.physics.composition_space import as_points
from operators.physics.melt_volumes import foretold_volumes
from schemas.composition import atomic_numbers_of, element_counts, parse_composition
from schemas.elements import crystal_volumes_angstrom3
from schemas.frames import Floats
from schemas.gate import shortest_trainable_pairs_angstrom
from schemas.rows import real_or_none

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class VolumeRatio:
    """Volume after an exchange over that before."""

    ratio: float
    is_guessed: bool
    """No mixture of the melts in the lake has both compositions."""


def volume_ratio(
    lake: Lake,
    rows: Sequence[Row],
    *,
    before: NDArray[np.integer],
    after: NDArray[np.integer],
    wanted_k: float | None = None,
) -> VolumeRatio:
    """Volume of the atoms after an exchange over that before, as the lake's melts foretell both.

    Parameters
    ----------
    lake, rows
        Where the melts are, and their rows of `runs`.
    before, after
        (n_atoms,), atomic numbers.
    wanted_k
        Of several runs of a composition the nearest to this temperature counts; None: the longest.
    """
    counted = [element_counts(numbers) for numbers in (before, after)]
    melts = {str(row["composition"]): row for row in sorted(rows, key=lambda row: _unlike(row, wanted_k), reverse=True)}
    parts = [parse_composition(name) for name in melts]
    elements = sorted({element for melt in parts for element in melt} | {e for counts in counted for e in counts})
    points = as_points([{element: float(n) for element, n in counts.items()} for counts in counted], elements)
    found = foretold_volumes(
        points,
        as_points(parts, elements),
        volumes=np.array([_volume_per_atom_angstrom3(lake, row) for row in melts.values()]),
        of_crystals=crystal_volumes_angstrom3(atomic_numbers_of(elements)),
    )
    of_before, of_after = found.volumes_angstrom3
    return VolumeRatio(float(of_after / of_before), bool(found.is_guessed.any()))


def _unlike(row: Row, wanted_k: float | None) -> tuple[float, int, str]:
    found_k = real_or_none(row, "temperature_target_k")
    unlike = 0.0 if wanted_k is None else 1e9 if found_k is None else abs(found_k - wanted_k)
    return unlike, -int(str(row["n_frames"])), str(row["run_id"])


def _volume_per_atom_angstrom3(lake: Lake, row: Row) -> float:
    batch = next(iter(lake.frame_batches(str(row["run_id"]), ("cell_angstrom",), stop=1)))
    return float(abs(np.linalg.det(vectors(batch.column(0), 3)[0]))) / int(str(row["n_atoms"]))


def are_apart(numbers: NDArray[np.integer], positions: Floats, *, cell: Floats) -> bool:
    """Whether no two atoms are closer than any two atoms of a melt are."""
    elements, kinds = np.unique(numbers, return_inverse=True)
    closest = closest_by_pair(positions[None], cell[None], kinds, n_types=len(elements))[0]
    return bool((closest >= shortest_trainable_pairs_angstrom(elements)).all())
