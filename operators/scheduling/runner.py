"""The one operator of the house: runs `meltlake <verb> ...` in a pod. Which commands, and when, belongs in `dags`."""

from pathlib import Path
from typing import Any, Literal

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from kubernetes.client import models as k8s

from operators.scheduling.task_names import subject
from schemas.errors import (
    EXIT_BAD_INPUT,
    EXIT_STOPPED,
    EXIT_TRY_AGAIN,
    EXIT_USAGE,
    MeltlakeError,
    TryAgainLater,
)

SECTION = "meltlake"
"""Section of Airflow's configuration with our own settings."""

POLICY: dict[str, Any] = {
    # Eight tries carry a long training over as many lost nodes. The first delay is `[core] default_task_retry_delay`:
    # seconds in the embedded stack, a minute on a cluster.
    "retries": 8,
    "retry_exponential_backoff": 2.0,
    # Plans read the lake and campaign.toml. What a person must act on is not tried again.
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=TryAgainLater, action=RetryAction.RETRY),
            RetryRule(exception=MeltlakeError, action=RetryAction.FAIL),
        ]
    ),
    "map_index_template": "{{ task.subject | default('', true) }}",
}
"""For every DAG's `default_args`. Set in an operator's `__init__`, these would be lost on mapped tasks."""

_SECONDS_PER_DAY = 86400
_MEANING = {
    EXIT_BAD_INPUT: "bad input, a person must act; not retried",
    EXIT_USAGE: "the command line is wrong, which is a bug of the DAG; not retried",
    EXIT_TRY_AGAIN: "try again later",
    EXIT_STOPPED: "stopped by SIGTERM; the next try resumes from the checkpoint",
    137: "killed; the next try resumes from the checkpoint",
}
_FINAL = {EXIT_BAD_INPUT, EXIT_USAGE}


class RunnerOperator(KubernetesPodOperator):
    """Runs the command that a person would type, in a pod, and finds its result in the lake.

    Parameters
    ----------
    arguments
        What follows `meltlake` on the command line: `["observe", "--run", "3fa2..."]`.
    node
        Pod template to build on: `cpu`, or `gpu` for a pod that asks for a GPU.
    settings
        Anything else that the pod operator takes; it wins over the house's choices.
    """

    def __init__(self, *, arguments: list[str], node: Literal["cpu", "gpu"] = "cpu", **settings: Any) -> None:
        house: dict[str, Any] = {
            "cmds": ["meltlake"],
            "name": settings.get("task_id"),
            # Results go through the lake. The sidecar needs a second container and the right to exec into pods.
            "do_xcom_push": False,
            # With delete_pod, a worker lost at the last moment makes the next try run finished work again.
            "on_finish_action": "keep_pod",
            # As long as `dp` and `lmp` may take to stop in an orderly way.
            "termination_grace_period": 60,
            # A pod may wait for a GPU for days; the operator's default of two minutes would kill the queue.
            "schedule_timeout_seconds": 7 * _SECONDS_PER_DAY,
            # Pulling several gigabytes for the first time on a node.
            "startup_timeout_seconds": 900,
            "startup_check_interval_seconds": 1,
            # The last lines of the command become the task's error.
            "termination_message_policy": "FallbackToLogsOnError",
            "log_pod_spec_on_failure": False,
            # Reads all events of the namespace otherwise.
            "log_events_on_startup": False,
            # Deferred tasks show their log while they run.
            "logging_interval": 30,
            "container_name_log_prefix_enabled": False,
        }
        super().__init__(arguments=arguments, **(house | settings))
        self.node = node

    @property
    def subject(self) -> str:
        """What the command works on, to tell mapped tasks apart."""
        return subject(self.arguments)

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """The pod, on the template that the configuration names when the task runs (never while a DAG is parsed)."""
        if not (self.pod_template_file or self.pod_template_dict):
            self.pod_template_file = str(pod_template(self.node))
        self.image = self.image or conf.get(SECTION, "runner_image", fallback=None)
        return super().build_pod_request_obj(context, dry_run=dry_run)

    def cleanup(
        self,
        pod: k8s.V1Pod,
        remote_pod: k8s.V1Pod,
        xcom_result: dict[str, Any] | None = None,
        context: Context | None = None,
    ) -> None:
        """The operator's own clean-up, then the verdict on the exit code."""
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowSkipException:
            raise
        except AirflowException as failure:
            raise verdict(remote_pod, str(failure), container=self.base_container_name) from None
        if remote_pod and not self._killed and _reason(remote_pod, self.base_container_name) == "OOMKilled":
            # When only a child process was killed, the container may end with code 0 and this reason.
            raise AirflowException("The pod ran out of memory, although its command ended with code 0.")


def pod_template(node: str) -> Path:
    """Path of a pod template, from `[meltlake] pod_templates` (`AIRFLOW__MELTLAKE__POD_TEMPLATES`).

    Raises
    ------
    AirflowFailException
        If the setting or the file is missing.
    """
    folder = conf.get(SECTION, "pod_templates", fallback=None)
    if folder is None or not (path := Path(folder) / f"{node}.yaml").is_file():
        raise AirflowFailException(
            f"Needed the pod template {node}.yaml in the folder AIRFLOW__MELTLAKE__POD_TEMPLATES, found {folder}. "
            "`meltlake up` sets it; on a cluster it is in deploy/values.yaml."
        )
    return path


def verdict(pod: k8s.V1Pod, message: str, *, container: str = "base") -> AirflowException:
    """The exception that a failed pod deserves: one that stops retries for bad input, one that allows them else."""
    code = _exit_code(pod, container)
    meaning = _MEANING.get(code, "not one of ours, probably a bug; retried") if code is not None else "no exit code"
    reason = (pod.status.reason if pod.status else None) or _reason(pod, container) or "unknown reason"
    kind = AirflowFailException if code in _FINAL else AirflowException
    return kind(f"Exit {code} ({reason}): {meaning}.\n{message}")


def _terminated(pod: k8s.V1Pod, container: str) -> k8s.V1ContainerStateTerminated | None:
    statuses = (pod.status.container_statuses if pod.status else None) or []
    states = [status.state for status in statuses if status.name == container and status.state]
    return states[0].terminated if states else None


def _exit_code(pod: k8s.V1Pod, container: str) -> int | None:
    terminated = _terminated(pod, container)
    return None if terminated is None else terminated.exit_code


def _reason(pod: k8s.V1Pod, container: str) -> str | None:
    terminated = _terminated(pod, container)
    return None if terminated is None else terminated.reason
