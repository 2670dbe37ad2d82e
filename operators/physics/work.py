"""Whether energies, forces and virials of a run belong together: the energy must change by the work that is done.

What happened from frame to frame is `steps`'s. A residual is the energy change that labels do not explain. Of a run
that is well read it is small and alike everywhere, whatever the potential: its own median is the scale, and outliers
have no say in it. Where atoms move too far between frames, nothing is told: the work is then not known well enough.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.physics.blocks import blocks
from operators.physics.steps import Steps
from schemas.frames import Floats

FEWEST_PAIRS = 5
"""Of fewer consecutive frames with all labels, nothing is told."""

LONGEST_WAY_ANGSTROM = 0.4
"""Of the furthest atom of the usual step: about what 10 fs are in a melt, 20 fs in a crystal."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What an outlier is: more than so many medians of the run's own steps, and more than the floor."""

    medians: float
    floor: float


# In 7e4 steps of sound toy melts (1 to 10 fs, 64 to 512 atoms) and in all of the reference runs, no frame exceeded
# 7.3 medians of the energy's residual, 3 of the virial's change, 5 of the forces' unlikeness, and 2 of the longest way.
ENERGY_EV_PER_ATOM = Tolerance(medians=10, floor=5e-5)
"""The floor is what electronic steps leave; a potential does not see it."""
FORCES = Tolerance(medians=4, floor=0.6)
"""A melt that starts from a crystal has no forces at first; those of its second frame are then half of the third's."""
VIRIAL_EV_PER_ATOM = Tolerance(medians=6, floor=1e-2)
WAYS_ANGSTROM = Tolerance(medians=5, floor=0.5)


_PART_FRAMES = 100
_LIVELIEST = 10.0
"""A part whose residuals are larger than this many times those of the run is not hot, it is wrong."""


_BACK_WITHIN = 0.3
"""Of a jump's height, by which the way back may differ: the electrons' entropy, which tells the free energy from the
extrapolated one, changed by 17 % in 6 fs of a crystal of Ti that began to move."""

_ALONE_BELOW = 0.33
"""Of a jump's height: residuals beside it are smaller."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Slope of a line through the origin."""

    value: float
    error: float
    """Standard error, if most residuals are alike."""

    def off(self, tolerance: float) -> float:
        """How far from 1, beyond four errors, in tolerances: above 1 is too far, NaN where nothing is told."""
        return max(abs(self.value - 1) - 4 * self.error, 0.0) / tolerance if np.isfinite(self.value) else np.nan


@dataclass(frozen=True, slots=True)
class Mismatch:
    """How badly each frame fits both its neighbours; NaN where nothing can be told.

    The smaller of what is between it and the frames before and after: a bad frame fits neither of them, while each of
    its good neighbours fits its other side.
    """

    values: Floats
    """(n_frames,), not negative."""
    limit: Floats
    """(n_frames,): beyond it, a value is an outlier of this part of the run."""

    @property
    def over_limit(self) -> Floats:
        """(n_frames,), dimensionless: above 1 for a frame that does not belong here."""
        return self.values / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How labels of a run fit each other; NaN where nothing can be told."""

    n_pairs: int
    """Consecutive frames that count."""
    slope: Slope
    """Of energy changes over foreseen ones: 1; -1 for forces of the wrong sign, 10 for forces that are a tenth, 0 for
    those of other atoms."""
    virial_slope: Slope
    """Of what forces leave over the virial's work: 1; -1 for a virial of the wrong sign. NaN where the cell stays."""
    unexplained: float
    """Median residual over median energy change, both absolute; in metallic melts 0.001 at 1 fs and 0.03 at 10 fs."""
    energy: Mismatch
    """eV/atom, of residuals. Blind to forces where they do no work, to virials where the cell stays."""
    forces: Mismatch
    """Dimensionless, of `force_unlikeness`."""
    virial: Mismatch
    """eV/atom, of `virial_change_ev`."""
    ways: Mismatch
    """Angstrom, of `largest_way_angstrom`: atoms that are elsewhere, or in another order, in this frame alone."""
    residual_ev_per_atom: Floats
    """(n_frames,): of the energy change since the frame before. Beyond the limit of `energy` beside frames that fit, it
    is a jump: from here on the energy is another one."""
    level_ev_per_atom: Floats
    """(n_frames,): how far the energy's reference is from that of most frames; 0 but in stretches between a jump and
    its way back, such as some with another kind of energy."""


def work(done: Steps, n_atoms: int) -> Work:
    """How energy, forces and virial of a run fit each other.

    Meant for molecular dynamics with consecutive frames. Relaxations take steps that are too large, and frames that a
    force field labelled have another energy: NaN should stand for theirs.

    Parameters
    ----------
    done
        All steps of the run, in order.
    n_atoms
        Of each frame.
    """
    change, foreseen = done.energy_change_ev, done.foreseen_change_ev
    residual = (change - foreseen) / n_atoms
    told = np.isfinite(residual)
    n_pairs = int(told.sum())
    if n_pairs < FEWEST_PAIRS or np.median(done.largest_way_angstrom[told]) > LONGEST_WAY_ANGSTROM:
        return _nothing(len(change), n_pairs=n_pairs)
    energy = _mismatch(residual, ENERGY_EV_PER_ATOM)
    forces = _between_neighbours(_mismatch(done.force_unlikeness, FORCES), done.force_unlikeness)
    virial = _mismatch(done.virial_change_ev / n_atoms, VIRIAL_EV_PER_ATOM)
    ways = _mismatch(done.largest_way_angstrom, WAYS_ANGSTROM)
    bad = np.any([np.nan_to_num(one.over_limit) > 1 for one in (energy, forces, virial, ways)], axis=0)
    usual_change = float(np.median(np.abs(change[told]))) / n_atoms
    return Work(
        n_pairs=n_pairs,
        slope=slope(foreseen[told], change[told]),
        virial_slope=slope(done.work_of_virial_ev[told], (change - done.work_of_forces_ev)[told]),
        unexplained=float(np.median(np.abs(residual[told]))) / usual_change if usual_change > 0 else np.nan,
        energy=energy,
        forces=forces,
        virial=virial,
        ways=ways,
        residual_ev_per_atom=residual,
        level_ev_per_atom=_levels(residual, energy.limit, bad=bad),
    )


