"""Validate: judge stored frames again by today's rules, without their raw files. `ingest` judges them first."""

from collections.abc import Iterable

from lake.delta import Lake
from operators.data_docs import write_data_docs
from operators.log import log
from operators.run_storing import known_run, rewrite_run
from schemas.errors import MeltlakeError
from schemas.settings import Settings


def validate(settings: Settings, run_ids: Iterable[str] = ()) -> dict[str, object]:
    """Judge runs again (all of them by default) and rewrite the verdicts that changed.

    Raises
    ------
    MeltlakeError
        If a run is not in the lake.
    """
    lake = Lake(settings.lake)
    entries = []
    for run_id in list(run_ids) or lake.keys("runs"):
        with lake.writing(run_id, doing=f"storing run {run_id}"):
            entries.append(_validate_run(lake, run_id))
    return {"runs": entries, "data_docs": str(write_data_docs(settings))}


def _validate_run(lake: Lake, run_id: str) -> dict[str, object]:
    row = known_run(lake, run_id)
    if not row:
        raise MeltlakeError(f"The lake has no run {run_id}.", "`meltlake status` lists the runs it has.")
    judged = rewrite_run(lake, row)
    counts = {name: judged.row[name] for name in ("n_rejected", "n_accepted")}
    log.info("validate", run_id=run_id, changed=judged.changed, **counts)
    return {
        "run_id": run_id,
        "passed": not judged.verdict.failed,
        "failed_expectations": judged.verdict.failed,
        "changed": judged.changed,
        **counts,
    }
