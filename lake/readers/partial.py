"""Batches of frames of which a file gives only a part, such as positions alone. Text does not belong here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.frames import Floats, FrameBatch


def partial_batch(
    ionic_steps: Sequence[int],
    segments: Sequence[int],
    *,
    cells: Floats,
    positions: Floats,
    faults: Sequence[Sequence[str]],
    known: Mapping[str, NDArray[np.generic] | None] | None = None,
) -> FrameBatch:
    """A batch whose every other quantity is NaN or unknown, and whose frames are labelled by nothing.

    Parameters
    ----------
    cells
        (n_frames, 3, 3), A.
    positions
        (n_frames, n_atoms, 3), A, Cartesian. Those that are not finite are flagged.
    faults
        Reason codes of each frame.
    known
        What else the file gives, by the names and units of `FrameBatch`.
    """
    n_frames = len(ionic_steps)
    nothing = np.full(n_frames, np.nan)
    spoiled = ~np.isfinite(positions.sum(axis=(1, 2)))
    quantities: dict[str, Any] = {
        "forces_ev_per_angstrom": np.full(positions.shape, np.nan),
        "energy_ev": nothing,
        "energy_sigma0_ev": nothing,
        "energy_without_entropy_ev": nothing,
        "virial_ev": np.full((n_frames, 3, 3), np.nan),
        "temperature_k": nothing,
        "scf_steps": np.full(n_frames, -1, dtype=np.int32),
        "scf_verdict": np.full(n_frames, "unknown"),
        "label_source": np.full(n_frames, "none"),
        **(known or {}),
    }
    return FrameBatch(
        ionic_step=np.array(ionic_steps, dtype=np.int32),
        segment=np.array(segments, dtype=np.int32),
        cell_angstrom=cells,
        positions_angstrom=positions,
        virial_trace_ev=np.trace(quantities["virial_ev"], axis1=1, axis2=2),
        faults=tuple(
            tuple(dict.fromkeys((*own, "positions_not_finite") if is_spoiled else own))
            for own, is_spoiled in zip(faults, spoiled, strict=True)
        ),
        **quantities,
    )
