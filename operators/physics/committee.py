"""Disagreement of potentials that learnt the same, and what it says of their error.

Defined as `dp model-devi` of deepmd-kit 3.2 has them (deepmd/infer/model_devi.py): a deviation is the standard
deviation over the potentials; an error is the root mean square over them of prediction minus reference. That is the
error of one potential drawn from the committee, not of their mean, so no error is smaller than its deviation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from schemas.errors import MeltlakeError
from schemas.frames import Floats

FEWEST_FOR_CORRELATION = 3
MOST_FRAMES_PERCENT = 95.0

Labels = tuple[Floats, Floats, Floats]
"""Energies (n_frames,), eV; forces (n_frames, n_atoms, 3), eV/Angstrom; virials (n_frames, 3, 3), eV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A spread of each frame, (n_frames,): the disagreement of potentials, or their error."""

    energy_ev_per_atom: Floats
    force_ev_per_angstrom: Floats
    """Root mean square over all components of all atoms."""
    mean_force_ev_per_angstrom: Floats
    """Length on an atom, mean over atoms."""
    max_force_ev_per_angstrom: Floats
    """Length on an atom, largest of any atom."""
    virial_ev_per_atom: Floats
    """Root mean square over nine components; NaN without a reference."""

    @classmethod
    def joined(cls, parts: Sequence["Spread"]) -> "Spread":
        """Of the frames of all parts, one after the other."""
        return cls(**{one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How the force errors of some frames compare with the disagreement on them."""

    error_over_deviation: float
    correlation: float
    """Pearson; NaN under three frames, or where all are alike."""
    within_2_deviations_frac: float
    within_3_deviations_frac: float
    deviations_for_95_percent: float


def disagreement(predictions: Sequence[Labels]) -> Spread:
    """Standard deviation over potentials.

    Parameters
    ----------
    predictions
        Of each potential: energies (n_frames,), eV; forces (n_frames, n_atoms, 3), eV/Angstrom; virials
        (n_frames, 3, 3), eV.

    Raises
    ------
    MeltlakeError
        If there are fewer than two potentials.
    """
    _require_two(predictions)
    energies, forces, virials = (np.stack(parts) for parts in zip(*predictions, strict=True))
    return _spread(energies.var(axis=0), forces.var(axis=0), virials.var(axis=0))


def true_error(predictions: Sequence[Labels], reference: Labels) -> Spread:
    """Root mean square error over potentials; of the same arrays, and of a reference with NaN where it has no virial.

    Raises
    ------
    MeltlakeError
        If there are fewer than two potentials.
    """
    _require_two(predictions)
    energies, forces, virials = (
        np.square(np.stack(parts) - true).mean(axis=0)
        for parts, true in zip(zip(*predictions, strict=True), reference, strict=True)
    )
    return _spread(energies, forces, virials)


def pooled(values: Floats, weights: Floats) -> float:
    """Root mean square of a spread of frames; NaN ones are left out, and NaN is the answer where nothing is left.

    Parameters
    ----------
    values
        (n_frames,).
    weights
        (n_frames,): components in each frame.
    """
    known = ~np.isnan(values)
    return float(np.sqrt(np.average(values[known] ** 2, weights=weights[known]))) if known.any() else float("nan")


def calibration(deviation: Floats, error: Floats, *, weights: Floats) -> Calibration:
    """What a deviation of forces is worth.

    Parameters
    ----------
    deviation, error
        (n_frames,), in one unit.
    weights
        (n_frames,): components in each frame.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(error > 0, error / deviation, 1.0)
    return Calibration(
        error_over_deviation=_ratio(pooled(error, weights), pooled(deviation, weights)),
        correlation=_correlation(deviation, error),
        within_2_deviations_frac=float(np.mean(ratios <= 2)),
        within_3_deviations_frac=float(np.mean(ratios <= 3)),
        # The frame itself that covers so many, not a value between two frames.
        deviations_for_95_percent=float(np.percentile(ratios, MOST_FRAMES_PERCENT, method="inverted_cdf")),
    )


def _spread(energy: Floats, forces: Floats, virial: Floats) -> Spread:
    """From mean squares: (n_frames,), (n_frames, n_atoms, 3), (n_frames, 3, 3)."""
    n_atoms = forces.shape[1]
    on_atoms = np.sqrt(forces.sum(axis=2))
    return Spread(
        energy_ev_per_atom=np.sqrt(energy) / n_atoms,
        force_ev_per_angstrom=np.sqrt(forces.mean(axis=(1, 2))),
        mean_force_ev_per_angstrom=on_atoms.mean(axis=1),
        max_force_ev_per_angstrom=on_atoms.max(axis=1),
        virial_ev_per_atom=np.sqrt(virial.mean(axis=(1, 2))) / n_atoms,
    )


def _correlation(deviation: Floats, error: Floats) -> float:
    if len(error) < FEWEST_FOR_CORRELATION or not (np.ptp(deviation) and np.ptp(error)):
        return float("nan")
    return float(np.corrcoef(deviation, error)[0, 1])


def _ratio(error: float, deviation: float) -> float:
    return error / deviation if deviation else float("inf") if error else 1.0


def _require_two(predictions: Sequence[Labels]) -> None:
    if len(predictions) < 2:
        raise MeltlakeError(
            f"A committee needed two potentials or more, found {len(predictions)}.", "Train another seed."
        )
