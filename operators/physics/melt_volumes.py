"""What volume an atom takes in a melt that nobody computed, from melts that were. Whose they are is not asked here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from operators.physics.composition_space import interpolated, mixed
from schemas.errors import MeltlakeError
from schemas.frames import Floats

_ROUNDING_AT_PERCENT = 1.5
"""Labels have whole at.%: a melt this far outside of the known ones is still between them."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """Volumes per atom of melts."""

    volumes_angstrom3: Floats
    """(n_points,)."""
    is_guessed: NDArray[np.bool_]
    """(n_points,): no mixture of the known melts has the composition."""


def foretold_volumes(points: Floats, known: Floats, *, volumes: Floats, of_crystals: Floats) -> Foretold:
    """Volumes per atom of melts, between others as these tell them, beyond them from those of the elements' crystals.

    Between known melts volumes are nearly additive: a mixture, and what is left over interpolated. Beyond them no slope
    is followed, because a few percent that heat or pressure make between two near melts would grow without bound: the
    elements' crystals tell how volumes differ, and the known melts how much larger melts are than crystals.

    Parameters
    ----------
    points
        (n_points, n_elements), at.%.
    known
        (n_known, n_elements), at.%: melts of like temperature and pressure.
    volumes
        (n_known,), Angstrom^3 per atom, of these.
    of_crystals
        (n_elements,), Angstrom^3 per atom; NaN where unknown.

    Raises
    ------
    MeltlakeError
        If no volume is known.
    """
    sound = np.isfinite(volumes) & (volumes > 0)
    if not sound.any():
        raise MeltlakeError("The volume of a melt needed one that is known, found none.", "Ingest a run with a cell.")
    known, volumes = known[sound], volumes[sound]
    is_between = np.array([nnls(known.T, point)[1] <= _ROUNDING_AT_PERCENT for point in points], dtype=bool)
    out = _beyond(points, known, volumes, of_crystals)
    if is_between.any():
        out[is_between] = mixed(points[is_between], known, values=volumes)
    return Foretold(out, ~is_between)


def _beyond(points: Floats, known: Floats, volumes: Floats, of_crystals: Floats) -> Floats:
    """From crystals; melts with an element whose crystal is not known are as large as melts nearby."""
    crystals, melts = (_mixture(some, of_crystals) for some in (points, known))
    tells = np.isfinite(melts)
    out: Floats = interpolated(points, known, values=volumes)
    if tells.any():
        grown = interpolated(points, known[tells], values=volumes[tells] / melts[tells])
        out = np.where(np.isfinite(crystals), grown * crystals, out)
    return out


def _mixture(points: Floats, of_elements: Floats) -> Floats:
    """(n_points,): NaN where an element that is present has none."""
    shares = points / 100
    mixture: Floats = (shares * np.where(np.isfinite(of_elements), of_elements, 0.0)).sum(axis=1)
    mixture[(shares[:, ~np.isfinite(of_elements)] > 0).any(axis=1)] = np.nan
    return mixture
