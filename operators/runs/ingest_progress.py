"""How far a long ingest is: a bar on a terminal, a log line now and then elsewhere. It changes nothing."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from operators.log import log

_SECONDS_BETWEEN_LINES = 30.0
_BYTES_PER_MB = 1e6


class IngestProgress:
    """Counts frames and bytes of raw files, and shows them with their rates.

    Parameters
    ----------
    total_bytes
        Size of all raw files that will be read.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._n_frames = self._n_bytes = 0
        self._started = self._last_line = time.monotonic()
        self._bar = tqdm(
            total=total_bytes, unit="B", unit_scale=True, desc="ingest", disable=not sys.stderr.isatty(), delay=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()

    def advance(self, n_frames: int, n_bytes: int) -> None:
        """So many frames and bytes more were read."""
        self._n_frames += n_frames
        self._n_bytes += n_bytes
        now = time.monotonic()
        frames_per_s = self._n_frames / max(now - self._started, 1e-3)
        self._bar.set_postfix_str(f"{self._n_frames} frames, {frames_per_s:.0f} frames/s", refresh=False)
        self._bar.update(n_bytes)
        if self._bar.disable and now - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = now
            megabytes = self._n_bytes / _BYTES_PER_MB
            log.info(
                "ingest reading",
                n_frames=self._n_frames,
                frames_per_s=round(frames_per_s),
                megabytes=round(megabytes),
                of_megabytes=round(self._total_bytes / _BYTES_PER_MB),
                megabytes_per_s=round(megabytes / (now - self._started)),
            )
