"""Columns of equal length, one value per frame: what the gate looks at. Arrow's tables are `lake`'s."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
"""(n_frames,) each. Texts may be of NumPy's or of Python's type."""


def n_rows(columns: Columns) -> int:
    """Length of every column; 0 without any."""
    return len(next(iter(columns.values()), ()))


def rows_of(columns: Columns, rows: slice | NDArray[Any]) -> Columns:
    """Some of the rows: a range, those where a mask is true, or those with these numbers."""
    return {name: values[rows] for name, values in columns.items()}


def joined(parts: Sequence[Columns], names: Sequence[str]) -> Columns:
    """These columns of all parts, one part after the other; empty columns without any part."""
    return {name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0) for name in names}
