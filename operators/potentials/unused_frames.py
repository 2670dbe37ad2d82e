"""Frames of the lake that could have been trained on and were not: a sample of them, labels included.

They cost nothing any more. Which of them a committee disagrees on is `committee`'s to say.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lake.delta import Lake
from lake.frames import vectors
from operators.potentials.comparable import comparable_groups
from operators.potentials.judged_frames import JudgedFrames
from operators.potentials.stored_frames import GEOMETRY, evenly, rows_of_frames
from schemas.rows import Row, text, texts

MOST_FRAMES = 256
"""Of a training set: what a committee is asked of frames that are not in it costs no more than that."""
APART_FS = 25.0
"""Frames closer in time than this are alike."""
UNUSED = "unused"
"""The split of what is not in a training set."""

_LABELS = ("energy_ev", "forces_ev_per_angstrom", "virial_ev")


@dataclass(frozen=True, slots=True)
class UnusedFrames:
    """Some frames of a run that a training set does not have."""

    run: Row
    frames: Sequence[int]


def unused_frames(lake: Lake, training_set: Row) -> list[UnusedFrames]:
    """An even sample over all comparable AIMD runs of a training set's elements."""
    name = text(training_set, "training_set_id")
    columns = ["run_id", "frame", "content_id"]
    used = lake.rows("training_set_frames", key=name, columns=columns).to_pylist()
    contents = {row["content_id"] for row in used} - {None}
    places = {(row["run_id"], row["frame"]) for row in used}
    left = [
        UnusedFrames(run, frames)
        for run in comparable_runs(lake, training_set, {row["run_id"] for row in used})
        if (frames := _left(lake, text(run, "run_id"), contents, places))
    ]
    most = MOST_FRAMES // len(left) if left else 0
    return [UnusedFrames(one.run, evenly(one.frames, max(1, most))) for one in left[:MOST_FRAMES]]


def unused_judged_frames(lake: Lake, sample: Sequence[UnusedFrames]) -> Iterator[JudgedFrames]:
    """The same with their atoms and labels, one run in memory at a time."""
    for one in sample:
        run_id = text(one.run, "run_id")
        rows = list(rows_of_frames(lake, run_id, one.frames, columns=[*GEOMETRY, *_LABELS]))
        table = pa.Table.from_batches(rows)
        numbers = np.array(table["atomic_numbers"][0].as_py(), dtype=np.int8)
        yield JudgedFrames(
            composition=text(one.run, "composition"),
            split=UNUSED,
            run_id=run_id,
            frames=table["frame"].to_numpy().astype(np.int64),
            atomic_numbers=numbers,
            positions_angstrom=vectors(table["positions_angstrom"], len(numbers)),
            cell_angstrom=vectors(table["cell_angstrom"], 3),
            labels=(
                table["energy_ev"].to_numpy(zero_copy_only=False).astype(np.float64),
                vectors(table["forces_ev_per_angstrom"], len(numbers)),
                vectors(table["virial_ev"], 3),
            ),
        )


def comparable_runs(lake: Lake, training_set: Mapping[str, object], run_ids: Collection[str]) -> list[Row]:
    """AIMD runs with accepted frames, of a training set's elements, whose energies compare with those of its runs."""
    runs: list[Row] = lake.rows("runs").to_pylist()
    elements = set(texts(training_set, "type_map"))
    taught = [run for run in runs if run["run_id"] in run_ids]
    return [
        run
        for run in sorted(runs, key=lambda run: (text(run, "composition"), text(run, "run_id")))
        if run["origin"] == "aimd"
        and run["n_accepted"]
        and set(text(run, "chemical_system").split("-")) <= elements
        and len(comparable_groups([*taught, run])) <= max(1, len(comparable_groups(taught)))
    ]


def _left(lake: Lake, run_id: str, contents: set[str], places: set[tuple[str, int]]) -> list[int]:
    """Accepted frames with DFT labels that are not in the set, none within 25 fs of the one before."""
    kept: list[int] = []
    last_fs = -np.inf
    columns = ("frame", "time_fs", "accepted", "label_source", "content_id")
    for batch in lake.frame_batches(run_id, columns):
        for row in batch.to_pylist():
            is_known = row["content_id"] in contents or (run_id, row["frame"]) in places
            if is_known or not row["accepted"] or row["label_source"] != "dft":
                continue
            if row["time_fs"] is None or row["time_fs"] >= last_fs + APART_FS:
                kept.append(row["frame"])
                last_fs = last_fs if row["time_fs"] is None else row["time_fs"]
    return kept
