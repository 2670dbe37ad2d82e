"""Every pod that a DAG can ask for is one that an API server takes, and that a locked-down namespace admits."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import ApiClient

from operators.scheduling.pod_manifest import quantity
from operators.scheduling.runner import RunnerOperator
from schemas.recipes import RECIPES
from tests.scheduling.conftest import ROOT

TEMPLATES = ROOT / "deploy" / "pods"
VERBS = {
    "ingest": ["ingest", "/meltlake/landing/2026 $(HOME) {{ 1 }}/OUTCAR"],
    "gate": ["validate", "--require", "3fa2"],
    "observe": ["observe", "--run", "3fa2"],
    "compare": ["observe", "--run", "9c41"],
    "materialize": ["materialize", "--compositions", "Al100", "--hold-out", "Al50Ni50"],
    "train": ["train", "1f", "--recipe", "DP-small", "--seed", "1"],
    "simulate": ["simulate", "2e", "--protocol", "twin", "--composition", "Al100"],
    "publish": ["publish"],
    "report": ["report"],
}
"""A command for every task that runs a pod."""


@pytest.fixture(scope="module")
def runners() -> dict[str, Any]:
    """Every task of every DAG that runs a pod, with a command of its verb."""
    tasks = [task for dag in DagBag(str(ROOT / "dags")).dags.values() for task in dag.tasks]
    mapped = {task.task_id: task.partial_kwargs.get("node", "cpu") for task in tasks if task.is_mapped}
    plain = {task.task_id: task.node for task in tasks if isinstance(task, RunnerOperator)}
    return plain | mapped


def _pod(task_id: str, node: Any, arguments: list[str]) -> dict[str, Any]:
    operator = RunnerOperator(task_id=task_id, arguments=arguments, node=node, namespace="meltlake")
    pod = ApiClient().sanitize_for_serialization(operator.build_pod_request_obj(dry_run=True))
    assert isinstance(pod, dict)
    return pod


def test_there_is_a_command_here_for_every_task_that_runs_a_pod(runners: dict[str, Any]) -> None:
    assert set(runners) == set(VERBS)


@pytest.mark.parametrize("task_id", VERBS)
def test_pod_of_every_verb_meets_the_schema_of_kubernetes(runners: dict[str, Any], task_id: str) -> None:
    pod = _pod(task_id, runners[task_id], VERBS[task_id])
    kubernetes_validate.validate(pod, "1.37", strict=True)
    [container] = pod["spec"]["containers"]
    assert [container["command"], len(container["args"])] == [["meltlake"], len(VERBS[task_id])]
    for kind in ("requests", "limits"):
        assert {"memory"} <= set(container["resources"][kind])
        assert all(quantity(number) > 0 for number in container["resources"][kind].values())


@pytest.mark.parametrize("task_id", VERBS)
def test_pod_of_every_verb_meets_the_restricted_standard_and_writes_to_its_scratch_only(
    runners: dict[str, Any], task_id: str
) -> None:
    spec = _pod(task_id, runners[task_id], VERBS[task_id])["spec"]
    [container] = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not container["securityContext"].get("privileged")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (spec["automountServiceAccountToken"], spec["serviceAccountName"]) == (False, "meltlake-runner")
    assert not {"hostNetwork", "hostPID", "hostIPC"} & {name for name, value in spec.items() if value}
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
    assert spec["terminationGracePeriodSeconds"] == 60


def test_gpu_pods_wait_in_a_queue_and_cpu_pods_do_not(runners: dict[str, Any]) -> None:
    queues = {
        task_id: _pod(task_id, node, VERBS[task_id])["metadata"]["labels"].get("kueue.x-k8s.io/queue-name")
        for task_id, node in runners.items()
    }
    assert {task_id for task_id, queue in queues.items() if queue} == {"train", "simulate"}


def test_nodes_are_chosen_by_templates_only() -> None:
    for path in [*(ROOT / "dags").glob("*.py"), *(ROOT / "operators" / "scheduling").glob("*.py")]:
        text = path.read_text()
        for word in ("node_selector", "tolerations=", "affinity", "nodeSelector", "priority_class"):
            assert word not in text, path


def test_a_recipe_asks_for_what_the_file_says_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpu.yaml").write_text((TEMPLATES / "gpu.yaml").read_text())
    said = {
        "train": {"requests": {"memory": "20Gi"}},
        "train DP-14": {"limits": {"memory": "80Gi", "nvidia.com/gpu": 2}},
    }
    (tmp_path / "resources.yaml").write_text(json.dumps(said))
    monkeypatch.setenv("AIRFLOW__MELTLAKE__POD_TEMPLATES", str(tmp_path))
    [large], [small] = (
        _pod("train", "gpu", ["train", "1f", "--recipe", recipe])["spec"]["containers"] for recipe in ("DP-14", "DP-2")
    )
    assert large["resources"]["requests"] == small["resources"]["requests"] == {"cpu": "4", "memory": "20Gi"}
    assert large["resources"]["limits"] == {"memory": "80Gi", "nvidia.com/gpu": "2"}
    assert small["resources"]["limits"] == {"memory": "32Gi", "nvidia.com/gpu": "1"}


@pytest.mark.parametrize("text", ["train: 5", "- train", "train: {memory: 1Gi}", "train: [", "train: {limits: 3}"])
def test_resources_that_are_none_are_a_final_failure(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gpu.yaml").write_text((TEMPLATES / "gpu.yaml").read_text())
    (tmp_path / "resources.yaml").write_text(text)
    monkeypatch.setenv("AIRFLOW__MELTLAKE__POD_TEMPLATES", str(tmp_path))
    with pytest.raises(AirflowFailException, match=r"resources\.yaml.*Needed: verbs, or `train RECIPE`"):
        _pod("train", "gpu", ["train", "1f"])


def test_our_resources_name_verbs_and_recipes_that_exist() -> None:
    said = yaml.safe_load((TEMPLATES / "resources.yaml").read_text())
    commands = {arguments[0] for arguments in VERBS.values()}
    assert {key.split()[0] for key in said} <= commands
    assert {key.split()[1] for key in said if " " in key} <= set(RECIPES)
