"""Programs that run beside us: `dp` and `lmp`. What they are asked to do belongs in the verbs.

A program runs as a process group of its own behind `lifeline`, so that stopping us in any way stops all of it.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from operators import lifeline
from schemas.errors import EXIT_BAD_INPUT, EXIT_TRY_AGAIN, StepFailed, StoppedBySignal

N_LAST_LINES = 20

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "DP_INTRA_OP_PARALLELISM_THREADS": "1",
    "DP_INTER_OP_PARALLELISM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""Two threads were slower than one for these small matrices; the caller's environment wins."""

_FIRST_SIGNAL_CODE = 128
_REMEDIES = {
    "disk full": "Free space there, then run the same command again: what was saved before is used.",
    "out of memory": "Run it where there is more memory, or choose a smaller recipe or batch size.",
    "not a number": "Lower the learning rate, and look for bad frames in the training set.",
    "killed": "If memory ran out, give it more; then run the same command again.",
}
"""By cause; any other is `bad input`."""
_PASSING = ("disk full", "out of memory", "killed")

# What the two programs and the kernel print, first match wins: TensorFlow calls a full disk an exhausted resource, too.
_CAUSES = (
    ("disk full", re.compile(r"No space left on device|Disk quota exceeded")),
    (
        "out of memory",
        re.compile(
            r"out of memory|OOM when allocating|MemoryError|bad_alloc|ResourceExhaustedError"
            r"|Cannot allocate memory|Memory allocation .*failed|failed to map segment from shared object",
            re.IGNORECASE,
        ),
    ),
    ("not a number", re.compile(r"\bnan\b.*\bloss\b|\bloss\b.*\bnan\b|Non-numeric", re.IGNORECASE)),
)
# Its library complains on every machine without a GPU; it is never the reason.
_NOISE = re.compile(r"implib-gen|libcudart|absl::InitializeLog|port\.cc")


class ProgramFailed(StepFailed):
    """A program ended by itself with an error.

    Attributes
    ----------
    cause
        `disk full`, `out of memory`, `not a number`, `killed` or `bad input`.
    last_lines
        The last lines that it printed.
    """

    def __init__(self, problem: str, remedy: str, *, cause: str, last_lines: Sequence[str]) -> None:
        super().__init__(problem, remedy)
        self.cause = cause
        self.last_lines = tuple(last_lines)
        self.exit_code = EXIT_TRY_AGAIN if cause in _PASSING else EXIT_BAD_INPUT


def program(name: str) -> str:
    """Path of a program that was installed with the Python that runs us.

    Raises
    ------
    StepFailed
        If it is not there.
    """
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise StepFailed(
            f"The program {name} is not installed beside {sys.executable}.",
            "Install meltlake with the extra `runner`.",
        )
    return str(path)


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    log_path: Path,
    on_line: Callable[[str], None] | None = None,
    environment: Mapping[str, str] | None = None,
    called: str = "",
) -> None:
    """Run a program to its end; its output is appended to a log file while it runs.

    Parameters
    ----------
    command
        Program and arguments.
    cwd
        Folder to run in.
    log_path
        File that standard output and standard error are appended to.
    on_line
        Called with every line as it comes, without its line end.
    environment
        Variables to set on top of ours.
    called
        What errors call it; by default the beginning of the command.

    Raises
    ------
    StoppedBySignal
        If SIGTERM came; the whole process group has ended by then.
    ProgramFailed
        If the program ended with an error.
    """
    last_lines: deque[str] = deque(maxlen=N_LAST_LINES)
    called = called or _spoken(command)
    # -I and -S: lifeline needs nothing but the standard library, and starts in a few milliseconds.
    guarded = [sys.executable, "-I", "-S", lifeline.__file__, *command]
    with _stopped_by_sigterm() as stop:
        process = subprocess.Popen(
            guarded,
            cwd=cwd,
            env={**ONE_THREAD, **os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            stop.reaches(process)
            with log_path.open("a", encoding="utf-8") as log_file:
                for line in _lines(process):
                    log_file.write(f"{line}\n")
                    log_file.flush()
                    if line.strip() and not _NOISE.search(line):
                        last_lines.append(line)
                    if on_line is not None:
                        on_line(line)
            code = process.wait()
        finally:
            _end(process)
    if stop.came:
        raise StoppedBySignal(
            f"{called} was stopped by SIGTERM.",
            "Run the same command again: it goes on where it stopped.",
        )
    if code != 0:
        raise _failure(called, code, last_lines, log_path)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    output = process.stdout
    if output is None:
        raise RuntimeError("the process was started without a pipe")
    for line in output:
        yield line.rstrip("\n")


class _Stop:
    """Passes SIGTERM on to a process, also one that came before the process was there."""

    def __init__(self) -> None:
        self.came = False
        self._process: subprocess.Popen[str] | None = None

    def reaches(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        if self.came:
            process.terminate()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        if self._process is not None:
            self._process.terminate()


@contextmanager
def _stopped_by_sigterm() -> Iterator[_Stop]:
    """Watch for SIGTERM while the block runs; only the main thread may."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, previous)


def _end(process: subprocess.Popen[str]) -> None:
    """Leave nothing of the group behind, however the block above was left."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(lifeline.GRACE_S + 1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _failure(called: str, code: int, last_lines: Sequence[str], log_path: Path) -> ProgramFailed:
    text = "\n".join(last_lines)
    cause = next((name for name, pattern in _CAUSES if pattern.search(text)), None)
    number = code - _FIRST_SIGNAL_CODE if code > _FIRST_SIGNAL_CODE else -code
    if cause is None:
        # A program that a signal ended has given no verdict on its input; SIGKILL is the kernel's when memory runs out.
        cause = "killed" if number in set(signal.Signals) else "bad input"
    ended = f"by {signal.Signals(number).name}" if cause == "killed" else f"with code {code}"
    said = f": {last_lines[-1].strip()}" if last_lines else "."
    return ProgramFailed(
        f"{called} ended {ended} ({cause}){said}",
        _REMEDIES.get(cause, f"Read the end of {log_path}."),
        cause=cause,
        last_lines=last_lines,
    )


def _spoken(command: Sequence[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:4]])
