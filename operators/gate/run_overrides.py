"""What people said about rules and frames of a run. Saying it is the verb `override`'s."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from schemas.gate import Override


def overrides_of(lake: Lake, run_id: str, content_ids: NDArray[Any]) -> list[Override]:
    """What people said about the run, for its frames as they are numbered now.

    Parameters
    ----------
    lake
        Where it was kept.
    run_id
        The run.
    content_ids
        (n_frames,), names of its frames: their numbers change when a restart is linked and shares some of them.
    """
    return [
        Override(rule=row["expectation"], frames=_places(row["content_ids"], content_ids))
        for row in lake.rows("overrides", key=run_id).to_pylist()
    ]


def _places(named: list[str] | None, content_ids: NDArray[Any]) -> tuple[int, ...] | None:
    return None if named is None else tuple(np.flatnonzero(np.isin(content_ids, named)).tolist())