def slope(x: Floats, y: Floats) -> Slope:
    """Line through the origin by least absolute deviations: a weighted median of y/x.

    Nearly half the pairs may be wrong. Weights are |x|, none above the median, so that one exploded frame does not
    decide.

    Parameters
    ----------
    x, y
        (n_pairs,), of one unit.
    """
    x, y = x[x != 0], y[x != 0]
    if len(x) < FEWEST_PAIRS:
        return Slope(np.nan, np.nan)
    usual = np.median(np.abs(x))
    weights = np.minimum(np.abs(x), usual)
    ratios = y / x
    order = np.argsort(ratios)
    summed = np.cumsum(weights[order])
    value = float(ratios[order][np.searchsorted(summed, 0.5 * summed[-1])])
    # The median of n normal residuals of spread s varies by 1.25 s / sqrt(n), and s is 1.48 median deviations.
    spread = 1.25 * 1.48 * np.median(np.abs(y - value * x))
    arms = np.minimum(np.abs(x), 3 * usual)
    return Slope(value, float(spread * np.sqrt(np.sum(weights**2)) / np.sum(weights * arms)))


def _nothing(n_frames: int, *, n_pairs: int) -> Work:
    unknown = np.full(n_frames, np.nan)
    no_slope, no_mismatch = Slope(np.nan, np.nan), Mismatch(unknown, unknown)
    return Work(
        n_pairs=n_pairs,
        slope=no_slope,
        virial_slope=no_slope,
        unexplained=np.nan,
        energy=no_mismatch,
        forces=no_mismatch,
        virial=no_mismatch,
        ways=no_mismatch,
        residual_ev_per_atom=unknown,
        level_ev_per_atom=unknown,
    )


def _mismatch(between: Floats, tolerance: Tolerance) -> Mismatch:
    """Of what is between each frame and the one before. With one neighbour alone, it counts if that fits its other."""
    before = np.abs(between)
    if np.isfinite(before).sum() < FEWEST_PAIRS:
        unknown = np.full(len(before), np.nan)
        return Mismatch(unknown, unknown)
    limit = np.maximum(tolerance.medians * _usual(before), tolerance.floor)
    after = np.append(before[1:], np.nan)
    as_first = _of_one_side(after, np.append(after[1:], np.nan), limit)
    as_last = _of_one_side(before, np.append(np.nan, before[:-1]), limit)
    values = np.where(np.isnan(before), as_first, np.where(np.isnan(after), as_last, np.minimum(before, after)))
    return Mismatch(values, limit)


def _usual(values: Floats) -> Floats:
    """(n_frames,): median of the run or, where a part is livelier, such as the hot end of a quench, of that part."""
    overall = float(np.nanmedian(values))
    usual = np.full(len(values), overall)
    for part in blocks(len(values), n_blocks=-(-len(values) // _PART_FRAMES)):
        known = values[part][np.isfinite(values[part])]
        if len(known) >= _PART_FRAMES // 2:
            usual[part] = min(max(float(np.median(known)), overall), _LIVELIEST * overall)
    return usual


def _of_one_side(near: Floats, beyond: Floats, limit: Floats) -> Floats:
    """What is between a frame and its only neighbour; 0 where that is out of place itself, NaN where none can tell."""
    blamed = np.where(beyond <= limit, near, 0.0)
    return np.where(np.isnan(beyond), np.nan, blamed)


def _between_neighbours(mismatch: Mismatch, between: Floats) -> Mismatch:
    """The same without frames that have one neighbour: a run may well start with forces of another size."""
    alone = np.isnan(between) | np.isnan(np.append(between[1:], np.nan))
    return Mismatch(np.where(alone, np.nan, mismatch.values), mismatch.limit)


def _levels(residual: Floats, limit: Floats, *, bad: NDArray[np.bool_]) -> Floats:
    """(n_frames,): between a jump and the next one back, its height; the level of most frames is 0.

    Jumps beside a frame that is bad by itself tell nothing, nor do those that never come back.
    """
    height = np.abs(np.nan_to_num(residual))
    # A frame with another energy is off by itself alone; wrong forces or places leave residuals on both of its sides.
    beside = np.maximum(np.append(0.0, height[:-1]), np.append(height[1:], 0.0))
    is_jump = (height > limit) & (beside < _ALONE_BELOW * height) & ~(bad | np.append(False, bad[:-1]))
    levels = np.zeros(len(residual))
    since: list[int] = []
    for at in np.flatnonzero(is_jump).tolist():
        if since and _is_way_back(residual[at], residual[since[-1]], limit=limit[at]):
            start = since.pop()
            levels[start:at] += residual[start]
        else:
            since.append(at)
    return levels - np.median(levels)


def _is_way_back(back: float, there: float, *, limit: float) -> bool:
    return abs(back + there) <= max(limit, _BACK_WITHIN * max(abs(back), abs(there)))
