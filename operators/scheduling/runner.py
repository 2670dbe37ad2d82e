"""The one operator of the house: runs `meltlake <verb> ...` in a pod. Which commands, and when, belongs in `dags`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodNotFoundException
from airflow.sdk import Context
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, AirflowTaskTimeout
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException

from operators.scheduling.cancelling import is_cancelled
from operators.scheduling.lineage_events import flow, operator_lineage
from operators.scheduling.metrics import tell_of_pod
from operators.scheduling.page.links import LINKS
from operators.scheduling.pod_templates import SECTION, pod_resources, pod_template
from operators.scheduling.retries import (
    NO_ANSWER,
    ClusterSaysNo,
    Preempted,
    hidden_lack_of_memory,
    is_gone,
    verdict,
)
from operators.scheduling.task_names import subject
from schemas.settings import Settings

_SECONDS_PER_DAY = 86400
_ENDED = {"Succeeded", "Failed"}


class RunnerOperator(KubernetesPodOperator):
    """Runs the command that a person would type, in a pod, and finds its result in the lake.

    Parameters
    ----------
    arguments
        What follows `meltlake` on the command line: `["observe", "--run", "3fa2..."]`.
    node
        Pod template to build on: `cpu`, or `gpu` for a pod that asks for a GPU.
    settings
        Anything else that the pod operator takes; it wins over the house's choices. Whether a waiting task holds a
        worker is not among them: `[operators] default_deferrable` says so for the whole installation.
    """

    operator_extra_links = LINKS
    _ti: Any = None

    def __init__(self, *, arguments: list[str], node: Literal["cpu", "gpu"] = "cpu", **settings: Any) -> None:
        house: dict[str, Any] = {
            "cmds": ["meltlake"],
            "name": settings.get("task_id"),
            # Results go through the lake. The sidecar needs a second container and the right to exec into pods.
            "do_xcom_push": False,
            # A worker that was lost comes back to its pod, by the name that it noted before.
            "durable": True,
            # With delete_pod, a worker lost at the last moment makes the next try run finished work again.
            "on_finish_action": "keep_pod",
            # A person who stops a task stops its pod, with as long as `dp` and `lmp` take to stop in an orderly way.
            "on_kill_action": "delete_pod",
            "termination_grace_period": 60,
            # A pod may wait for a GPU for days; the operator's default of two minutes would kill the queue.
            "schedule_timeout_seconds": 7 * _SECONDS_PER_DAY,
            # Pulling several gigabytes for the first time on a node.
            "startup_timeout_seconds": 900,
            "startup_check_interval_seconds": 1,
            # The last lines of the command become the task's error.
            "termination_message_policy": "FallbackToLogsOnError",
            "log_pod_spec_on_failure": False,
            # "0/3 nodes are available" is said by events only. While pods start, each look at them would make the
            # API server read all events of the namespace; of a pod that failed they are read once.
            "log_events_on_startup": False,
            "log_events_on_failure": True,
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

    def get_openlineage_facets_on_start(self) -> Any:
        """What the command reads and writes; Airflow's OpenLineage provider asks for it by this name."""
        return operator_lineage(flow(self.arguments, Settings.from_mapping(os.environ)))

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """The pod, on the template that the configuration names when the task runs (never while a DAG is parsed)."""
        if not (self.pod_template_file or self.pod_template_dict):
            template = pod_template(self.node)
            self.pod_template_file = str(template)
            self.container_resources = self.container_resources or pod_resources(template, self.arguments)
        kinds = (f"runner_image_{self.node}", "runner_image")
        self.image = self.image or next(filter(None, (conf.get(SECTION, kind, fallback=None) for kind in kinds)), None)
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        for container in pod.spec.containers:  # the kubelet would put a variable in place of the name of a file
            container.command, container.args = _verbatim(container.command), _verbatim(container.args)
        return pod

    def get_or_create_pod(self, pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
        """The pod of an earlier try, or a new one."""
        self._ti = context["ti"]
        pod = super().get_or_create_pod(pod_request_obj, context)
        if self._killed:  # cancelled while the cluster was asked: nobody else will know of this pod
            self.pod = pod
            super().on_kill()
        return pod

    def execute_sync(self, context: Context) -> Any:
        """Start or find the pod and wait for its end, holding a worker."""
        with _lost_pods_told():
            return super().execute_sync(context)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on after the triggerer has seen the pod end, or could not see it.

        If it could not see it too often, the operator would hold a worker until the pod has ended, and then fail the
        task whatever the end was; here the next try finds the pod.
        """
        self._ti = context["ti"]
        if event["status"] == "error" and event.get("_redefer_count", 0) >= self.MAX_REDEFER_ATTEMPTS:
            raise ClusterSaysNo(event["message"])
        with _lost_pods_told():
            try:
                return super().trigger_reentry(context, event)
            except AirflowException as failure:
                if type(failure) is AirflowException:  # what the triggerer was told by the cluster; it names no kind
                    raise ClusterSaysNo(str(failure)) from failure
                raise

    def on_kill(self) -> None:
        """On SIGTERM: stop the pod of a task that was ended; that of a task that goes on waits for its next try."""
        if isinstance(sys.exception(), AirflowTaskTimeout) or (self._ti and is_cancelled(self._ti)):
            super().on_kill()
        else:
            self.log.warning("This worker was asked to stop. The task goes on, and so does its pod.")

    def cleanup(
        self,
        pod: k8s.V1Pod,
        remote_pod: k8s.V1Pod,
        xcom_result: dict[str, Any] | None = None,
        context: Context | None = None,
    ) -> None:
        """The operator's own clean-up of a pod that ended, then the verdict on its exit code.

        Of a pod that has not ended the operator would say that it was dealt with, and the next try would start a
        second one beside it.
        """
        if self._killed or not remote_pod:
            return
        if not self._has_ended(remote_pod):
            if sys.exception() is None:  # a failure on its way up says more
                raise AirflowException(f"Pod {remote_pod.metadata.name} was given up before it ended.")
            return
        tell_of_pod(remote_pod, self.arguments[0], container=self.base_container_name)
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowSkipException:
            raise
        except AirflowException as failure:
            raise verdict(remote_pod, str(failure), container=self.base_container_name) from None
        if lack := hidden_lack_of_memory(remote_pod, container=self.base_container_name):
            raise lack

    def _has_ended(self, remote_pod: k8s.V1Pod) -> bool:
        """Whether the pod has ended; one that never began, so that its start was given up, is deleted.

        A running pod is left alone. So is one that waits, if it was the cluster that did not answer: the next try finds
        it at its place in the queue.
        """
        if remote_pod.status and remote_pod.status.phase in _ENDED:
            return True
        if isinstance(sys.exception(), NO_ANSWER):
            return False
        try:
            found = self.pod_manager.read_pod(remote_pod)
            if found.status.phase == "Pending":
                self._read_pod_events(found, reraise=False)
                self.pod_manager.delete_pod(found)
        except NO_ANSWER as error:
            self.log.warning("Pod %s cannot be looked at: %s", remote_pod.metadata.name, error)
        return False


def _verbatim(words: list[str] | None) -> list[str] | None:
    """Words as Kubernetes gives them on unchanged: it reads `$(NAME)` as a variable, and `$$` as `$`."""
    return words and [word.replace("$", "$$") for word in words]


@contextmanager
def _lost_pods_told() -> Iterator[None]:
    """A pod that is gone while somebody waits for it was preempted, deleted, or on a node that was lost."""
    try:
        yield
    except PodNotFoundException as error:
        raise Preempted(_GONE) from error
    except ApiException as error:
        if is_gone(error):
            raise Preempted(_GONE) from error
        raise


_GONE = (
    "The pod is gone: it was preempted or deleted, or its node was lost. The next try starts another one, "
    "which resumes from the checkpoint."
)
