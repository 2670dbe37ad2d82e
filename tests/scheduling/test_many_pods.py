"""A thousand pods through the loopback API: files, memory and processes are what they were before."""

import gc
import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from operators.scheduling.pod_devices import Devices
from operators.scheduling.pods import PodApi
from tests.scheduling.conftest import PODS, PodClient

N_AT_ONCE = 20
SEEN = {"metadata": {"labels": {"already_checked": "True"}}}


def _figures(folder: Path) -> dict[str, int]:
    gc.collect()
    process = psutil.Process()
    return {
        "files": process.num_fds(),
        "threads": threading.active_count(),
        "processes": len(process.children(recursive=True)),
        "memory_kb": process.memory_info().rss // 1024,
        "paths": len(list(folder.iterdir())),
    }


def _run(client: PodClient, first: int, n_pods: int) -> None:
    """No-op pods, so many at once, each looked after as Airflow does: created, read, log followed, labelled."""
    for start in range(first, first + n_pods, N_AT_ONCE):
        names = [f"noop-{number}" for number in range(start, min(start + N_AT_ONCE, first + n_pods))]
        for name in names:
            spec = {"containers": [{"name": "base", "command": ["true"], "env": [{"name": "A", "value": "x" * 200}]}]}
            labels = {"dag_id": "many", "map_index": name.split("-")[1]}
            assert client.ask("POST", PODS, {"metadata": {"name": name, "labels": labels}, "spec": spec})[0] == 201
        for name in names:
            client.wait(name, "Succeeded")
            assert client.log(name, "follow=True&timestamps=True") == ""
            assert client.ask("PATCH", f"{PODS}/{name}", SEEN)[0] == 200
        assert client.ask("GET", f"{PODS}?labelSelector=dag_id%3Dmany,already_checked!%3DTrue")[1]["items"] == []


@pytest.mark.long
def test_thousand_pods_leave_nothing_behind(tmp_path: Path) -> None:
    devices = Devices(("one",), real=False)
    with PodApi(tmp_path / "pods", devices=devices, environment=os.environ, most_ended=100) as api:
        client = PodClient(api)
        _run(client, 0, 200)
        before, began = _figures(tmp_path / "pods"), time.monotonic()
        _run(client, 200, 1000)
        seconds, after = time.monotonic() - began, _figures(tmp_path / "pods")
        print(f"1000 pods in {seconds:.0f} s; before {before}; after {after}")
    assert {name: after[name] for name in ("files", "threads", "processes", "paths")} == {
        name: before[name] for name in ("files", "threads", "processes", "paths")
    }
    assert after["memory_kb"] - before["memory_kb"] < 20_000
