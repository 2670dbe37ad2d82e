"""Whether the SIGTERM that a worker got means that its pod shall stop. How pods are run belongs in `runner`.

Airflow sends the same signal for many reasons: a person has ended the task; its node is drained; its API server was
away for so long that Airflow gave the worker up, and another worker may be following the same pod already. Only what
became of the task tells them apart.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.sdk import TaskInstanceState

_log = logging.getLogger(__name__)
_PATIENCE_S = 3.0
"""Airflow ends a process for good five seconds after the signal."""

_GOES_ON = frozenset(
    {
        TaskInstanceState.RUNNING,
        TaskInstanceState.QUEUED,
        TaskInstanceState.SCHEDULED,
        TaskInstanceState.DEFERRED,
        TaskInstanceState.UP_FOR_RETRY,
    }
)


def is_cancelled(ti: Any) -> bool:
    """Whether the task was ended, so that nobody will look after its pod; not, if Airflow does not answer."""
    # In a thread, since the signal may have interrupted this one in the middle of a talk with Airflow.
    asking = ThreadPoolExecutor(1)
    try:
        state = asking.submit(_state_of, ti).result(_PATIENCE_S)
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known of the task
        _log.warning("Airflow does not say what became of the task: %r", error)
        return False
    finally:
        asking.shutdown(wait=False)
    _log.info("The task is %s.", state)
    return state not in _GOES_ON


def _state_of(ti: Any) -> str | None:
    states = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
    )  # fmt: skip
    state: str | None = next(iter(states.get(ti.run_id, {}).values()), None)
    return state
