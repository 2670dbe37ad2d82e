"""One row per frame of what the gate's rules look at, computed once and vectorised. Rules belong in `schemas`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from operators.physics.forces import largest_forces
from operators.physics.pairs import shortest_distances
from schemas.expectations import READ_WHOLE, shortest_trainable_pairs_angstrom
from schemas.frames import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a frame is labelled with; NaN where it is missing."""

    energy_ev: Floats
    """(n_frames,)."""
    forces_ev_per_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    virial_ev: Floats
    """(n_frames, 3, 3)."""


def frame_checks(
    atomic_numbers: NDArray[np.integer], positions: Floats, *, cells: Floats, labels: Labels
) -> pd.DataFrame:
    """Columns that geometry and labels decide.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_frames, n_atoms, 3), Angstrom.
    cells
        (n_frames, 3, 3), Angstrom.
    labels
        Energy, forces and virial of the same frames.

    Returns
    -------
    pandas.DataFrame
        One row per frame; `fingerprint` is equal for equal cell, positions and energy.
    """
    limits = shortest_trainable_pairs_angstrom(np.unique(atomic_numbers))
    distance, over_limit = shortest_distances(atomic_numbers, positions, cells=cells, limits=limits)
    largest, net = largest_forces(labels.forces_ev_per_angstrom)
    return pd.DataFrame(
        {
            "energy_ev": labels.energy_ev,
            "min_distance_angstrom": distance,
            "min_distance_over_limit": over_limit,
            "max_force_ev_per_angstrom": largest,
            "net_force_ev_per_angstrom": net,
            "net_force_per_root_n_ev_per_angstrom": net / np.sqrt(len(atomic_numbers)),
            "max_virial_ev_per_atom": np.abs(labels.virial_ev).max(axis=(1, 2)) / len(atomic_numbers),
            "fingerprint": [_fingerprint(*frame) for frame in zip(cells, positions, labels.energy_ev, strict=True)],
        }
    )


def rejection_reasons(faults: Sequence[str], failed_rules: Sequence[str]) -> list[str]:
    """What a frame's row says of its rejection: reading faults by their own names, then the rules that failed."""
    # A frame without faults keeps the rule's name: then the rule itself could not be run.
    return [*faults, *(name for name in failed_rules if name != READ_WHOLE or not faults)]


def _fingerprint(cell: Floats, positions: Floats, energy_ev: float) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for values in (positions, cell, np.float64(energy_ev)):
        digest.update(values.tobytes())
    return digest.hexdigest()
