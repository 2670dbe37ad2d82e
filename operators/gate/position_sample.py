"""A few frames of a run, taken while it goes by: enough to tell a melt from a solid, whatever the run's length."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from operators.physics.solidity import (
    THINNED_FS,
    WINDOW_FS,
    Displacement,
    FirstPeak,
    displacement,
    first_peak,
)
from schemas.elements import masses_amu
from schemas.frames import Floats

_MOST_BYTES = 8 << 20
_BYTES_PER_ATOM = 12
_FEWEST_FRAMES = 3
_SHORTEST_FOR_BRAGG_FS = 1000.0
_FEWEST_ATOMS_FOR_BRAGG = 32
_LONGEST_STEP_FS = 2 * THINNED_FS
"""Beyond, an atom of a hot melt may be taken for its image."""


class PositionSample:
    """Frames of the last 20 ps, evenly spaced; older ones are forgotten as new ones come.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,).
    """

    def __init__(self, atomic_numbers: NDArray[np.integer]) -> None:
        self._atomic_numbers = atomic_numbers
        n_fit = _MOST_BYTES // (_BYTES_PER_ATOM * max(len(atomic_numbers), 1))
        n_wanted = int(WINDOW_FS / THINNED_FS) + 1
        self._frames: deque[tuple[float, Floats, NDArray[np.float32]]] = deque(maxlen=min(n_wanted, max(n_fit, 20)))

    def add(self, time_fs: Floats, positions: Floats, cells: Floats) -> None:
        """Consecutive frames: (n_frames,), fs, (n_frames, n_atoms, 3) and (n_frames, 3, 3), Angstrom."""
        for time, of_frame, cell in zip(time_fs, positions, cells, strict=True):
            if self._is_due(float(time)):
                self._frames.append((float(time), cell.copy(), of_frame.astype(np.float32)))

    def _is_due(self, time: float) -> bool:
        if not np.isfinite(time):
            return False
        # A restart may count its time from the beginning again.
        return not self._frames or not 0 <= time - self._frames[-1][0] < THINNED_FS * (1 - 1e-6)

    def displacement(self) -> Displacement | None:
        """How far atoms went; None where the run is too short, or its frames too far apart, to tell."""
        times, cells, positions = self._last_stretch()
        if len(times) < _FEWEST_FRAMES:
            return None
        step = float(np.median(np.diff(times)))
        if step > _LONGEST_STEP_FS:
            return None
        return displacement(positions, cells, masses_amu=masses_amu(self._atomic_numbers), step_fs=step)

    def first_peak(self) -> FirstPeak | None:
        """How sharply it scatters; None for fewer than 32 atoms or less than 1 ps."""
        times, cells, positions = self._last_stretch()
        is_short = not len(times) or times[-1] - times[0] < _SHORTEST_FOR_BRAGG_FS * (1 - 1e-6)
        if is_short or len(self._atomic_numbers) < _FEWEST_ATOMS_FOR_BRAGG:
            return None
        return first_peak(positions, cells)

    def _last_stretch(self) -> tuple[Floats, Floats, Floats]:
        """Times, cells and positions since the last gap; frames without all numbers end a stretch, too."""
        frames: list[tuple[float, Floats, NDArray[np.float32]]] = []
        for time, cell, positions in reversed(self._frames):
            whole = np.isfinite(positions).all() and abs(np.linalg.det(cell)) > 0
            apart = frames[-1][0] - time if frames else 0.0
            usual = frames[-2][0] - frames[-1][0] if len(frames) > 1 else np.inf
            if not whole or apart < 0 or apart > 1.5 * usual:
                break
            frames.append((time, cell, positions))
        frames.reverse()
        return (
            np.array([time for time, _, _ in frames]),
            np.array([cell for _, cell, _ in frames]),
            np.array([positions for _, _, positions in frames], dtype=np.float64),
        )
