"""What holds for every lake that a test makes, whatever the test is about."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pytest
import structlog

import operators.log
from lake.delta import Lake


@pytest.fixture(autouse=True)
def every_frame_is_stored_and_judged(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test with a folder of its own: every run has all its frames, each accepted or rejected with a reason."""
    has_folder = "tmp_path" in request.fixturenames and request.node.get_closest_marker("rows_by_hand") is None
    folder: Path | None = request.getfixturevalue("tmp_path") if has_folder else None
    yield
    for table in sorted(folder.rglob("runs/_delta_log")) if folder else ():
        _check(Lake(str(table.parents[1])))


def _check(lake: Lake) -> None:
    for run in lake.rows("runs").to_pylist():
        if run["reader_version"] is None:
            continue  # a row that a test wrote by hand
        accepted, reasons = [], []
        for batch in lake.frame_batches(run["run_id"], ("accepted", "rejection_reasons")):
            accepted += batch.column("accepted").to_pylist()
            reasons += pc.list_value_length(batch.column("rejection_reasons")).to_pylist()
        assert len(accepted) == run["n_frames"] == run["n_accepted"] + run["n_rejected"], run["run_id"]
        assert sum(accepted) == run["n_accepted"], run["run_id"]
        assert accepted == [not n_reasons for n_reasons in reasons], run["run_id"]


@pytest.fixture
def own_log() -> Iterator[None]:
    """Our log on stderr, as in a process of our own; Airflow, which other tests load, sends it elsewhere."""
    before = structlog.get_config()
    importlib.reload(operators.log)
    yield
    structlog.configure(**before)
