"""Single frames of runs, read one by one from wherever they lie in the lake: for who looks at a few of very many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.delta import Lake
from lake.delta_log import RowFile
from lake.frames import vectors
from schemas.frames import Floats
from schemas.gate import LABEL_RULES

GEOMETRY = ("frame", "atomic_numbers", "cell_angstrom", "positions_angstrom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The atoms of one frame."""

    frame: int
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    cell_angstrom: Floats
    """(3, 3), rows a, b, c."""
    positions_angstrom: Floats
    """(n_atoms, 3), Cartesian."""


def rows_of_frames(
    lake: Lake, run_id: str, frames: Sequence[int], *, columns: Sequence[str], files: Sequence[RowFile] | None = None
) -> Iterator[pa.RecordBatch]:
    """One row each, in the order of the frames; only the row groups that have them are read."""
    for frame in frames:
        yield from lake.frame_batches(run_id, columns, files=files, start=frame, stop=frame + 1)


def geometries(
    lake: Lake, run_id: str, frames: Sequence[int], *, files: Sequence[RowFile] | None = None
) -> Iterator[Geometry]:
    """The atoms of frames, one frame in memory at a time."""
    for row in rows_of_frames(lake, run_id, frames, columns=GEOMETRY, files=files):
        numbers = np.array(row.column("atomic_numbers")[0].as_py(), dtype=np.int8)
        yield Geometry(
            frame=int(row.column("frame")[0].as_py()),
            atomic_numbers=numbers,
            cell_angstrom=vectors(row.column("cell_angstrom"), 3)[0],
            positions_angstrom=vectors(row.column("positions_angstrom"), len(numbers))[0],
        )


def sound_frames(lake: Lake, run_id: str) -> list[int]:
    """Frames of a run that are accepted, or that have no labels and that nothing else is wrong with: a simulation's."""
    columns = ("frame", "accepted", "label_source", "rejection_reasons")
    return [
        row["frame"]
        for batch in lake.frame_batches(run_id, columns)
        for row in batch.to_pylist()
        if row["accepted"]
        or ((row["label_source"] or "none") == "none" and LABEL_RULES.issuperset(row["rejection_reasons"] or ()))
    ]


def evenly(frames: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly spread, the last one included."""
    if len(frames) <= most:
        return list(frames)
    places = np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int)) if most > 1 else [len(frames) - 1]
    return [frames[place] for place in places]
