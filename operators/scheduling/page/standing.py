"""What is stale and what failed, as `meltlake status` tells it now: the same command, in a process of its own.

It opens the lake, which the API server never does, and may take seconds: one process at a time, its answer is kept.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from operators.scheduling.page.reading import settings

_KEPT_S = 30.0
_LONGEST_S = 60.0
_MOST_WAITING = 4
"""Whoever comes then is not kept: the threads that wait here would be missing to all of Airflow."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Rows of `meltlake status`, or why there are none."""

    stale: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""
    remedy: str = ""


class _Last:
    """The answer before, for whoever asks soon after."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self.told: tuple[float, str, Standing] | None = None


_last = _Last()


def standing() -> Standing:
    """Stale and failed steps of the lake as it is, at most half a minute old."""
    place = settings().lake
    if not _last.waiting.acquire(blocking=False):
        return Standing(problem="`meltlake status` is being asked for others.", remedy="Reload the page in a moment.")
    try:
        with _last.lock:
            if _last.told is None or _last.told[1] != place or time.monotonic() - _last.told[0] > _KEPT_S:
                _last.told = (time.monotonic(), place, _asked())
            return _last.told[2]
    finally:
        _last.waiting.release()


def _asked() -> Standing:
    command = [sys.executable, "-P", "-m", "operators.cli", "status", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return Standing(problem="`meltlake status` took longer than a minute.", remedy="Run it in a terminal.")
    if done.returncode:
        problem, *rest = [line for line in done.stderr.splitlines() if line.strip()][-2:] or [
            "`meltlake status` failed."
        ]
        return Standing(problem=problem, remedy=rest[0] if rest else "Run it in a terminal to see why.")
    told = json.loads(done.stdout)
    return Standing(stale=told["stale"], failed=told["failed"])
