"""Compositions ranked by how much a potential would learn there: deviation x what is not covered x distance.

Where no committee was judged, the product is of the other two, and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from operators.physics.composition_space import as_points, half_l1, interpolated, most_wanted, simplex_grid
from operators.physics.exchange import exchanged
from operators.physics.local_composition import Environments, environments
from operators.potentials.stored_frames import Geometry
from operators.proposals.knowledge import Knowledge
from schemas.composition import nearest_counts, parse_composition
from schemas.errors import MeltlakeError
from schemas.frames import Floats

COVERED_FRAC = 0.95
"""A melt of which so many environments are known is covered; the training melts themselves come to 0.99."""

_ENVIRONMENTS = 2048
_LEAST_DEVIATION_MEV_PER_ANGSTROM = 1.0
"""What seeds differ by anywhere."""
_MOST_COPIES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A composition that might be computed, or was and might be trained on."""

    composition: str
    nearest_composition: str
    """Trained on."""
    distance_at_percent: float
    """To that."""
    coverage_frac: float
    deviation_mev_per_angstrom: float | None
    """Expected, or known where the composition was judged; None without a committee."""
    is_computed: bool
    is_covered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate in its place."""

    candidate: Candidate
    score: float
    """Of the best: 1."""
    apart_at_percent: float
    """From what is trained on and from every better one."""


def candidates(known: Knowledge, *, step_at_percent: float, trust_mev_per_angstrom: float) -> list[Candidate]:
    """Every composition of a grid that is not trained on, and what was computed and not trained on."""
    elements, taught = known.elements, known.taught
    grid = simplex_grid(len(elements), step_at_percent=step_at_percent)
    others = sorted(set(known.melts) - set(taught))
    named = as_points([parse_composition(one) for one in others], elements)
    far = half_l1(grid, _points(known, [*taught, *others])).min(axis=1) >= step_at_percent / 2
    points = np.concatenate([grid[far], named])
    labels = [*(_label(point, elements) for point in grid[far]), *others]
    deviations = _deviations(known, points)
    distances = half_l1(points, _points(known, taught))
    found = []
    for place, label in enumerate(labels):
        covered = _coverage(known, label, points[place])
        deviation = None if deviations is None else float(deviations[place])
        found.append(
            Candidate(
                composition=label,
                nearest_composition=taught[int(distances[place].argmin())],
                distance_at_percent=float(distances[place].min()),
                coverage_frac=covered,
                deviation_mev_per_angstrom=deviation,
                is_computed=label in known.melts,
                is_covered=covered >= COVERED_FRAC and (deviation is None or deviation < trust_mev_per_angstrom),
            )
        )
    return found


def ranked(known: Knowledge, found: Sequence[Candidate], *, n_wanted: int) -> list[Ranked]:
    """The compositions to look at next, each also far from the better ones; what is covered is left out."""
    left = [one for one in found if not one.is_covered]
    if not left:
        return []
    points, taught = _points(known, [one.composition for one in left]), _points(known, known.taught)
    weights = np.array([_weight(one) for one in left])
    chosen = most_wanted(points, taught, weights=weights, n_wanted=n_wanted)
    best = chosen[0][1] if chosen else 1.0
    return [Ranked(candidate=left[place], score=score / best, apart_at_percent=apart) for place, score, apart in chosen]


def nearest_melt(known: Knowledge, point: Floats) -> str:
    """The computed composition that is nearest to a point (n_elements,), at.%."""
    names = sorted(known.melts)
    return names[int(half_l1(point[None], _points(known, names))[0].argmin())]


def point_of(known: Knowledge, composition: str) -> Floats:
    """(n_elements,), at.%."""
    point: Floats = _points(known, [composition])[0]
    return point


def _weight(one: Candidate) -> float:
    """Above 0: what is not covered by one of the two is not covered."""
    unknown = max(1.0 - one.coverage_frac, 1.0 - COVERED_FRAC)
    if one.deviation_mev_per_angstrom is None:
        return unknown
    return unknown * max(one.deviation_mev_per_angstrom, _LEAST_DEVIATION_MEV_PER_ANGSTROM)


def _deviations(known: Knowledge, points: Floats) -> Floats | None:
    """(n_points,): between the compositions that were judged; None where none was."""
    told: Mapping[str, float] = known.deviations_mev_per_angstrom
    if not told:
        return None
    return interpolated(points, _points(known, list(told)), values=np.array(list(told.values())))


def _coverage(known: Knowledge, composition: str, point: Floats) -> float:
    """Of the environments that the atoms of the nearest computed melt have with elements exchanged for this one's."""
    frame = known.melts[nearest_melt(known, point)].last
    try:
        found = _exchanged_environments(frame, composition, r_cut_angstrom=known.r_cut_angstrom)
    except MeltlakeError as reason:
        raise MeltlakeError(f"Coverage of {composition}: {reason.problem}", reason.remedy) from reason
    return known.region.share_of(found)


def _exchanged_environments(frame: Geometry, composition: str, *, r_cut_angstrom: float) -> Environments:
    n_atoms = len(frame.atomic_numbers)
    wanted = nearest_counts(composition, n_atoms)
    n_copies = min(_MOST_COPIES, ceil(_ENVIRONMENTS / n_atoms))
    shape = [(frame.positions_angstrom, frame.cell_angstrom)]
    merged: Environments | None = None
    for seed in range(1, n_copies + 1):
        numbers: NDArray[np.int8] = exchanged(frame.atomic_numbers, wanted, seed=seed)
        found = environments(numbers, shape, r_cut_angstrom=r_cut_angstrom)
        merged = found if merged is None else merged.merged(found)
        if np.array_equal(numbers, frame.atomic_numbers):
            break  # nothing was exchanged: all copies are alike
    if merged is None:
        raise MeltlakeError(f"A frame of {composition} has no atoms.", "Start from another run.")
    return merged


def _points(known: Knowledge, compositions: Sequence[str]) -> Floats:
    return as_points([parse_composition(one) for one in compositions], known.elements)


def _label(point: Floats, elements: Sequence[str]) -> str:
    return "".join(f"{element}{share:g}" for element, share in zip(elements, point, strict=True) if share > 0)
