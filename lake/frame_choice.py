"""Frames that meet an SQL condition over frames and runs, run by run. What is made of them belongs to the verbs.

DuckDB judges the condition with external access off: it sees the columns it names, and no file, network or setting.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from lake.delta import Lake
from schemas.errors import MeltlakeError
from schemas.frames import Integers
from schemas.tables import FRAMES, TABLES, TEXTS

_SEALED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "lock_configuration": "true",
}


def _is_vector(column: pa.DataType) -> bool:
    return bool(pa.types.is_list(column)) and column != TEXTS


_OF_FRAMES = tuple(column.name for column in FRAMES.columns if not _is_vector(column.type))
_OF_RUNS = tuple(column.name for column in TABLES["runs"].columns if column.name not in _OF_FRAMES)


@dataclass(frozen=True, slots=True)
class ChosenFrames:
    """Frames of one run."""

    run: Mapping[str, Any]
    """Its row in `runs`."""
    frames: Integers
    """(n_chosen,), ascending."""

    @property
    def run_id(self) -> str:
        return str(self.run["run_id"])


def chosen_frames(lake: Lake, condition: str, *, version: int) -> list[ChosenFrames]:
    """Frames for which the condition is true, by run, runs in the order of their ids.

    Parameters
    ----------
    lake
        Where the frames are.
    condition
        What SQL has behind `where`. It may name every column of `runs` and `frames` but the vectors; the view
        `frames` that it may ask in a subquery has the same columns.
    version
        Version of the table `frames`.

    Raises
    ------
    MeltlakeError
        If DuckDB cannot make a condition of it; with DuckDB's own sentence.
    """
    runs = lake.rows("runs")
    frames = lake.row_dataset("frames", version=version)
    with duckdb.connect(config=_SEALED) as connection:
        try:
            chosen = _judged(
                connection, FRAMES.arrow_schema.empty_table() if frames is None else frames, runs, condition
            )
        except duckdb.Error as error:
            raise MeltlakeError(
                f"--where {condition!r}: {_sentence(error)}",
                "It is what SQL has behind `where`, over the columns of runs and frames in docs/tables.md, "
                "vectors left out.",
            ) from error
    rows = {row["run_id"]: row for row in runs.to_pylist()}
    pairs = zip(chosen["run_id"].to_pylist(), chosen["chosen"].to_pylist(), strict=True)
    return [ChosenFrames(rows[run_id], np.array(numbers, dtype=np.int32)) for run_id, numbers in pairs]


def chosen_batches(
    lake: Lake, chosen: ChosenFrames, columns: Sequence[str], *, version: int
) -> Iterator[pa.RecordBatch]:
    """Columns of the chosen frames, in frame order, a row group at a time."""
    for batch in lake.frame_batches(chosen.run_id, [*dict.fromkeys(("frame", *columns))], version=version):
        mask = np.isin(batch.column("frame").to_numpy(), chosen.frames)
        if mask.any():
            rows = batch if mask.all() else batch.filter(pa.array(mask))
            yield rows.select(list(columns))


def _judged(
    connection: duckdb.DuckDBPyConnection, frames: pa.Table | pads.Dataset, runs: pa.Table, condition: str
) -> pa.Table:
    connection.register("_frames", frames)
    connection.register("_runs", runs.select(["run_id", *_OF_RUNS]))
    names = ", ".join([*_OF_FRAMES, *_OF_RUNS])
    connection.execute(f"create temp view frames as select {names} from _frames join _runs using (run_id)")
    # `filter` takes one expression; a statement, or the end of one, does not parse.
    chosen = connection.table("frames").filter(condition)
    by_run = chosen.aggregate("run_id, list(frame order by frame) as chosen", "run_id")
    return by_run.order("run_id").to_arrow_table()


def _sentence(error: duckdb.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines[: lines.index("")] if line) if "" in lines else " ".join(lines)
