"""A source file as a stream of decompressed bytes, fingerprinted while it is read. VASP's text does not belong here."""

import bz2
import hashlib
import lzma
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from lake.raw_store import RawStream, open_raw
from schemas.frames import Fingerprint

_RAW_CHUNK = 256 * 1024
_CONTENT_CHUNK = 256 * 1024
_GZIP_WINDOW_BITS = 31  # zlib's code for "gzip header and checksum, largest window"
try:
    _GZIP = import_module("isal.isal_zlib")  # three times as fast as zlib, but not built for every kind of machine
except ImportError:
    _GZIP = zlib
_DAMAGE = (_GZIP.error, lzma.LZMAError, OSError)
_MOST_XZ_BYTES = 512_000_000
"""A file may ask its reader for gigabytes; `xz -9` asks for 65 MB."""


class Decompressor(Protocol):
    """The part that zlib's, bz2's and lzma's decompressors share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _gzip() -> Decompressor:
    decompressor: Decompressor = _GZIP.decompressobj(_GZIP_WINDOW_BITS)
    return decompressor


def _xz() -> Decompressor:
    return lzma.LZMADecompressor(memlimit=_MOST_XZ_BYTES)


_MAGIC: tuple[tuple[bytes, Callable[[], Decompressor]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", _xz),
)


class _Tally:
    """Size and sha256 of the bytes that went by."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.n_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, data: memoryview | bytes) -> None:
        self._digest.update(data)
        self.n_bytes += len(data)

    def sha256_with(self, data: memoryview) -> str:
        """As if `data` had gone by too."""
        digest = self._digest.copy()
        digest.update(data)
        return digest.hexdigest()


class _Inflated:
    """Content of a compressed file: one stream or several in a row (`cat a.gz b.gz`), up to the first damage."""

    def __init__(self, raw: RawStream, first: bytes, new_decompressor: Callable[[], Decompressor]) -> None:
        self.damage: str | None = None
        self.raw_tally = _Tally()
        self.raw_tally.add(first)
        self._raw = raw
        self._new_decompressor = new_decompressor
        self._decompressor = new_decompressor()
        self._compressed = first
        self._ended = False

    def next_chunk(self) -> bytes:
        """More content; none at the end."""
        while not self._ended:
            if self._decompressor.eof and not self._begin_next_stream():
                self._ended = True
            elif chunk := self._inflate():
                return chunk
        return b""

    def next_raw_chunk(self) -> bytes:
        """More of the file's own bytes, tallied; none at the end."""
        chunk = _chunk_of(self._raw)
        self.raw_tally.add(chunk)
        return chunk

    def _inflate(self) -> bytes:
        if not self._compressed and getattr(self._decompressor, "needs_input", True):
            self._compressed = self.next_raw_chunk()
            if not self._compressed:
                self._end_early("the compressed file was cut: its end marker is missing")
                return b""
        try:
            chunk = self._decompressor.decompress(self._compressed, _CONTENT_CHUNK)
        except _DAMAGE as error:
            self._end_early(f"the compressed file is damaged ({error})")
            return b""
        # zlib hands back what it did not take; bz2 and lzma keep it inside.
        self._compressed = getattr(self._decompressor, "unconsumed_tail", b"")
        return chunk

    def _begin_next_stream(self) -> bool:
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest and (chunk := self.next_raw_chunk()):
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

    A compressed file that was cut gives what it still holds (to within two bytes); `damage` then says so.
    """

    def __init__(self, raw: RawStream, name: str) -> None:
        self.name = name
        self.is_as_expected: bool | None = None
        """Whether the content begins as `expect` was told; None while that cannot be known."""
        self._raw = raw
        self._tally = _Tally()
        self._expected: tuple[int, str] | None = None
        self._ended = False
        self._inflated: _Inflated | None = None
        self._pending = _chunk_of(raw)
        if (new_decompressor := _decompressor_for(self._pending)) is not None:
            self._inflated = _Inflated(raw, self._pending, new_decompressor)
            self._pending = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def damage(self) -> str | None:
        """What is wrong with the container, once that was met; None for a sound or a plain file."""
        return None if self._inflated is None else self._inflated.damage

    @property
    def content_sha256(self) -> str:
        """Of the content that was read so far."""
        return self._tally.sha256

    @property
    def content_bytes(self) -> int:
        """How much of the content was read so far."""
        return self._tally.n_bytes

    @property
    def n_raw_bytes(self) -> int:
        """How much of the raw file went by so far."""
        return (self._tally if self._inflated is None else self._inflated.raw_tally).n_bytes

    def close(self) -> None:
        self._raw.close()

    def expect(self, n_bytes: int, sha256: str) -> None:
        """Before anything is read: its first `n_bytes` should have this digest; `is_as_expected` will tell."""
        self._expected = n_bytes, sha256

    def peek(self, n_bytes: int) -> bytes:
        """The next bytes, at most `n_bytes`, without consuming them."""
        while len(self._pending) < n_bytes and (chunk := self._next_chunk()):
            self._pending += chunk
        return self._pending[:n_bytes]

    def readinto(self, memory: memoryview) -> int:
        """Fill the front of `memory`; 0 means the end, also when the file has grown since the end was met."""
        if self._ended:
            return 0
        if not self._pending and self._inflated is None:
            n = self._raw.readinto(memory) or 0
        else:
            self._pending = self._pending or self._next_chunk()
            n = min(len(self._pending), len(memory))
            memory[:n] = self._pending[:n]
            self._pending = self._pending[n:]
        self._ended = n == 0
        self._compare(memory[:n])
        self._tally.add(memory[:n])
        return n

    def _next_chunk(self) -> bytes:
        return _chunk_of(self._raw) if self._inflated is None else self._inflated.next_chunk()

    def _compare(self, coming: memoryview) -> None:
        """Compare the digest when the expected number of bytes is reached."""
        if self._expected is None or self.is_as_expected is not None:
            return
        n_missing = self._expected[0] - self._tally.n_bytes
        if n_missing <= len(coming):
            self.is_as_expected = self._tally.sha256_with(coming[:n_missing]) == self._expected[1]
        elif not coming:
            self.is_as_expected = False

    def finish(self) -> Fingerprint:
        """Read whatever is left, so that the fingerprint covers the whole file however little a reader took."""
        scratch = memoryview(bytearray(_CONTENT_CHUNK))
        while self.readinto(scratch):
            pass
        content = raw = self._tally
        if self._inflated is not None:
            raw = self._inflated.raw_tally
            while self._inflated.next_raw_chunk():
                pass
        return Fingerprint(raw.sha256, raw.n_bytes, content.sha256, content.n_bytes)


def open_source(path: str | Path) -> SourceStream:
    """Open a file, plain or compressed, whatever its name ends in; the stream owns it and closes it."""
    return SourceStream(open_raw(str(path)), str(path))


def _chunk_of(raw: RawStream) -> bytes:
    scratch = memoryview(bytearray(_RAW_CHUNK))
    return bytes(scratch[: raw.readinto(scratch) or 0])


def _decompressor_for(first_bytes: bytes) -> Callable[[], Decompressor] | None:
    return next((make for magic, make in _MAGIC if first_bytes.startswith(magic)), None)
