"""A part of the runs below an address, so that several processes on several machines share them without talking.

A run is of the same part whatever else is there: what lands meanwhile moves no run from one part to another.
"""

import hashlib
from typing import NamedTuple


class Part(NamedTuple):
    """The third of eight: `Part(3, 8)`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """What `3/8` means.

        Raises
        ------
        ValueError
            If it is no part of anything.
        """
        number, of = map(int, text.split("/"))
        if not 1 <= number <= of:
            raise ValueError(f"{text}: there is no such part")
        return cls(number, of)

    def has(self, address: str) -> bool:
        """Whether the run at this address is of this part."""
        return int.from_bytes(hashlib.sha256(address.encode()).digest()[:8]) % self.of == self.number - 1


WHOLE = Part(1, 1)
