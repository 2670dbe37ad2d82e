"""The landing zone: its entries, and the decision which of them have landed. Airflow does not belong here.

An entry is a folder or a plain file directly in the landing zone, which is a folder or a prefix in a bucket. It has
landed when it holds a file named READY, or when sizes and times of all its files have stood still for a while.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lake.sources import is_one_of_several, is_output
from operators.log import log
from operators.scheduling.batches import LEAST_S, Work
from operators.scheduling.estimates import INGEST_RUN_S, ingest_file_s
from schemas.errors import MeltlakeError

CURSOR_PARTS = "0123456789abcdef"
"""The cursor is kept in this many parts, by the first digit of an entry's hash."""

_DIGITS = 12
_READY = "READY"
_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload")


@dataclass
class LandingWatch:
    """Remembers what was seen and decides what has landed. Knows neither files nor Airflow."""

    quiet_s: float
    _reported: set[str] = field(default_factory=set)
    _since: dict[str, float] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _quiet: set[str] = field(default_factory=set)

    def recall(self, cursor_part: str) -> None:
        """Take up a part of the cursor that `advance` gave."""
        self._reported |= {cursor_part[start : start + _DIGITS] for start in range(0, len(cursor_part), _DIGITS)}

    def look(self, found: Mapping[str, tuple[str, bool]], now_s: float) -> list[str]:
        """Entries that landed since the last advance, given each entry's signature and whether it is marked READY."""
        self._names = {_hashed([name, signature]): name for name, (signature, _) in found.items()}
        self._since = {key: self._since.get(key, now_s) for key in self._names}
        ready = {_hashed([name, signature]) for name, (signature, is_ready) in found.items() if is_ready}
        self._quiet = ready | {key for key, since in self._since.items() if now_s - since >= self.quiet_s}
        return sorted(self._names[key] for key in self._quiet - self._reported)

    def advance(self) -> dict[str, str]:
        """What was reported is known from now on, what is gone is forgotten; returns the cursor's parts that changed.

        An empty zone makes nothing forgotten: it may be a disk that is not mounted.
        """
        before = self._reported
        self._reported = (before & self._names.keys() | self._quiet) if self._names else before
        changed = {key[0] for key in before ^ self._reported}
        return {part: "".join(sorted(key for key in self._reported if key[0] == part)) for part in sorted(changed)}


def entries(zone: str) -> dict[str, tuple[str, bool]]:
    """Every entry of the landing zone with a signature of its files and whether it is marked READY.

    Raises
    ------
    MeltlakeError
        If it is in a bucket that is not there, refuses access or does not answer.
    """
    parts: dict[str, list[str]] = {}
    ready = set()
    for entry, inside, file in _files_of_entries(zone):
        if inside == _READY:
            ready.add(entry)
        parts.setdefault(entry, []).append(f"{inside} {file.n_bytes} {file.mtime_ns}")
    return {name: (_hashed(lines), name in ready) for name, lines in parts.items()}


def work_in(zone: str) -> dict[str, Work]:
    """What each entry of the landing zone gives to do, by the sizes of the files that would be read.

    Raises
    ------
    MeltlakeError
        As `entries`.
    """
    runs: dict[str, set[str]] = {}
    seconds: dict[str, float] = {}
    for entry, inside, file in _files_of_entries(zone):
        folder, _, name = inside.rpartition("/")
        runs.setdefault(entry, set())
        if not inside or is_output(name):  # an entry that is a file is read, whatever it is called
            runs[entry].add(folder if is_one_of_several(name) else inside)
            seconds[entry] = seconds.get(entry, 0.0) + ingest_file_s(file.path, file.n_bytes)
    return {
        entry: Work(len(found), seconds.get(entry, 0.0) + INGEST_RUN_S * len(found)) for entry, found in runs.items()
    }


def work_below(address: str) -> Work:
    """The same of an address anywhere, all entries together; a file, or nothing, is worth a pod of its own."""
    try:
        found = list(work_in(address).values())
    except MeltlakeError:  # the command tells what is wrong there
        found = []
    if not found:
        return Work(1, LEAST_S)
    return Work(sum(one.n_runs for one in found), sum(one.seconds for one in found))


class _File(NamedTuple):
    path: str
    n_bytes: int
    mtime_ns: int


def _files_of_entries(zone: str) -> Iterator[tuple[str, str, _File]]:
    """Entry, path within it (empty for an entry that is a file), and the file; what is hidden or not whole left out."""
    for file in sorted(_stored_files(zone) if "://" in zone else _local_files(zone)):
        entry, _, inside = file.path.partition("/")
        if not (entry.startswith(".") or file.path.endswith(_UNFINISHED)) and _can_be_told(entry):
            yield entry, inside, file


@cache
def _can_be_told(entry: str) -> bool:
    """Whether the name is text, which Airflow and the lake can store. A person reads once that it is not."""
    told = entry.encode(errors="surrogateescape").decode(errors="backslashreplace")
    if told != entry:
        log.warning("landing", entry=told, reason="its name is not in UTF-8: rename it, nothing of it is read")
    return told == entry


def _local_files(zone: str) -> Iterator[_File]:
    for folder, folders, names in os.walk(zone):
        for name in folders:
            if (link := Path(folder, name)).is_symlink():
                _tell_of_link(link)
        for name in names:
            path = Path(folder, name)
            try:
                about = path.stat()
            except OSError:  # renamed while we looked, a link to nothing or to itself, a folder that we may not enter
                continue
            yield _File(path.relative_to(zone).as_posix(), about.st_size, about.st_mtime_ns)


@cache
def _tell_of_link(link: Path) -> None:
    """A linked folder is not entered: it may lead in circles, or out of what a person meant. A person reads it once."""
    log.warning("landing", link=str(link), reason="it leads to a folder: nothing there is read; copy or move it")


def _stored_files(zone: str) -> Iterator[_File]:
    from lake.object_store import below, bucket_path  # 50 MB, which a zone on a disk does without

    for found in below(zone, recursive=True):
        if found.is_file:
            yield _File(found.path.removeprefix(f"{bucket_path(zone)}/"), found.size, found.mtime_ns)


def _hashed(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:_DIGITS]
