"""The door to HDF5: opens a vaspout.h5 wherever it lies and gives values by their paths. What they mean is not here."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from lake.raw_store import is_remote
from lake.readers.containers import SourceStream
from schemas.errors import TryAgainLater, UnreadableFile

_MAGIC = b"\x89HDF\r\n\x1a\n"
_SPOOL_CHUNK = 1024 * 1024
_MOST_VALUES, _MOST_BYTES = 1_000_000, 100_000_000
"""Of a list that is read as a whole; the longest that VASP writes has a value or three for each atom."""
# What h5py raises on a file whose blocks make no sense.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)

Scalar = str | int | float
"""One value as VASP wrote it; logicals are integers."""


class Hdf5File:
    """An opened HDF5 file, read by slices. A file that cannot be read in place is spooled to the temporary folder."""

    def __init__(self, source: SourceStream) -> None:
        self.name = source.name
        self._opened: dict[str, h5py.Dataset | None] = {}
        if source.peek(len(_MAGIC)) != _MAGIC:
            raise self._unreadable("it is no HDF5 file" if source.peek(1) else "the file is empty", source.damage)
        spooled = None if _lies_open(source.name) else _spooled(source)
        try:
            # A writer holds its lock while it writes: then nothing in the file can be trusted.
            # Every block is read once, so it needs no cache.
            self._file = h5py.File(spooled or source.name, "r", locking="best-effort", rdcc_nbytes=0)
        except BlockingIOError as error:
            raise UnreadableFile(
                f"{self.name}: another program holds the file open for writing.", "Ingest it when VASP has ended."
            ) from error
        except _DAMAGE as error:
            raise self._unreadable(_reason(error), source.damage) from error
        finally:
            if spooled is not None:
                Path(spooled).unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __contains__(self, path: str) -> bool:
        with self._guarded():
            return self._at(path) is not None

    def names_in(self, folder: str) -> tuple[str, ...]:
        """The values directly in a group, sorted; none where there is no such group."""
        with self._guarded():
            group = self._at(folder)
            names = [str(name) for name in group] if isinstance(group, h5py.Group) else []
            return tuple(sorted(name for name in names if self._value_at(f"{folder}/{name}") is not None))

    def shape(self, path: str) -> tuple[int, ...] | None:
        """The shape of a value; None where there is none."""
        with self._guarded():
            found = self._value_at(path)
            return None if found is None else tuple(found.shape)

    def scalar(self, path: str) -> Scalar | None:
        """One number or text; None where there is none, or a list of several."""
        values = self.values(path)
        return values[0] if len(values) == 1 else None

    def values(self, path: str) -> tuple[Scalar, ...]:
        """All numbers or texts of a value in the order of the file, texts without their padding."""
        with self._guarded():
            found = self._value_at(path)
            if found is None:
                return ()
            if found.size > _MOST_VALUES or found.nbytes > _MOST_BYTES:
                raise ValueError(f"a list of {found.size} values in {path}")
            return tuple(_plain(value) for value in np.atleast_1d(np.asarray(found[()])).ravel().tolist())

    def rows(self, path: str, start: int, stop: int) -> NDArray[np.float64]:
        """Rows `[start, stop)` of a table of numbers, whatever their precision in the file."""
        with self._guarded():
            found = self._value_at(path)
            if found is None:
                raise KeyError(path)
            rows: NDArray[np.float64] = np.asarray(found[start:stop], dtype=np.float64)
            return rows

    def _value_at(self, path: str) -> h5py.Dataset | None:
        if path not in self._opened:  # finding one by its path takes longer than reading a small slice of it
            found = self._at(path)
            if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
                raise self._led_away(path)
            self._opened[path] = found if isinstance(found, h5py.Dataset) else None
        return self._opened[path]

    def _at(self, path: str) -> h5py.Group | h5py.Dataset | None:
        """What is at a path of this very file: links of other kinds lead to any file that the process may read."""
        found: h5py.Group | h5py.Dataset | None = self._file
        for name in path.split("/"):
            if not isinstance(found, h5py.Group) or not found.id.links.exists(name.encode()):
                return None
            if found.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
                raise self._led_away(path)
            found = found.get(name)
        return found

    def _led_away(self, path: str) -> UnreadableFile:
        return UnreadableFile(
            f"{self.name}: needed {path} in the file itself, found a link to another place.",
            "Copy the values into one file (`h5repack`), as VASP writes it.",
        )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Where the file's blocks make no sense: say so instead of what they did to the library."""
        try:
            yield
        except _DAMAGE as error:
            raise self._unreadable(_reason(error), None) from error

    def _unreadable(self, reason: str, damage: str | None) -> UnreadableFile:
        reasons = reason if damage is None else f"{damage}, and {reason}"
        return UnreadableFile(f"{self.name}: unreadable HDF5: {reasons}.", "Copy the file again, or run VASP again.")


def _lies_open(name: str) -> bool:
    """Whether the file lies on this machine, not compressed, so that h5py can open it by its name."""
    if is_remote(name) or not Path(name).is_file():
        return False
    with Path(name).open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def _spooled(source: SourceStream) -> str:
    """The path of a temporary copy of the content."""
    memory = memoryview(bytearray(_SPOOL_CHUNK))
    with tempfile.NamedTemporaryFile(prefix="meltlake-", suffix=".h5", delete=False) as copy:
        try:
            while n := source.readinto(memory):
                copy.write(memory[:n])
            copy.flush()
        except BaseException as error:
            Path(copy.name).unlink()
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise TryAgainLater(
                    f"{source.name}: no room in {Path(copy.name).parent} for a copy that HDF5 can read.",
                    "Make room there, or let TMPDIR name a folder with more.",
                ) from error
            raise
    return copy.name


def _plain(value: object) -> Scalar:
    if isinstance(value, bytes):
        return value.decode("latin-1").strip()
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"a value of {type(value).__name__}")


def _reason(error: Exception) -> str:
    """The library's own words, which stand in the last brackets of its message."""
    text = str(error).strip("'\"")
    if "truncated" in text:
        return "the file was cut: it is shorter than it says"
    return text.removesuffix(")").rpartition("(")[2] or type(error).__name__
