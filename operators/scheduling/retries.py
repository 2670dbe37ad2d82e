"""What a failure means for the next try: how a pod's end becomes an exception, and which exceptions are tried again.

What is run belongs in `runner`, when in `dags`.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import (
    KubernetesApiException,
    PodLaunchFailedException,
)
from airflow.providers.cncf.kubernetes.utils.pod_manager import (
    PodLaunchTimeoutException,
    PodNotFoundException,
)
from airflow.sdk import NEVER_EXPIRE, Context, RetryDecision, RetryPolicy  # type: ignore[attr-defined]  # stub lags
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from operators.scheduling.alerts import tell_of_failure
from schemas.errors import EXIT_BAD_INPUT, EXIT_STOPPED, EXIT_TRY_AGAIN, EXIT_USAGE, MeltlakeError, TryAgainLater

_KILLED = 128 + 9
_OUT_OF_MEMORY = "OOMKilled"
_TRIES_OF_A_BUG = 3
_UNEXPECTED = "unexpected_ends"
_AFTER_PREEMPTION = timedelta(seconds=10)


class NeedsAPerson(AirflowFailException):
    """Bad input or a wrong command line: no further try, whatever the policy of the task."""


class BusyNow(AirflowException):
    """The command said that it may succeed later."""


class Preempted(AirflowException):
    """The pod was stopped, killed, evicted or lost: the next one resumes from its checkpoint."""


class OutOfMemory(AirflowException):
    """The pod needed more memory than its limit."""


class Unexpected(AirflowException):
    """The command ended as none of ours should."""


class ClusterSaysNo(AirflowException):
    """The triggerer could not watch the pod, or the pod was not started in time."""


NO_ANSWER = (ApiException, HTTPError, ConnectionError, KubernetesApiException)
"""What the cluster's API raises when it is away, overloaded, or refuses; the pod may be as well as before."""


_ENDINGS: dict[int, tuple[type[AirflowException], str]] = {
    EXIT_BAD_INPUT: (NeedsAPerson, "bad input, a person must act; not retried"),
    EXIT_USAGE: (NeedsAPerson, "the command line is wrong, which is a bug of the DAG; not retried"),
    EXIT_TRY_AGAIN: (BusyNow, "try again later"),
    EXIT_STOPPED: (Preempted, "stopped by SIGTERM; the next try resumes from the checkpoint"),
    _KILLED: (Preempted, "killed; the next try resumes from the checkpoint"),
}
_NO_CODE = (Preempted, "its node was lost or it was evicted; the next try resumes from the checkpoint")
_BUG = (Unexpected, "not one of ours, probably a bug; given up at the third time")
_MEMORY = (OutOfMemory, "more memory than its limit in resources.yaml; given up at the third time")


def verdict(pod: k8s.V1Pod, message: str, *, container: str = "base") -> AirflowException:
    """The exception that a failed pod deserves, with its exit code, the cause and the last lines."""
    ended = end_of(pod, container)
    code = ended and ended.exit_code
    reason = (pod.status.reason if pod.status else None) or (ended and ended.reason) or "unknown reason"
    kind, meaning = _NO_CODE if code is None else _ENDINGS.get(code, _BUG)
    if reason == _OUT_OF_MEMORY:
        kind, meaning = _MEMORY
    return kind(f"Exit {code} ({reason}): {meaning}.\n{message}")


def hidden_lack_of_memory(pod: k8s.V1Pod, *, container: str = "base") -> OutOfMemory | None:
    """The failure of a pod that looks successful: only a child process was killed, and its parent ended with 0."""
    if (ended := end_of(pod, container)) and ended.reason == _OUT_OF_MEMORY:
        return OutOfMemory("The pod ran out of memory, although its command ended with code 0.")
    return None


class HousePolicy(RetryPolicy):
    """Which failures are tried again, and when. Evaluated by the worker; `retries` bounds all of it.

    A lost node costs ten seconds, and no patience: its pod queues again anyway. What is busy, and a cluster that
    refuses for now (no quota, no answer), is asked again at growing intervals. A person's errors end at once, bugs at
    the third time: each further one would only heat a GPU. Tries that were preempted do not count against a bug.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - Airflow's signature
        context: Context | None = None,
    ) -> RetryDecision:
        """Retry, or fail, with the reason as the task's log shows it."""
        if isinstance(exception, Preempted | PodNotFoundException):
            return RetryDecision.retry(_AFTER_PREEMPTION, "preempted; the next pod resumes from the checkpoint")
        if isinstance(exception, TryAgainLater | BusyNow):
            return RetryDecision.retry(reason="busy; asked again at growing intervals")
        if isinstance(exception, MeltlakeError):
            return RetryDecision.fail("a person must act; not retried")
        if isinstance(exception, (*NO_ANSWER, ClusterSaysNo, PodLaunchFailedException, PodLaunchTimeoutException)):
            return RetryDecision.retry(
                reason="the cluster refuses or does not answer; asked again at growing intervals"
            )
        n_times = _n_unexpected(context, try_number)
        if n_times < _TRIES_OF_A_BUG:
            return RetryDecision.retry(reason=f"unexpected, for the {_NTH[n_times]} time; given up at the third")
        return RetryDecision.fail("unexpected, for the third time; a person must look")


_NTH = {1: "first", 2: "second"}


def _n_unexpected(context: Context | None, try_number: int) -> int:
    """How often the task ended as it should not, this time included; after the third time it is counted anew."""
    if context is None:
        return try_number
    store = context["task_state_store"]
    counted = store.get(_UNEXPECTED)
    n_times = 1 + (counted if isinstance(counted, int) else 0)
    store.set(_UNEXPECTED, n_times % _TRIES_OF_A_BUG, retention=NEVER_EXPIRE)
    return n_times


POLICY: dict[str, Any] = {
    # Enough for a long training on nodes that are taken away every few hours. The first delay is
    # `[core] default_task_retry_delay`: seconds in the embedded stack, a minute on a cluster.
    "retries": 20,
    "retry_exponential_backoff": 2.0,
    "retry_policy": HousePolicy(),
    "on_failure_callback": tell_of_failure,
    "map_index_template": "{{ task.subject | default('', true) }}",
}
"""For every DAG's `default_args`. Set in an operator's `__init__`, these would be lost on mapped tasks."""


def is_gone(error: ApiException) -> bool:
    """The cluster knows no such pod any more."""
    return bool(error.status == HTTPStatus.NOT_FOUND)


def end_of(pod: k8s.V1Pod, container: str) -> k8s.V1ContainerStateTerminated | None:
    """Exit code, reason and times of the container, where it has ended."""
    statuses = (pod.status.container_statuses if pod.status else None) or []
    states = [status.state for status in statuses if status.name == container and status.state]
    return states[0].terminated if states else None
