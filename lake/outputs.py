"""Files and folders that we make where a person asked for them: whole under their name, or not there.

What is in them belongs to the writers.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lake.parquet import flush_to_disk
from schemas.errors import MeltlakeError


@contextmanager
def whole_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """An empty file to write to; it gets the target's name when the block ends well, and goes away otherwise.

    Raises
    ------
    MeltlakeError
        If the target exists and may not be overwritten, or its folder does not exist.
    """
    _require_free(target, overwrite=overwrite)
    if target.is_dir():
        raise MeltlakeError(f"{target}: needed a file to overwrite, found a folder.", "Name another file.")
    unfinished = _name_beside(target)
    unfinished.touch()
    with _ours(unfinished):
        yield unfinished
        flush_to_disk(unfinished)
        _require_free(target, overwrite=overwrite)
        unfinished.replace(target)
        flush_to_disk(target.parent)


@contextmanager
def whole_folder(target: Path, *, overwrite: bool = False, marker: str) -> Iterator[Path]:
    """The same for a folder.

    Parameters
    ----------
    target
        The folder to be made.
    overwrite
        Whether an older one may be replaced.
    marker
        A file that every folder of this kind has at its top: a folder without it is not ours to replace.

    Raises
    ------
    MeltlakeError
        As for a file, and if the folder to be replaced lacks the marker.
    """
    _require_free(target, overwrite=overwrite)
    if target.exists() and not (target / marker).is_file():
        raise MeltlakeError(
            f"{target}: needed a folder of an earlier export to replace, found no {marker} in it.",
            "Name another folder, or remove this one yourself.",
        )
    unfinished = _name_beside(target)
    unfinished.mkdir()
    with _ours(unfinished):
        yield unfinished
        _require_free(target, overwrite=overwrite)
        replaced = _name_beside(target)
        if target.exists():
            target.rename(replaced)
        unfinished.rename(target)
        flush_to_disk(target.parent)
        shutil.rmtree(replaced, ignore_errors=True)


def _require_free(target: Path, *, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise MeltlakeError(f"{target}: its folder does not exist.", f"Make it: `mkdir -p {target.parent}`.")
    if target.exists() and not overwrite:
        raise MeltlakeError(f"{target} exists.", "Name another, remove it, or say --overwrite.")


def _name_beside(target: Path) -> Path:
    """A hidden name on the same disk; what a killed process left beside the target is removed."""
    for left in target.parent.glob(f".{target.name}.*.unfinished"):
        with suppress(OSError), _ours(left):
            pass
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.unfinished")


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    """Hold a lock on it while the block runs, so that nobody takes it for a leftover; then remove what is left."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
