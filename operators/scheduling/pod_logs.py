"""A container's log: one file of lines, each stamped when it was written. Who writes and who asks belongs elsewhere."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO, FileIO
from pathlib import Path

_LONGEST_LINE_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
_STAMP_FORMAT = "%Y-%m-%dT%H:%M:%S"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which part of a log is asked for, in Kubernetes' terms."""

    follow: bool = False
    timestamps: bool = False
    since_seconds: float | None = None
    tail_lines: int | None = None


class PodLog:
    """Lines of one container.

    The stamp is taken when a line is written, not when it is read: Airflow's trigger asks for the lines since the
    last second it has seen, and stamps taken while reading would make every line look new.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._file: FileIO | None = None
        self._begun = b""
        self._n_lost = 0
        self._grown = asyncio.Event()
        self._closed = False

    def write(self, content: bytes) -> None:
        """Append output; a line is stored when it ends, or when it becomes very long."""
        *lines, self._begun = (self._begun + content).split(b"\n")
        if len(self._begun) > _LONGEST_LINE_BYTES:
            lines, self._begun = [*lines, self._begun], b""
        if lines:
            self._store(lines)
            self._tell()

    def close(self) -> None:
        """The process has ended: keep an unfinished last line and let followers go."""
        if self._begun:
            self.write(b"\n")
        self._closed = True
        if self._file is not None:
            self._file.close()
        self._tell()

    def tail(self, n_lines: int, n_bytes: int) -> str:
        """The last lines without stamps, at most `n_bytes` of them."""
        with self._path.open("rb") as file:
            last = deque((_without_stamp(line) for line in file), maxlen=n_lines)
        return b"".join(last)[-n_bytes:].decode(errors="replace")

    async def lines(self, query: LogQuery) -> AsyncIterator[bytes]:
        """Chunks of whole lines, and, when following, further ones until the process has ended."""
        oldest = _stamp(time.time_ns() - int((query.since_seconds or 0) * _NS)).encode() if query.since_seconds else b""
        with self._path.open("rb") as file:
            first = (line for line in file if line >= oldest)
            kept: Iterator[bytes] = first if query.tail_lines is None else iter(deque(first, maxlen=query.tail_lines))
            for chunk in _chunks(kept):
                yield chunk if query.timestamps else _without_stamps(chunk)
            while query.follow:
                grown, closed = self._grown, self._closed
                if more := file.readlines(_CHUNK_BYTES):
                    yield b"".join(more) if query.timestamps else _without_stamps(b"".join(more))
                elif closed:
                    return
                else:
                    await grown.wait()

    def _store(self, lines: list[bytes]) -> None:
        """A full disk costs lines, as on a node; who writes them must not be stopped by it."""
        said = [b"%d lines were lost: the disk was full or the log could not be opened" % self._n_lost, *lines]
        stamp = _stamp(time.time_ns()).encode()
        try:
            self._file = self._file or FileIO(self._path, "ab")
            self._file.write(b"".join(b"%s %s\n" % (stamp, line) for line in (said if self._n_lost else lines)))
            self._n_lost = 0
        except OSError:
            self._n_lost += len(lines)

    def _tell(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


def _chunks(lines: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    for line in lines:
        held.append(line)
        if len(held) >= 1000:
            yield b"".join(held)
            held = []
    if held:
        yield b"".join(held)


def _stamp(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC).strftime(_STAMP_FORMAT)}.{nanoseconds:09d}Z"


def _without_stamp(line: bytes) -> bytes:
    return line.partition(b" ")[2]


def _without_stamps(chunk: bytes) -> bytes:
    return b"".join(_without_stamp(line) for line in BytesIO(chunk))  # `splitlines` would part a line at its "\r"
