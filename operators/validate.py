"""Validate: judge stored frames again by today's rules, without their raw files. `ingest` judges them first."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from lake.delta import Lake
from lake.frames import complete_rows, vectors
from lake.gate import judge
from lake.locks import exclusive
from operators.data_docs import write_data_docs
from operators.frame_checks import Labels, frame_checks, rejection_reasons
from operators.log import log
from schemas.errors import MeltlakeError
from schemas.expectations import GATE_VERSION
from schemas.faults import FAULTS
from schemas.settings import Settings
from schemas.tables import FRAMES

_GATE_COLUMNS = ("accepted", "rejection_reasons", "flags")


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
        with exclusive(lake.root / "_locks" / f"{run_id}.lock", doing=f"storing run {run_id}"):
            entries.append(_validate_run(lake, run_id))
    return {"runs": entries, "data_docs": str(write_data_docs(settings))}


def _validate_run(lake: Lake, run_id: str) -> dict[str, object]:
    rows = lake.rows("runs", key=run_id).to_pylist()
    if not rows:
        raise MeltlakeError(f"The lake has no run {run_id}.", "`meltlake status` lists the runs it has.")
    run = rows[0]
    stored = pa.Table.from_batches(lake.frame_batches(run_id, ("rejection_reasons", "flags"))).to_pydict()
    faults = [_faults(reasons) for reasons in stored["rejection_reasons"]]
    parts = [_stored_checks(batch) for batch in _stored(lake, run_id)]
    checks = pd.concat(parts, ignore_index=True).assign(n_faults=[len(codes) for codes in faults])
    checks.insert(0, "frame", np.arange(len(checks)))
    verdict = judge(checks, run["origin"])
    reasons = [rejection_reasons(*both) for both in zip(faults, verdict.rejection_reasons, strict=True)]
    changed = reasons != stored["rejection_reasons"] or verdict.flags != stored["flags"]
    if changed:
        partition = {"composition": run["composition"], "run_id": run_id}
        lake.replace_batches("frames", partition, _rejudged(lake, run_id, reasons, verdict.flags))
    counts = {"n_rejected": verdict.n_rejected, "n_accepted": len(checks) - verdict.n_rejected}
    if changed or run["gate_version"] != GATE_VERSION:
        lake.replace("expectation_results", run_id, verdict.results)
        lake.replace("runs", run_id, [{**run, **counts, "gate_version": GATE_VERSION}])
    log.info("validate", run_id=run_id, changed=changed, **counts)
    return {
        "run_id": run_id,
        "passed": not verdict.failed,
        "failed_expectations": verdict.failed,
        "changed": changed,
        **counts,
    }


def _stored(lake: Lake, run_id: str) -> Iterator[pa.RecordBatch]:
    return lake.frame_batches(run_id, FRAMES.file_schema.names)


def _stored_checks(batch: pa.RecordBatch) -> pd.DataFrame:
    atomic_numbers = np.array(batch.column("atomic_numbers")[0].as_py(), dtype=np.int8)
    n_atoms = len(atomic_numbers)
    checks = frame_checks(
        atomic_numbers,
        vectors(batch.column("positions_angstrom"), n_atoms),
        cells=vectors(batch.column("cell_angstrom"), 3),
        labels=Labels(
            energy_ev=batch.column("energy_ev").to_numpy(zero_copy_only=False),
            forces_ev_per_angstrom=vectors(batch.column("forces_ev_per_angstrom"), n_atoms),
            virial_ev=vectors(batch.column("virial_ev"), 3),
        ),
    )
    verdicts = {True: "converged", False: "unconverged", None: "unknown"}
    return checks.assign(
        scf_verdict=[verdicts[flag] for flag in batch.column("scf_converged").to_pylist()],
        label_source=batch.column("label_source").to_pylist(),
    )


def _faults(reasons: list[str]) -> list[str]:
    """Reading faults among a frame's rejection reasons; they stay whatever the rules say today."""
    return [name for name in reasons if name in FAULTS]


def _rejudged(lake: Lake, run_id: str, reasons: list[list[str]], flags: list[list[str]]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in _stored(lake, run_id):
        rows = slice(start, start + batch.num_rows)
        staged = batch.drop_columns(list(_GATE_COLUMNS))
        yield complete_rows(staged, rejection_reasons=reasons[rows], flags=flags[rows])
        start += batch.num_rows
