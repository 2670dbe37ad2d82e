"""How far two curves lie apart, beside how far two samples of the same melt would. Estimating the curves is elsewhere.

The floor is what finite sampling alone gives: the distance between the two halves of the reference run over the square
root of two, since a half scatters twice as much in the mean square as the whole.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from schemas.frames import Floats

Verdict = Literal["indistinguishable", "good", "visible", "disagrees"]

R_FROM_ANGSTROM = 1.5
"""No two atoms of a metallic melt come closer; below it a difference would be noise over nothing."""
LAG_UP_TO_FS = 600.0

_VERDICTS: tuple[tuple[float, Verdict], ...] = ((1.5, "indistinguishable"), (3.0, "good"), (6.0, "visible"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Distance of two curves in percent, its floor, their ratio and what it means; None where there is no floor."""

    l1_percent: float
    floor_percent: float | None
    z: float | None
    verdict: Verdict | None


def l1_percent(one: Floats, reference: Floats) -> float:
    """Integrated absolute difference over the integral of the reference, both on one even grid: (n_bins,)."""
    return float(100 * np.abs(one - reference).sum() / np.abs(reference).sum())


def rms_percent(one: Floats, reference: Floats) -> float:
    """Root mean square difference of two curves normalised to 1 at zero lag: (n_lags,)."""
    return float(100 * np.sqrt(np.mean(np.square(one - reference))))


def judged(distance_percent: float, between_halves_percent: float) -> Agreement:
    """Agreement from the distance of two curves, and from that of the two halves of the reference run."""
    floor = between_halves_percent / np.sqrt(2)
    if not floor > 0:
        return Agreement(l1_percent=distance_percent, floor_percent=None, z=None, verdict=None)
    z = distance_percent / floor
    return Agreement(l1_percent=distance_percent, floor_percent=float(floor), z=float(z), verdict=verdict(z))


def verdict(z: float) -> Verdict:
    """What a distance of z floors means."""
    return next((name for limit, name in _VERDICTS if z <= limit), "disagrees")
