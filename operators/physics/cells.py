"""Periodic cells: volumes, plane distances, fractional coordinates. Pairs across them are in `pairs` and `rdf`."""

import numpy as np

from schemas.frames import Floats

_NEXT, _AFTER_NEXT = [1, 2, 0], [2, 0, 1]
"""Of three vectors or components, in a circle."""


def volumes_angstrom3(cells: Floats) -> Floats:
    """Volumes of cells.

    Parameters
    ----------
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.

    Returns
    -------
    Floats
        (n_frames,), Angstrom^3.
    """
    volumes: Floats = np.abs(np.linalg.det(cells))
    return volumes


def plane_distances_angstrom(cells: Floats) -> Floats:
    """Distances between the opposite faces of cells.

    A sphere of half the smallest of them meets every atom at most once, so that the minimum image is unique.

    Parameters
    ----------
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.

    Returns
    -------
    Floats
        (n_frames, 3), Angstrom: between the faces spanned by bc, ca and ab.
    """
    # The cross products of b and c, c and a, a and b; NumPy's own takes longer over one cell than all the rest.
    two, three = cells[:, _NEXT], cells[:, _AFTER_NEXT]
    faces = two[:, :, _NEXT] * three[:, :, _AFTER_NEXT] - two[:, :, _AFTER_NEXT] * three[:, :, _NEXT]
    areas = np.linalg.norm(faces, axis=2)
    distances: Floats = np.where(areas > 0, volumes_angstrom3(cells)[:, None] / np.where(areas > 0, areas, 1.0), 0.0)
    return distances


def fractional(positions: Floats, cells: Floats) -> Floats:
    """Positions in units of the cell vectors, not wrapped.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.

    Returns
    -------
    Floats
        (n_frames, n_atoms, 3), dimensionless.
    """
    inside: Floats = positions @ np.linalg.inv(cells)
    return inside


def wrapped(scaled: Floats) -> Floats:
    """Coordinates in units of the cell vectors, each in [0, 1); any shape, dimensionless."""
    inside: Floats = scaled - np.floor(scaled)
    inside[inside >= 1] = 0  # of -1e-17, where the difference is rounded to 1
    return inside


def lower_triangular(cells: Floats) -> Floats:
    """The same cells rotated so that a lies along x and b in the xy plane; distances do not change.

    Parameters
    ----------
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.

    Returns
    -------
    Floats
        (n_frames, 3, 3), Angstrom; zero above the diagonal, which may be negative.
    """
    upper = np.linalg.qr(np.swapaxes(cells, 1, 2), mode="r")
    lower: Floats = np.ascontiguousarray(np.swapaxes(upper, 1, 2))
    return lower
