"""Keeps small what a process of ours needs of memory, for workers and commands that only move frames about."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any


class _Absent:
    """An importer that says that modules are not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(name=name)


class _Late:
    """An importer of modules that load themselves when something of them is used."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def without(*names: str) -> AbstractContextManager[None]:
    """What the block imports is told that these modules are not installed, unless they are loaded already."""
    return _asked_first(_Absent(names))


def loaded_late(*names: str) -> AbstractContextManager[None]:
    """Where the block imports one of these modules, it is loaded when something of it is used: perhaps never."""
    return _asked_first(_Late(names))


@contextmanager
def without_main() -> Iterator[None]:
    """Processes that are spawned in the block do not import again what the command line imports."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _asked_first(importer: Any) -> Iterator[None]:
    sys.meta_path.insert(0, importer)
    try:
        yield
    finally:
        sys.meta_path.remove(importer)


def keep_small() -> None:
    """Save 100 MB in a process of ours: pyarrow comes without pandas and gives memory back when it is done with it.

    pyarrow imports pandas at its first array, to know a Series when it sees one. After it was told that there is none,
    pandas can be imported and works, also `Table.to_pandas`; only a Series is no longer told from other sequences.
    """
    give_memory_back()
    import pyarrow as pa

    with without("pandas"):
        pa.array([0])


def give_memory_back() -> None:
    """Arrow, which is to be loaded here or in processes that are started here, gives memory back when it is done.

    It reads this when it is loaded. `pyarrow.set_memory_pool` comes later, and does not reach what writes Parquet.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
