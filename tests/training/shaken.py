"""Shaken crystals of any elements: enough neighbours to tell melts apart, with random numbers for labels."""

import numpy as np

from schemas.elements import atomic_number
from tests.training.conftest import frame_row

EDGE_ANGSTROM = 2.6


def melt(
    counts: dict[str, int], n_frames: int, *, seed: int = 0, step_fs: float = 100.0, spacing: float = EDGE_ANGSTROM
) -> list[dict[str, object]]:
    """Frames of a simple cubic crystal of 64 atoms, elements at random on its sites."""
    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3) * spacing
    numbers = rng.permutation(np.repeat([atomic_number(one) for one in counts], list(counts.values()))).astype(np.int8)
    return [
        frame_row(
            frame,
            numbers=numbers,
            cell=np.eye(3) * 4 * spacing,
            positions=sites + rng.normal(0, 0.2, sites.shape),
            forces=rng.normal(size=sites.shape),
            energy=float(rng.normal()),
            virial=rng.normal(size=(3, 3)),
            time_fs=step_fs * frame,
        )
        for frame in range(n_frames)
    ]
