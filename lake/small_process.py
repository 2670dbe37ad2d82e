"""Keeps pandas out of a process that hands it nothing: pyarrow imports it otherwise, at its first array."""

import sys
from collections.abc import Sequence
from types import ModuleType


class _Absent:
    """An importer that says there is no pandas."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def keep_pandas_out() -> None:
    """Save 43 MB and half a second, in a process of ours whose arrays are NumPy's.

    pyarrow looks for pandas once, to know a Series when it sees one. After it was told that there is none, pandas can
    be imported and works, also `Table.to_pandas`; only a Series is then no longer told from any other sequence.
    """
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _Absent)
    try:
        import pyarrow as pa

        pa.array([0])
    finally:
        sys.meta_path.remove(_Absent)
