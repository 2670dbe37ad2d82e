"""An Airflow home of our own, set before anything imports Airflow; and the pod API with a small client."""

import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
os.environ |= {
    "AIRFLOW_HOME": tempfile.mkdtemp(prefix="meltlake-airflow-"),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",  # a busy machine
    "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
    "AIRFLOW__API_AUTH__JWT_SECRET": "only for tests " * 5,
    "AIRFLOW__MELTLAKE__POD_TEMPLATES": str(ROOT / "deploy" / "pods"),
    "AIRFLOW__MELTLAKE__QUIET_SECONDS": "0",
    "AIRFLOW__MELTLAKE__POLL_SECONDS": "0.05",
}

from lake.delta import Lake  # noqa: E402
from operators.scheduling.pod_devices import Devices  # noqa: E402
from operators.scheduling.pods import PodApi  # noqa: E402

PODS = "/api/v1/namespaces/meltlake/pods"


class PodClient:
    """Asks the pod API as a client over the wire would."""

    def __init__(self, api: PodApi, folder: Path | None = None) -> None:
        self.api = api
        self.folder = folder or Path()

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(self.api.url + path, method=method)
        request.add_header("Authorization", f"Bearer {token or self.api.token}")
        request.data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                text, is_json = reply.read().decode(), "json" in reply.headers["Content-Type"]
                return reply.status, json.loads(text) if is_json else text
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def run(self, name: str, code: str, *, gpus: int = 0, **spec: object) -> None:
        limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
        container = {"name": "base", "command": ["python", "-c"], "args": [code], "resources": {"limits": limits}}
        container |= {"terminationMessagePolicy": "FallbackToLogsOnError"}
        manifest = {"metadata": {"name": name, "labels": {"pod": name}}, "spec": {"containers": [container], **spec}}
        status, answer = self.ask("POST", PODS, manifest)
        assert status == 201, answer

    def phase(self, name: str) -> str | None:
        status, pod = self.ask("GET", f"{PODS}/{name}")
        return pod["status"]["phase"] if status == 200 else None

    def wait(self, name: str, *phases: str | None, timeout_s: float = 15.0) -> Any:
        deadline = time.monotonic() + timeout_s
        while (phase := self.phase(name)) not in phases:
            assert time.monotonic() < deadline, f"{name} stayed {phase}"
            time.sleep(0.02)
        return self.ask("GET", f"{PODS}/{name}")[1]

    def log(self, name: str, query: str = "") -> str:
        status, text = self.ask("GET", f"{PODS}/{name}/log?{query}")
        assert status == 200, text
        return str(text)

    def wait_for_log(self, name: str, wanted: str) -> None:
        self.wait(name, "Running", "Succeeded", "Failed")
        deadline = time.monotonic() + 15
        while wanted not in self.log(name):
            assert time.monotonic() < deadline, f"{name} never wrote {wanted}"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodClient]:
    """A machine with two virtual GPUs."""
    folder = tmp_path_factory.mktemp("machine") / "pods"
    environment = {**os.environ, "AIRFLOW__API_AUTH__JWT_SECRET": "secret", "MELTLAKE_LAKE": "/lake"}
    devices = Devices(("first", "second"), real=False)
    with PodApi(folder, devices=devices, environment=environment, stop_grace_s=1.0) as api:
        yield PodClient(api, folder)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("MELTLAKE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("MELTLAKE_LANDING", str(tmp_path / "landing"))
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def connected(client: PodClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PodClient:
    """Airflow's Kubernetes connection leads to the pod API."""
    client.api.write_kubeconfig(tmp_path / "kubeconfig")
    extra = {"kube_config_path": str(tmp_path / "kubeconfig"), "namespace": "meltlake"}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    return client
