"""Fourteen recipes x three seeds under Airflow: what is mapped, now and after data or recipes changed."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils import db

from lake.delta import Lake
from operators.scheduling import plans
from operators.scheduling.pod_devices import Devices
from operators.scheduling.pod_manifest import expanded
from operators.scheduling.pods import PodApi
from operators.scheduling.task_names import subject
from schemas.recipes import TABLE_1
from tests.scheduling.conftest import PODS, ROOT, PodClient
from tests.scheduling.lake_rows import freeze, ingest, run, trained

SWEEP = f"recipes = {json.dumps([recipe.name for recipe in TABLE_1])}\nseeds = [1, 2, 3]\n"


@pytest.fixture(scope="module")
def bag() -> DagBag:
    db.initdb()
    return DagBag(str(ROOT / "dags"))


@pytest.fixture
def sweep(lake: Lake, tmp_path: Path) -> Lake:
    """Two groups of runs, each with a training set, and the campaign of Table 1."""
    ingest(lake, run("Al100", "Al"), run("Zr100", "Zr"))
    freeze(lake, "of-al", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    freeze(lake, "of-zr", type_map=["Zr"], compositions=["Zr100"], runs=["zr100"])
    (tmp_path / "campaign.toml").write_text(SWEEP)
    return lake


def test_each_training_set_has_42_tasks_with_names_of_their_own(sweep: Lake) -> None:
    commands = plans.train_commands()
    assert Counter(command[1] for command in commands) == {"of-al": 42, "of-zr": 42}
    names = [subject(command) for command in commands]
    assert len(set(names)) == 84
    assert names[:4] == [f"DP-1 seed {seed} on of-al" for seed in (1, 2, 3)] + ["DP-2 seed 1 on of-al"]


def test_airflow_maps_one_task_to_each_of_them(sweep: Lake, bag: DagBag) -> None:
    sweep.remove("training_sets", "of-zr")
    dag = bag.dags["train"]
    dag.deadline = None  # `test` of Airflow 3.3.2 looks it up in the database, where only the Dag processor writes it
    done = dag.test(mark_success_pattern="materialize|train|observe")
    states = Counter((ti.task_id, ti.state) for ti in done.get_task_instances())
    assert states["train", "success"] == 42
    assert states["materialize", "success"] == 1, "the other set is there and left out"
    assert states["observe", "skipped"] == 1
    assert done.state == "success"


def test_what_is_there_is_left_out_and_only_what_changed_is_planned_again(sweep: Lake, tmp_path: Path) -> None:
    lab = SWEEP.replace("DP-14", "mine") + '[recipe.mine]\nbased_on = "DP-2"\naxis_neuron = 6\n'
    (tmp_path / "campaign.toml").write_text(lab)
    wanted = plans.campaign_work().wanted_potentials
    for one in wanted:
        trained(sweep, one.training_set_id, one.recipe, one.seed)
    assert plans.train_commands() == plans.materialize_commands() == []
    (tmp_path / "campaign.toml").write_text(lab.replace("axis_neuron = 6", "axis_neuron = 10"))
    assert {subject(command).split(" seed")[0] for command in plans.train_commands()} == {"mine"}
    assert len(plans.train_commands()) == 6


def test_grown_data_make_one_training_set_and_its_potentials_stale(sweep: Lake) -> None:
    for one in plans.campaign_work().wanted_potentials:
        trained(sweep, one.training_set_id, one.recipe, one.seed)
    ingest(sweep, run("Al100", "Al", run_id="more"))
    assert [subject(command) for command in plans.materialize_commands()] == ["Al100"]
    freeze(sweep, "of-more", type_map=["Al"], compositions=["Al100"], runs=["al100", "more"], lake_version=2)
    assert plans.materialize_commands() == []
    assert Counter(command[1] for command in plans.train_commands()) == {"of-more": 42}


@pytest.fixture
def cluster(sweep: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodApi]:
    """The pod API with one device, on the test's own lake, as Airflow's cluster."""
    environment = {**os.environ, "MELTLAKE_LAKE": sweep.root}
    with PodApi(tmp_path / "pods", devices=Devices(("one",), real=False), environment=environment) as api:
        api.write_kubeconfig(tmp_path / "kubeconfig")
        extra = {"kube_config_path": str(tmp_path / "kubeconfig"), "namespace": "meltlake"}
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))
        yield api


def test_a_training_that_fails_stops_no_other(cluster: PodApi, tmp_path: Path, bag: DagBag) -> None:
    (tmp_path / "campaign.toml").write_text('recipes = ["DP-1"]')
    done = bag.dags["train"].test()
    states = Counter((ti.task_id, ti.state) for ti in done.get_task_instances())
    assert states["train", "failed"] == 2, "both were tried: neither set has files to train on"
    assert states["plan_scores", "success"] == 1
    assert done.state == "failed"


def test_names_of_files_are_neither_templates_nor_variables(cluster: PodApi, tmp_path: Path, bag: DagBag) -> None:
    names = ["{{ 7*7 }} {# no #}", "$(MELTLAKE_LAKE)", "$$"]
    for name in names:
        (tmp_path / "landing" / name).mkdir(parents=True)
        (tmp_path / "landing" / name / "OUTCAR").write_bytes(b"")
    bag.dags["ingest"].test()
    pods = PodClient(cluster).ask("GET", f"{PODS}?labelSelector=task_id%3Dingest")[1]["items"]
    ran = [expanded(word, {"MELTLAKE_LAKE": "x"}) for pod in pods for word in pod["spec"]["containers"][0]["args"][1:]]
    assert sorted(ran) == sorted(str(tmp_path / "landing" / name) for name in names)
    said = [pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] for pod in pods]
    assert all(any(name in message for message in said) for name in names)
