"""Extremes of the forces of a frame, as the gate judges them. The rules themselves belong in `schemas`."""

import numpy as np

from schemas.frames import Floats


def largest_forces(forces: Floats) -> tuple[Floats, Floats]:
    """Largest force on an atom, and largest Cartesian component of the summed force, of each frame.

    Parameters
    ----------
    forces
        (n_frames, n_atoms, 3), eV/Angstrom.

    Returns
    -------
    tuple of Floats
        (n_frames,), eV/Angstrom, each; NaN for a frame with a force that is not finite.
    """
    squares = np.einsum("fax,fax->fa", forces, forces).max(axis=1)
    net: Floats = np.abs(np.ones(forces.shape[1]) @ forces).max(axis=1)  # ten times as quick as to sum over an axis
    finite = np.isfinite(squares)
    if not finite.all():  # or a square is too large
        finite = np.isfinite(forces).all(axis=(1, 2))
    return np.where(finite, np.sqrt(squares), np.nan), np.where(finite, net, np.nan)
