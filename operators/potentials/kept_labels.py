"""What earlier training sets of the same family trained and tested on. Splitting frames belongs in `splitting`.

A family is all training sets of a lake whose frames were split by the same wish, whatever compositions they have.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.delta import Lake
from operators.physics.growing_split import UNKNOWN
from operators.physics.split import Splits
from schemas.ids import content_id
from schemas.tables import TABLES
from schemas.training import TrainingSetRequest

_TABLE = "training_set_requests"
_OF_FRAMES = ["run_id", "frame", "content_id", "split"]


class KeptLabels:
    """Labels of frames, told by their content; by their place only where a mended reader changed their content."""

    def __init__(self, frames: pa.Table) -> None:
        kinds = frames["split"]
        self._trained = frames.filter(pc.equal(kinds, "train"))
        self._tested = frames.filter(pc.equal(kinds, "test"))
        self.run_ids = frozenset(pc.unique(frames["run_id"]).to_pylist())
        """Runs that have labels."""

    def of(self, run_id: str, content_ids: pa.Array) -> Splits:
        """(n_frames,): `train`, `test`, or `UNKNOWN` for frames that are new.

        Parameters
        ----------
        run_id
            The run.
        content_ids
            (n_frames,), of all its frames.
        """
        known = np.full(len(content_ids), UNKNOWN, dtype="<U8")
        for label, rows in (("train", self._trained), ("test", self._tested)):  # what was ever tested on stays so
            if not rows.num_rows:
                continue
            known[pc.is_in(content_ids, value_set=rows["content_id"]).to_numpy(zero_copy_only=False)] = label
            of_run = rows.filter(pc.equal(rows["run_id"], run_id))
            gone = of_run.filter(pc.invert(pc.is_in(of_run["content_id"], value_set=content_ids)))
            places = gone["frame"].to_numpy()
            places = places[places < len(known)]
            known[places[known[places] == UNKNOWN]] = label
        return known


def family_id(request: TrainingSetRequest) -> str:
    """Equal for requests that split frames in the same way."""
    return content_id(request.split_wish)


def request_id(request: TrainingSetRequest, *, version: int) -> str:
    """Equal for equal requests at one version of the lake."""
    return content_id(request.model_dump(mode="json") | {"lake_version": version})


def kept_labels(lake: Lake, request: TrainingSetRequest) -> KeptLabels:
    """Labels that the training sets of the request's family have given, up to now."""
    rows = lake.rows(_TABLE).to_pylist()
    family = family_id(request)
    names = sorted({row["training_set_id"] for row in rows if row["family_id"] == family})
    tables = [lake.rows("training_set_frames", key=name, columns=_OF_FRAMES) for name in names]
    empty = TABLES["training_set_frames"].arrow_schema.empty_table().select(_OF_FRAMES)
    return KeptLabels(_distinct(pa.concat_tables([empty, *tables])))


def granted(lake: Lake, request: TrainingSetRequest, *, version: int) -> str | None:
    """The training set that this request was answered with at that version of the lake; None for a new one."""
    for row in lake.rows(_TABLE, key=request_id(request, version=version)).to_pylist():
        name = str(row["training_set_id"])
        return name if lake.n_rows("training_sets", name) else None
    return None


def remember(
    lake: Lake, request: TrainingSetRequest, training_set_id: str, *, version: int, for_campaign: bool = False
) -> None:
    """Store that a request was answered with a training set; asked again after others, it is the latest once more.

    Only a request that names a version of the lake is stored with it: that one is no wish for later versions.
    """
    name = request_id(request, version=version)
    row = {
        "request_id": name,
        "training_set_id": training_set_id,
        "lake_version": version,
        "family_id": family_id(request),
        "request": request.model_dump_json(),
        "for_campaign": for_campaign,
    }
    if request.lake_version is not None:
        is_known = granted(lake, request, version=version) == training_set_id
    else:
        latest: Mapping[str, Any] = max(lake.rows(_TABLE).to_pylist(), key=when_asked, default={})
        is_known = row.items() <= latest.items()
    if not is_known:
        lake.replace(_TABLE, name, [row | {"created_at": datetime.now(UTC).replace(tzinfo=None)}])


def when_asked(row: Mapping[str, Any]) -> tuple[int, str]:
    """Orders rows of `training_set_requests`, and of `training_sets`: by version of the lake, then by time."""
    return row["lake_version"], str(row["created_at"])


def _distinct(frames: pa.Table) -> pa.Table:
    """Most sets of a family have most frames in common."""
    return frames.group_by(_OF_FRAMES).aggregate([])
