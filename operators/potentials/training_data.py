"""A training set as its training needs to know it, looked at frame by frame before DeePMD is started."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lake.deepmd_npy import LabelledFrames, deepmd_systems, read_deepmd_system
from operators.materialize import SPLITS
from operators.physics.neighbours import max_neighbours, sel
from operators.potentials.deepmd_input import TrainingData
from operators.potentials.kept_files import read_json, write_whole
from schemas.errors import MeltlakeError
from schemas.frames import Integers

_FRAMES_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What all frames of a training set were looked at for."""

    max_neighbours: tuple[int, ...]
    """Largest neighbour count of each element, in the order of the type map."""
    rms_force_ev_per_angstrom: float
    """Root mean square of the force components to learn."""
    files_sha256: str
    """Of every file of the training set's deepmd_systems."""


def survey(path: Path, *, r_cut_angstrom: float, kept: Path) -> Survey:
    """Look at all frames of a training set's folder, those of the test and held-out parts too.

    Slots for neighbours are room, not labels, and a potential whose slots overflow on a held-out composition would be
    judged for the wrong reason.

    Parameters
    ----------
    path
        The training set's folder.
    r_cut_angstrom
        Cutoff of the recipe.
    kept
        A file that remembers the answer, so that a resumed training need not count neighbours again.

    Raises
    ------
    MeltlakeError
        If a deepmd_system is not whole, has a number that is none, or was changed since the training began.
    """
    files_sha256 = _sha256_of([file for split in SPLITS for file in sorted((path / split).rglob("*"))], path)
    if kept.exists():
        before = _read(kept)
        if before.files_sha256 != files_sha256:
            raise MeltlakeError(
                f"{path}: needed the training set that the training began with, found changed files.",
                "Remove that folder, then run `meltlake materialize` with the same options again: it rebuilds it.",
            )
        return before
    most, squares, n_components = np.zeros(len(_type_map(path)), dtype=np.int64), 0.0, 0
    for folder, types, frames in _all_frames(path):
        counted = max_neighbours(
            frames.positions_angstrom,
            frames.cell_angstrom,
            types,
            r_cut_angstrom=r_cut_angstrom,
            n_types=len(most),
        )
        most = np.maximum(most, counted)
        if folder.parent.name == "train":
            squares += float(np.sum(frames.forces_ev_per_angstrom**2))
            n_components += frames.forces_ev_per_angstrom.size
    found = Survey(
        max_neighbours=tuple(most.tolist()),
        rms_force_ev_per_angstrom=float(np.sqrt(squares / n_components)),
        files_sha256=files_sha256,
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(asdict(found)))
    return found


def training_data(path: Path, folder: Path, most: Sequence[int]) -> TrainingData:
    """What DeePMD is told of the training set in `path` when it runs in `folder`."""
    systems = {split: deepmd_systems(path / split) for split in SPLITS}
    names = {split: tuple(os.path.relpath(system, folder) for system in found) for split, found in systems.items()}
    return TrainingData(
        type_map=_type_map(path),
        sel=tuple(sel(most)),
        train=names["train"],
        test=names["test"],
        has_virials=any(read_deepmd_system(system).frames.virial_ev is not None for system in systems["train"]),
    )


def require_room(slots: Sequence[int], most: Sequence[int], type_map: Sequence[str]) -> None:
    """Refuse slots that leave neighbours out: DeePMD would leave them out of the descriptor and train on.

    Raises
    ------
    MeltlakeError
        If an atom of the training set has more neighbours of an element than there are slots.
    """
    short = [
        f"{n_slots} for up to {found} {element}"
        for element, n_slots, found in zip(type_map, slots, most, strict=True)
        if n_slots < found
    ]
    if short:
        raise MeltlakeError(
            f"sel: needed a slot for every neighbour within the cutoff, found {', '.join(short)}.",
            f"Use at least {', '.join(map(str, sel(most)))} for {', '.join(type_map)}, or a smaller cutoff.",
        )


def _type_map(path: Path) -> tuple[str, ...]:
    return read_deepmd_system(deepmd_systems(path / "train")[0]).type_map


def _all_frames(path: Path) -> Iterator[tuple[Path, Integers, LabelledFrames]]:
    """Every deepmd_system's frames, some at a time, with its folder and types."""
    for folder in (folder for split in SPLITS for folder in deepmd_systems(path / split)):
        read = read_deepmd_system(folder)
        for first in range(0, read.frames.n_frames, _FRAMES_AT_ONCE):
            part = read.frames.part(slice(first, first + _FRAMES_AT_ONCE))
            _require_numbers(part, folder)
            yield folder, read.types, part


def _require_numbers(frames: LabelledFrames, folder: Path) -> None:
    for name in ("positions_angstrom", "cell_angstrom", "energy_ev", "forces_ev_per_angstrom", "virial_ev"):
        values = getattr(frames, name)
        if values is not None and not np.isfinite(values).all():
            raise MeltlakeError(
                f"{folder}: needed finite numbers, found others among {name}: its files were damaged.",
                "Remove the training set's folder, then run `meltlake materialize` with the same options again.",
            )


def _sha256_of(files: Sequence[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for file in filter(Path.is_file, files):
        digest.update(str(file.relative_to(root)).encode())
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _read(kept: Path) -> Survey:
    read = read_json(kept)
    return Survey(**read | {"max_neighbours": tuple(read["max_neighbours"])})
