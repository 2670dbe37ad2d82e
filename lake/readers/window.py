"""The part of a text that is in memory: grows at its end, is dropped at its front, and never goes back."""

from typing import Protocol

CHUNK_BYTES = 256 * 1024  # read, hashed and copied while it is in the processor's cache


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
        self._stream = stream
        self._scratch = memoryview(bytearray(chunk_bytes))

    def __len__(self) -> int:
        return len(self.text)

    def grow(self) -> bool:
        """Append one chunk; False at the end of the stream."""
        n = 0 if self.exhausted else self._stream.readinto(self._scratch)
        self.exhausted = n == 0
        self.text += self._scratch[:n]
        return n > 0

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
