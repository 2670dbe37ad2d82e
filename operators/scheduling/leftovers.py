"""Processes that a killed launcher left behind: noted in a file, recognised by identity, and ended.

A process number alone is no identity, since the kernel gives it to a stranger later; number and start time are.
What the processes do belongs elsewhere.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

import psutil

POD_MARK = "MELTLAKE_POD"
"""Environment variable that every process of a pod inherits, also one that opened a session of its own."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_CLOCK_SLACK_S = 2.0  # start times are reckoned from the boot time, which moves when the clock is set


class Guard:
    """A small process that outlives its launcher, and then ends what is in the ledgers.

    The kernel asks the launcher's own children to stop when it dies. A scheduler that was asked waits for its tasks,
    which ask a server that is gone, for many minutes; who looks after that must not have died.
    """

    def __init__(self, *ledgers: Path) -> None:
        command = [sys.executable, "-m", "operators.scheduling.leftovers", *map(str, ledgers)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)

    def stop(self) -> None:
        """Let it look at the ledgers and go; what was stopped in an orderly way is in none of them."""
        self._process.communicate()


class Ledger:
    """Processes that a launcher started, each in a session of its own, in a file that outlives the launcher.

    Parameters
    ----------
    path
        The file. One launcher writes it; the next one reads it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sessions: dict[str, float] = {}
        self._lock = Lock()

    def add(self, pid: int) -> None:
        """Note a process that leads a session of its own."""
        with self._lock:
            self._sessions[str(pid)] = started_at(pid)
            self._write()

    def remove(self, pid: int) -> None:
        """Forget a session that has ended."""
        with self._lock:
            self._sessions.pop(str(pid), None)
            self._write()

    def reap(self, *, grace_s: float = 10.0) -> int:
        """End what is left of the sessions in the file, and forget them; returns how many processes that were."""
        sessions: dict[str, float] = {}
        with suppress(
            FileNotFoundError, ValueError
        ):  # a machine that lost its power leaves odd files, and no processes
            sessions = json.loads(self._path.read_text())
        members = [member for pid, started in sessions.items() for member in session_members(int(pid), started)]
        end_processes(members, grace_s=grace_s)
        self._path.unlink(missing_ok=True)
        return len(members)

    def _write(self) -> None:
        """What runs goes on where the disk is full; only `kill -9` of the launcher finds a worse list then."""
        unfinished = self._path.with_suffix(".tmp")
        try:
            unfinished.write_text(json.dumps(self._sessions))
            unfinished.replace(self._path)
        except OSError as error:
            from operators.log import log  # the guard does without

            log.error("processes are not noted", path=str(self._path), error=str(error))


def ask_for_signal_at_launchers_death(number: signal.Signals) -> None:
    """In a new child: have the kernel send this signal when the parent dies, even by kill -9 (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)


def started_at(pid: int) -> float:
    """When a process started, in seconds since 1970; 0 when it is gone already."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def session_members(pid: int, started: float) -> Iterator[psutil.Process]:
    """Processes of the session that a process opened then, also in groups of their own, whether or not it is gone."""
    leader_now = started_at(pid)
    if leader_now and abs(leader_now - started) > _CLOCK_SLACK_S:
        return  # the number belongs to a stranger now
    for process in psutil.process_iter():
        try:
            is_member = os.getsid(process.pid) == pid and process.create_time() >= started - _CLOCK_SLACK_S
            if is_member and not has_ended(process):
                yield process
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue


def marked_processes(mark: str) -> list[psutil.Process]:
    """Processes whose environment carries `mark` as their pod, whatever group or parent they have now."""
    return [process for process in psutil.process_iter() if _mark_of(process) == mark]


def end_processes(processes: Iterable[psutil.Process], *, grace_s: float) -> None:
    """SIGTERM, then SIGKILL for those that are still there after the grace."""
    kill_processes(_left_after(grace_s, list(_signalled(processes, signal.SIGTERM))), patience_s=grace_s)


def kill_processes(processes: Iterable[psutil.Process], *, patience_s: float = 5.0) -> None:
    """SIGKILL, and wait until the kernel has ended them."""
    _left_after(patience_s, list(_signalled(processes, signal.SIGKILL)))


def has_ended(process: psutil.Process) -> bool:
    """Gone, or dead and waiting for a parent to notice (in a container without an init, it waits for ever)."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _left_after(grace_s: float, processes: list[psutil.Process]) -> list[psutil.Process]:
    deadline = time.monotonic() + grace_s
    while (left := [process for process in processes if not has_ended(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _signalled(processes: Iterable[psutil.Process], number: signal.Signals) -> Iterator[psutil.Process]:
    for process in processes:
        try:
            process.send_signal(number)  # psutil compares start times first, so a stranger is never signalled
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        yield process


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(POD_MARK)
    except (psutil.Error, OSError):  # another user's process, or one that ended while we looked
        return None


def _end_after_launcher(paths: Iterable[str]) -> None:
    """The guard's whole life: its standard input ends with the launcher."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the launcher must not end the guard first
    sys.stdin.read()
    for path in paths:
        Ledger(Path(path)).reap()


if __name__ == "__main__":
    _end_after_launcher(sys.argv[1:])
