"""Readers of runs: `open_run` finds out what a file holds and opens it; frames come in batches."""

from collections.abc import Callable
from pathlib import Path

from lake.raw_store import is_file, is_folder
from lake.readers.containers import SourceStream, open_source
from lake.readers.detect import SourceFormat, format_of
from lake.readers.extxyz import ExtxyzReader, extxyz_parts
from lake.readers.lammps import LammpsReader
from lake.readers.lammps_dump import LammpsDumpReader
from lake.readers.ml_ab import MlAbReader, ml_ab_parts
from lake.readers.outcar import OutcarReader
from lake.readers.vaspout import VaspoutReader
from lake.readers.vasprun import VasprunReader
from lake.readers.xdatcar import XdatcarReader
from lake.sources import SIMULATION_CARD
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, RunReader

_READERS: dict[SourceFormat, Callable[[SourceStream, str, Bookmark | None], RunReader]] = {
    "outcar": lambda source, _part, bookmark: OutcarReader(source, bookmark=bookmark),
    "vasprun": lambda source, _part, bookmark: VasprunReader(source, bookmark=bookmark),
    "vaspout_h5": lambda source, _part, _bookmark: VaspoutReader(source),
    "ml_ab": lambda source, part, _bookmark: MlAbReader(source, part),
    "xdatcar": lambda source, _part, bookmark: XdatcarReader(source, bookmark=bookmark),
    "extxyz": lambda source, part, _bookmark: ExtxyzReader(source, part),
    "lammps_dump": lambda source, _part, _bookmark: LammpsDumpReader(source),
}

_SEVERAL_RUNS: dict[SourceFormat, Callable[[SourceStream], tuple[str, ...]]] = {
    "ml_ab": ml_ab_parts,
    "extxyz": extxyz_parts,
}


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
        return LammpsReader(path)
    source = open_source(path)
    try:
        return _READERS[_kind_with(part, source)](source, part, bookmark)
    except BaseException:
        source.close()
        raise


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
        parts = _SEVERAL_RUNS.get(format_of(source))
        return ("",) if parts is None else parts(source)


def _kind_with(part: str, source: SourceStream) -> SourceFormat:
    kind = format_of(source)
    if part and kind not in _SEVERAL_RUNS:
        raise UnreadableFile(f"{source.name} holds one run, and no part {part}.", "Leave the part out.")
    return kind
