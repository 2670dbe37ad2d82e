"""Where the frames of each part of an extended XYZ file stand, so that a part is read without reading the others.

A file may hold hundreds of parts. One pass over it tells their names, and remembers for the readings that follow, in
the same process, where each part's frames begin and end: 48 bytes for a frame, however many atoms it has.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.raw_store import is_remote
from lake.readers.containers import SourceStream
from lake.readers.extxyz_comment import parse_comment
from lake.readers.extxyz_frames import PartNames, XyzFrame, XyzFrames, columns_in, with_tables
from lake.readers.lines import LineReader
from lake.readers.window import CHUNK_BYTES
from schemas.errors import FileReplaced
from schemas.frames import Fingerprint

_Stamp = tuple[int, ...]
_N_FACTS = 6  # of each frame


@dataclass(frozen=True, slots=True)
class Places:
    """What one pass over a file found."""

    stamp: _Stamp
    """What told the file from others when it was read."""
    names: PartNames
    frames: dict[str, "array[int]"]
    """By part, six numbers for each frame, as `_facts` gives them."""
    last_part: str
    """Of the last frame; what is lost or cut behind it belongs to it."""
    n_unnamed: int
    n_incomplete: int
    has_hole: bool
    damage: str | None
    fingerprint: Fingerprint

    @property
    def is_plain(self) -> bool:
        return self.fingerprint.raw_sha256 == self.fingerprint.content_sha256


_LAST: dict[str, Places] = {}
"""Of the file that was searched for parts last, by its address."""


def part_names(stream: SourceStream) -> tuple[str, ...]:
    """Names of all parts in file order; where their frames stand is remembered."""
    _LAST.clear()
    stamp, lines = _stamp(stream.name), LineReader(stream)
    names, found = PartNames(), XyzFrames(lines)
    frames: dict[str, array[int]] = {}
    part, n_unnamed = "", 0
    for frame in found:
        if frame.atomic_numbers is not None:
            part = names.name_of(frame.atomic_numbers)
        n_unnamed += not part
        if part:
            frames.setdefault(part, array("q")).extend(_facts(frame))
    if stamp and len(frames) > 1 and not lines.n_put_in:
        fingerprint = stream.finish()
        if stamp == _stamp(stream.name):
            end = (part, n_unnamed, found.n_incomplete, lines.has_hole, stream.damage)
            _LAST[stream.name] = Places(stamp, names, frames, *end, fingerprint)
    return names.all


def places_in(address: str) -> Places | None:
    """What is remembered of a file; None if that is nothing, or it is not the same file any more."""
    known = _LAST.get(address)
    return known if known is not None and known.stamp == _stamp(address) else None


def _facts(frame: XyzFrame) -> tuple[int, ...]:
    flags = frame.is_sound + 2 * bool(frame.comment)
    return frame.offset, len(frame.head), frame.n_bytes, frame.n_rows, frame.n_lost_before, flags


def _stamp(address: str) -> _Stamp:
    """What changes when a file is written; empty where that cannot be told."""
    if is_remote(address) or not Path(address).is_file():
        return ()
    known = Path(address).stat()
    return known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns


class FramesOfPart:
    """The frames of one part, read where they stand."""

    def __init__(self, source: SourceStream, places: Places, part: str) -> None:
        self.places = places
        self.is_last = part == places.last_part
        """Whether the file's last frame is one of them."""
        self.n_bytes = 0
        """What was read so far."""
        self._source = source
        self._facts = places.frames[part]
        self._offset = 0

    @property
    def n_incomplete(self) -> int:
        """In the whole file."""
        return self.places.n_incomplete

    @property
    def has_hole(self) -> bool:
        """In the whole file."""
        return self.places.has_hole

    def __iter__(self) -> Iterator[XyzFrame]:
        """Frames in file order.

        Raises
        ------
        FileReplaced
            If the file was written since it was searched for parts.
        """
        yield from with_tables(self._plain() if self.places.is_plain else self._unpacked())
        if _stamp(self._source.name) != self.places.stamp:
            raise self._replaced()

    def _plain(self) -> Iterator[XyzFrame]:
        with Path(self._source.name).open("rb") as file:
            for at in range(0, len(self._facts), _N_FACTS):
                file.seek(self._facts[at])
                yield self._frame(file.read(self._facts[at + 2]), at)

    def _unpacked(self) -> Iterator[XyzFrame]:
        for at in range(0, len(self._facts), _N_FACTS):
            while self._offset < self._facts[at]:
                self._next_bytes(min(self._facts[at] - self._offset, CHUNK_BYTES))
            yield self._frame(self._next_bytes(self._facts[at + 2]), at)

    def _next_bytes(self, n_bytes: int) -> bytes:
        """More of the content."""
        text = bytearray(n_bytes)
        n_read = 0
        while n_read < n_bytes and (n := self._source.readinto(memoryview(text)[n_read:])):
            n_read += n
        self._offset += n_bytes
        return bytes(text)

    def _frame(self, text: bytes, at: int) -> XyzFrame:
        """A frame as the first pass had it."""
        offset, n_head, n_bytes, n_rows, n_lost_before, flags = self._facts[at : at + _N_FACTS]
        head, rows = text[:n_head], text[n_head:]
        count, _, line = head.partition(b"\n")
        if len(text) != n_bytes or not count.strip().isdigit():
            raise self._replaced()
        self.n_bytes += n_bytes
        comment = parse_comment(line) if flags & 2 else {}
        return XyzFrame(
            head=head,
            rows=rows,
            comment=comment,
            columns=columns_in(comment),
            n_atoms=int(count),
            n_rows=n_rows,
            n_bytes=n_bytes,
            offset=offset,
            is_sound=bool(flags & 1),
            n_lost_before=n_lost_before,
        )

    def _replaced(self) -> FileReplaced:
        return FileReplaced(
            f"{self._source.name}: the file was written while its parts were read.", "Read it from its beginning."
        )
