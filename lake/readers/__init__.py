"""Readers of runs: `open_run` finds out what a path holds and opens it; frames come in batches."""

from pathlib import Path

from lake.readers.containers import open_source
from lake.readers.detect import format_of
from lake.readers.lammps import LammpsReader
from lake.readers.outcar import OutcarReader
from lake.readers.vasprun import VasprunReader
from schemas.frames import RunReader


def open_run(path: str | Path) -> RunReader:
    """Open one VASP output file, plain or compressed, whatever its name, or the folder of one simulation.

    Raises
    ------
    UnreadableFile
        If it is of no kind that is read, or its head is not there.
    """
    if Path(path).is_dir():
        return LammpsReader(path)
    source = open_source(path)
    return OutcarReader(source) if format_of(source) == "outcar" else VasprunReader(source)
