"""What Airflow's OpenLineage provider is told of our tasks: which tables and files each command reads and writes."""

import re
from pathlib import Path

import pytest
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.utils.state import TaskInstanceState

from operators.help import VERBS
from operators.scheduling.lineage_events import READ_AND_WRITTEN, Flow, flow
from operators.scheduling.runner import RunnerOperator
from schemas.settings import Settings
from schemas.tables import TABLES
from tests.scheduling.conftest import ROOT

BUCKET = Settings.from_mapping({}, lake="s3://melts/lake", home="/shared", warehouse="/shared/warehouse.duckdb")


def test_every_command_that_is_planned_is_known_and_its_tables_exist() -> None:
    planned = "".join(
        path.read_text()
        for folder in ("operators/scheduling", "operators/stale", "dags")
        for path in (ROOT / folder).glob("*.py")
    )
    typed = set(re.findall(r'(?<![\w\])])\["([a-z]+)"', planned)) & set(VERBS)
    assert {"ingest", "observe", "train", "simulate", "publish"} <= typed
    assert typed <= {command.partition(" ")[0] for command in READ_AND_WRITTEN}
    assert {
        table for reads_and_writes in READ_AND_WRITTEN.values() for side in reads_and_writes for table in side
    } <= set(TABLES)


def test_every_table_is_written_by_a_planned_command_or_by_hand() -> None:
    by_hand = {"overrides", "experimental_rdf", "experimental_structure_factor"}
    of_failures = {"task_failures"}
    written = {table for _, writes in READ_AND_WRITTEN.values() for table in writes}
    assert written == set(TABLES) - by_hand - of_failures


def test_a_training_reads_its_set_and_writes_a_potential() -> None:
    told = flow(["train", "2272c04e3166", "--recipe", "DP-2", "--seed", "1"], BUCKET)
    artifacts = str(BUCKET.artifacts)
    assert told.inputs == ("s3://melts/lake/training_sets", f"{artifacts}/training_sets/2272c04e3166")
    tables = ("potentials", "learning_curves", "model_cards", "closest_pairs", "neighbour_maxima")
    assert told.outputs == (*(f"s3://melts/lake/{table}" for table in tables), f"{artifacts}/potentials")


def test_ingested_places_are_named_and_options_are_not(tmp_path: Path) -> None:
    told = flow(["ingest", "s3://in/a b", str(tmp_path), "--part", "3/8"], BUCKET)
    assert told.inputs == ("s3://in/a b", str(tmp_path))
    assert "s3://melts/lake/frames" in told.outputs


def test_observables_of_runs_and_of_potentials_are_other_tables() -> None:
    of_run, of_potential = (flow(["observe", option, "x"], BUCKET) for option in ("--run", "--potential"))
    assert "s3://melts/lake/rdf" in of_run.outputs
    assert "s3://melts/lake/rmse" in of_potential.outputs
    assert not set(of_run.outputs) & set(of_potential.outputs)


def test_an_unknown_command_moves_nothing() -> None:
    assert flow(["lake", "compact"], BUCKET) == Flow((), ())


def test_the_provider_learns_it_from_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELTLAKE_LAKE", "s3://melts/lake")
    monkeypatch.setenv("MELTLAKE_WAREHOUSE", "/shared/warehouse.duckdb")
    task = RunnerOperator(task_id="publish", arguments=["publish"])
    run = type("Run", (), {"run_id": "asset__1"})
    told = ExtractorManager().extract_metadata(run, task, TaskInstanceState.RUNNING, None)
    assert ("s3://melts", "lake/frames") in {(one.namespace, one.name) for one in told.inputs}
    assert [(one.namespace, one.name) for one in told.outputs] == [
        ("s3://melts", "lake/recipes"),
        ("s3://melts", "lake/experiments"),
        ("file", "/shared/warehouse.duckdb"),
    ]
