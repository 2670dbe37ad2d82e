"""The verb `materialize`: accepted frames of the lake become a training set in DeePMD's format.

Which frames are chosen is in `selection`, how they are split in `physics.split`, how they are written in
`lake.deepmd_npy`.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.deepmd_npy import LABEL_COLUMNS, DeepmdSystemWriter, labelled_frames
from lake.delta import Lake
from lake.locks import exclusive
from lake.parquet import flush_to_disk
from operators.log import log
from operators.potentials.selection import ChosenRun, RunRow, chosen_runs
from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.ids import content_id
from schemas.settings import Settings
from schemas.tables import TABLES
from schemas.training import TrainingSetRequest

SPLITS = ("train", "test", "held_out")
_CARD = "training_set.json"


def materialize(settings: Settings, request: TrainingSetRequest) -> dict[str, object]:
    """Write the training set that the request describes, or find it.

    The same frames with the same labels and the same split have the same `training_set_id`, at whatever version of
    the lake they are found.

    Raises
    ------
    MeltlakeError
        If no training set can be made of the request.
    TryAgainLater
        If another process is writing the same training set.
    """
    lake = Lake(settings.lake)
    version = _pinned_version(lake, request)
    rows, runs = chosen_runs(lake, request, version=version)
    type_map = sorted({SYMBOLS[int(number)] for run in runs for number in run.atomic_numbers})
    training_set_id = _training_set_id(runs, type_map)
    folder = (settings.artifacts / "training_sets" / training_set_id).absolute()
    with exclusive(folder.with_name(f".{training_set_id}.lock"), doing=f"writing training set {training_set_id}"):
        found = lake.rows("training_sets", key=training_set_id).to_pylist()
        if found and is_whole(folder):
            log.info("materialize", training_set_id=training_set_id, found=True)
            return _answer(found[0], runs, folder=folder, changed=False)
        _write_folder(lake, runs, folder=folder, type_map=type_map, version=version)
        row = _row(request, rows, runs, type_map=type_map) | {
            "training_set_id": training_set_id,
            "lake_version": version,
            "path": str(folder),
            "created_at": datetime.now(UTC).replace(tzinfo=None),
        }
        lake.replace_batches("training_set_frames", {"training_set_id": training_set_id}, map(_frame_rows, runs))
        lake.replace("training_sets", training_set_id, [row])
    log.info("materialize", training_set_id=training_set_id, **_counts(runs), min_gap_fs=row["min_gap_fs"])
    return _answer(row, runs, folder=folder, changed=True)


def _pinned_version(lake: Lake, request: TrainingSetRequest) -> int:
    newest = lake.version("frames")
    if newest < 0:
        raise MeltlakeError("The lake holds no frames.", "Ingest VASP output: `meltlake ingest SOURCE`.")
    if request.lake_version is not None and request.lake_version > newest:
        raise MeltlakeError(
            f"The lake has no version {request.lake_version}.", f"Its newest is {newest}; name that or an older one."
        )
    return newest if request.lake_version is None else request.lake_version


def is_whole(folder: Path) -> bool:
    """Whether a training set's folder holds every file that its card lists, at its size."""
    card = folder / _CARD
    if not card.exists():
        return False
    files = json.loads(card.read_text())["files"]
    return all((path := folder / name).exists() and path.stat().st_size == size for name, size in files.items())


def _training_set_id(runs: Sequence[ChosenRun], type_map: Sequence[str]) -> str:
    frames = [
        [run.run_id, int(frame), str(run.split[frame])] for run in runs for frame in np.flatnonzero(_is_used(run))
    ]
    labels = {run.run_id: [run.labels_sha256, run.with_virial] for run in runs}
    return content_id({"frames": sorted(frames), "type_map": type_map, "labels": labels})


def _is_used(run: ChosenRun) -> NDArray[np.bool_]:
    return np.isin(run.split, SPLITS)


