"""One value per frame of what a person looks at when a frame was rejected. Rules belong in `schemas.gate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors, virial_traces
from operators.physics.cells import volumes_angstrom3
from schemas.columns import Columns
from schemas.frames import Floats
from schemas.gate import FRAME_RULES
from schemas.tables import FRAMES
from schemas.units import FS_PER_PS, GPA_PER_EV_PER_ANGSTROM3

Row = Mapping[str, Any]
"""One row of a table."""

_DRAWN = (
    "ionic_step",
    "time_fs",
    "n_atoms",
    "energy_ev",
    "temperature_k",
    "min_distance_angstrom",
    "min_distance_over_limit",
)
_JUDGED = ("rejection_reasons", "flags")
_OF_PRESSURE = ("cell_angstrom", "virial_ev", "virial_trace_ev")
_STORED = {column.name for column in FRAMES.columns}
_OF_RULES = tuple(sorted({rule.column for rule in FRAME_RULES if rule.column in _STORED} - {*_DRAWN}))


@dataclass(frozen=True, slots=True)
class Span:
    """Frames `first` to `last`, both included."""

    first: int
    last: int

    @property
    def n_frames(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


@dataclass(frozen=True)
class RunScalars:
    """Scalars of a run's frames in order; first axis is the frame. NaN where the lake has none."""

    columns: Columns
    """Those of the frames table that are drawn or that a rule looks at."""
    pressure_gpa: Floats
    """The virial's, without the ions' kinetic part, as VASP's `in kB`."""
    rejection_reasons: list[list[str]]
    flags: list[list[str]]

    @property
    def n_frames(self) -> int:
        return len(self.flags)

    @cached_property
    def rejected(self) -> NDArray[np.bool_]:
        return np.array([bool(names) for names in self.rejection_reasons], dtype=bool)

    @cached_property
    def flagged(self) -> NDArray[np.bool_]:
        """Not rejected, but a rule warns."""
        return np.array([bool(names) for names in self.flags], dtype=bool) & ~self.rejected

    @cached_property
    def energy_ev_per_atom(self) -> Floats:
        energies: Floats = self.columns["energy_ev"] / self.columns["n_atoms"]
        return energies

    @cached_property
    def time_ps(self) -> Floats | None:
        """None without a time axis; a restart appended to the same file turns back, and is none either."""
        times: Floats = self.columns["time_fs"] / FS_PER_PS
        runs_on = bool(np.isfinite(times).all() and (np.diff(times) > 0).all())
        return times if runs_on and self.n_frames else None


def read_scalars(lake: Lake, run_id: str) -> RunScalars:
    """Scalars of every frame that the run has in the lake."""
    batches = list(lake.frame_batches(run_id, (*_DRAWN, *_OF_RULES, *_JUDGED, *_OF_PRESSURE)))
    table = pa.Table.from_batches(batches) if batches else FRAMES.arrow_schema.empty_table()
    with np.errstate(invalid="ignore"):  # a damaged frame has no cell
        volumes = [volumes_angstrom3(vectors(batch.column("cell_angstrom"), 3)) for batch in batches]
    traces = virial_traces(table) if batches else np.empty(0)
    return RunScalars(
        columns={name: _values(table[name]) for name in (*_DRAWN, *_OF_RULES)},
        pressure_gpa=traces / (3 * np.concatenate([np.empty(0), *volumes])) * GPA_PER_EV_PER_ANGSTROM3,
        rejection_reasons=[list(names or ()) for names in table["rejection_reasons"].to_pylist()],
        flags=[list(names or ()) for names in table["flags"].to_pylist()],
    )


def spans(chosen: NDArray[np.bool_], *, bridged: int = 0) -> list[Span]:
    """Uninterrupted stretches of chosen frames; gaps of up to `bridged` frames do not interrupt."""
    frames = np.flatnonzero(chosen)
    if not len(frames):
        return []
    breaks = np.flatnonzero(np.diff(frames) > 1 + bridged)
    firsts, lasts = frames[np.r_[0, breaks + 1]], frames[np.r_[breaks, len(frames) - 1]]
    return [Span(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def _values(column: pa.ChunkedArray) -> NDArray[np.generic]:
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        numbers: NDArray[np.generic] = column.to_numpy().astype(np.float64)
        return numbers
    return np.array(column.to_pylist(), dtype=object)
