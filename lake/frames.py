"""Frames between a reader's batches, the lake's rows and a trajectory in memory. What a frame means is in `schemas`."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.delta import Lake
from lake.delta_log import RowFile
from lake.row_files import has_nulls
from schemas.errors import MeltlakeError
from schemas.frames import CONVERGED, Floats, FrameBatch, RunHeader, Trajectory
from schemas.gate import LABEL_RULES
from schemas.rows import real_or_none
from schemas.tables import FRAMES, TEXTS
from schemas.units import GPA_PER_KBAR

_NUMBERS_PER_FRAME = (
    "time_fs",
    "cell_angstrom",
    "energy_ev",
    "virial_ev",
    "virial_trace_ev",
    "temperature_k",
    "accepted",
    "rejection_reasons",
    "label_source",
)
_BYTES_IN_MEMORY = 16_000_000
"""Of the vectors of a run that is read once, not anew by everything that looks at it: 1,300 frames of 512 atoms."""


def staged_rows(batch: FrameBatch, header: RunHeader, *, first_frame: int, time_fs: Floats) -> dict[str, pa.Array]:
    """Columns of the frames table that a batch alone decides: all but the gate's.

    Parameters
    ----------
    batch
        Frames of one run.
    header
        Its header.
    first_frame
        Position of the batch's first frame in the run.
    time_fs
        (n_frames,), fs; NaN without a time axis.
    """
    n_frames = batch.n_frames
    numbers = np.broadcast_to(header.atomic_numbers, (n_frames, header.n_atoms))
    return {
        "frame": pa.array(np.arange(first_frame, first_frame + n_frames, dtype=np.int32)),
        "ionic_step": pa.array(batch.ionic_step),
        "segment": pa.array(batch.segment),
        "time_fs": _or_null(time_fs),
        "n_atoms": pa.array(np.full(n_frames, header.n_atoms, dtype=np.int32)),
        "atomic_numbers": _lists(numbers, pa.int8()),
        "cell_angstrom": _lists(batch.cell_angstrom),
        "positions_angstrom": _lists(batch.positions_angstrom),
        "velocities_angstrom_per_fs": _lists_or_null(batch.velocities_angstrom_per_fs, n_frames),
        "magnetic_moments_mu_b": _lists_or_null(batch.magnetic_moments_mu_b, n_frames),
        "forces_ev_per_angstrom": _lists(
            batch.forces_ev_per_angstrom,
            null_where=np.asarray(np.isnan(batch.forces_ev_per_angstrom).all(axis=(1, 2))),
        ),
        "energy_ev": _or_null(batch.energy_ev),
        "energy_sigma0_ev": _or_null(batch.energy_sigma0_ev),
        "energy_without_entropy_ev": _or_null(batch.energy_without_entropy_ev),
        "virial_ev": _lists(batch.virial_ev, null_where=np.asarray(np.isnan(batch.virial_ev).any(axis=(1, 2)))),
        "virial_trace_ev": _or_null(batch.virial_trace_ev),
        "temperature_k": _or_null(batch.temperature_k),
        "scf_steps": pa.array(batch.scf_steps, mask=batch.scf_steps < 0),
        "scf_converged": pa.array(np.isin(batch.scf_verdict, CONVERGED), mask=batch.scf_verdict == "unknown"),
        "scf_verdict": pa.array(batch.scf_verdict.tolist(), pa.string()),
        "label_source": pa.array(batch.label_source.tolist(), pa.string()),
        "conserved_energy_ev": _or_nulls(batch.conserved_energy_ev, n_frames),
        "printed_pressure_gpa": _or_nulls(batch.printed_pressure_kbar, n_frames, factor=GPA_PER_KBAR),
    }


def complete_rows(
    staged: pa.RecordBatch, *, rejection_reasons: Sequence[Sequence[str]], flags: Sequence[Sequence[str]]
) -> pa.RecordBatch:
    """Rows of the frames table from staged rows and the gate's verdict on each."""
    columns = {name: staged.column(name) for name in staged.schema.names}
    columns["rejection_reasons"] = pa.array([list(reasons) for reasons in rejection_reasons], TEXTS)
    columns["flags"] = pa.array([list(names) for names in flags], TEXTS)
    columns["accepted"] = pa.array([not reasons for reasons in rejection_reasons])
    schema = FRAMES.file_schema
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def trajectory(lake: Lake, run_id: str, *, files: tuple[RowFile, ...] | None = None) -> Trajectory:
    """All frames of a run, in order; rejected ones included, since a gap would break the time axis.

    Vectors of a run that is too large for memory stay in the lake, whence they come a few frames at a time.

    Parameters
    ----------
    lake
        Where.
    run_id
        The run.
    files
        Those of a version that was looked up before; the newest by default.

    Raises
    ------
    MeltlakeError
        If the lake has no frame of that run.
    """
    files = tuple(lake.log("frames").files(key=run_id)) if files is None else files
    batches = list(lake.frame_batches(run_id, _NUMBERS_PER_FRAME, files=files))
    if not batches:
        raise MeltlakeError(f"The lake has no frames of run {run_id}.", "`meltlake status` lists the runs it has.")
    table = pa.Table.from_batches(batches)
    [first] = lake.frame_batches(run_id, ["atomic_numbers"], files=files, stop=1)
    numbers = np.array(first.column(0)[0].as_py(), dtype=np.int8)
    shape = (len(table), len(numbers), 3)
    positions, velocities = (
        StoredVectors(lake, run_id, column, shape, files)
        for column in ("positions_angstrom", "velocities_angstrom_per_fs")
    )
    return Trajectory(
        run_id=run_id,
        atomic_numbers=numbers,
        time_fs=_numbers(table["time_fs"]),
        cell_angstrom=_vectors(table["cell_angstrom"], 3),
        positions_angstrom=positions.in_memory_if_small(),
        energy_ev=_numbers(table["energy_ev"]),
        virial_trace_ev=virial_traces(table),
        temperature_k=_numbers(table["temperature_k"]),
        accepted=_sound(table),
        label_source=np.array([source or "none" for source in table["label_source"].to_pylist()], dtype=np.str_),
        velocities_angstrom_per_fs=velocities.in_memory_if_small() if velocities.are_there() else None,
        equilibrated_from_fs=_equilibrated_from_fs(lake, run_id),
    )


