"""Compositions as points: a grid of them, their distances, and which one to look at next. Labels are in `schemas`."""

from collections.abc import Sequence
from math import comb

import numpy as np

from schemas.errors import MeltlakeError
from schemas.frames import Floats

MOST_POINTS = 20_000
"""Of a grid: more take longer than an answer is worth waiting for."""


def simplex_grid(n_elements: int, *, step_at_percent: float) -> Floats:
    """All compositions in equal steps, pure elements and subsystems included.

    Parameters
    ----------
    n_elements
        Number of elements.
    step_at_percent
        At.%; 100 is a multiple of it.

    Returns
    -------
    Floats
        (n_points, n_elements), at.%; each row sums to 100.

    Raises
    ------
    MeltlakeError
        If 100 is no multiple of the step, or the points are too many.
    """
    n_steps = round(100 / step_at_percent) if step_at_percent > 0 else 0
    if n_steps < 1 or abs(n_steps * step_at_percent - 100) > 1e-9:
        raise MeltlakeError(
            f"A grid of compositions needed a step that divides 100 at.%, found {step_at_percent:g}.",
            "Take 5, 10 or 20.",
        )
    n_points = comb(n_steps + n_elements - 1, n_elements - 1)
    if n_points > MOST_POINTS:
        raise MeltlakeError(
            f"A grid of {n_elements} elements in steps of {step_at_percent:g} at.% has {n_points} compositions, "
            f"more than {MOST_POINTS}.",
            "Take a larger step, such as 10.",
        )
    counts = np.array(list(_parts(n_steps, n_elements)), dtype=np.float64)
    points: Floats = counts * step_at_percent
    return points


def _parts(total: int, n_parts: int) -> list[tuple[int, ...]]:
    """Every way to write a number as an ordered sum of so many."""
    if n_parts == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total, -1, -1) for rest in _parts(total - first, n_parts - 1)]


def half_l1(points: Floats, others: Floats) -> Floats:
    """Distances between compositions: the share of atoms to swap to turn one into the other.

    Parameters
    ----------
    points
        (n_points, n_elements), at.%.
    others
        (n_others, n_elements), at.%, same elements.

    Returns
    -------
    Floats
        (n_points, n_others), at.%.
    """
    distances: Floats = 0.5 * np.abs(points[:, None, :] - others[None, :, :]).sum(axis=2)
    return distances


def interpolated(points: Floats, known: Floats, *, values: Floats) -> Floats:
    """Values at compositions from those at others, weighted by the inverse square of the distance (Shepard 1968).

    Exact where a value is known; never outside the range of the known ones, so that it does not extrapolate.

    Parameters
    ----------
    points
        (n_points, n_elements), at.%.
    known
        (n_known, n_elements), at.%, no two alike.
    values
        (n_known,), of any unit.

    Returns
    -------
    Floats
        (n_points,), of that unit.

    Raises
    ------
    MeltlakeError
        If nothing is known.
    """
    if not len(known):
        raise MeltlakeError("A value at a composition needed one that is known, found none.", "Observe a run first.")
    distances = half_l1(points, known)
    weights = 1.0 / np.maximum(distances, 1e-9) ** 2
    means: Floats = (weights @ values) / weights.sum(axis=1)
    return means


def mixed(points: Floats, known: Floats, *, values: Floats) -> Floats:
    """Values at compositions as a mixture of the elements' own (Vegard), and what is left over interpolated.

    Good for volumes per atom: nearly additive, and exact where they are known. Same arguments as `interpolated`.

    Raises
    ------
    MeltlakeError
        If nothing is known.
    """
    if not len(known):
        raise MeltlakeError("A value at a composition needed one that is known, found none.", "Observe a run first.")
    centre, mean = known.mean(axis=0), float(values.mean())
    # The shortest solution: where melts do not tell two elements apart, they count as alike.
    slopes, *_ = np.linalg.lstsq((known - centre) / 100, values - mean, rcond=1e-6)
    left = values - mean - (known - centre) / 100 @ slopes
    mixture: Floats = mean + (points - centre) / 100 @ slopes + interpolated(points, known, values=left)
    return mixture


def most_wanted(points: Floats, taught: Floats, *, weights: Floats, n_wanted: int) -> list[tuple[int, float, float]]:
    """Compositions to look at next, greedily: weight times distance to what is known or was chosen before.

    Parameters
    ----------
    points
        (n_points, n_elements), at.%: the candidates.
    taught
        (n_taught, n_elements), at.%: what was trained on.
    weights
        (n_points,), 0 or more: how little is known at each.
    n_wanted
        At most so many.

    Returns
    -------
    list
        Number of the point, its score and its distance, at.%, when it was chosen; scores fall and are above 0.
    """
    distances = half_l1(points, taught).min(axis=1)
    chosen: list[tuple[int, float, float]] = []
    for _ in range(min(n_wanted, len(points))):
        scores = weights * distances
        best = int(np.argmax(scores))
        if scores[best] <= 0:
            break
        chosen.append((best, float(scores[best]), float(distances[best])))
        distances = np.minimum(distances, half_l1(points, points[best, None])[:, 0])
    return chosen


def as_points(compositions: Sequence[dict[str, float]], elements: Sequence[str]) -> Floats:
    """At.% of these elements in each composition, brought to a sum of 100: (n_compositions, n_elements)."""
    shares = np.array([[one.get(element, 0.0) for element in elements] for one in compositions], dtype=np.float64)
    shares = shares.reshape(len(compositions), len(elements))
    points: Floats = 100 * shares / shares.sum(axis=1, keepdims=True)
    return points
