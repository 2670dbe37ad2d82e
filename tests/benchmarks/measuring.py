"""Contenders raced: fresh processes in interleaved rounds, and the medians of what they cost."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
N_ROUNDS = 3
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """What a work cost: medians of the rounds, but the largest memory."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    imported_mb: float
    """Of the contender's process before its work began."""
    worker_mb: float
    """Peak of its largest child process; 0 without one."""
    found: dict[str, float]

    def then(self, after: "Cost") -> "Cost":
        """Both, one after the other."""
        sums = {name: getattr(self, name) + getattr(after, name) for name in ("cpu_s", "wall_s")}
        largest = {
            name: max(getattr(self, name), getattr(after, name)) for name in ("peak_mb", "imported_mb", "worker_mb")
        }
        return Cost(**sums, **largest, found=self.found | after.found)


def race(contenders: Sequence[str], path: Path, *, n_rounds: int = N_ROUNDS) -> dict[str, Cost]:
    """Each contender's cost over the same input, in the order given.

    Raises
    ------
    SystemExit
        If a contender fails, or if they disagree on how much there was to do.
    """
    rounds = [{name: _run(name, path) for name in contenders} for _ in range(n_rounds)]
    for count in ("n_frames", "n_bytes", "n_train"):
        counts = {cost.found[count] for each in rounds for cost in each.values() if count in cost.found}
        if len(counts) > 1:
            raise SystemExit(f"{path}: {', '.join(contenders)} disagree on {count}: {counts}")
    return {name: _median([each[name] for each in rounds]) for name in contenders}


def _run(contender: str, path: Path) -> Cost:
    command = [sys.executable, "-m", "tests.benchmarks.contender", contender, str(path)]
    with tempfile.TemporaryFile("w+") as said, _started(command, said) as process:
        peaks: dict[int, float] = {}
        while process.poll() is None:
            peaks |= dict(_worker_peaks_mb(process.pid))
            time.sleep(_PAUSE_S)
        answer = process.stdout.read() if process.stdout else ""
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{contender} failed over {path}:\n{said.read()[-4000:]}")
    return Cost(**json.loads(answer.splitlines()[-1]), worker_mb=max(peaks.values(), default=0.0))


def _started(command: Sequence[str], said: IO[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, **ONE_THREAD}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=ROOT, env=environment)


def _worker_peaks_mb(process_id: int) -> Iterator[tuple[int, float]]:
    """Peak memory so far of each process below this one, where Linux tells it."""
    with suppress(OSError):
        for thread in Path(f"/proc/{process_id}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _worker_peaks_mb(int(child))
                status = Path(f"/proc/{child}/status").read_text()
                yield from (
                    (int(child), int(line.split()[1]) / 1024) for line in status.splitlines() if "VmHWM" in line
                )


def _median(costs: Sequence[Cost]) -> Cost:
    middle = {
        name: statistics.median(getattr(cost, name) for cost in costs) for name in ("cpu_s", "wall_s", "imported_mb")
    }
    largest = {name: max(getattr(cost, name) for cost in costs) for name in ("peak_mb", "worker_mb")}
    found = {name: statistics.median(cost.found[name] for cost in costs) for name in costs[0].found}
    return Cost(**middle, **largest, found=found)
