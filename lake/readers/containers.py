"""A source file as a stream of decompressed bytes, fingerprinted while it is read. VASP's text does not belong here."""

import bz2
import hashlib
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from schemas.frames import Fingerprint

_RAW_CHUNK = 256 * 1024
_CONTENT_CHUNK = 256 * 1024
_GZIP_WINDOW_BITS = 31  # zlib's code for "gzip header and checksum, largest window"


class RawStream(Protocol):
    """What a source must offer: a local file opened unbuffered, or an object store's reader."""

    def readinto(self, memory: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


class Decompressor(Protocol):
    """The part that zlib's, bz2's and lzma's decompressors share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _gzip() -> Decompressor:
    return zlib.decompressobj(_GZIP_WINDOW_BITS)


_MAGIC: tuple[tuple[bytes, Callable[[], Decompressor]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
)


class _Tally:
    """Size and sha256 of the bytes that went by."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.n_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, data: memoryview) -> None:
        self._digest.update(data)
        self.n_bytes += len(data)


class _Content(Protocol):
    """A source of decompressed bytes."""

    @property
    def damage(self) -> str | None: ...

    def next_chunk(self) -> bytes:
        """More bytes; none at the end."""
        ...


class _Raw:
    """The file's own bytes, tallied as they are read. A plain file's content is just these."""

    damage: str | None = None

    def __init__(self, stream: RawStream) -> None:
        self.stream = stream
        self.tally = _Tally()

    def readinto(self, memory: memoryview) -> int:
        n = self.stream.readinto(memory) or 0
        self.tally.add(memory[:n])
        return n

    def next_chunk(self) -> bytes:
        scratch = memoryview(bytearray(_RAW_CHUNK))
        return bytes(scratch[: self.readinto(scratch)])


class _Inflated:
    """Content of a compressed file: one stream or several in a row (`cat a.gz b.gz`), up to the first damage."""

    def __init__(self, raw: _Raw, first: bytes, new_decompressor: Callable[[], Decompressor]) -> None:
        self.damage: str | None = None
        self._raw = raw
        self._new_decompressor = new_decompressor
        self._decompressor = new_decompressor()
        self._compressed = first
        self._ended = False

    def next_chunk(self) -> bytes:
        while not self._ended:
            if self._decompressor.eof and not self._begin_next_stream():
                self._ended = True
            elif chunk := self._inflate():
                return chunk
        return b""

    def _inflate(self) -> bytes:
        if not self._compressed and getattr(self._decompressor, "needs_input", True):
            self._compressed = self._raw.next_chunk()
            if not self._compressed:
                self._end_early("the compressed file was cut: its end marker is missing")
                return b""
        try:
            chunk = self._decompressor.decompress(self._compressed, _CONTENT_CHUNK)
        except (zlib.error, lzma.LZMAError, OSError) as error:
            self._end_early(f"the compressed file is damaged ({error})")
            return b""
        # zlib hands back what it did not take; bz2 and lzma keep it inside.
        self._compressed = getattr(self._decompressor, "unconsumed_tail", b"")
        return chunk

    def _begin_next_stream(self) -> bool:
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest and (chunk := self._raw.next_chunk()):
            rest = chunk.lstrip(b"\0")
        if rest and _decompressor_for(rest) is not self._new_decompressor:
            self.damage = "bytes after the end of the compressed stream were ignored"
            return False
        if rest:
            self._decompressor, self._compressed = self._new_decompressor(), rest
        return bool(rest)

    def _end_early(self, reason: str) -> None:
        self.damage, self._ended = reason, True


class SourceStream:
    """Decompressed bytes of one file (plain, gzip, bzip2 or xz by its magic bytes), read forward once.

    A compressed file that was cut gives every byte it still holds; `damage` then says so.
    """

    def __init__(self, raw: RawStream, name: str) -> None:
        self.name = name
        self._raw = _Raw(raw)
        self._content_tally: _Tally | None = None
        self._content: _Content = self._raw
        self._pending = self._raw.next_chunk()
        if (new_decompressor := _decompressor_for(self._pending)) is not None:
            self._content_tally = _Tally()
            self._content = _Inflated(self._raw, self._pending, new_decompressor)
            self._pending = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def damage(self) -> str | None:
        """What is wrong with the container, once that was met; None for a sound or a plain file."""
        return self._content.damage

    def close(self) -> None:
        self._raw.stream.close()

    def peek(self, n_bytes: int) -> bytes:
        """The next bytes, at most `n_bytes`, without consuming them."""
        while len(self._pending) < n_bytes and (chunk := self._content.next_chunk()):
            self._pending += chunk
        return self._pending[:n_bytes]

    def readinto(self, memory: memoryview) -> int:
        """Fill the front of `memory`; 0 means the end."""
        if not self._pending and self._content is self._raw:
            return self._raw.readinto(memory)
        if not self._pending:
            self._pending = self._content.next_chunk()
        n = min(len(self._pending), len(memory))
        memory[:n] = self._pending[:n]
        self._pending = self._pending[n:]
        if self._content_tally is not None:
            self._content_tally.add(memory[:n])
        return n

    def finish(self) -> Fingerprint:
        """Read whatever is left, so that the fingerprint covers the whole file however little a reader took."""
        scratch = memoryview(bytearray(_CONTENT_CHUNK))
        while self.readinto(scratch):
            pass
        while self._raw.readinto(scratch):
            pass
        raw, content = self._raw.tally, self._content_tally or self._raw.tally
        return Fingerprint(raw.sha256, raw.n_bytes, content.sha256, content.n_bytes)


def open_source(path: str | Path) -> SourceStream:
    """Open a local file, plain or compressed, whatever its name ends in."""
    raw = Path(path).open("rb", buffering=0)  # noqa: SIM115 - the stream owns the file and closes it
    return SourceStream(raw, str(path))


def _decompressor_for(first_bytes: bytes) -> Callable[[], Decompressor] | None:
    return next((make for magic, make in _MAGIC if first_bytes.startswith(magic)), None)
