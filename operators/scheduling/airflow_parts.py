"""The four programs of Airflow, each started again when it ends by itself. Their configuration belongs elsewhere.

`airflow standalone` starts the same four, but a triggerer that the kernel killed for its memory stays dead there:
nothing lands any more, deferred tasks wait for ever, and nobody is told.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from operators.log import log
from operators.scheduling.leftovers import (
    Ledger,
    ask_for_signal_at_launchers_death,
    kill_processes,
    session_members,
    started_at,
)

PARTS = ("scheduler", "dag-processor", "triggerer", "api-server")
"""In the order in which they are stopped: whoever still has something to say needs the API server."""

_STEADY_S = 60.0
_STOP_S, _STOP_SERVER_S = 15.0, 5.0


class Part:
    """One program: its process, its log, its restarts.

    Parameters
    ----------
    name, command
        What people call it, and its command line.
    environment, home
        Airflow's; the log is written there.
    ledger
        Where the process is noted while it lives.
    """

    pauses_s: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """Before each further start of a part that ends soon after the last one; then it is given up."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], home: Path, ledger: Ledger
    ) -> None:
        self.name = name
        self._command, self._home, self._ledger = command, home, ledger
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._born = self._started = self._due = 0.0
        self._n_ends = 0
        self.log_path.write_bytes(b"")

    @property
    def log_path(self) -> Path:
        return self._home / f"{self.name}.log"

    @property
    def is_hopeless(self) -> bool:
        """It ended so often, one time soon after the other, that it is not started again."""
        return self._n_ends > len(self.pauses_s)

    def start(self) -> None:
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_launcher,  # noqa: PLW1509 - takes no lock, and there is no other way to it
            )
        self._born, self._started = started_at(self._process.pid), time.monotonic()
        self._ledger.add(self._process.pid)

    def code(self) -> int | None:
        """Exit code, once it has ended."""
        return None if self._process is None else self._process.poll()

    def look_after(self) -> None:
        """Start it again if it has ended; sooner the first time than later."""
        now = time.monotonic()
        if self.code() is None:
            if now - self._started > _STEADY_S:
                self._n_ends = 0
        elif not self._due:
            self._n_ends += 1
            pause_s = self.pauses_s[min(self._n_ends, len(self.pauses_s)) - 1]
            log.warning("up", ended=self.name, code=self.code(), again_in_s=pause_s, log=str(self.log_path))
            self.end_the_rest()
            self._due = now + pause_s
        elif now >= self._due and not self.is_hopeless:
            self._due = 0.0
            self.start()

    def ask_to_stop(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def wait(self, seconds: float) -> None:
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(seconds, 0.0))

    def end_the_rest(self) -> None:
        """SIGKILL for all that is left of it: a worker that was asked to stop would stop its pod, too.

        A worker of a dead scheduler would wait for ever for its next task. What it was doing is tried again, and
        finds its pod.
        """
        if self._process is None:
            return
        kill_processes(session_members(self._process.pid, self._born))
        self._process.wait()
        self._ledger.remove(self._process.pid)


class AirflowParts:
    """All of them, watched by a thread of their own.

    The thread starts them, since the kernel stops a program together with the thread that started it.
    """

    def __init__(self, environment: Mapping[str, str], home: Path, ledger: Ledger) -> None:
        airflow = [sys.executable, "-m", "airflow"]
        about: dict[str, Any] = {"environment": environment, "home": home, "ledger": ledger}
        self._parts = [Part(name, [*airflow, name], **about) for name in PARTS]
        self._database = Part("database", [*airflow, "db", "migrate"], **about)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="airflow-parts", daemon=True)

    @property
    def are_running(self) -> bool:
        """All run, or are being started again."""
        return self._thread.is_alive() and self.hopeless is None

    @property
    def hopeless(self) -> Part | None:
        """The part that was given up, if any."""
        if self._database.code():
            return self._database
        return next((part for part in self._parts if part.is_hopeless), None)

    @property
    def log_path(self) -> Path:
        """The log to read first."""
        return (self.hopeless or self._parts[-1]).log_path

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask all to stop, wait, and end what is left."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _live(self) -> None:
        try:
            self._database.start()
            while self._database.code() is None and not self._stopping.wait(0.1):
                pass
            if self._database.code() == 0:
                self._look_after_all()
        except OSError as error:
            log.error("up", error=str(error))
        finally:
            self._end_all()

    def _look_after_all(self) -> None:
        for part in self._parts:
            part.start()
        while not self._stopping.wait(0.5) and self.hopeless is None:
            for part in self._parts:
                part.look_after()

    def _end_all(self) -> None:
        *others, server = self._parts
        for parts, seconds in (([self._database, *others], _STOP_S), ([server], _STOP_SERVER_S)):
            deadline = time.monotonic() + seconds
            for part in parts:
                part.ask_to_stop()
            for part in parts:
                part.wait(deadline - time.monotonic())
        for part in (self._database, *self._parts):
            part.end_the_rest()


def _end_with_launcher() -> None:
    """In the child: nothing of Airflow outlives a launcher that was killed with -9."""
    ask_for_signal_at_launchers_death(signal.SIGTERM)
