"""The deepmd half of `export`: one deepmd_system per run, not split. What DeePMD reads is written by `lake.deepmd_npy`.

A training set is another thing: `materialize` freezes one, splits it and refuses energies that cannot be compared.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.deepmd_npy import LABEL_COLUMNS, DeepmdSystemWriter, LabelledFrames, labelled_frames
from lake.delta import Lake
from lake.frame_choice import ChosenFrames, chosen_batches
from lake.frames import vectors
from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.frames import Floats

_COLUMNS = (*LABEL_COLUMNS, "label_source")
_NEEDED = ("cell", "positions", "energy", "forces")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """What of a run's chosen frames DeePMD can use."""

    chosen: ChosenFrames
    atomic_numbers: NDArray[np.int8]
    usable: NDArray[np.bool_]
    """(n_chosen,)."""
    lacks: Counter[str]
    """How many frames are left out, by what they lack."""
    n_without_virial: int
    """Usable frames that have none."""

    @property
    def n_frames(self) -> int:
        return int(self.usable.sum())

    @property
    def with_virial(self) -> bool:
        return self.n_without_virial == 0


def export_deepmd(lake: Lake, chosen: Sequence[ChosenFrames], folder: Path, *, version: int) -> dict[str, object]:
    """Write the labelled ones of the chosen frames as `<folder>/<formula>.<run_id>/`; returns counts.

    A frame without a finite cell, position, energy or force is left out and counted under `left_out`. Where some
    frames of a run have no virial, its deepmd_system has none: such runs are counted under `n_runs_without_virial`.

    Raises
    ------
    MeltlakeError
        If no chosen frame has labels, or the atoms of a run change.
    """
    surveys = [_survey(lake, one, version=version) for one in chosen]
    runs = [survey for survey in surveys if survey.n_frames]
    lacks = sum((survey.lacks for survey in surveys), Counter[str]())
    if not runs:
        raise MeltlakeError(
            f"None of the {lacks.total()} chosen frames has an energy and forces to learn from.",
            "Choose others with --where, or export them as extxyz.",
        )
    type_map = sorted({SYMBOLS[int(number)] for run in runs for number in run.atomic_numbers})
    for run in runs:
        _write_run(lake, run, folder=folder, type_map=type_map, version=version)
    return {
        "n_runs": len(runs),
        "n_frames": sum(run.n_frames for run in runs),
        "n_left_out": lacks.total(),
        "left_out": dict(lacks),
        "n_runs_without_virial": sum(not run.with_virial for run in runs),
        "type_map": type_map,
    }


def _survey(lake: Lake, chosen: ChosenFrames, *, version: int) -> _Survey:
    usable, lacks, n_without_virial, numbers = [], Counter[str](), 0, np.zeros(0, dtype=np.int8)
    for batch in chosen_batches(lake, chosen, _COLUMNS, version=version):
        numbers = _atomic_numbers(batch)
        what_lacks = _what_lacks(batch, labelled_frames(batch, numbers, with_virial=False))
        lacks.update(what for what in what_lacks if what)
        mask = np.array([not what for what in what_lacks])
        usable.append(mask)
        n_without_virial += int((~_finite(vectors(batch.column("virial_ev"), 3)) & mask).sum())
    return _Survey(
        chosen=chosen,
        atomic_numbers=numbers,
        usable=np.concatenate(usable),
        lacks=lacks,
        n_without_virial=n_without_virial,
    )


def _what_lacks(batch: pa.RecordBatch, frames: LabelledFrames) -> list[str]:
    """For each frame the first thing that it lacks, or nothing."""
    values = (frames.cell_angstrom, frames.positions_angstrom, frames.energy_ev, frames.forces_ev_per_angstrom)
    found = list(zip(_NEEDED, map(_finite, values), strict=True))
    unlabelled = np.asarray(batch.column("label_source").to_pylist()) == "none"
    return [
        "label" if none else next((f"finite {name}" for name, finite in found if not finite[row]), "")
        for row, none in enumerate(unlabelled)
    ]


def _finite(values: Floats) -> NDArray[np.bool_]:
    """(n_frames,)."""
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(values.reshape(len(values), -1)), axis=1)
    return finite


def _atomic_numbers(batch: pa.RecordBatch) -> NDArray[np.int8]:
    return np.array(batch.column("atomic_numbers")[0].as_py(), dtype=np.int8)


def _write_run(lake: Lake, run: _Survey, *, folder: Path, type_map: Sequence[str], version: int) -> None:
    first = 0
    with DeepmdSystemWriter(
        folder / f"{run.chosen.run['formula']}.{run.chosen.run_id}",
        atomic_numbers=run.atomic_numbers,
        type_map=type_map,
        n_frames=run.n_frames,
        with_virial=run.with_virial,
    ) as writer:
        for batch in chosen_batches(lake, run.chosen, _COLUMNS, version=version):
            usable = run.usable[first : first + batch.num_rows]
            first += batch.num_rows
            frames = labelled_frames(batch, run.atomic_numbers, with_virial=run.with_virial)
            if usable.any():
                writer.append(frames.chosen(usable))
