"""A run as its raw file had it, frame by frame on demand: from its own rows, and from those of runs that share frames.

What it is good for: to tell whether runs share frames, and where one goes on from another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.delta import Lake
from lake.delta_log import RowFile
from lake.frames import vectors
from operators.physics.continuation import same_positions
from schemas.frames import Floats
from schemas.rows import Row, real, real_or_none, text, whole

_OF_ROWS = ("ionic_step", "segment", "time_fs", "energy_ev", "min_distance_angstrom", "accepted", "content_id")
_VECTORS = ("atomic_numbers", "cell_angstrom", "positions_angstrom", "forces_ev_per_angstrom")
_FRAMES_AT_ONCE = 8

SAME_ENERGY_EV = 1e-3
"""Two electronic loops on one configuration end this close; far below any error of a potential."""

SAME_DISTANCE_ANGSTROM = 1e-4
"""Shortest pair distances of one configuration, from files that print 5 to 16 decimals."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame's vectors."""

    cell: Floats
    """(3, 3), Angstrom."""
    positions: Floats
    """(n_atoms, 3), Angstrom."""
    forces: Floats
    """(n_atoms, 3), eV/Angstrom."""

    def is_same_as(self, other: "StoredFrame") -> bool:
        return same_positions(self.positions, other.positions, cell=self.cell, other_cell=other.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSequence:
    """Scalars of all frames of a raw file, in its order; first axis is the frame."""

    is_here: NDArray[np.bool_]
    """Whether the run itself has the frame's row; otherwise another run has it."""
    ionic_step: NDArray[np.int64]
    after_start_fs: Floats
    """Time since the file's first ionic step; NaN when not molecular dynamics."""
    energy_ev: Floats
    min_distance_angstrom: Floats
    accepted: NDArray[np.bool_]
    content_id: NDArray[np.object_]

    def is_like(self, place: int, other: "FrameSequence", partner: int) -> bool:
        """Whether scalars do not contradict that a frame of this run is that of the other one."""
        energies = self.energy_ev[place], other.energy_ev[partner]
        both_unknown = bool(np.isnan(energies).all())  # an XDATCAR has no energies
        apart = abs(self.min_distance_angstrom[place] - other.min_distance_angstrom[partner])
        return bool(
            (both_unknown or abs(energies[0] - energies[1]) < SAME_ENERGY_EV) and apart < SAME_DISTANCE_ANGSTROM
        )


class StoredRun:
    """One run of the lake; its rows are read when they are asked for, and kept while it lives.

    Parameters
    ----------
    lake
        Where it is.
    row
        Its row in `runs`.
    others
        Runs that may hold frames of it, by id; those that are missing are looked up.
    """

    def __init__(self, lake: Lake, row: Row, others: Mapping[str, "StoredRun"] | None = None) -> None:
        self.lake = lake
        self.row = row
        self.run_id = text(row, "run_id")
        self._others = {} if others is None else others
        self._block: tuple[int, list[StoredFrame]] | None = None

    @cached_property
    def _files(self) -> list[RowFile]:
        """The run's rows as they were when they were first asked for: linking takes some out, and asks on."""
        return self.lake.log("frames").files(key=self.run_id)

    def _batches(self, columns: Sequence[str], *, start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        return self.lake.frame_batches(self.run_id, columns, files=self._files, start=start, stop=stop)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Scalars of the frames that the run itself has."""
        return [
            dict(zip(_OF_ROWS, values, strict=True))
            for batch in self._batches(_OF_ROWS)
            for values in zip(*(batch.column(name).to_pylist() for name in _OF_ROWS), strict=True)
        ]

    @cached_property
    def elsewhere(self) -> list[dict[str, Any]]:
        """Rows of `repeated_frames`: the file's frames that other runs hold.

        A kill may have left a row there before its frame was taken out: then the frame is still here.
        """
        here = {row["content_id"] for row in self.rows}
        rows: list[dict[str, Any]] = self.lake.rows("repeated_frames", key=self.run_id).to_pylist()
        return sorted((row for row in rows if row["content_id"] not in here), key=lambda row: whole(row, "place"))

    @cached_property
    def start_fs(self) -> float:
        """Time of the first ionic step as the rows have it, whatever the run's own row says after a kill."""
        step_fs = self.time_step_fs
        for row in self.rows:
            if step_fs is not None and row["segment"] == 0 and row["time_fs"] is not None:
                return real(row, "time_fs") - (whole(row, "ionic_step") - 1) * step_fs
        return real(self.row, "trajectory_start_fs", if_null=0.0)

    @cached_property
    def frames(self) -> FrameSequence:
        """Scalars of every frame that the raw file had."""
        for row in self.rows:
            row["after_start_fs"] = None if row["time_fs"] is None else row["time_fs"] - self.start_fs
        is_here = np.ones(len(self.rows) + len(self.elsewhere), dtype=bool)
        is_here[[int(row["place"]) for row in self.elsewhere]] = False
        here, there = iter(self.rows), iter(self.elsewhere)
        merged = [next(here) if ours else next(there) for ours in is_here]
        after_start_fs, energy_ev, distance = (
            np.array([row[name] for row in merged], dtype=np.float64)
            for name in ("after_start_fs", "energy_ev", "min_distance_angstrom")
        )
        return FrameSequence(
            is_here=is_here,
            ionic_step=np.array([row["ionic_step"] for row in merged], dtype=np.int64),
            after_start_fs=after_start_fs,
            energy_ev=energy_ev,
            min_distance_angstrom=distance,
            accepted=np.array([row["accepted"] for row in merged], dtype=bool),
            content_id=np.array([row["content_id"] for row in merged], dtype=object),
        )

    def repeated_row(self, place: int, stored_run_id: str, stored_content_id: str) -> dict[str, object]:
        """A row of `repeated_frames` for a frame that another run holds."""
        frames = self.frames
        return {
            "place": place,
            "ionic_step": int(frames.ionic_step[place]),
            **{
                name: None if np.isnan(value) else float(value)
                for name in ("after_start_fs", "energy_ev", "min_distance_angstrom")
                for value in (getattr(frames, name)[place],)
            },
            "accepted": bool(frames.accepted[place]),
            "content_id": str(frames.content_id[place]),
            "stored_run_id": stored_run_id,
            "stored_content_id": stored_content_id,
        }

    @property
    def time_step_fs(self) -> float | None:
        """None when not molecular dynamics."""
        return real_or_none(self.row, "time_step_fs")

    @property
    def goes_on(self) -> bool:
        """Whether its end tells where the atoms were going: dynamics, or an XDATCAR, which may be."""
        steps = self.frames.ionic_step[-2:]
        is_dynamics = self.time_step_fs is not None or self.row["source_format"] == "xdatcar"
        return is_dynamics and len(steps) == 2 and int(steps[1] - steps[0]) == 1

    @property
    def n_frames(self) -> int:
        """Of the raw file, whoever holds them."""
        return len(self.frames.ionic_step)

    @cached_property
    def first(self) -> StoredFrame:
        return self.frame(0)

    @cached_property
    def end(self) -> tuple[StoredFrame, StoredFrame]:
        """The last two frames."""
        return self.frame(-2), self.frame(-1)

    @cached_property
    def atomic_numbers(self) -> NDArray[np.int8]:
        """(n_atoms,)."""
        for batch in self._batches(("atomic_numbers",), stop=1):
            return np.array(batch.column("atomic_numbers")[0].as_py(), dtype=np.int8)
        return self._holder(self.elsewhere[0]).atomic_numbers

    def frame(self, place: int) -> StoredFrame:
        """The vectors of the frame at that place of the raw file; a negative place counts from the end."""
        place %= self.n_frames
        if self.frames.is_here[place]:
            return self._row(int(self.frames.is_here[:place].sum()))
        holder, there = self._stored_at(place)
        return holder.frame(there)

    def holder_of(self, place: int) -> str:
        """The run that has the row of the frame at that place of the raw file."""
        if self.frames.is_here[place]:
            return self.run_id
        holder, there = self._stored_at(place)
        return holder.holder_of(there)

    def _stored_at(self, place: int) -> tuple["StoredRun", int]:
        """The run that a frame is said to be stored with, and its place in that run's file."""
        row = self._elsewhere_at[place]
        holder = self._holder(row)
        return holder, holder.place_of[row["stored_content_id"]]

    @cached_property
    def _elsewhere_at(self) -> dict[int, dict[str, Any]]:
        return {whole(row, "place"): row for row in self.elsewhere}

    @cached_property
    def place_of(self) -> dict[str, int]:
        """Where the raw file has a frame first, by its content id."""
        places: dict[str, int] = {}
        for place, name in enumerate(self.frames.content_id):
            places.setdefault(name, place)
        return places

    def places_of(self, frame: StoredFrame, *, energy_ev: float, min_distance_angstrom: float) -> list[int]:
        """Where this run has that frame."""
        alike = self.alike(energy_ev, min_distance_angstrom)
        return [int(place) for place in np.flatnonzero(alike) if self.frame(int(place)).is_same_as(frame)]

    def alike(
        self, energy_ev: float, min_distance_angstrom: float, *, tolerance_ev: float = SAME_ENERGY_EV
    ) -> NDArray[np.bool_]:
        """(n_frames,): frames whose scalars do not contradict that they are the frame with these."""
        energies = self.frames.energy_ev
        unknown = np.isnan(energies) & np.isnan(energy_ev)  # an XDATCAR has no energies
        same_energy = unknown | (np.abs(energies - energy_ev) < tolerance_ev)
        distances = np.abs(self.frames.min_distance_angstrom - min_distance_angstrom)
        found: NDArray[np.bool_] = same_energy & (distances < SAME_DISTANCE_ANGSTROM)
        return found

    def _row(self, index: int) -> StoredFrame:
        block, offset = divmod(index, _FRAMES_AT_ONCE)
        if self._block is None or self._block[0] != block:
            self._block = block, self._read(block * _FRAMES_AT_ONCE)
        return self._block[1][offset]

    def _read(self, start: int) -> list[StoredFrame]:
        n_atoms = len(self.atomic_numbers)
        found: list[StoredFrame] = []
        for batch in self._batches(_VECTORS, start=start, stop=start + _FRAMES_AT_ONCE):
            cells = vectors(batch.column("cell_angstrom"), 3)
            positions = vectors(batch.column("positions_angstrom"), n_atoms)
            forces = vectors(batch.column("forces_ev_per_angstrom"), n_atoms)
            found.extend(map(StoredFrame, cells, positions, forces))
        return found

    def _holder(self, row: dict[str, Any]) -> "StoredRun":
        run_id = text(row, "stored_run_id")
        if run_id in self._others:
            return self._others[run_id]
        return StoredRun(self.lake, self.lake.rows("runs", key=run_id).to_pylist()[0], self._others)
