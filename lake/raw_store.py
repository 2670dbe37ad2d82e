"""Raw files where they lie, on this machine or in a bucket: size, folder, bytes.

What they hold belongs in `readers`.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Protocol


class RawStream(Protocol):
    """What an opened raw file must offer: a local file opened unbuffered, or an object store's reader."""

    def readinto(self, memory: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


def _buckets() -> ModuleType:
    """Access to buckets, loaded when one is named: it takes 50 MB, and reading a local file needs none of it."""
    from lake import object_store

    return object_store


def is_remote(uri: str) -> bool:
    """Whether an address is one of an object store."""
    return "://" in uri


def full_address(source: str | Path) -> str:
    """An absolute path without `..` (links stay as the person named them), or an address without `/` at its end."""
    text = str(source)
    return text.rstrip("/") if is_remote(text) else os.path.normpath(Path(text).absolute())


def as_text(uri: str) -> str:
    """The address as a table can hold it: bytes of a name that are no UTF-8 are written as their numbers."""
    return os.fsencode(uri).decode(errors="backslashreplace")


def name_of(uri: str) -> str:
    """The last part of an address."""
    return PurePosixPath(uri).name


def folder_of(uri: str) -> str:
    """The address without its last part."""
    return uri.rpartition("/")[0]


def is_file(uri: str) -> bool:
    return bool(_buckets().entry(uri).is_file) if is_remote(uri) else Path(uri).is_file()


def is_folder(uri: str) -> bool:
    return _buckets().entry(uri).type.name == "Directory" if is_remote(uri) else Path(uri).is_dir()


def size_bytes(uri: str) -> int:
    """Size of a file as it lies there."""
    return int(_buckets().entry(uri).size) if is_remote(uri) else Path(uri).stat().st_size


def open_raw(uri: str) -> RawStream:
    """A file's own bytes, front to back.

    Raises
    ------
    OSError
        If it cannot be opened, or is none: a pipe would be waited for for ever.
    """
    if is_remote(uri):
        stream: RawStream = _buckets().ObjectStream(uri)
        return stream
    path = Path(uri)
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a folder, a pipe, a socket or a device", uri)
    return path.open("rb", buffering=0)


def entries_of(folder: str) -> Iterator[tuple[str, bool]]:
    """Address of each visible entry of a folder, sorted, and whether it is a folder; links to folders are left out."""
    if is_remote(folder):
        for found in _buckets().below(folder):
            if not found.base_name.startswith("."):
                yield f"s3://{found.path}", not found.is_file
        return
    for path in sorted(Path(folder).iterdir()):
        if not path.name.startswith(".") and not (path.is_dir() and path.is_symlink()):
            yield str(path), path.is_dir()


def links_to_folders(folder: str) -> list[str]:
    """The visible links that `entries_of` leaves out."""
    paths = [] if is_remote(folder) else sorted(Path(folder).iterdir())
    return [str(path) for path in paths if path.is_symlink() and path.is_dir() and not path.name.startswith(".")]
