"""How far two curves lie apart, beside how far two samples of the same melt would. Estimating the curves is elsewhere.

The floor is what finite sampling alone gives: the distance between the two halves of the reference run over the square
root of two, since a half scatters twice as much in the mean square as the whole.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from operators.physics.blocks import is_long_enough
from schemas.frames import Floats

Verdict = Literal["indistinguishable", "good", "visible", "disagrees", "undecided"]

R_FROM_ANGSTROM = 1.5
"""No two atoms of a metallic melt come closer; below it a difference would be noise over nothing."""
LAG_UP_TO_FS = 600.0

LARGEST_FLOOR_PERCENT = 25.0
"""Below such a floor a melt of another chemistry (7 to 10 percent in RDFs) could hide."""

_VERDICTS: tuple[tuple[float, Verdict], ...] = ((1.5, "indistinguishable"), (3.0, "good"), (6.0, "visible"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Distance of two curves in percent, its floor, their ratio and what it means; z is None where the floor is 0."""

    l1_percent: float
    floor_percent: float
    z: float | None
    verdict: Verdict


def l1_percent(one: Floats, reference: Floats) -> float:
    """Integrated absolute difference over the integral of the reference, both on one even grid: (n_bins,)."""
    return float(100 * np.abs(one - reference).sum() / np.abs(reference).sum())


def rms_percent(one: Floats, reference: Floats) -> float:
    """Root mean square difference of two curves normalised to 1 at zero lag: (n_lags,)."""
    return float(100 * np.sqrt(np.mean(np.square(one - reference))))


def judged(distance_percent: float, between_halves_percent: float, *, sampled_fs: float) -> Agreement:
    """Agreement from the distance of two curves, and from that of the two halves of the reference run.

    Parameters
    ----------
    distance_percent
        Between the curves of the two runs.
    between_halves_percent
        Between the curves of the two halves of the reference run.
    sampled_fs
        Length of the shorter run, accepted frames only, fs; NaN without a time axis.
    """
    floor = float(between_halves_percent / np.sqrt(2))
    z = distance_percent / floor if floor > 0 else None
    decided = z is not None and floor <= LARGEST_FLOOR_PERCENT and is_long_enough(sampled_fs)
    return Agreement(
        l1_percent=distance_percent,
        floor_percent=floor,
        z=z,
        verdict=verdict(z) if z is not None and decided else "undecided",
    )


def verdict(z: float) -> Verdict:
    """What a distance of z floors means."""
    return next((name for limit, name in _VERDICTS if z <= limit), "disagrees")
