"""The landing zone: its entries, and the decision which of them have landed. Airflow does not belong here.

An entry is a folder or a plain file directly in the landing zone. It has landed when it holds a file named READY,
or when sizes and times of all its files have stood still for a while.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_DIGITS = 10
_READY = "READY"
_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload")


@dataclass
class LandingWatch:
    """Remembers what was seen and decides what has landed. Knows neither files nor Airflow."""

    quiet_s: float
    cursor: str = ""
    """Ten hexadecimal digits for each entry that was reported; Airflow's store warns beyond some 6,500 entries."""
    _since: dict[str, float] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _quiet: set[str] = field(default_factory=set)

    def look(self, found: Mapping[str, tuple[str, bool]], now_s: float) -> list[str]:
        """Entries that landed since the last advance, given each entry's signature and whether it is marked READY."""
        self._names = {_hashed([name, signature]): name for name, (signature, _) in found.items()}
        self._since = {key: self._since.get(key, now_s) for key in self._names}
        ready = {_hashed([name, signature]) for name, (signature, is_ready) in found.items() if is_ready}
        self._quiet = ready | {key for key, since in self._since.items() if now_s - since >= self.quiet_s}
        return sorted(self._names[key] for key in self._quiet - self._reported)

    def advance(self) -> bool:
        """What was reported is known from now on, what is gone is forgotten; true when the cursor moved."""
        before, self.cursor = self.cursor, "".join(sorted((self._reported & self._names.keys()) | self._quiet))
        return self.cursor != before

    @property
    def _reported(self) -> set[str]:
        return {self.cursor[start : start + _DIGITS] for start in range(0, len(self.cursor), _DIGITS)}


def entries(zone: str) -> dict[str, tuple[str, bool]]:
    """Every entry of the landing zone with a signature of its files and whether it is marked READY."""
    parts: dict[str, list[str]] = {}
    ready = set()
    for path, described in sorted(_stored_files(zone) if "://" in zone else _local_files(zone)):
        entry, _, inside = path.partition("/")
        if entry.startswith(".") or path.endswith(_UNFINISHED):
            continue
        if inside == _READY:
            ready.add(entry)
        parts.setdefault(entry, []).append(f"{inside} {described}")
    return {name: (_hashed(lines), name in ready) for name, lines in parts.items()}


def _local_files(zone: str) -> Iterator[tuple[str, str]]:
    for folder, _, names in os.walk(zone):
        for name in names:
            path = Path(folder, name)
            try:
                about = path.stat()
            except OSError:  # renamed while we looked, a link to nothing or to itself, a folder that we may not enter
                continue
            yield path.relative_to(zone).as_posix(), f"{about.st_size} {about.st_mtime_ns}"


def _stored_files(zone: str) -> Iterator[tuple[str, str]]:
    import fsspec  # type: ignore[import-untyped]  # comes with Airflow; local zones do without

    store, root = fsspec.core.url_to_fs(zone)
    if not store.exists(root):
        return
    for path, about in store.find(root, detail=True).items():
        changed = next((about[key] for key in ("ETag", "mtime", "LastModified", "created") if key in about), "")
        yield path.removeprefix(root.rstrip("/") + "/"), f"{about.get('size')} {changed}"


def _hashed(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGITS]