def virials_ev(lake: Lake, run_id: str, *, files: Sequence[RowFile] | None = None) -> Floats:
    """Virials of all frames of a run, eV: (n_frames, 3, 3); NaN where a frame has none. `files` as for a trajectory."""
    batches = lake.frame_batches(run_id, ("virial_ev",), files=files)
    return np.concatenate([np.empty((0, 3, 3)), *(vectors(batch.column(0), 3) for batch in batches)])


def pressures_between_frames(lake: Lake, run_id: str) -> tuple[Floats, Floats] | None:
    """Times (n,), fs, and pressure tensors (n, 3, 3), GPa, kinetic part included; None for a run that kept none."""
    rows = lake.rows("pressure_tensors", key=run_id, columns=["time_fs", "pressure_gpa"])
    return (_numbers(rows["time_fs"]), _vectors(rows["pressure_gpa"], 3)) if rows.num_rows else None


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Vectors of a run that stay in the lake: `schemas.frames.Vectors`."""

    lake: Lake
    run_id: str
    column: str
    shape: tuple[int, ...]
    """(n_frames, n_atoms, 3)."""
    files: tuple[RowFile, ...]
    """Of the version that was asked for: each pass finds the same frames, whoever writes in between."""

    def __len__(self) -> int:
        return self.shape[0]

    def batches(self) -> Iterator[Floats]:
        for batch in self._columns():
            yield vectors(batch, self.shape[1])

    def are_there(self) -> bool:
        """Whether every frame has them."""
        log = self.lake.log("frames")
        return not any(has_nulls(log, file, self.column) for file in self.files)

    def in_memory_if_small(self) -> "Floats | StoredVectors":
        """All of them in one array, unless that were large."""
        if 8 * math.prod(self.shape) > _BYTES_IN_MEMORY:
            return self
        return np.concatenate(list(self.batches()))

    def _columns(self) -> Iterator[pa.Array]:
        for batch in self.lake.frame_batches(self.run_id, [self.column], files=self.files):
            yield batch.column(0)


def _equilibrated_from_fs(lake: Lake, run_id: str) -> float | None:
    rows = lake.rows("runs", key=run_id, columns=["equilibrated_from_fs"]).to_pylist()
    return real_or_none(rows[0], "equilibrated_from_fs") if rows else None


def _sound(table: pa.Table) -> NDArray[np.bool_]:
    """(n_frames,): accepted, or positions without labels (an XDATCAR) that no other rule rejects."""
    names = ("accepted", "label_source", "rejection_reasons")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return np.array([ok or (source == "none" and LABEL_RULES.issuperset(why)) for ok, source, why in rows], dtype=bool)


def vectors(column: pa.ChunkedArray | pa.Array, n_rows_of_three: int) -> Floats:
    """A list column as an array (n_frames, n_rows_of_three, 3); NaN where a row is null."""
    return _vectors(pa.chunked_array([column]) if isinstance(column, pa.Array) else column, n_rows_of_three)


def virial_traces(rows: pa.Table | pa.RecordBatch) -> Floats:
    """Traces of the virials, eV: (n_frames,); NaN without stress. `rows` has the columns of both.

    Rows from before there was a column of traces have it in their virial.
    """
    traces = _numbers(rows.column("virial_trace_ev"))
    unknown = np.isnan(traces)
    if unknown.any():
        traces[unknown] = np.trace(vectors(rows.column("virial_ev"), 3)[unknown], axis1=1, axis2=2)
    return traces


def _numbers(column: pa.ChunkedArray | pa.Array) -> Floats:
    values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _vectors(column: pa.ChunkedArray, n_rows_of_three: int) -> Floats:
    if column.num_chunks == 1 and not column.null_count:
        values: Floats = column.chunk(0).flatten().to_numpy().reshape(-1, n_rows_of_three, 3)
        return values  # a view of the lake's own memory, not to be written to
    out = np.full((len(column), n_rows_of_three, 3), np.nan)
    start = 0
    for chunk in column.chunks:
        present = ~chunk.is_null().to_numpy(zero_copy_only=False)
        values = chunk.flatten().to_numpy().reshape(-1, n_rows_of_three, 3)
        out[start : start + len(chunk)][present] = values
        start += len(chunk)
    return out


def _or_null(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _or_nulls(values: Floats | None, n_frames: int, *, factor: float = 1.0) -> pa.Array:
    return pa.nulls(n_frames, pa.float64()) if values is None else _or_null(values * factor)


def _lists(
    values: NDArray[np.generic], leaf: pa.DataType | None = None, *, null_where: NDArray[np.bool_] | None = None
) -> pa.Array:
    n_frames = len(values)
    width = values[0].size if n_frames else 0
    offsets = pa.array(np.arange(0, width * n_frames + 1, width or 1, dtype=np.int32)[: n_frames + 1])
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), leaf or pa.float64())
    mask = None if null_where is None else pa.array(null_where)
    lists = pa.ListArray.from_arrays(offsets, flat, mask=mask)
    return lists.cast(pa.list_(pa.field("element", leaf or pa.float64())))


def _lists_or_null(values: Floats | None, n_frames: int) -> pa.Array:
    vector = pa.list_(pa.field("element", pa.float64()))
    return pa.nulls(n_frames, vector) if values is None else _lists(values)


def row_groups(rows: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `n_rows`, so that row groups have the size that reads fastest; nothing is copied."""
    waiting: list[pa.RecordBatch] = []
    for batch in rows:
        waiting.append(batch)
        while (n_over := sum(part.num_rows for part in waiting) - n_rows) >= 0:
            last = waiting.pop()
            n_last = last.num_rows - n_over
            yield pa.Table.from_batches([*waiting, last.slice(0, n_last)])
            waiting = [last.slice(n_last)] if n_over else []
    if waiting:
        yield pa.Table.from_batches(waiting)
