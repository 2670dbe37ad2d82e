"""One process at a time: a lock that the kernel lets go when its holder ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import TryAgainLater


@contextmanager
def exclusive(path: Path, *, doing: str) -> Iterator[None]:
    """Hold the lock file while the block runs.

    Parameters
    ----------
    path
        The lock file; made when absent, and left behind: removing it would let two processes hold two files.
    doing
        What is protected, for the message: `training potential 3fa2`.

    Raises
    ------
    TryAgainLater
        If another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TryAgainLater(
                f"Another process is {doing}.", "Wait for it, then run the same command again."
            ) from error
        yield
