"""A run as the lake has it, frame by frame on demand: what is needed to tell whether two runs share frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors
from lake.known_runs import Row
from operators.physics.continuation import same_positions
from schemas.frames import Floats

_SCALARS = ("ionic_step", "time_fs", "energy_ev", "min_distance_angstrom", "accepted")
_VECTORS = ("atomic_numbers", "cell_angstrom", "positions_angstrom", "forces_ev_per_angstrom")

_SAME_ENERGY_EV = 1e-3
"""Two electronic loops on one configuration end this close; far below any error of a potential."""

_SAME_DISTANCE_ANGSTROM = 1e-4
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


class StoredRun:
    """One run of the lake; its rows are read when they are asked for."""

    def __init__(self, lake: Lake, row: Row) -> None:
        self.lake = lake
        self.row = row
        self.run_id = str(row["run_id"])

    @cached_property
    def scalars(self) -> pd.DataFrame:
        """One row per frame: ionic step, time, energy, shortest distance, whether it was accepted."""
        batches = list(self.lake.frame_batches(self.run_id, _SCALARS))
        parts = [
            pd.DataFrame({name: b.column(name).to_numpy(zero_copy_only=False) for name in _SCALARS}) for b in batches
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_SCALARS)

    @property
    def n_frames(self) -> int:
        return len(self.scalars)

    @cached_property
    def atomic_numbers(self) -> NDArray[np.int8]:
        """(n_atoms,)."""
        batch = next(self.lake.frame_batches(self.run_id, ("atomic_numbers",), stop=1))
        return np.array(batch.column("atomic_numbers")[0].as_py(), dtype=np.int8)

    def frames(self, start: int, stop: int) -> Iterator[StoredFrame]:
        """Frames `start` to `stop`, in order."""
        n_atoms = len(self.atomic_numbers)
        for batch in self.lake.frame_batches(self.run_id, _VECTORS, start=start, stop=stop):
            cells = vectors(batch.column("cell_angstrom"), 3)
            positions = vectors(batch.column("positions_angstrom"), n_atoms)
            forces = vectors(batch.column("forces_ev_per_angstrom"), n_atoms)
            yield from map(StoredFrame, cells, positions, forces)

    def frame(self, index: int) -> StoredFrame:
        """One frame; a negative index counts from the end."""
        index %= self.n_frames
        return next(self.frames(index, index + 1))

    @cached_property
    def first(self) -> StoredFrame:
        return self.frame(0)

    def alike(self, energy_ev: float, min_distance_angstrom: float) -> NDArray[np.bool_]:
        """(n_frames,): frames whose scalars do not contradict that they are the frame with these."""
        energies, distances = (self.scalars[name].to_numpy() for name in ("energy_ev", "min_distance_angstrom"))
        unknown = np.isnan(energies) & np.isnan(energy_ev)  # an XDATCAR has no energies
        same_energy = unknown | (np.abs(energies - energy_ev) < _SAME_ENERGY_EV)
        found: NDArray[np.bool_] = same_energy & (np.abs(distances - min_distance_angstrom) < _SAME_DISTANCE_ANGSTROM)
        return found

    def places_of(self, frame: StoredFrame, energy_ev: float, min_distance_angstrom: float) -> list[int]:
        """Where this run has that frame."""
        candidates = np.flatnonzero(self.alike(energy_ev, min_distance_angstrom))
        return [int(index) for index in candidates if self.frame(int(index)).is_same_as(frame)]
