"""A potential against the labels of its training set: predictions, pooled errors, and a sample for parity plots.

What an error is stands in `physics.rmse`; storing the rows is `observe`'s.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lake.deep_potential import DeepPotential
from lake.deepmd_npy import deepmd_systems, read_deepmd_system
from operators.physics.rmse import LabelErrors, label_errors
from schemas.composition import atomic_numbers_of, composition, element_counts
from schemas.frames import Floats
from schemas.units import MEV_PER_EV

SPLITS = ("train", "test", "held_out")
ALL = "all"

N_SAMPLED = {"energy": 500, "force": 2000, "virial": 500}
"""Points per composition and split in the parity table: as many as a plot can show."""

_FRAMES_AT_ONCE = 64
_SEED = 0

Labels = tuple[Floats, Floats, Floats]
Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A potential on the frames of one composition and split."""

    composition: str
    split: str
    errors: LabelErrors
    parity: Mapping[str, tuple[Floats, Floats]]
    """Reference and prediction by quantity, (n_sampled,) each: energy and virial in eV/atom, force in eV/Angstrom."""


def evaluations(potential: DeepPotential, training_set: Path) -> Iterator[Evaluation]:
    """The potential on every composition and split of a training set's folder, one after the other.

    Raises
    ------
    MeltlakeError
        If a deepmd_system is not whole, or has an element that the potential does not know.
    """
    for split in SPLITS:
        by_composition: dict[str, list[Path]] = defaultdict(list)
        for folder in deepmd_systems(training_set / split):
            by_composition[_composition(folder)].append(folder)
        for name, folders in sorted(by_composition.items()):
            labels = [
                (predicted, reference) for folder in folders for predicted, reference in _labels(potential, folder)
            ]
            yield Evaluation(
                composition=name,
                split=split,
                errors=LabelErrors.merged(label_errors(predicted, reference) for predicted, reference in labels),
                parity=_parity(labels),
            )


def rmse_rows(found: Sequence[Evaluation]) -> list[Row]:
    """Rows of `rmse`: every composition and split, and the pool of each split."""
    rows = [_rmse_row(one.composition, one.split, errors=one.errors) for one in found]
    by_split = {split: [one.errors for one in found if one.split == split] for split in SPLITS}
    pooled = [_rmse_row(ALL, split, errors=LabelErrors.merged(parts)) for split, parts in by_split.items() if parts]
    return [*rows, *pooled]


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


def _composition(folder: Path) -> str:
    read = read_deepmd_system(folder)
    return composition(element_counts(atomic_numbers_of([read.type_map[kind] for kind in read.types])))


def _labels(potential: DeepPotential, folder: Path) -> Iterator[tuple[Labels, Labels]]:
    """Predicted and reference labels of a deepmd_system, some frames at a time; a virial is NaN where there is none."""
    read = read_deepmd_system(folder)
    numbers = atomic_numbers_of([read.type_map[kind] for kind in read.types])
    for start in range(0, read.frames.n_frames, _FRAMES_AT_ONCE):
        some = slice(start, start + _FRAMES_AT_ONCE)
        cells = np.asarray(read.frames.cell_angstrom[some])
        energy, forces = read.frames.energy_ev[some], read.frames.forces_ev_per_angstrom[some]
        virial = read.frames.virial_ev
        reference = (
            np.asarray(energy),
            np.asarray(forces),
            np.full(cells.shape, np.nan) if virial is None else np.asarray(virial[some]),
        )
        yield potential.predict(numbers, np.asarray(read.frames.positions_angstrom[some]), cells=cells), reference


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


def _rmse_row(name: str, split: str, *, errors: LabelErrors) -> Row:
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
    }


def _milli(value_ev: float | None) -> float | None:
    return None if value_ev is None else value_ev * MEV_PER_EV
