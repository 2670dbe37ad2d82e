"""Errors of predicted energies, forces and virials, pooled over every component of every frame.

Defined as `dp test` of deepmd-kit 3.2 prints them (deepmd/utils/eval_metrics.py): energies and virials of a frame are
divided by its number of atoms; parts are merged by their number of components. Drawing predictions belongs elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from schemas.frames import Floats


@dataclass(frozen=True, slots=True)
class Errors:
    """Sums over prediction minus reference of one quantity, from which mean and RMSE follow; sums of parts add."""

    n_frames: int = 0
    n_components: int = 0
    total: float = 0.0
    total_of_squares: float = 0.0
    largest: float | None = None
    """Largest magnitude; None without components."""
    largest_frame: int | None = None
    """Which of the frames has it, counted over all parts in their order."""

    @classmethod
    def between(cls, predicted: Floats, reference: Floats) -> "Errors":
        """Errors of arrays of one shape, frames first; a reference that is NaN has no error."""
        difference = predicted - reference
        known = difference[~np.isnan(reference)]
        if not known.size:
            return cls(n_frames=len(difference))
        by_frame = np.nan_to_num(np.abs(difference), nan=-1.0).reshape(len(difference), -1).max(axis=1)
        worst = int(by_frame.argmax())
        return cls(
            n_frames=len(difference),
            n_components=known.size,
            total=float(known.sum()),
            total_of_squares=float(np.square(known).sum()),
            largest=float(by_frame[worst]),
            largest_frame=worst,
        )

    @classmethod
    def merged(cls, parts: Iterable["Errors"]) -> "Errors":
        """Errors of all parts together."""
        whole = cls()
        for part in parts:
            is_worse = part.largest is not None and (whole.largest is None or part.largest > whole.largest)
            whole = cls(
                n_frames=whole.n_frames + part.n_frames,
                n_components=whole.n_components + part.n_components,
                total=whole.total + part.total,
                total_of_squares=whole.total_of_squares + part.total_of_squares,
                largest=part.largest if is_worse else whole.largest,
                largest_frame=whole.n_frames + (part.largest_frame or 0) if is_worse else whole.largest_frame,
            )
        return whole

    @property
    def rmse(self) -> float | None:
        """Root of the mean square; None without components."""
        return float(np.sqrt(self.total_of_squares / self.n_components)) if self.n_components else None

    @property
    def bias(self) -> float | None:
        """Mean of prediction minus reference; None without components."""
        return self.total / self.n_components if self.n_components else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelErrors:
    """Errors of a potential on some frames, as Table 1 of the paper reports them."""

    n_frames: int
    energy_ev_per_atom: Errors
    force_ev_per_angstrom: Errors
    virial_ev_per_atom: Errors
    virial_trace_ev_per_atom: Errors
    """Of a third of the trace: what shifts the pressure."""

    @classmethod
    def merged(cls, parts: Iterable["LabelErrors"]) -> "LabelErrors":
        """Errors on the frames of all parts together."""
        parts = tuple(parts)
        return cls(
            n_frames=sum(part.n_frames for part in parts),
            energy_ev_per_atom=Errors.merged(part.energy_ev_per_atom for part in parts),
            force_ev_per_angstrom=Errors.merged(part.force_ev_per_angstrom for part in parts),
            virial_ev_per_atom=Errors.merged(part.virial_ev_per_atom for part in parts),
            virial_trace_ev_per_atom=Errors.merged(part.virial_trace_ev_per_atom for part in parts),
        )


def label_errors(predicted: tuple[Floats, Floats, Floats], reference: tuple[Floats, Floats, Floats]) -> LabelErrors:
    """Errors of predicted labels of frames with equal numbers of atoms.

    Parameters
    ----------
    predicted
        Energies (n_frames,), eV; forces (n_frames, n_atoms, 3), eV/Angstrom; virials (n_frames, 3, 3), eV.
    reference
        The same; NaN where there is no label.
    """
    energy, forces, virial = predicted
    energy_of, forces_of, virial_of = reference
    n_atoms = forces.shape[1]
    return LabelErrors(
        n_frames=len(energy),
        energy_ev_per_atom=Errors.between(energy / n_atoms, energy_of / n_atoms),
        force_ev_per_angstrom=Errors.between(forces, forces_of),
        virial_ev_per_atom=Errors.between(virial / n_atoms, virial_of / n_atoms),
        virial_trace_ev_per_atom=Errors.between(_pressure_part(virial) / n_atoms, _pressure_part(virial_of) / n_atoms),
    )


def _pressure_part(virial: Floats) -> Floats:
    """(n_frames,), eV: a third of the trace."""
    part: Floats = np.trace(virial, axis1=1, axis2=2) / 3
    return part