def _write_folder(
    lake: Lake, runs: Sequence[ChosenRun], *, folder: Path, type_map: Sequence[str], version: int
) -> None:
    """Under another name first: a folder with the training set's name is whole, or was damaged later."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    for leftover in (unfinished, folder):
        if leftover.exists():
            log.info("materialize", training_set_id=folder.name, removing_unfinished=leftover.name)
            shutil.rmtree(leftover)
    unfinished.mkdir(parents=True)
    for run in runs:
        _write_run(lake, run, folder=unfinished, type_map=type_map, version=version)
    files = {
        str(path.relative_to(unfinished)): path.stat().st_size
        for path in sorted(unfinished.rglob("*"))
        if path.is_file()
    }
    card = unfinished / _CARD
    card.write_text(json.dumps({"training_set_id": folder.name, "type_map": list(type_map), "files": files}, indent=1))
    flush_to_disk(card, unfinished)
    unfinished.rename(folder)
    flush_to_disk(folder.parent)


def _write_run(lake: Lake, run: ChosenRun, *, folder: Path, type_map: Sequence[str], version: int) -> None:
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                DeepmdSystemWriter(
                    folder / split / f"{run.formula}.{run.run_id}",
                    atomic_numbers=run.atomic_numbers,
                    type_map=type_map,
                    n_frames=run.n_frames(split),
                    with_virial=run.with_virial,
                )
            )
            for split in SPLITS
            if run.n_frames(split)
        }
        first = 0
        for batch in lake.frame_batches(run.run_id, LABEL_COLUMNS, version=version):
            frames = labelled_frames(batch, run.atomic_numbers, with_virial=run.with_virial)
            its_split = run.split[first : first + batch.num_rows]
            first += batch.num_rows
            for split, writer in writers.items():
                writer.append(frames, its_split == split)
            del batch, frames  # or they are held while the next are read


def _frame_rows(run: ChosenRun) -> pa.RecordBatch:
    """Rows of `training_set_frames`, all of one run."""
    frames = np.flatnonzero(_is_used(run))
    columns = {
        "run_id": pa.array([run.run_id] * len(frames)),
        "frame": pa.array(frames.astype(np.int32)),
        "split": pa.array(run.split[frames].tolist(), pa.string()),
    }
    return pa.RecordBatch.from_pydict(columns, schema=TABLES["training_set_frames"].file_schema)


def _row(
    request: TrainingSetRequest, rows: Sequence[RunRow], runs: Sequence[ChosenRun], *, type_map: Sequence[str]
) -> dict[str, object]:
    gaps = [run.min_gap_fs for run in runs if run.min_gap_fs is not None]
    counts = _counts(runs)
    return {
        "split_rule": request.split,
        "seed": request.seed if request.split == "random" else None,
        "test_fraction": request.test_fraction,
        "n_train": counts["n_train"],
        "n_test": counts["n_test"],
        "n_held_out": counts["n_held_out"],
        "min_gap_fs": min(gaps) if gaps else None,
        "level_of_theory": " | ".join(sorted({str(row["level_of_theory"]) for row in rows})),
        "type_map": list(type_map),
        "compositions": sorted({run.composition for run in runs if run.n_frames("train")}),
        "held_out": sorted({run.composition for run in runs if run.n_frames("held_out")}),
        "synthetic": any(bool(row["synthetic"]) for row in rows),
    }


def _counts(runs: Sequence[ChosenRun]) -> dict[str, int]:
    return {f"n_{split}": sum(run.n_frames(split) for run in runs) for split in (*SPLITS, "gap")}


def _answer(row: Mapping[str, object], runs: Sequence[ChosenRun], *, folder: Path, changed: bool) -> dict[str, object]:
    names = ("training_set_id", "lake_version", "min_gap_fs", "level_of_theory", "compositions", "held_out")
    return {name: row[name] for name in names} | _counts(runs) | {"path": str(folder), "changed": changed}
