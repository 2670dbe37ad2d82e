"""What people said about rules and frames of a run. Saying it is the verb `override`'s."""

from lake.delta import Lake
from schemas.gate import Override


def overrides_of(lake: Lake, run_id: str) -> list[Override]:
    """What people said about the run."""
    rows = lake.rows("overrides", key=run_id).to_pylist()
    return [
        Override(rule=row["expectation"], frames=None if row["frames"] is None else tuple(row["frames"]))
        for row in rows
    ]
