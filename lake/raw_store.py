"""Raw files where they lie, on this machine or in a bucket: size, folder, bytes.

What they hold belongs in `readers`.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

import pyarrow as pa

from lake.object_store import below, bucket_path, entry, file_system, told_as_a_sentence

_BLOCK_BYTES = 8 << 20
"""One request to a store brings this much: at 30 ms a request, less would be waiting rather than reading."""


class RawStream(Protocol):
    """What an opened raw file must offer: a local file opened unbuffered, or an object store's reader."""

    def readinto(self, memory: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


def is_remote(uri: str) -> bool:
    """Whether an address is one of an object store."""
    return "://" in uri


def full_address(source: str | Path) -> str:
    """An absolute path without `..` (links stay as the person named them), or an address without `/` at its end."""
    text = str(source)
    return text.rstrip("/") if is_remote(text) else os.path.normpath(Path(text).absolute())


def name_of(uri: str) -> str:
    """The last part of an address."""
    return PurePosixPath(uri).name


def folder_of(uri: str) -> str:
    """The address without its last part."""
    return uri.rpartition("/")[0]


def is_file(uri: str) -> bool:
    return bool(entry(uri).is_file) if is_remote(uri) else Path(uri).is_file()


def is_folder(uri: str) -> bool:
    return entry(uri).type.name == "Directory" if is_remote(uri) else Path(uri).is_dir()


def size_bytes(uri: str) -> int:
    """Size of a file as it lies there."""
    return int(entry(uri).size) if is_remote(uri) else Path(uri).stat().st_size


def open_raw(uri: str) -> RawStream:
    """A file's own bytes, front to back."""
    return _ObjectStream(uri) if is_remote(uri) else Path(uri).open("rb", buffering=0)


def entries_of(folder: str) -> Iterator[tuple[str, bool]]:
    """Address of each visible entry of a folder, sorted, and whether it is a folder; links to folders are left out."""
    if is_remote(folder):
        for found in below(folder):
            if not found.base_name.startswith("."):
                yield f"s3://{found.path}", not found.is_file
        return
    for path in sorted(Path(folder).iterdir()):
        if not path.name.startswith(".") and not (path.is_dir() and path.is_symlink()):
            yield str(path), path.is_dir()


class _ObjectStream:
    """An object read front to back, a large block at a time."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        with told_as_a_sentence(uri):
            self._stream: pa.NativeFile = file_system(uri).open_input_stream(
                bucket_path(uri), compression=None, buffer_size=_BLOCK_BYTES
            )

    def readinto(self, memory: memoryview, /) -> int:
        with told_as_a_sentence(self._uri):
            return int(self._stream.readinto(memory))

    def close(self) -> None:
        self._stream.close()
