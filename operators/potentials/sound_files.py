"""Whether the files of a training set are what was written, looked at before DeePMD is started."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lake.deepmd_npy import LabelledFrames, deepmd_systems, read_deepmd_system
from operators.potentials.chosen_run import SPLITS
from operators.potentials.kept_files import read_json, write_whole
from schemas.errors import StepFailed

_FRAMES_AT_ONCE = 256
_REMEDY = "Remove that folder, then run `meltlake materialize` with the same options again: it rebuilds it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the files of a training set were found to be."""

    rms_force_ev_per_angstrom: float
    """Root mean square of the force components to learn."""
    files_sha256: str


def inspected(training_set: Path, kept: Path) -> Inspection:
    """Look at every number of a training set, at its beginning, and for changed bytes whenever it is resumed.

    Parameters
    ----------
    training_set
        Its folder.
    kept
        A file of the potential's folder that remembers the answer.

    Raises
    ------
    StepFailed
        If a deepmd_system is not whole, has a number that is none, or was changed since the training began.
    """
    files_sha256 = _sha256_of(training_set)
    if kept.exists():
        before = Inspection(**read_json(kept, names=Inspection.__slots__))
        if before.files_sha256 != files_sha256:
            raise StepFailed(
                f"{training_set}: needed the files that the training began with, found changed ones.", _REMEDY
            )
        return before
    found = Inspection(rms_force_ev_per_angstrom=_rms_force(training_set), files_sha256=files_sha256)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(asdict(found)))
    return found


def _rms_force(training_set: Path) -> float:
    squares, n_components = 0.0, 0
    for split in SPLITS:
        for folder in deepmd_systems(training_set / split):
            for frames in _parts(folder):
                _require_numbers(frames, folder)
                if split == "train":
                    squares += float(np.sum(frames.forces_ev_per_angstrom**2))
                    n_components += frames.forces_ev_per_angstrom.size
    return float(np.sqrt(squares / n_components))


def _parts(folder: Path) -> Iterator[LabelledFrames]:
    frames = read_deepmd_system(folder).frames
    for first in range(0, frames.n_frames, _FRAMES_AT_ONCE):
        yield frames.part(slice(first, first + _FRAMES_AT_ONCE))


def _require_numbers(frames: LabelledFrames, folder: Path) -> None:
    for name in LabelledFrames.__slots__:
        values = getattr(frames, name)
        if values is not None and not np.isfinite(values).all():
            raise StepFailed(f"{folder}: needed finite numbers, found others among {name}.", _REMEDY)


def _sha256_of(training_set: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(training_set.rglob("*")):
        if path.is_file() and path.suffix != ".json":
            digest.update(str(path.relative_to(training_set)).encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
