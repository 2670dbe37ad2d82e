"""How far two curves or numbers lie apart, beside how far two samples of one melt would. Estimating them is elsewhere.

The floor is what finite sampling alone gives, told by the two halves of the reference run. A half scatters twice as
much in the mean square as the whole, so that the halves are 2 sigma apart where the whole scatters by sigma. Runs of
lengths T and T' are sigma sqrt(1 + T/T') apart: of equal lengths, as far as the halves over the square root of two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from operators.physics.blocks import SHORTEST_RUN_FS, is_long_enough
from schemas.frames import Floats

Verdict = Literal["indistinguishable", "good", "visible", "disagrees", "undecided"]

R_FROM_ANGSTROM = 1.5
"""No two atoms of a metallic melt come closer; below it a difference would be noise over nothing."""
LAG_UP_TO_FS = 600.0

LARGEST_FLOOR_PERCENT = 25.0
"""Below such a floor a melt of another chemistry (7 to 10 percent in RDFs) could hide."""

_VERDICTS: tuple[tuple[float, Verdict], ...] = ((1.5, "indistinguishable"), (3.0, "good"), (6.0, "visible"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far apart two curves are, in percent by one measure, and how far two samples of the same melt would be."""

    percent: float
    floor_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveDistances:
    """How far apart two radial distribution functions are, by every measure that the literature uses."""

    l1: Distance
    """See `l1_percent`."""
    wright: Distance
    """See `wright_percent`."""
    not_shared: Distance
    """100 less the overlap; see `overlap_percent`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Distance of two curves in percent, its floor, their ratio and what it means; z is None where the floor is 0."""

    l1_percent: float
    floor_percent: float
    z: float | None
    verdict: Verdict
    reason: str | None = None
    """Why there is no verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its standard error, NaN where a run is too short to tell."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One number less another with its standard error, their ratio and what it means."""

    difference: float
    error: float
    z: float | None
    verdict: Verdict
    reason: str | None = None
    """Why there is no verdict."""


def l1_percent(one: Floats, reference: Floats) -> float:
    """Integrated absolute difference over the integral of the reference, both on one even grid: (n_bins,)."""
    return float(100 * np.abs(one - reference).sum() / np.abs(reference).sum())


def overlap_percent(one: Floats, reference: Floats) -> float:
    """Area that two curves share, 1 - int |a - b| / int (a + b): 100 for equal ones; on one even grid, (n_bins,)."""
    return float(100 * (1 - np.abs(one - reference).sum() / (np.abs(one) + np.abs(reference)).sum()))


def wright_percent(one: Floats, reference: Floats) -> float:
    """R_chi = sqrt(sum (a - b)^2 / sum b^2) of Wright, J. Non-Cryst. Solids 159, 264 (1993); (n_bins,)."""
    return float(100 * np.sqrt(np.square(one - reference).sum() / np.square(reference).sum()))


def rms_percent(one: Floats, reference: Floats) -> float:
    """Root mean square difference of two curves normalised to 1 at zero lag: (n_lags,)."""
    return float(100 * np.sqrt(np.mean(np.square(one - reference))))


def floor_percent(between_halves_percent: float, *, sample_ratio: float = 1.0) -> float:
    """Distance that two samples of one melt have, from that of the halves of one of them.

    Parameters
    ----------
    between_halves_percent
        Between the curves of the two halves of the reference run.
    sample_ratio
        How many times as much as the other the reference run has sampled: atoms times time.
    """
    return float(between_halves_percent * np.sqrt(1 + sample_ratio) / 2)


def curve_distances(
    one: Floats, reference: Floats, *, halves: tuple[Floats, Floats], sample_ratio: float = 1.0
) -> CurveDistances:
    """Every measure of how far a radial distribution function is from another, each with its floor.

    Parameters
    ----------
    one, reference
        (n_bins,), on one even grid that begins at `R_FROM_ANGSTROM`.
    halves
        (n_bins,) each, of the reference run.
    sample_ratio
        How many times as much as the other the reference run has sampled: atoms times time.
    """

    def distance(measure: Callable[[Floats, Floats], float]) -> Distance:
        floor = floor_percent(measure(*halves), sample_ratio=sample_ratio)
        return Distance(percent=measure(one, reference), floor_percent=floor)

    return CurveDistances(
        l1=distance(l1_percent),
        wright=distance(wright_percent),
        not_shared=distance(lambda a, b: 100 - overlap_percent(a, b)),
    )


def judged(
    distance_percent: float, between_halves_percent: float, *, sampled_fs: float, sample_ratio: float = 1.0
) -> Agreement:
    """Agreement from the distance of two curves, and from that of the two halves of the reference run.

    Parameters
    ----------
    distance_percent
        Between the curves of the two runs.
    between_halves_percent
        Between the curves of the two halves of the reference run.
    sampled_fs
        Length of the shorter run, accepted frames only, fs; NaN without a time axis.
    sample_ratio
        How many times as much as the other the reference run has sampled: atoms times time.
    """
    floor = floor_percent(between_halves_percent, sample_ratio=sample_ratio)
    return judged_distance(Distance(percent=distance_percent, floor_percent=floor), sampled_fs=sampled_fs)


def judged_distance(distance: Distance, *, sampled_fs: float) -> Agreement:
    """Agreement from a distance with its floor; see `judged`."""
    floor = distance.floor_percent
    z = distance.percent / floor if floor > 0 else None
    reason = None
    if z is None:
        reason = "no noise floor: the halves of the AIMD run are equal"
    elif floor > LARGEST_FLOOR_PERCENT:
        reason = f"noise floor {floor:.2g} %, above {LARGEST_FLOOR_PERCENT:.0f} %"
    elif not is_long_enough(sampled_fs):
        reason = f"run too short: a verdict takes {SHORTEST_RUN_FS:.0f} fs of accepted frames in each"
    return Agreement(
        l1_percent=distance.percent,
        floor_percent=floor,
        z=z,
        verdict=verdict(z) if z is not None and reason is None else "undecided",
        reason=reason,
    )


def judged_difference(one: Estimate, reference: Estimate, *, largest_error: float) -> Difference:
    """Difference of two numbers, and what it means beside the standard errors of both.

    Parameters
    ----------
    one, reference
        Of two runs, by one estimator.
    largest_error
        With a larger standard error of the difference, a melt of another chemistry could hide.
    """
    difference, error = one.value - reference.value, float(np.hypot(one.error, reference.error))
    z = abs(difference) / error if error > 0 else None
    reason = None
    if np.isnan(error):
        reason = "no error bar: a run is too short"
    elif z is None:
        reason = "no scatter in either run, and so no noise floor"
    elif error > largest_error:
        reason = f"standard error {error:.2g}, above {largest_error:.2g}"
    return Difference(
        difference=difference,
        error=error,
        z=z,
        verdict=verdict(z) if z is not None and reason is None else "undecided",
        reason=reason,
    )


def verdict(z: float) -> Verdict:
    """What a distance of z floors, or a difference of z standard errors, means."""
    return next((name for limit, name in _VERDICTS if z <= limit), "disagrees")
