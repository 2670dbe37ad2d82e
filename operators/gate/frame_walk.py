"""Follows a run from batch to batch: what happened between its frames, and a few of them to look at as a whole."""

from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors
from operators.gate.position_sample import PositionSample
from operators.gate.step_columns import step_columns
from operators.physics.solidity import WINDOW_FS
from operators.physics.steps import LabelledFrames, steps
from schemas.columns import Columns
from schemas.frames import Floats, FrameBatch

_COLUMNS = (
    "time_fs",
    "segment",
    "ionic_step",
    "label_source",
    "cell_angstrom",
    "positions_angstrom",
    "forces_ev_per_angstrom",
    "energy_ev",
    "virial_ev",
)


class FrameWalk:
    """One run, batch after batch in order.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,).
    """

    def __init__(self, atomic_numbers: NDArray[np.integer]) -> None:
        self.sample = PositionSample(atomic_numbers)
        self._before: LabelledFrames | None = None
        self._last = (-1, -1)

    @classmethod
    def behind(cls, lake: Lake, run_id: str, n_frames: int, atomic_numbers: NDArray[np.integer]) -> Self:
        """As if the first frames of a stored run had just gone by; only its last 20 ps are read."""
        walk = cls(atomic_numbers)
        times = [batch.column("time_fs") for batch in lake.frame_batches(run_id, ("time_fs",), stop=n_frames)]
        time_fs = np.concatenate([column.to_numpy(zero_copy_only=False).astype(float) for column in times] or [[]])
        is_late = time_fs >= time_fs[-1] - WINDOW_FS if len(time_fs) else time_fs
        start = int(np.argmax(is_late)) if np.any(is_late) else max(n_frames - 1, 0)
        for batch in lake.frame_batches(run_id, _COLUMNS, start=start, stop=n_frames):
            walk.follow_rows(batch)
        return walk

    def follow(self, batch: FrameBatch, time_fs: Floats) -> Columns:
        """The columns `STEP_COLUMNS` of the batch, which comes next.

        Parameters
        ----------
        batch
            Frames as their reader gives them.
        time_fs
            (n_frames,), fs; NaN when the run is not molecular dynamics.
        """
        frames = LabelledFrames(
            positions_angstrom=batch.positions_angstrom,
            cell_angstrom=batch.cell_angstrom,
            energy_ev=np.where(batch.label_source == "dft", batch.energy_ev, np.nan),
            forces_ev_per_angstrom=batch.forces_ev_per_angstrom,
            virial_ev=batch.virial_ev,
        )
        return self._follow(frames, time_fs, segment=batch.segment, ionic_step=batch.ionic_step)

    def follow_rows(self, batch: pa.RecordBatch) -> Columns:
        """The same of rows of the lake."""
        n_atoms = len(batch.column("positions_angstrom")[0]) // 3 if batch.num_rows else 0
        is_dft = np.array(batch.column("label_source").to_pylist(), dtype=object) == "dft"
        energy_ev = batch.column("energy_ev").to_numpy(zero_copy_only=False).astype(float)
        frames = LabelledFrames(
            positions_angstrom=vectors(batch.column("positions_angstrom"), n_atoms),
            cell_angstrom=vectors(batch.column("cell_angstrom"), 3),
            energy_ev=np.where(is_dft, energy_ev, np.nan),
            forces_ev_per_angstrom=vectors(batch.column("forces_ev_per_angstrom"), n_atoms),
            virial_ev=vectors(batch.column("virial_ev"), 3),
        )
        time_fs = batch.column("time_fs").to_numpy(zero_copy_only=False).astype(float)
        segment, ionic_step = (batch.column(name).to_numpy() for name in ("segment", "ionic_step"))
        return self._follow(frames, time_fs, segment=segment, ionic_step=ionic_step)

    def _follow(
        self, frames: LabelledFrames, time_fs: Floats, *, segment: NDArray[np.integer], ionic_step: NDArray[np.integer]
    ) -> Columns:
        last_segment, last_step = self._last
        same_segment = np.diff(segment, prepend=last_segment) == 0
        next_step = np.diff(ionic_step, prepend=last_step) == 1
        # Relaxations go further than the work of their forces could tell.
        found = steps(frames, before=self._before, consecutive=same_segment & next_step & np.isfinite(time_fs))
        self.sample.add(time_fs, frames.positions_angstrom, frames.cell_angstrom)
        self._before = frames[-1:].copy()  # a view would keep the whole batch in memory
        self._last = int(segment[-1]), int(ionic_step[-1])
        return step_columns(found)
