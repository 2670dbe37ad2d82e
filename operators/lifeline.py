"""Run one command and end it, with everything it started, as soon as the caller is gone. Used by `processes`.

A script of its own that knows only the standard library: it is started for every `dp` and `lmp`, leads their process
group, and holds the reading end of a pipe that the caller keeps open. A caller that is killed outright cannot clean up,
but the kernel closes its pipe. (A parent-death signal would reach only the first process: `lmp` is a wrapper, and the
program it starts would run on. It is asked for besides, for the case that this very process is killed outright.)
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import FrameType

PROC = Path("/proc")
GRACE_S = 10.0
"""Time between asking the group to end and killing it."""
_PR_SET_PDEATHSIG = 1  # Linux, prctl(2)


def end_group(_number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
    """SIGTERM to the whole group, SIGKILL after the grace to whatever is left, this process included."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and _group_has_others():
        time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)


def _group_has_others() -> bool:
    processes = [entry for entry in PROC.iterdir() if entry.name.isdigit()] if PROC.exists() else []
    own, group = str(os.getpid()), str(os.getpgrp())
    for process in processes:
        try:
            state, _parent, its_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it ended meanwhile
        if process.name != own and its_group == group and state != "Z":
            return True
    return not processes  # without /proc it cannot be told: wait out the grace


def _watch_caller() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(command: list[str]) -> int:
    """Exit code of the command, as a shell gives it: 128 + n for signal n."""
    signal.signal(signal.SIGTERM, end_group)
    die_with_us = partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGKILL)
    # There are no threads yet that could hold a lock over the fork.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_us) as process:  # noqa: PLW1509
        threading.Thread(target=_watch_caller, daemon=True).start()
        code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
