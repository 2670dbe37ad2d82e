import copy
import json
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from operators.scheduling.pod_routes import label_test
from operators.scheduling.pod_templates import pod_template
from operators.scheduling.retries import POLICY, BusyNow, NeedsAPerson, OutOfMemory, Preempted, Unexpected, verdict
from operators.scheduling.runner import RunnerOperator
from tests.scheduling.conftest import PODS, ROOT, PodClient


def _pod(operator: RunnerOperator) -> dict[str, Any]:
    pod = ApiClient().sanitize_for_serialization(operator.build_pod_request_obj(dry_run=True))
    assert isinstance(pod, dict)
    return pod


def _ended(phase: str, code: int, reason: str = "Error") -> k8s.V1Pod:
    state = k8s.V1ContainerState(terminated=k8s.V1ContainerStateTerminated(exit_code=code, reason=reason))
    container = k8s.V1ContainerStatus(name="base", image="", image_id="", ready=False, restart_count=0, state=state)
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="one", namespace="meltlake"),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base")]),
        status=k8s.V1PodStatus(phase=phase, container_statuses=[container]),
    )


@pytest.mark.parametrize(("node", "gpus"), [("cpu", None), ("gpu", "1")])
def test_pod_is_the_template_with_the_command_that_a_person_types(node: Any, gpus: str | None) -> None:
    operator = RunnerOperator(task_id="train", arguments=["train", "1f", "--recipe", "DP-2"], node=node, namespace="m")
    pod = _pod(operator)
    [container] = pod["spec"]["containers"]
    assert [*container["command"], *container["args"]] == ["meltlake", "train", "1f", "--recipe", "DP-2"]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == gpus
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    kubernetes_validate.validate(pod, "1.37", strict=True)


def test_misspelt_template_would_be_noticed() -> None:
    pod = _pod(RunnerOperator(task_id="one", arguments=["publish"], namespace="m"))
    broken = copy.deepcopy(pod)
    broken["spec"]["containers"][0]["comand"] = ["true"]
    with pytest.raises(kubernetes_validate.ValidationError, match="comand"):
        kubernetes_validate.validate(broken, "1.37", strict=True)


def test_runner_image_comes_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__MELTLAKE__RUNNER_IMAGE", "registry.lab/meltlake-runner@sha256:00")
    pod = _pod(RunnerOperator(task_id="one", arguments=["publish"], namespace="m"))
    assert pod["spec"]["containers"][0]["image"] == "registry.lab/meltlake-runner@sha256:00"
    monkeypatch.setenv("AIRFLOW__MELTLAKE__RUNNER_IMAGE_GPU", "registry.lab/meltlake-runner-gpu@sha256:11")
    images = {
        node: _pod(RunnerOperator(task_id="one", arguments=["train"], namespace="m", node=node))["spec"]["containers"]
        for node in ("cpu", "gpu")
    }
    assert [images[node][0]["image"][-10:] for node in images] == ["@sha256:00", "@sha256:11"]


def test_missing_templates_are_a_final_failure_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__MELTLAKE__POD_TEMPLATES", str(tmp_path))
    with pytest.raises(AirflowFailException, match=r"cpu\.yaml.*AIRFLOW__MELTLAKE__POD_TEMPLATES"):
        pod_template("cpu")


def test_mapped_tasks_keep_retries_pool_and_template() -> None:
    with DAG("one", schedule=None, default_args=POLICY) as dag:
        RunnerOperator.partial(task_id="train", node="gpu", pool="gpu").expand(
            arguments=[["train", "a"], ["train", "b"]]
        )
    mapped = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag)))).get_task("train")
    assert (mapped.retries, mapped.pool, mapped.retry_exponential_backoff) == (POLICY["retries"], "gpu", 2.0)
    assert "task.subject" in str(dag.get_task("train").map_index_template)
    assert dag.get_task("train").retry_policy is POLICY["retry_policy"]


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        (["observe", "--run", "3fa2"], "3fa2"),
        (["ingest", "/data/landing/2024/Al100"], "2024/Al100"),
        (["train", "1f", "--recipe", "DP-2", "--seed", "3", "--steps", "50"], "DP-2 seed 3 50 steps on 1f"),
        (
            ["simulate", "2e", "--protocol", "npt", "--composition", "Al100", "--temperature-k", "983"],
            "2e npt Al100 983 K",
        ),
        (
            ["materialize", "--compositions", "Al1", "Al2", "Al3", "Al4", "--runs", "b0"],
            "Al1 Al2 Al3 and 1 more of runs b0",
        ),
        (["validate", "--require", "b0", "c1"], "b0 c1"),
    ],
)
def test_mapped_tasks_are_told_apart_by_what_they_work_on(arguments: list[str], subject: str) -> None:
    assert RunnerOperator(task_id="one", arguments=arguments).subject == subject


@pytest.mark.parametrize(
    ("code", "reason", "kind", "meaning"),
    [
        (65, "Error", NeedsAPerson, "not retried"),
        (2, "Error", NeedsAPerson, "not retried"),
        (75, "Error", BusyNow, "later"),
        (143, "Error", Preempted, "resumes"),
        (137, "Error", Preempted, "resumes"),
        (137, "OOMKilled", OutOfMemory, r"resources\.yaml"),
        (1, "Error", Unexpected, "bug"),
    ],
)
def test_exit_code_and_reason_say_what_a_failure_means(code: int, reason: str, kind: Any, meaning: str) -> None:
    failure = verdict(_ended("Failed", code, reason), "last lines")
    assert type(failure) is kind
    with pytest.raises(kind, match=rf"Exit {code} \({reason}\): .*{meaning}.*\nlast lines"):
        raise failure


def test_evicted_pod_without_exit_code_is_retried() -> None:
    pod = k8s.V1Pod(status=k8s.V1PodStatus(phase="Failed", reason="Evicted"))
    with pytest.raises(Preempted, match=r"Evicted.*evicted"):
        raise verdict(pod, "last lines")


@pytest.mark.parametrize(("code", "kind"), [(65, NeedsAPerson), (75, BusyNow)])
def test_exit_code_of_a_real_pod_decides(connected: PodClient, code: int, kind: type[Exception]) -> None:
    said = f"import sys; print('why {code}'); sys.exit({code})"
    operator = RunnerOperator(task_id=f"exit{code}", cmds=["python"], arguments=["-c", said])
    pod = operator.build_pod_request_obj(dry_run=True)
    operator.pod_manager.create_pod(pod)
    connected.wait(pod.metadata.name, "Failed")
    remote = operator.pod_manager.read_pod(pod)
    with pytest.raises(kind, match=f"Exit {code}.*(\n.*)*why {code}") as caught:
        operator.cleanup(pod, remote)
    assert type(caught.value) is kind
    assert label_test("already_checked=True")(
        connected.ask("GET", f"{PODS}/{pod.metadata.name}")[1]["metadata"]["labels"]
    )


def test_pod_that_lost_a_child_to_the_memory_limit_is_no_success(connected: PodClient) -> None:
    operator = RunnerOperator(task_id="oom", arguments=["train"])
    connected.run("one", "pass")
    with pytest.raises(OutOfMemory, match="out of memory"):
        operator.cleanup(_ended("Succeeded", 0), _ended("Succeeded", 0, reason="OOMKilled"))


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_templates_pin_their_image(name: str) -> None:
    pod = yaml.safe_load((ROOT / "deploy" / "pods" / f"{name}.yaml").read_text())
    [container] = pod["spec"]["containers"]
    assert container["name"] == "base"
    assert not container["image"].endswith(":latest")
    assert ":" in container["image"]
