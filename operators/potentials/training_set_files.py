"""A training set on disk: its deepmd_systems and the card that lists them. What is in it is decided elsewhere."""

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from lake.deepmd_npy import HDF5_SUFFIX, LABEL_COLUMNS, DeepmdSystemWriter, labelled_frames
from lake.delta import Lake
from lake.delta_log import RowFile
from lake.parquet import flush_to_disk
from operators.log import log
from operators.physics.split import Splits
from operators.potentials.chosen_run import SPLITS
from schemas.errors import TryAgainLater
from schemas.settings import Settings
from schemas.training import Balance, Format

_CARD_NAME = "training_set.json"
_NUMBERS_PER_FRAME = 19
"""Energy, cell and virial."""
_ROOM_TO_SPARE_BYTES = 1_000_000


class Card(TypedDict):
    """What a training set's folder says of itself, beside its name and its files."""

    type_map: list[str]
    format: Format
    balance: Balance


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPart:
    """What is written of one run."""

    run_id: str
    formula: str
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    split: Splits
    """(n_frames of the run,)."""
    with_virial: bool


def folder_of(settings: Settings, training_set_id: str) -> Path:
    """Where a training set's files are."""
    return (settings.artifacts / "training_sets" / training_set_id).absolute()


def is_whole(folder: Path) -> bool:
    """Whether a training set's folder holds every file that its card lists, at its size."""
    card = folder / _CARD_NAME
    try:
        files = json.loads(card.read_text())["files"]
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return False
    return all((path := folder / name).exists() and path.stat().st_size == size for name, size in files.items())


def write_training_set(lake: Lake, parts: Sequence[RunPart], *, folder: Path, card: Card, version: int) -> None:
    """Write the folder of a training set; it appears whole, or not at all.

    Parameters
    ----------
    lake
        Where the frames are.
    parts
        What to take of each run.
    folder
        The training set's own; what is there of it is replaced.
    card
        What the folder says of itself.
    version
        Of the frames.

    Raises
    ------
    TryAgainLater
        If the disk is too full for it.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    for leftover in (unfinished, folder):
        if leftover.exists():
            log.info("materialize", training_set_id=folder.name, removing_unfinished=leftover.name)
            shutil.rmtree(leftover)
    _require_room(parts, folder)
    unfinished.mkdir(parents=True)
    try:
        files = lake.files_by_key("frames", version=version)
        for part in parts:
            _write_run(lake, part, folder=unfinished, card=card, files=files[part.run_id])
        written = sorted(path for path in unfinished.rglob("*") if path.is_file())
        sizes = {str(path.relative_to(unfinished)): path.stat().st_size for path in written}
        (unfinished / _CARD_NAME).write_text(
            json.dumps({"training_set_id": folder.name, **card, "files": sizes}, indent=1)
        )
        flush_to_disk(unfinished / _CARD_NAME, unfinished)
    except BaseException:  # a full disk is helped by the room that half a training set takes
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    unfinished.rename(folder)
    flush_to_disk(folder.parent)


def _require_room(parts: Sequence[RunPart], folder: Path) -> None:
    """HDF5 ends the whole process when a disk is full, and a person should not wait for that."""
    n_numbers = sum(
        int(np.isin(part.split, SPLITS).sum()) * (6 * len(part.atomic_numbers) + _NUMBERS_PER_FRAME) for part in parts
    )
    needed, free = n_numbers * 8 + _ROOM_TO_SPARE_BYTES, shutil.disk_usage(folder.parent).free
    if needed > free:
        raise TryAgainLater(
            f"Training set {folder.name} needs {needed / 1e6:.0f} MB, and the disk of {folder.parent} has "
            f"{free / 1e6:.0f} MB left.",
            "Make room there, then run the same command again.",
        )


def _write_run(lake: Lake, part: RunPart, *, folder: Path, card: Card, files: Sequence[RowFile]) -> None:
    n_frames = {split: int((part.split == split).sum()) for split in SPLITS}
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                _writer(card["format"])(
                    _place(folder, split, card["format"]) / f"{part.formula}.{part.run_id}",
                    atomic_numbers=part.atomic_numbers,
                    type_map=card["type_map"],
                    n_frames=n_frames[split],
                    with_virial=part.with_virial,
                )
            )
            for split in SPLITS
            if n_frames[split]
        }
        first = 0
        for batch in lake.frame_batches(part.run_id, LABEL_COLUMNS, files=files):
            frames = labelled_frames(batch, part.atomic_numbers, with_virial=part.with_virial)
            its_split = part.split[first : first + batch.num_rows]
            first += batch.num_rows
            for split, writer in writers.items():
                writer.append(frames, its_split == split)
            del batch, frames  # or they are held while the next are read


def _writer(format_: Format) -> type[DeepmdSystemWriter]:
    if format_ == "npy":
        return DeepmdSystemWriter
    from lake.deepmd_hdf5 import DeepmdGroupWriter

    return DeepmdGroupWriter


def _place(folder: Path, split: str, format_: Format) -> Path:
    return folder / (split if format_ == "npy" else f"{split}{HDF5_SUFFIX}")
