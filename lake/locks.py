"""One process at a time: a lock that the kernel lets go when its holder ends, however it ends."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from schemas.errors import TryAgainLater

_POLL_S = 0.05


@contextmanager
def exclusive(path: Path, *, doing: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file while the block runs.

    Parameters
    ----------
    path
        The lock file; made when absent, and left behind: removing it would let two processes hold two files.
    doing
        What is protected, for the message: `training potential 3fa2`.
    wait_s
        How long to wait for another process that holds it.

    Raises
    ------
    TryAgainLater
        If another process still holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    give_up_at = time.monotonic() + wait_s
    with path.open("a") as file:
        while not _taken(file):
            if time.monotonic() >= give_up_at:
                raise TryAgainLater(f"Another process is {doing}.", "Wait for it, then run the same command again.")
            time.sleep(_POLL_S)
        yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
