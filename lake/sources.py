"""Which runs a path holds: a file, a run directory or a tree of them. Reading them belongs in `readers`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import MeltlakeError

SIMULATION_CARD = "simulation.json"
_VASP_NAMES = ("OUTCAR", "vasprun", "vaspout", "XDATCAR", "ML_AB")
_RICHEST_FIRST = ("vasprun", "OUTCAR", "vaspout", "XDATCAR", "ML_AB")


@dataclass(frozen=True, slots=True)
class RunSource:
    """One run to be read: the files that tell of it, the richest first."""

    files: tuple[Path, ...]

    @property
    def uri(self) -> str:
        """What a person calls it: its first file."""
        return str(self.files[0])


def run_sources(source: str | Path) -> list[RunSource]:
    """Every run below a path.

    A file is one run. In a directory, one vasprun.xml and one OUTCAR tell of the same run; several files of one
    kind are a run each. Files that are not VASP outputs by name are left alone; what the named ones hold is
    decided by their content when they are read.

    Raises
    ------
    MeltlakeError
        If there is nothing at that path, or no VASP output below it.
    """
    if "://" in str(source):
        raise MeltlakeError(f"{source}: sources in a bucket are not supported yet.", "Copy the runs to this machine.")
    path = Path(os.path.normpath(Path(source).absolute()))  # without `..`, and links stay as the person named them
    if path.is_file():
        return [RunSource((path,))]
    if not path.is_dir():
        raise MeltlakeError(f"{source}: needed a VASP output file or a folder, found nothing.", "Check the path.")
    found = list(_below(path))
    if not found:
        raise MeltlakeError(
            f"{source}: needed OUTCAR* or vasprun.xml* files, found none below this folder.",
            "Name the file itself if it is called otherwise.",
        )
    return found


def _below(folder: Path) -> Iterator[RunSource]:
    if (folder / SIMULATION_CARD).is_file():
        yield RunSource((folder,))
        return
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    yield from _runs_in([entry for entry in entries if entry.is_file()])
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from _below(entry)


def _runs_in(files: list[Path]) -> Iterator[RunSource]:
    by_kind = {kind: [file for file in files if file.name.startswith(kind)] for kind in _VASP_NAMES}
    if all(len(of_kind) <= 1 for of_kind in by_kind.values()):
        outputs = tuple(by_kind[kind][0] for kind in _RICHEST_FIRST if by_kind[kind])
        if outputs:
            yield RunSource(outputs)
        return
    yield from (RunSource((file,)) for kind in _RICHEST_FIRST for file in by_kind[kind])
