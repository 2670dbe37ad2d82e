"""A potential against the labels of its training set: predictions, pooled and largest errors, a sample for parity.

What an error is stands in `physics.rmse`; storing the rows is `observe`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from operators.physics.committee import Labels
from operators.physics.rmse import Errors, LabelErrors, label_errors
from operators.potentials.chosen_run import SPLITS
from operators.potentials.judged_frames import ALL, FrameNames, judged_frames
from schemas.frames import Floats
from schemas.units import MEV_PER_EV

N_SAMPLED = {"energy": 500, "force": 2000, "virial": 500}
"""Points per composition and split in the parity table: as many as a plot can show."""

_SEED = 0

Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A potential on the frames of one composition and split."""

    composition: str
    split: str
    errors: LabelErrors
    frames: Sequence[tuple[str, int]]
    """Run and frame, in the order in which the errors count them."""
    parity: Mapping[str, tuple[Floats, Floats]]
    """Reference and prediction by quantity, (n_sampled,) each: energy and virial in eV/atom, force in eV/Angstrom."""


def evaluations(potential: DeepPotential, training_set: Path, names: FrameNames) -> Iterator[Evaluation]:
    """The potential on every composition and split of a training set's folder, one after the other.

    Raises
    ------
    MeltlakeError
        If a deepmd_system is not whole or not what the lake lists, has an element that the potential does not know,
        or makes it say what is not a number.
    """
    for split in SPLITS:
        for name, some in groupby(judged_frames(training_set, names, split=split), key=lambda one: one.composition):
            frames: list[tuple[str, int]] = []
            labels: list[tuple[Labels, Labels]] = []
            for portion in some:
                frames += [(portion.run_id, int(frame)) for frame in portion.frames]
                labels.append((portion.predicted_by(potential), portion.labels))
            yield Evaluation(
                composition=name,
                split=split,
                errors=LabelErrors.merged(label_errors(predicted, reference) for predicted, reference in labels),
                frames=frames,
                parity=_parity(labels),
            )


def is_judged(lake: Lake, potential: Mapping[str, object]) -> bool:
    """Whether the lake has the errors of this very model file."""
    rows = lake.rows("rmse", key=str(potential["potential_id"]), columns=["model_sha256"])
    return bool(rows.num_rows) and rows["model_sha256"].to_pylist()[0] == potential["sha256"]


def rmse_rows(found: Sequence[Evaluation]) -> list[Row]:
    """Rows of `rmse`: every composition and split, and the pool of each split."""
    rows = [_rmse_row(one.composition, one.split, errors=one.errors, frames=one.frames) for one in found]
    for split in SPLITS:
        if parts := [one for one in found if one.split == split]:
            errors = LabelErrors.merged(one.errors for one in parts)
            rows.append(_rmse_row(ALL, split, errors=errors, frames=[name for one in parts for name in one.frames]))
    return rows


def parity_rows(found: Sequence[Evaluation]) -> list[Row]:
    """Rows of `parity`: the sampled predictions beside their references."""
    return [
        {
            "composition": one.composition,
            "split": one.split,
            "quantity": quantity,
            "dft": float(dft),
            "dnnp": float(dnnp),
        }
        for one in found
        for quantity, (reference, predicted) in one.parity.items()
        for dft, dnnp in zip(reference, predicted, strict=True)
    ]


def sample(reference: Floats, predicted: Floats, *, most: int) -> tuple[Floats, Floats]:
    """At most so many pairs that have a reference, drawn without replacement; always the same ones."""
    reference, predicted = reference.reshape(-1), predicted.reshape(-1)
    present = np.flatnonzero(~np.isnan(reference))
    if len(present) > most:
        present = np.sort(np.random.default_rng(_SEED).choice(present, most, replace=False))
    return reference[present], predicted[present]


def _parity(labels: Sequence[tuple[Labels, Labels]]) -> dict[str, tuple[Floats, Floats]]:
    columns: dict[str, tuple[list[Floats], list[Floats]]] = {name: ([], []) for name in N_SAMPLED}
    for sides in labels:
        for side, (energy, forces, virial) in enumerate(reversed(sides)):
            n_atoms = forces.shape[1]
            values = {"energy": energy / n_atoms, "force": forces, "virial": virial / n_atoms}
            for name, array in values.items():
                columns[name][side].append(array.reshape(-1))
    return {
        name: sample(np.concatenate(reference), np.concatenate(predicted), most=N_SAMPLED[name])
        for name, (reference, predicted) in columns.items()
    }


def _rmse_row(name: str, split: str, *, errors: LabelErrors, frames: Sequence[tuple[str, int]]) -> Row:
    return {
        "composition": name,
        "split": split,
        "n_frames": errors.n_frames,
        "rmse_energy_mev_per_atom": _milli(errors.energy_ev_per_atom.rmse),
        "rmse_force_mev_per_angstrom": _milli(errors.force_ev_per_angstrom.rmse),
        "rmse_virial_mev_per_atom": _milli(errors.virial_ev_per_atom.rmse),
        "bias_energy_mev_per_atom": _milli(errors.energy_ev_per_atom.bias),
        "bias_force_mev_per_angstrom": _milli(errors.force_ev_per_angstrom.bias),
        "bias_virial_mev_per_atom": _milli(errors.virial_trace_ev_per_atom.bias),
        "max_energy_mev_per_atom": _milli(errors.energy_ev_per_atom.largest),
        "max_force_mev_per_angstrom": _milli(errors.force_ev_per_angstrom.largest),
        "max_virial_mev_per_atom": _milli(errors.virial_ev_per_atom.largest),
        **_worst_frame("energy", errors.energy_ev_per_atom, frames),
        **_worst_frame("force", errors.force_ev_per_angstrom, frames),
        **_worst_frame("virial", errors.virial_ev_per_atom, frames),
    }


def _worst_frame(quantity: str, errors: Errors, frames: Sequence[tuple[str, int]]) -> Row:
    run_id, frame = (None, None) if errors.largest_frame is None else frames[errors.largest_frame]
    return {f"max_{quantity}_run_id": run_id, f"max_{quantity}_frame": frame}


def _milli(value_ev: float | None) -> float | None:
    return None if value_ev is None else value_ev * MEV_PER_EV
