"""Which runs an address holds: a file, a run directory or a tree of them. Reading them belongs in `readers`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.raw_store import as_text, entries_of, full_address, is_file, is_folder, links_to_folders, name_of
from schemas.errors import MeltlakeError

SIMULATION_CARD = "simulation.json"

_ONE_RUN = ("vaspout", "vasprun", "OUTCAR", "XDATCAR")
"""Outputs of one VASP run by how their names begin, the richest first."""
_PLAIN_NAME = re.compile(r"(?:vaspout\.h5|vasprun\.xml|OUTCAR|XDATCAR)(?:\.(?:gz|bz2|xz))?")
_RUN_EACH = re.compile(r"ML_AB.*|.*\.(?:ext)?xyz(?:\.\w+)?|.*\.lammpstrj(?:\.\w+)?|dump\..*")
"""Names of files that are a run each, or several, whatever lies beside them."""
_COMPANIONS = (
    *("INCAR", "KPOINTS", "POTCAR", "POSCAR", "ICONST", "PENALTYPOT", "HILLSPOT", "QPOINTS", "STOPCAR", "vaspin.h5"),
    *("CONTCAR", "OSZICAR", "DOSCAR", "EIGENVAL", "IBZKPT", "PROCAR", "PCDAT", "REPORT", "TMPCAR", "DYNMATFULL"),
    *("CHG", "WAVECAR", "WAVEDER", "LOCPOT", "ELFCAR", "PARCHG", "AECCAR", "PROOUT", "vaspwave.h5"),
    *("ML_FF", "ML_LOGFILE", "ML_HEAT", "ML_REG", "ML_EATOM", "ML_HIS"),
    "READY",  # ours: it says that a run in the landing zone is complete
)
"""How names of files begin that VASP reads or writes and that hold no frames."""


@dataclass(frozen=True, slots=True)
class RunSource:
    """One run to be read: addresses of the files that tell of it, the richest first."""

    files: tuple[str, ...]
    backups: tuple[str, ...] = ()
    """Files of the same kinds beside them by other names (`OUTCAR.bak`): of the same run, or of others."""
    problem: str = ""
    """Why it could not even be looked at: a folder that may not be listed. Empty for what can be tried."""
    remedy: str = "Check its permissions; what lies elsewhere was looked at all the same."

    @property
    def uri(self) -> str:
        """What a person calls it: its first file."""
        return self.files[0]

    @property
    def every_file(self) -> tuple[str, ...]:
        return self.files + self.backups


@dataclass(frozen=True, slots=True)
class Found:
    """What lies below an address."""

    runs: list[RunSource]
    ignored: list[str]
    """Files that are neither outputs by name nor known to lie beside them, and links to folders."""


def run_sources(source: str | Path) -> list[RunSource]:
    """Every run below an address, as `found_below` finds them."""
    return found_below(source).runs


def found_below(source: str | Path) -> Found:
    """Every run below an address, and what was left alone.

    A file is one run. In a directory, the files with VASP's own names tell of the same run, and others of these kinds
    are backups to be compared with it; without any of VASP's own names, those that are alone of their kind tell of it.
    Files that are not outputs by name are left alone; what the named ones hold is decided by their content when they
    are read. A folder that cannot be listed is there with its problem, and so is a file that is none by its nature (a
    pipe, a socket): the rest of a tree is found all the same.

    Raises
    ------
    MeltlakeError
        If there is nothing at that address, or no output below it.
    """
    uri = full_address(source)
    if as_text(uri) != uri:
        return Found([_nameless(uri)], [])
    if is_file(uri):
        return Found([RunSource((uri,))], [])
    if not is_folder(uri):
        raise MeltlakeError(f"{uri}: needed a VASP output file or a folder, found nothing.", "Check the path.")
    ignored: list[str] = []
    runs = list(_below(uri, ignored))
    if not runs:
        others = f"; there are {first_of([name_of(one) for one in ignored])}" if ignored else ""
        raise MeltlakeError(
            f"{uri}: needed OUTCAR*, vasprun.xml*, vaspout.h5*, XDATCAR*, ML_AB*, *.extxyz or *.lammpstrj files, "
            f"found none below this folder{others}.",
            "Name the file itself if it is called otherwise.",
        )
    return Found(runs, ignored)


def is_output(name: str) -> bool:
    """Whether a file of this name in a folder would be read."""
    return name.startswith(_ONE_RUN) or _is_run(name)


def is_one_of_several(name: str) -> bool:
    """Whether it is one of the files with which VASP tells of the same run."""
    return name.startswith(_ONE_RUN)


def first_of(names: Sequence[str], most: int = 5) -> str:
    """The first few of many, as words of a sentence."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _below(folder: str, ignored: list[str]) -> Iterator[RunSource]:
    try:
        entries = list(entries_of(folder))
        ignored += map(as_text, links_to_folders(folder))
    except OSError as error:
        yield RunSource((folder,), problem=f"{folder}: the folder cannot be listed ({error.strerror}).")
        return
    nameless = [(uri, is_a_folder) for uri, is_a_folder in entries if as_text(uri) != uri]
    entries = [entry for entry in entries if entry not in nameless]
    files = [uri for uri, is_a_folder in entries if not is_a_folder]
    if any(name_of(uri) == SIMULATION_CARD for uri in files):
        yield RunSource((folder,))
        return
    yield from _runs_in(files)
    ignored += [uri for uri in files if not name_of(uri).startswith(_COMPANIONS) and not is_output(name_of(uri))]
    for uri, is_a_folder in entries:
        if is_a_folder:
            yield from _below(uri, ignored)
    yield from (_nameless(uri) for uri, is_a_folder in nameless if is_a_folder or is_output(name_of(uri)))
    ignored += [as_text(uri) for uri, is_a_folder in nameless if not is_a_folder and not is_output(name_of(uri))]


def _runs_in(files: list[str]) -> Iterator[RunSource]:
    """One run of the files that VASP would write now, with the backups or copies beside them (`OUTCAR.bak`)."""
    of_kind = [[uri for uri in files if name_of(uri).startswith(kind)] for kind in _ONE_RUN]
    plain = [[uri for uri in alike if _PLAIN_NAME.fullmatch(name_of(uri))][:1] for alike in of_kind]
    # Without any of VASP's own names, files that are alone of their kind are what it would go on writing.
    told_together = plain if any(plain) else [alike for alike in of_kind if len(alike) == 1]
    together = tuple(uri for alike in told_together for uri in alike)
    others = tuple(uri for alike in of_kind for uri in alike if uri not in together)
    if together:
        yield RunSource(together, others)
    else:
        yield from (RunSource((uri,)) for uri in others)
    yield from (RunSource((uri,)) for uri in files if not name_of(uri).startswith(_ONE_RUN) and _is_run(uri))


def _nameless(uri: str) -> RunSource:
    told = as_text(uri)
    problem = (
        f"{told}: needed a name in UTF-8, found one in another encoding (shown with \\x), which no table can hold."
    )
    return RunSource((told,), problem=problem, remedy="Rename it; what lies elsewhere was looked at all the same.")


def _is_run(uri: str) -> bool:
    return _RUN_EACH.fullmatch(name_of(uri)) is not None
