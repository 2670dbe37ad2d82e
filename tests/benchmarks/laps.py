"""CPU seconds of a work and of its parts."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


class Laps:
    """CPU seconds of the parts of a work, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        before = cpu_seconds()
        yield
        self.seconds[f"{name}_s"] = self.seconds.get(f"{name}_s", 0.0) + cpu_seconds() - before
