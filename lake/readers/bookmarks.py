"""Going on where an earlier reading of a growing file stopped. What a reader must know there is not here."""

from dataclasses import dataclass

from lake.readers.containers import SourceStream
from lake.readers.window import TextWindow
from schemas.errors import FileReplaced
from schemas.frames import Bookmark


@dataclass(frozen=True, slots=True)
class Progress:
    """A point of a text behind which a reader can go on without what stands before it."""

    offset: int
    """Bytes of the whole text."""
    n_frames: int
    """Frames before it, which nothing that follows can change."""
    state: dict[str, object]
    """Everything else that the reader knows there, in JSON's types."""


def bookmark_at(progress: Progress, source: SourceStream) -> Bookmark:
    """The bookmark of a file that was read to its end."""
    return Bookmark(
        offset=progress.offset,
        n_frames=progress.n_frames,
        parser_state=progress.state,
        content_bytes=source.content_bytes,
        content_sha256=source.content_sha256,
    )


def skip_to(bookmark: Bookmark, source: SourceStream, window: TextWindow) -> None:
    """Make the bookmark's offset position 0 of the window, after comparing all that was there when it was made.

    Raises
    ------
    FileReplaced
        If the file is shorter now, or its beginning is not the same.
    """
    window.skip_to(bookmark.offset, but_read_to=bookmark.content_bytes)
    if not source.is_as_expected:
        raise FileReplaced(
            f"{source.name}: its first {bookmark.content_bytes} bytes are not those that were read before, so the file "
            "was replaced or cut.",
            "Read it from its beginning, as another run.",
        )
