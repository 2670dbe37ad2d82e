"""The part of a text that is in memory: grows at its end, is dropped at its front, and never goes back."""

import re
from typing import Protocol

LOST_TEXT = "NUL bytes stand in the file, so a part of it was lost, and maybe whole steps with it."
_NULS = re.compile(rb"\0+")
_LONGEST_ISLAND = 4096  # text between NUL bytes that is not worth telling apart from them
CHUNK_BYTES = 512 * 1024  # read, hashed and copied while it is in the processor's cache


class ByteStream(Protocol):
    """Anything that fills a buffer from its next bytes; 0 means the end."""

    def readinto(self, memory: memoryview, /) -> int: ...


class TextWindow:
    """A growing buffer over a forward-only stream.

    `find` reads on until it knows: its None means that the text is not in the rest of the stream.
    `find_between` never reads: its None means that the text is not between the two positions.
    Positions stay valid until `drop` is called.
    """

    def __init__(self, stream: ByteStream, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.text = bytearray()
        self.exhausted = False
        self.n_dropped = 0
        """Where in the whole text position 0 is."""
        self.holes: list[tuple[int, int]] = []
        """Where in the whole text NUL bytes stand, which no program writes: a block of the file was lost."""
        self._stream = stream
        self._scratch = memoryview(bytearray(chunk_bytes))

    def __len__(self) -> int:
        return len(self.text)

    def grow(self) -> bool:
        """Append one chunk; False at the end of the stream."""
        n = 0 if self.exhausted else self._stream.readinto(self._scratch)
        self.exhausted = n == 0
        self.text += self._scratch[:n]
        if (first := self.text.find(0, len(self.text) - n)) >= 0:
            self._note_holes(first)
        return n > 0

    def _note_holes(self, start: int) -> None:
        for found in _NULS.finditer(self.text, start):
            first, end = (self.n_dropped + at for at in found.span())
            if self.holes and first - self.holes[-1][1] < _LONGEST_ISLAND:
                first = self.holes.pop()[0]
            self.holes.append((first, end))

    def has_hole(self, start: int, end: int) -> bool:
        """Whether NUL bytes stand in `[start, end)`, which may begin before what is in memory."""
        return bool(self.holes) and any(
            first < end + self.n_dropped and start + self.n_dropped < last for first, last in self.holes
        )

    def drop(self, position: int) -> None:
        """Forget everything before `position`, which becomes position 0."""
        del self.text[:position]
        self.n_dropped += position

    def skip_to(self, offset: int, *, but_read_to: int) -> None:
        """Make `offset` of the whole text position 0, and have it in memory up to `but_read_to`, if it goes so far."""
        while self.n_dropped + len(self.text) < offset and not self.exhausted:
            self.drop(len(self.text))
            self.grow()
        self.drop(min(max(offset - self.n_dropped, 0), len(self.text)))
        while self.n_dropped + len(self.text) < but_read_to and self.grow():
            pass

    def find(self, token: bytes, start: int) -> int | None:
        """First position of `token` at or after `start`, reading on as needed."""
        while True:
            hit = self.text.find(token, start)
            if hit >= 0:
                return hit
            # Only the last bytes can be the beginning of a token that the next chunk completes.
            start = max(start, len(self.text) - len(token) + 1)
            if not self.grow():
                return None

    def find_between(self, token: bytes, start: int, end: int) -> int | None:
        """First position of `token` that lies wholly in `[start, end)`."""
        hit = self.text.find(token, start, end)
        return None if hit < 0 else hit

    def find_last_between(self, token: bytes, start: int, end: int) -> int | None:
        """Last position of `token` that lies wholly in `[start, end)`."""
        hit = self.text.rfind(token, start, end)
        return None if hit < 0 else hit
