"""Progress of the demo: what the scheduler is doing, line by line, until nothing is running and nothing is due."""

import sys
import time
from collections.abc import Callable
from typing import Any

from operators.log import log
from schemas.errors import TryAgainLater

_POLL_S = 2.0
_QUIET_S = 12.0
"""Longer than a landing event takes to become a DAG run, so that a pause is not taken for the end."""
_LONGEST_S = 3600.0
_SILENT_S = 300.0
"""An overloaded machine may keep Airflow from answering for a while; its own programs are started again meanwhile."""
_AGAIN = "Run it again: it goes on where it stopped."
_ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}


class Progress:
    """Follows the DAG runs of an embedded stack."""

    def __init__(self, api: Callable[[str], Any], *, is_due: Callable[[], bool]) -> None:
        self._api = api
        self._is_due = is_due
        self._told: set[tuple[str, str, str, int, str]] = set()

    def follow(self) -> None:
        """Return when no DAG run is queued or running and nothing is due any more.

        Raises
        ------
        TryAgainLater
            If that takes more than an hour, or Airflow is silent for minutes.
        """
        started = quiet_since = heard_at = time.monotonic()
        while time.monotonic() - started < _LONGEST_S:
            try:
                is_busy = self._tell()
                heard_at = time.monotonic()
            except OSError as error:
                if time.monotonic() - heard_at > _SILENT_S:
                    raise TryAgainLater(f"Airflow has not answered for minutes ({error}).", _AGAIN) from error
                is_busy = True
            now = time.monotonic()
            if is_busy:
                quiet_since = now
            elif now - quiet_since > _QUIET_S / 3 and not self._is_due():
                return
            elif now - quiet_since > 5 * _QUIET_S:
                log.warning("demo", stopped="the scheduler is idle although something is due; see `meltlake status`")
                return
            time.sleep(_POLL_S)
        raise TryAgainLater("The demo did not finish within an hour.", _AGAIN)

    def _tell(self) -> bool:
        """Tell what has changed; whether anything is queued or running."""
        active = self._api("dags/~/dagRuns?state=running&state=queued&limit=100")["dag_runs"]
        tasks = self._api("dags/~/dagRuns/~/taskInstances?limit=100&order_by=-start_date")["task_instances"]
        for task in reversed(tasks):
            line = (task["dag_id"], task["dag_run_id"], task["task_id"], task["map_index"], task["state"])
            if task["state"] in {*_ENDED, "running"} and line not in self._told:
                self._told.add(line)
                self._write(task)
        return bool(active)

    def _write(self, task: dict[str, Any]) -> None:
        subject = task.get("rendered_map_index") or ""
        seconds = f"{task['duration']:.0f} s" if task["state"] in _ENDED and task.get("duration") else ""
        sys.stderr.write(f"  {task['dag_id']:>8} . {task['task_id']:<22} {task['state']:<10} {seconds:>6}  {subject}\n")
