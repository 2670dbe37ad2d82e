"""One task's life without a scheduler: the real operator and trigger on the loopback pod API, and workers that die."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from airflow.triggers.base import BaseTrigger

from operators.scheduling.runner import RunnerOperator
from tests.scheduling.conftest import PODS, PodClient


class Notes(dict[str, Any]):
    """What Airflow keeps of a task from try to try."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        del retention
        self[key] = value


class Task:
    """A task instance: its tries share notes, as they would in Airflow's database."""

    def __init__(self, client: PodClient, name: str, code: str, *, deferrable: bool, **settings: Any) -> None:
        self._client, self.name, self._code = client, name, code
        self._settings = {"deferrable": deferrable, "poll_interval": 0.1} | settings
        self.notes = Notes()
        self.try_number = 0
        self.state: str | None = "running"
        """What Airflow says of the task; None if it does not answer."""

    def next_try(self) -> tuple[RunnerOperator, Any]:
        """A fresh worker's operator and context."""
        self.try_number += 1
        operator = RunnerOperator(task_id=self.name, cmds=["python"], arguments=["-c", self._code], **self._settings)
        ti = SimpleNamespace(dag_id="lives", task_id=self.name, map_index=-1, try_number=self.try_number)
        ti.xcom_push, ti.start_date, ti.run_id = lambda **_: None, datetime.now(UTC), "one"
        ti.get_task_states = self._states
        return operator, {"ti": ti, "run_id": "one", "dag": SimpleNamespace(), "task_state_store": self.notes}

    def run(self) -> None:
        """A try that nobody disturbs; raises what the task would fail with."""
        operator, context = self.next_try()
        try:
            operator.execute(context)
        except TaskDeferred as deferred:
            resume(operator, context, stored(deferred.trigger))

    def begin(self) -> str:
        """A try whose worker is lost as soon as its pod is there; the pod's name."""
        operator, context = self.next_try()
        operator.name = operator._set_name(operator.name)
        pod = operator.get_or_create_pod(operator.build_pod_request_obj(context), context)
        return str(pod.metadata.name)

    def _states(self, **_: object) -> dict[str, dict[str, str]]:
        if self.state is None:
            raise ConnectionError("the API server is away")
        return {"one": {self.name: self.state}}

    @property
    def pods(self) -> list[str]:
        """Names of all its pods that the cluster knows."""
        found = self._client.ask("GET", f"{PODS}?labelSelector=task_id%3D{self.name}")[1]
        return [pod["metadata"]["name"] for pod in found["items"]]


def stored(trigger: BaseTrigger) -> BaseTrigger:
    """The trigger as another triggerer makes it again from the database."""
    path, settings = trigger.serialize()
    again: BaseTrigger = import_string(path)(**settings)
    return again


def resume(operator: RunnerOperator, context: Any, trigger: BaseTrigger) -> None:
    """The trigger waits, then a worker goes on."""

    async def first_event() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    operator.trigger_reentry(context, asyncio.run(first_event()))
