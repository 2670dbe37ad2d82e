"""Keeps small what a process of ours needs of memory, for workers and commands that only move frames about."""

import sys
from collections.abc import Sequence
from types import ModuleType


class _Absent:
    """An importer that says there is no pandas."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def keep_small() -> None:
    """Save 100 MB in a process of ours: pyarrow comes without pandas and gives memory back when it is done with it.

    pyarrow imports pandas at its first array, to know a Series when it sees one. After it was told that there is none,
    pandas can be imported and works, also `Table.to_pandas`; only a Series is no longer told from other sequences.
    """
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _Absent)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_Absent)
