"""What a training set takes of one run, and what that says of its test errors. Choosing it is `splitting`'s."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from operators.physics.equilibration import Memory
from operators.physics.split import Splits

SPLITS = ("train", "test", "held_out")
NOT_USED = ("gap", "thinned", "relaxation", "no_virial")
"""Why an accepted frame is in no part: beside a test frame, within `every_fs` of another, before equilibration, without
a virial in a run where most frames have one."""

_FEWEST_INDEPENDENT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRun:
    """One run's part of a training set."""

    run_id: str
    composition: str
    formula: str
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    split: Splits
    """(n_frames of the run,): one of `SPLITS` or of `NOT_USED`; empty where a frame may not be used at all."""
    with_virial: bool
    """Whether every frame that is used has a virial, and is written with it."""
    n_virials_unused: int
    """Virials of frames that are used, written without because most of the run's have none."""
    content_ids: pa.Array
    """(n_frames,)."""
    labels_sha256: str
    """Over all numbers of the frames that were split: a mended reader must not find the training set of its old
    numbers."""
    equilibrated_from_fs: float | None
    frame_step_fs: float | None
    """Usual time between frames that were split; None without a time axis, as the next three."""
    memory: Memory
    """Of its trajectory."""
    gap_fs: float | None
    """Wanted between training and test frames; None also where none was, in a random split."""
    min_gap_fs: float | None
    """Found in its trajectory; None without both kinds of frames."""

    def n_frames(self, *splits: str) -> int:
        """How many frames are in those parts of the split."""
        return int(np.isin(self.split, splits).sum())

    @property
    def is_used(self) -> NDArray[np.bool_]:
        """(n_frames,): whether a frame is in the training set."""
        return np.isin(self.split, SPLITS)

    @property
    def n_effective(self) -> float | None:
        """Independent values that its training frames are worth; None where its memory is not known."""
        if self.frame_step_fs is None or np.isnan(self.memory.correlation_time_fs):
            return None
        return self.n_frames("train") * min(1.0, self.frame_step_fs / self.memory.correlation_time_fs)

    @property
    def leakage(self) -> str | None:
        """Whether its test errors are those of frames that the potential has not as good as seen.

        `clear`; `leaks`: the gap is shorter than the correlation time; `too_short`: the run is, for the gap that was
        wanted or to tell that time; `unknown`: no time axis, or too few frames. None without test or training frames.
        """
        if self.min_gap_fs is None:
            return "unknown" if self.n_frames("train") and self.n_frames("test") else None
        if np.isnan(self.memory.correlation_time_fs):
            return "unknown"
        if self.min_gap_fs < self.memory.correlation_time_fs:
            return "leaks"
        is_cut = self.gap_fs is not None and self.min_gap_fs < self.gap_fs * (1 - 1e-9)
        return "too_short" if is_cut or self.memory.n_independent <= _FEWEST_INDEPENDENT else "clear"
