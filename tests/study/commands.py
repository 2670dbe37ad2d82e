"""Command lines typed a few at a time, and what each of them cost. Which ones is told in `plan`."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from schemas.errors import EXIT_TRY_AGAIN

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
ROOT = Path(__file__).parents[2]
_MOST_TRIES = 5
_SIGTERM_CODE = 143


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One command that has ended."""

    stage: str
    command: str
    exit_code: int
    cpu_seconds: float
    """Of it and of all programs that it started."""
    wall_seconds: float


@dataclass(slots=True)
class Typist:
    """Types commands, as many at a time as there are workers; notes what each cost in `costs.jsonl`."""

    folder: Path
    environment: Mapping[str, str]
    n_workers: int = 2

    def type_all(self, stage: str, commands: Sequence[Sequence[str]]) -> None:
        """Every command to its end, in the order given; one that fails has said why in `log.txt`."""
        waiting = deque((list(command), 1) for command in commands)
        running: dict[int, tuple[subprocess.Popen[bytes], list[str], int, float]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.n_workers:
                    words, n_tries = waiting.popleft()
                    process = self._started(words)
                    running[process.pid] = process, words, n_tries, time.monotonic()
                pid, status, usage = os.wait4(-1, 0)
                if pid not in running:
                    continue
                process, words, n_tries, began = running.pop(pid)
                process.returncode = os.waitstatus_to_exitcode(status)
                self._note(
                    Spent(
                        stage=stage,
                        command=shlex.join(words),
                        exit_code=process.returncode,
                        cpu_seconds=usage.ru_utime + usage.ru_stime,
                        wall_seconds=time.monotonic() - began,
                    )
                )
                if process.returncode == EXIT_TRY_AGAIN and n_tries < _MOST_TRIES:
                    waiting.append((words, n_tries + 1))
        finally:
            for process, *_ in running.values():
                process.terminate()
            for process, *_ in running.values():
                process.wait()

    def _started(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log.txt").open("ab") as log_file:
            return subprocess.Popen(
                words,
                cwd=ROOT,
                env={**os.environ, **ONE_THREAD, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
            )

    def _note(self, spent: Spent) -> None:
        with (self.folder / "costs.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(spent)) + "\n")
        told = "" if spent.exit_code == 0 else f"  exit code {spent.exit_code}, see {self.folder / 'log.txt'}"
        program, *words = shlex.split(spent.command)
        shown = " ".join([Path(program).name, *words])
        sys.stderr.write(
            f"{spent.stage:<14} {spent.cpu_seconds:7.1f} CPU s {spent.wall_seconds:7.1f} s  {shown}{told}\n"
        )


def costs(folder: Path) -> list[Spent]:
    """Every command that ended in a folder, the first one first."""
    path = folder / "costs.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Spent(**json.loads(line)) for line in lines]


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as an error does, so that what it started is ended, too."""
    signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_SIGTERM_CODE)
