"""Which run stands for a composition that has several: the one that is nearest in temperature to what is wanted."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lake.delta import Lake

Row = Mapping[str, Any]

_MELT_RULES = ("melt_diffuses", "melt_disordered")
"""Of the gate: what fails one of them is a solid."""


def nearest_in_temperature(lake: Lake, rows: Iterable[Row], wanted_k: float | None) -> list[tuple[Row, float | None]]:
    """Rows of `runs` with their temperatures, the nearest to the wanted one first, then the longest.

    Temperatures that nobody knows come last; where none is wanted, the longest run is the first.
    """
    known = [(row, temperature_of_run_k(lake, row)) for row in rows]
    return sorted(known, key=lambda pair: _rank(pair[0], pair[1], wanted_k))


def temperature_of_run_k(lake: Lake, row: Row) -> float | None:
    """Target of a run, or the mean of its frames; None when it is not molecular dynamics."""
    if row["temperature_target_k"]:
        return float(row["temperature_target_k"])
    batches = lake.frame_batches(row["run_id"], ["temperature_k"])
    values = np.concatenate([batch.column(0).to_numpy(zero_copy_only=False) for batch in batches])
    present = values[~np.isnan(values.astype(np.float64))]
    return float(present.mean()) if present.size and present.mean() > 0 else None


def solid_runs(lake: Lake) -> set[str]:
    """Runs that the gate found to be solids or glasses."""
    columns = ["run_id", "expectation", "success"]
    rows = lake.rows("expectation_results", columns=columns).to_pylist()
    return {row["run_id"] for row in rows if row["expectation"] in _MELT_RULES and row["success"] is False}


def _rank(row: Row, found_k: float | None, wanted_k: float | None) -> tuple[float, int, str]:
    unlike = 0.0 if wanted_k is None or found_k is None else abs(found_k - wanted_k)
    known_first = 1e9 if found_k is None else 0.0
    return unlike + known_first, -int(row["n_frames"]), str(row["run_id"])
