"""What every reader of one stream does alike: it owns the stream, closes it, and tells its identity."""

from types import TracebackType
from typing import Self

from lake.readers.containers import SourceStream
from schemas.frames import Fingerprint


class SourceReader:
    """A reader that has its file as `source`."""

    source: SourceStream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.close()

    def raw_bytes_read(self) -> int:
        """How much of the raw file went by so far."""
        return self.source.n_raw_bytes

    def fingerprint(self) -> Fingerprint:
        """Identity of the whole file, also of what stands after the last frame."""
        return self.source.finish()
