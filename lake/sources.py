"""Which runs an address holds: a file, a run directory or a tree of them. Reading them belongs in `readers`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.raw_store import entries_of, full_address, is_file, is_folder, name_of
from schemas.errors import MeltlakeError

SIMULATION_CARD = "simulation.json"

_ONE_RUN = ("vaspout", "vasprun", "OUTCAR", "XDATCAR")
"""Outputs of one VASP run by how their names begin, the richest first."""
_PLAIN_NAME = re.compile(r"(?:vaspout\.h5|vasprun\.xml|OUTCAR|XDATCAR)(?:\.(?:gz|bz2|xz))?")
_RUN_EACH = re.compile(r"ML_AB.*|.*\.(?:ext)?xyz(?:\.\w+)?|.*\.lammpstrj(?:\.\w+)?|dump\..*")
"""Names of files that are a run each, or several, whatever lies beside them."""


@dataclass(frozen=True, slots=True)
class RunSource:
    """One run to be read: addresses of the files that tell of it, the richest first."""

    files: tuple[str, ...]
    problem: str = ""
    """Why it could not even be looked at: a folder that may not be listed. Empty for what can be tried."""

    @property
    def uri(self) -> str:
        """What a person calls it: its first file."""
        return self.files[0]


def run_sources(source: str | Path) -> list[RunSource]:
    """Every run below an address.

    A file is one run. In a directory, one file of each kind that VASP writes tell of the same run; of several files of
    one kind, that with VASP's own name does, and the others are a run each. Files that are not outputs by name are left
    alone; what the named ones hold is decided by their content when they are read. A folder that cannot be listed is
    there with its problem, and so is a file that is none by its nature (a pipe, a socket): the rest of a tree is found
    all the same.

    Raises
    ------
    MeltlakeError
        If there is nothing at that address, or no output below it.
    """
    uri = full_address(source)
    if is_file(uri):
        return [RunSource((uri,))]
    if not is_folder(uri):
        raise MeltlakeError(f"{source}: needed a VASP output file or a folder, found nothing.", "Check the path.")
    found = list(_below(uri))
    if not found:
        raise MeltlakeError(
            f"{source}: needed OUTCAR*, vasprun.xml*, vaspout.h5*, XDATCAR*, ML_AB*, *.extxyz or *.lammpstrj files, "
            "found none below this folder.",
            "Name the file itself if it is called otherwise.",
        )
    return found


def _below(folder: str) -> Iterator[RunSource]:
    try:
        entries = list(entries_of(folder))
    except OSError as error:
        yield RunSource((folder,), problem=f"{folder}: the folder cannot be listed ({error.strerror}).")
        return
    files = [uri for uri, is_a_folder in entries if not is_a_folder]
    if any(name_of(uri) == SIMULATION_CARD for uri in files):
        yield RunSource((folder,))
        return
    yield from _runs_in(files)
    for uri, is_a_folder in entries:
        if is_a_folder:
            yield from _below(uri)


def _runs_in(files: list[str]) -> Iterator[RunSource]:
    """One run of the files that VASP would write now; each backup or copy beside them (`OUTCAR.bak`) by itself."""
    of_kind = {kind: [uri for uri in files if name_of(uri).startswith(kind)] for kind in _ONE_RUN}
    told_together = [alike if len(alike) <= 1 else list(filter(_is_plainly_named, alike)) for alike in of_kind.values()]
    together = tuple(uri for alike in told_together for uri in alike) if all(len(a) <= 1 for a in told_together) else ()
    if together:
        yield RunSource(together)
    yield from (RunSource((uri,)) for alike in of_kind.values() for uri in alike if uri not in together)
    named_otherwise = (uri for uri in files if not name_of(uri).startswith(_ONE_RUN))
    yield from (RunSource((uri,)) for uri in named_otherwise if _RUN_EACH.fullmatch(name_of(uri)))


def _is_plainly_named(uri: str) -> bool:
    """Whether the name is the one that VASP gives, compressed or not."""
    return _PLAIN_NAME.fullmatch(name_of(uri)) is not None
