"""A task loses its worker, its triggerer, its pod, its patience: every time in both modes, with the real operator."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import KubernetesApiException
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchTimeoutException, PodManager
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from kubernetes.client.exceptions import ApiException

from operators.scheduling.leftovers import has_ended
from operators.scheduling.retries import BusyNow, HousePolicy, NeedsAPerson, Preempted
from schemas.errors import MeltlakeError, TryAgainLater
from tests.scheduling.conftest import PODS, PodClient
from tests.scheduling.lives import Notes, Task, resume, stored

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])

TRAINING = """
import os, pathlib, signal, sys, time
log = pathlib.Path({log!r})
log.open("a").write(f"began {{os.getpid()}}\\n")
def stop(*_):
    log.open("a").write("checkpoint\\n")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
time.sleep({seconds})
log.open("a").write("done\\n")
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def _training(log: Path, seconds: float) -> str:
    return TRAINING.format(log=str(log), seconds=seconds)


def _said(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def _wait_for(log: Path, word: str) -> None:
    deadline = time.monotonic() + 15
    while not (log.exists() and word in _said(log)):
        assert time.monotonic() < deadline, f"never {word}"
        time.sleep(0.02)


@MODES
def test_worker_that_was_lost_finds_its_pod_again(connected: PodClient, log: Path, deferrable: bool) -> None:
    task = Task(connected, f"lost-worker-{deferrable}", _training(log, 1.5), deferrable=deferrable)
    first = task.begin()
    task.run()
    assert task.pods == [first]
    assert _said(log) == ["began", "done"]


@MODES
def test_worker_that_died_before_it_noted_its_pod_finds_it_by_its_labels(
    connected: PodClient, log: Path, deferrable: bool
) -> None:
    task = Task(connected, f"unnoted-{deferrable}", _training(log, 1.0), deferrable=deferrable)
    first = task.begin()
    task.notes.clear()
    task.run()
    assert (task.pods, _said(log)) == ([first], ["began", "done"])


@MODES
def test_work_that_ended_while_nobody_watched_is_not_done_twice(
    connected: PodClient, log: Path, deferrable: bool
) -> None:
    task = Task(connected, f"unwatched-{deferrable}", _training(log, 0), deferrable=deferrable)
    first = task.begin()
    connected.wait(first, "Succeeded")
    task.run()
    assert (task.pods, _said(log)) == ([first], ["began", "done"])


def test_triggerer_that_was_lost_is_replaced_by_one_that_goes_on(connected: PodClient, log: Path) -> None:
    task = Task(connected, "lost-triggerer", _training(log, 1.0), deferrable=True)
    operator, context = task.next_try()
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    # The first triggerer is gone with all it knew; what Airflow stored makes another trigger.
    worker, context["ti"].try_number = task.next_try()[0], 1
    resume(worker, context, stored(stored(deferred.value.trigger)))
    assert len(task.pods) == 1
    assert _said(log) == ["began", "done"]


@MODES
def test_killed_pod_is_preempted_and_the_next_try_starts_another(
    connected: PodClient, log: Path, deferrable: bool
) -> None:
    task = Task(connected, f"killed-{deferrable}", _training(log, 30), deferrable=deferrable)
    first = task.begin()
    _wait_for(log, "began")
    os.kill(int(log.read_text().split()[1]), signal.SIGKILL)
    with pytest.raises(Preempted, match=r"Exit 137.*resumes"):
        task.run()
    second = task.begin()
    assert second != first
    connected.ask("DELETE", f"{PODS}/{second}?gracePeriodSeconds=0")


@MODES
def test_pod_that_vanishes_is_preempted(connected: PodClient, log: Path, deferrable: bool) -> None:
    task = Task(connected, f"vanished-{deferrable}", _training(log, 30), deferrable=deferrable)
    name = task.begin()
    _wait_for(log, "began")
    preempting = threading.Timer(1.0, connected.ask, ("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0"))
    preempting.start()
    with pytest.raises(Preempted, match=r"gone|killed"):
        task.run()
    preempting.join()


@MODES
def test_cancelled_task_ends_its_pod_with_a_checkpoint(connected: PodClient, log: Path, deferrable: bool) -> None:
    task = Task(connected, f"cancelled-{deferrable}", _training(log, 30), deferrable=deferrable)
    name = task.begin()
    _wait_for(log, "began")
    process = psutil.Process(int(log.read_text().split()[1]))
    operator, context = task.next_try()
    task.state = "failed"
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        asyncio.run(stored(deferred.value.trigger).on_kill())
    else:
        threading.Timer(1.5, operator.on_kill).start()
        with pytest.raises((AirflowException, ApiException)):
            operator.execute(context)
    connected.wait(name, None)
    assert _said(log) == ["began", "checkpoint"]
    assert has_ended(process)


@pytest.mark.parametrize("state", ["up_for_retry", "running", None])
def test_worker_that_is_stopped_leaves_the_pod_of_a_task_that_goes_on(
    connected: PodClient, log: Path, state: str | None
) -> None:
    task = Task(connected, f"given-up-{state}", _training(log, 1.5), deferrable=False)
    task.state = state
    operator, context = task.next_try()
    threading.Timer(0.5, operator.on_kill).start()
    operator.execute(context)
    assert len(task.pods) == 1
    assert _said(log) == ["began", "done"]


@MODES
def test_task_that_is_cancelled_while_its_pod_is_created_leaves_none(
    connected: PodClient, log: Path, deferrable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(connected, f"at-once-{deferrable}", _training(log, 30), deferrable=deferrable)
    task.state = "failed"
    operator, context = task.next_try()
    create, names = PodManager.create_pod, []

    def cancelled(self: PodManager, pod: Any) -> Any:
        names.append(pod.metadata.name)
        created = create(self, pod)
        operator.on_kill()
        return created

    monkeypatch.setattr(PodManager, "create_pod", cancelled)
    with pytest.raises((AirflowException, TaskDeferred)):
        operator.execute(context)
    connected.wait(names[0], None)


@MODES
def test_pod_that_never_starts_is_given_up_and_leaves_the_queue(connected: PodClient, deferrable: bool) -> None:
    connected.run("holds-both", "import time; time.sleep(60)", gpus=2)
    connected.wait("holds-both", "Running")
    task = Task(
        connected, f"queued-{deferrable}", "pass", deferrable=deferrable, node="gpu", schedule_timeout_seconds=1
    )
    with pytest.raises(AirflowException, match="too long to be scheduled") as caught:
        task.run()
    assert task.pods == []
    assert HousePolicy().evaluate(caught.value, 9, 20).action is RetryAction.RETRY
    connected.ask("DELETE", f"{PODS}/holds-both?gracePeriodSeconds=0")
    connected.wait("holds-both", None)


def test_pod_keeps_its_place_in_the_queue_while_the_cluster_does_not_answer(connected: PodClient) -> None:
    connected.run("holds-all", "import time; time.sleep(60)", gpus=2)
    task = Task(connected, "queued-on", "pass", deferrable=False, node="gpu")
    name = task.begin()
    operator, context = task.next_try()
    pod = operator.find_pod("meltlake", context)

    def lose_the_cluster() -> None:
        try:
            raise KubernetesApiException("no route to host")
        finally:
            operator.cleanup(pod, pod)

    with pytest.raises(KubernetesApiException, match="no route"):
        lose_the_cluster()
    assert task.pods == [name]
    connected.ask("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
    connected.ask("DELETE", f"{PODS}/holds-all?gracePeriodSeconds=0")
    connected.wait("holds-all", None)


def test_triggerer_that_cannot_watch_a_pod_leaves_it_to_the_next_try(connected: PodClient, log: Path) -> None:
    task = Task(connected, "unwatchable", _training(log, 1.5), deferrable=True)
    name = task.begin()
    operator, context = task.next_try()
    event = {"status": "error", "name": name, "namespace": "meltlake", "message": "502", "_redefer_count": 3}
    began = time.monotonic()
    with pytest.raises(AirflowException, match="502") as caught:
        operator.trigger_reentry(context, event)
    assert time.monotonic() - began < 1.0
    assert HousePolicy().evaluate(caught.value, 9, 20).action is RetryAction.RETRY
    task.run()
    assert (task.pods, _said(log)) == ([name], ["began", "done"])


@MODES
def test_failure_tells_cause_and_last_lines(connected: PodClient, deferrable: bool) -> None:
    said = "import sys; print('reading'); print('OUTCAR: needed forces, found none.'); sys.exit(65)"
    task = Task(connected, f"cause-{deferrable}", said, deferrable=deferrable)
    with pytest.raises(NeedsAPerson, match=r"Exit 65 \(Error\): bad input(.|\n)*reading\nOUTCAR: needed forces"):
        task.run()


@pytest.mark.parametrize(
    ("failure", "tries", "action", "waits"),
    [
        (Preempted("x"), 19, RetryAction.RETRY, 10),
        (BusyNow("x"), 19, RetryAction.RETRY, None),
        (TryAgainLater("x", "y"), 1, RetryAction.RETRY, None),
        (MeltlakeError("x", "y"), 1, RetryAction.FAIL, None),
        (ApiException(status=403, reason="exceeded quota"), 9, RetryAction.RETRY, None),
        (PodLaunchTimeoutException("x"), 9, RetryAction.RETRY, None),
        (KubernetesApiException("x"), 9, RetryAction.RETRY, None),
        (KeyError("x"), 2, RetryAction.RETRY, None),
        (KeyError("x"), 3, RetryAction.FAIL, None),
    ],
)
def test_policy_decides_by_what_went_wrong(failure: Exception, tries: int, action: RetryAction, waits: Any) -> None:
    decision = HousePolicy().evaluate(failure, tries, 20)
    assert decision.action is action
    assert decision.reason
    assert (decision.retry_delay and decision.retry_delay.total_seconds()) == waits


def test_bug_is_given_up_at_the_third_time_however_often_its_pod_was_preempted() -> None:
    context: Any = {"task_state_store": Notes()}
    ends = [Preempted("x"), KeyError("x"), Preempted("x"), KeyError("x"), Preempted("x"), KeyError("x"), KeyError("x")]
    actions = [HousePolicy().evaluate(end, n, 20, context).action for n, end in enumerate(ends, start=1)]
    again, final = RetryAction.RETRY, RetryAction.FAIL
    assert actions == [again, again, again, again, again, final, again]  # the last one after a person cleared it
