"""Tells people what they would not look for: a task that was given up, a run of a DAG that is late.

Both are red or marked in Airflow and a line in its log. With `[meltlake] alert_url` (`AIRFLOW__MELTLAKE__ALERT_URL`)
they are also posted there as `{"text": ...}`, which is what chat webhooks take. Which failures are given up belongs in
`retries`.
"""

import asyncio
import json
import logging
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from http.client import HTTPException
from typing import Any

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference  # type: ignore[attr-defined]  # stub lags
from airflow.sdk.configuration import conf

_log = logging.getLogger(__name__)
_PATIENCE_S = 10.0
_MOST_CHARACTERS = 3000  # what chats show of one message
_HEAD_CHARACTERS = 1000
_ENDED = {"success", "failed"}


def late_after(**interval: float) -> DeadlineAlert:
    """An alert for a DAG's runs that have not ended that long after they were queued.

    Counted from the queue, since runs that assets start have no logical date.
    """
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        # Seconds, since nobody could clear a task: Airflow 3.3 counts deadlines anew then, and cannot read a timedelta.
        interval=timedelta(**interval).total_seconds(),
        callback=AsyncCallback(tell_of_lateness),
    )


async def tell_of_lateness(context: Mapping[str, Any] | None = None) -> str:
    """Called by the triggerer when a deadline is missed; the path of this function is in databases."""
    about = context or {}
    run, deadline = about.get("dag_run", {}), about.get("deadline", {})
    if run.get("state") in _ENDED:  # Airflow drops the deadlines of runs that succeeded, and not of those that failed
        return f"{run.get('dag_id')}: run {run.get('dag_run_id')} has ended and is not late."
    text = (
        f"{run.get('dag_id')} is late: run {run.get('dag_run_id')} is {run.get('state')}, "
        f"and should have ended by {deadline.get('deadline_time')}."
    )
    await asyncio.to_thread(_tell, text)
    return text


def tell_of_failure(context: Mapping[str, Any]) -> None:
    """Called by the worker when a task has failed for good: what it worked on, the cause, the last lines."""
    task = context["ti"]
    subject = getattr(context.get("task"), "subject", None)
    what = f"{task.dag_id}.{task.task_id}" + (f" of {subject}" if subject else "")
    cause = context.get("exception") or "Its worker was lost, and no try is left."
    _tell(f"{what} failed at try {task.try_number} (run {task.run_id}).\n{cause}")


def _tell(text: str) -> None:
    _log.warning("alert: %s", text)
    url = conf.get("meltlake", "alert_url", fallback=None)
    if not url:
        return
    if not url.startswith(("https://", "http://")):
        _log.error("alert_url is no http(s) address; nobody was told")
        return
    body = json.dumps({"text": _shortened(text)}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - above
    try:
        urllib.request.urlopen(request, timeout=_PATIENCE_S).close()  # noqa: S310
    except OSError as error:  # nobody's work fails because a chat is down; the address is a secret and stays unsaid
        _log.error("nobody was told, the webhook failed: %s", error)
    except HTTPException as error:  # it would say the address
        _log.error("nobody was told, the webhook failed: %s", type(error).__name__)


def _shortened(text: str) -> str:
    """Beginning and end of a long text: what failed, and the last lines."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_HEAD_CHARACTERS]}\n...\n{text[_HEAD_CHARACTERS + 5 - _MOST_CHARACTERS :]}"
