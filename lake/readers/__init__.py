"""Readers of runs: `open_run` finds out what a file holds and opens it; frames come in batches."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from lake.raw_store import is_file, is_folder
from lake.readers.containers import SourceStream, open_source
from lake.readers.detect import SourceFormat, format_of
from lake.sources import SIMULATION_CARD
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, RunReader

_READERS: dict[SourceFormat, tuple[str, str]] = {
    "outcar": ("lake.readers.outcar", "OutcarReader"),
    "vasprun": ("lake.readers.vasprun", "VasprunReader"),
    "vaspout_h5": ("lake.readers.vaspout", "VaspoutReader"),
    "ml_ab": ("lake.readers.ml_ab", "MlAbReader"),
    "xdatcar": ("lake.readers.xdatcar", "XdatcarReader"),
    "extxyz": ("lake.readers.extxyz", "ExtxyzReader"),
    "lammps_dump": ("lake.readers.lammps_dump", "LammpsDumpReader"),
}
"""Module and class; loaded when such a file is met, so that reading an OUTCAR does not load HDF5."""

_PARTS: dict[SourceFormat, tuple[str, str]] = {
    "ml_ab": ("lake.readers.ml_ab", "ml_ab_parts"),
    "extxyz": ("lake.readers.extxyz", "extxyz_parts"),
}
"""Formats whose files may hold several runs, and what names them."""

_RESUMABLE: frozenset[SourceFormat] = frozenset({"outcar", "vasprun", "xdatcar"})
"""Formats whose readers make bookmarks."""


def open_run(path: str | Path, *, part: str = "", bookmark: Bookmark | None = None) -> RunReader:
    """Open one output file, plain or compressed, whatever its name, or the folder of one simulation.

    Parameters
    ----------
    path
        Address of the file: a path or `s3://...`.
    part
        Which of the file's runs, as `parts_of` names them; empty for a file that holds one.
    bookmark
        Where an earlier reading of this file stopped: only what follows is read. Formats that make no bookmark
        take none.

    Raises
    ------
    UnreadableFile
        If it is of no kind that is read, or its head is not there.
    """
    if is_folder(str(path)):
        if not is_file(f"{path}/{SIMULATION_CARD}"):
            raise UnreadableFile(
                f"{path} is a folder without {SIMULATION_CARD}, so it is no simulation of meltlake's.",
                "Name the output file in it.",
            )
        from lake.readers.lammps import LammpsReader

        return LammpsReader(path)
    source = open_source(path)
    try:
        kind = _kind_with(part, source)
        wanted = {"bookmark": bookmark} if kind in _RESUMABLE else {"part": part} if kind in _PARTS else {}
        reader: RunReader = _loaded(_READERS[kind])(source, **wanted)
    except BaseException:
        source.close()
        raise
    return reader


def parts_of(path: str | Path) -> tuple[str, ...]:
    """Names of the runs that a file holds, in file order: one empty name unless its atoms change on the way.

    Raises
    ------
    UnreadableFile
        If the file is of no kind that is read.
    """
    if is_folder(str(path)):
        return ("",)
    with open_source(path) as source:
        kind = format_of(source)
        names: tuple[str, ...] = _loaded(_PARTS[kind])(source) if kind in _PARTS else ("",)
        return names


def _kind_with(part: str, source: SourceStream) -> SourceFormat:
    kind = format_of(source)
    if part and kind not in _PARTS:
        raise UnreadableFile(f"{source.name} holds one run, and no part {part}.", "Leave the part out.")
    return kind


def _loaded(place: tuple[str, str]) -> Callable[..., Any]:
    module, name = place
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
