"""The frames that potentials are judged on: those of a training set's folder, a few at a time, with their names.

What a potential says of them belongs in `evaluation` and `committee`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lake.deep_potential import DeepPotential
from lake.deepmd_npy import DeepmdSystem, deepmd_systems, read_deepmd_system
from lake.delta import Lake
from operators.physics.committee import Labels
from schemas.composition import atomic_numbers_of, composition, element_counts
from schemas.errors import StepFailed
from schemas.frames import Floats

ALL = "all"
"""What stands for a composition where a split is pooled."""

_FRAMES_AT_ONCE = 64

FrameNames = Mapping[tuple[str, str], NDArray[np.int64]]
"""By split and run: which frames of the run are in the deepmd_system, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFrames:
    """Some frames of one run, all in one split."""

    composition: str
    split: str
    run_id: str
    frames: NDArray[np.int64]
    """(n_frames,), their numbers in the run."""
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    positions_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    cell_angstrom: Floats
    """(n_frames, 3, 3)."""
    labels: Labels
    """Of DFT; a virial is NaN where there is none."""

    @property
    def n_atoms(self) -> int:
        return len(self.atomic_numbers)

    @property
    def first(self) -> "JudgedFrames":
        """The first of them alone."""
        energy, forces, virial = self.labels
        return replace(
            self,
            frames=self.frames[:1],
            positions_angstrom=self.positions_angstrom[:1],
            cell_angstrom=self.cell_angstrom[:1],
            labels=(energy[:1], forces[:1], virial[:1]),
        )

    def predicted_by(self, potential: DeepPotential) -> Labels:
        """What a potential says of them.

        Raises
        ------
        StepFailed
            If it is not a number, or the potential does not know an element.
        """
        said = potential.predict(self.atomic_numbers, self.positions_angstrom, cells=self.cell_angstrom)
        bad = ~np.logical_and.reduce([np.isfinite(part).reshape(len(part), -1).all(axis=1) for part in said])
        if bad.any():
            raise StepFailed(
                f"Potential {potential.path} says of frame {self.frames[bad][0]} of run {self.run_id} what is not a "
                "number.",
                "Its training has diverged, or its file is damaged: train it again.",
            )
        return said


def frame_names(lake: Lake, training_set_id: str) -> FrameNames:
    """Which frames of which runs a training set's deepmd_systems hold."""
    rows = lake.rows("training_set_frames", key=training_set_id, columns=["split", "run_id", "frame"]).to_pylist()
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        found[row["split"], row["run_id"]].append(row["frame"])
    return {key: np.sort(np.array(frames, dtype=np.int64)) for key, frames in found.items()}


def judged_frames(training_set: Path, names: FrameNames, *, split: str) -> Iterator[JudgedFrames]:
    """Every frame of a split, by composition.

    Parameters
    ----------
    training_set
        Its folder.
    names
        Its frames, from `frame_names`.
    split
        `train`, `test` or `held_out`.

    Raises
    ------
    StepFailed
        If a deepmd_system is not whole, or is not what the lake has listed.
    """
    folders = deepmd_systems(training_set / split)
    found = [(_composition(read := read_deepmd_system(folder)), folder, read) for folder in folders]
    for name, folder, read in sorted(found, key=lambda one: (one[0], one[1])):
        run_id = folder.name.partition(".")[2]
        frames = names.get((split, run_id), np.zeros(0, dtype=np.int64))
        if len(frames) != read.frames.n_frames:
            raise StepFailed(
                f"{folder}: needed the {len(frames)} frames that the lake lists of run {run_id}, found "
                f"{read.frames.n_frames}.",
                "Run `meltlake materialize` with the same options again: it rebuilds the folder.",
            )
        yield from _portions(read, frames, composition_=name, split=split, run_id=run_id)


def _composition(read: DeepmdSystem) -> str:
    return composition(element_counts(_atomic_numbers(read)))


def _atomic_numbers(read: DeepmdSystem) -> NDArray[np.int8]:
    return atomic_numbers_of([read.type_map[kind] for kind in read.types])


def _portions(
    read: DeepmdSystem, frames: NDArray[np.int64], *, composition_: str, split: str, run_id: str
) -> Iterator[JudgedFrames]:
    virial = read.frames.virial_ev
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        some = slice(start, start + _FRAMES_AT_ONCE)
        cells = np.asarray(read.frames.cell_angstrom[some])
        yield JudgedFrames(
            composition=composition_,
            split=split,
            run_id=run_id,
            frames=frames[some],
            atomic_numbers=_atomic_numbers(read),
            positions_angstrom=np.asarray(read.frames.positions_angstrom[some]),
            cell_angstrom=cells,
            labels=(
                np.asarray(read.frames.energy_ev[some]),
                np.asarray(read.frames.forces_ev_per_angstrom[some]),
                np.full(cells.shape, np.nan) if virial is None else np.asarray(virial[some]),
            ),
        )
