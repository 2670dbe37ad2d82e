"""What is posted to a lab's webhook: tasks that were given up, runs that are late, and nothing where none is set."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.callback import CallbackTrigger

from operators.scheduling.alerts import late_after, tell_of_failure, tell_of_lateness
from operators.scheduling.runner import RunnerOperator

LATE: dict[str, Any] = {
    "dag_run": {"dag_id": "train", "dag_run_id": "asset__1", "state": "running"},
    "deadline": {"id": "d", "deadline_time": "2026-11-24T00:00:00Z"},
}


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A webhook on this machine, and what was posted to it."""
    received: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AIRFLOW__MELTLAKE__ALERT_URL", f"http://127.0.0.1:{server.server_port}/hook")
        yield received
        server.shutdown()


def _failure(operator: Any = None) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="ingest", task_id="ingest", try_number=1, run_id="asset__1")
    told = "Exit 65 (Error): bad input, a person must act; not retried.\nOUTCAR: needed forces"
    return {"ti": ti, "task": operator, "exception": Exception(told)}


def test_failure_is_told_with_what_it_worked_on_cause_and_last_lines(posted: list[dict[str, Any]]) -> None:
    tell_of_failure(_failure(RunnerOperator(task_id="ingest", arguments=["ingest", "/data/landing/2024/Al100"])))
    [message] = posted
    assert message["text"].startswith("ingest.ingest of 2024/Al100 failed at try 1 (run asset__1).\nExit 65")
    assert message["text"].endswith("OUTCAR: needed forces")


def test_late_run_is_told_by_the_triggerer_with_its_deadline(posted: list[dict[str, Any]]) -> None:
    callback = late_after(hours=6).callback

    async def told() -> list[Any]:
        return [event.payload["state"] async for event in CallbackTrigger(callback.path, {"context": LATE}).run()]

    assert asyncio.run(told()) == ["running", "success"]
    assert posted == [
        {"text": "train is late: run asset__1 is running, and should have ended by 2026-11-24T00:00:00Z."}
    ]


def test_run_that_failed_in_time_is_not_late(posted: list[dict[str, Any]]) -> None:
    asyncio.run(tell_of_lateness(LATE | {"dag_run": LATE["dag_run"] | {"state": "failed"}}))
    assert posted == []


def test_long_failure_is_told_with_its_first_and_last_lines(posted: list[dict[str, Any]]) -> None:
    long = "Exit 1 (Error): probably a bug.\n" + "frame of a stack\n" * 1000 + "KeyError: 'Al'"
    tell_of_failure(_failure() | {"exception": Exception(long)})
    [message] = posted
    assert "Exit 1" in message["text"]
    assert message["text"].endswith("KeyError: 'Al'")
    assert len(message["text"]) == 3000


def test_nobody_is_told_anything_by_default(posted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__MELTLAKE__ALERT_URL")
    tell_of_failure(_failure())
    assert posted == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret", "file:///etc/passwd", "http://lab/se cret"])
def test_webhook_that_is_down_or_none_stops_nothing_and_stays_secret(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__MELTLAKE__ALERT_URL", url)
    with caplog.at_level(logging.WARNING):
        tell_of_failure(_failure())
    assert "nobody was told" in caplog.text
    assert url not in caplog.text


def test_deadline_is_counted_from_the_queue_since_runs_of_assets_have_no_date() -> None:
    assert late_after(hours=6).reference.reference_name == "DagRunQueuedAtDeadline"
