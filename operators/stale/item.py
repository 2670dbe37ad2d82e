"""One thing that is due: what, why, and the command that does it. Finding such things belongs to the neighbours."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stale:
    """Something that the lake's content asks for and that has not been done."""

    what: str
    why: str
    arguments: Sequence[str]
    """What to type after `meltlake`."""

    @property
    def command(self) -> str:
        """The whole command line, quoted as a shell wants it."""
        return shlex.join(["meltlake", *self.arguments])

    def row(self, places: Sequence[str] = ()) -> dict[str, str]:
        """For a table; `places` are the options that say which lake this is about."""
        return {"what": self.what, "why": self.why, "command": shlex.join(["meltlake", *self.arguments, *places])}


def counted(number: int, noun: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
