import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from operators.scheduling.airflow_environment import airflow_environment, kept_secret
from operators.scheduling.leftovers import end_processes, has_ended
from operators.scheduling.stack import EmbeddedStack, free_port
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from tests.scheduling.conftest import ROOT

UP = [sys.executable, "-m", "operators.cli", "up", "--port", "0", "--json"]


def _settings(home: Path) -> Settings:
    return Settings.from_mapping({}, lake=str(home / "lake"), landing=str(home / "landing"))


def test_airflow_is_configured_for_the_loopback_address_without_anothers_settings(tmp_path: Path) -> None:
    ports = {"api": 1, "worker_log": 2, "trigger_log": 3}
    base = {"AIRFLOW__CORE__FERNET_KEY": "another's", "KUBECONFIG": "another's", "HOME": "/home"}
    environment = airflow_environment(_settings(tmp_path), tmp_path, ports=ports, base=base)
    assert "another's" not in environment.values()
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["MELTLAKE_LAKE"] == str(tmp_path / "lake")
    assert (tmp_path / "jwt.secret").stat().st_mode & 0o777 == 0o600
    again = airflow_environment(_settings(tmp_path), tmp_path, ports=ports, base=base)
    assert again["AIRFLOW__API_AUTH__JWT_SECRET"] == environment["AIRFLOW__API_AUTH__JWT_SECRET"]


def test_secret_that_was_never_written_is_made(tmp_path: Path) -> None:
    (tmp_path / "jwt.secret").touch()
    assert len(kept_secret(tmp_path / "jwt.secret")) == 96


def test_a_user_without_a_name_gets_one_since_airflow_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = {"api": 1, "worker_log": 2, "trigger_log": 3}
    monkeypatch.setattr(os, "getuid", lambda: 61234)
    nameless = airflow_environment(_settings(tmp_path), tmp_path, ports=ports, base={"HOME": "/home"})
    assert nameless["LOGNAME"] == "61234"
    named = airflow_environment(_settings(tmp_path), tmp_path, ports=ports, base={"USER": "somebody"})
    assert "LOGNAME" not in named


def test_taken_port_is_said() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(MeltlakeError, match=r"Port \d+ is taken"):
            free_port(taken.getsockname()[1])


def test_stack_of_a_lake_in_a_bucket_keeps_its_files_in_the_home_folder(tmp_path: Path) -> None:
    settings = Settings.from_mapping({"MELTLAKE_HOME": str(tmp_path)}, lake="s3://bucket/lake")
    assert EmbeddedStack(settings).home == tmp_path / "airflow"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(_settings(tmp_path_factory.mktemp("stack")), port=0) as stack:
        yield stack


@pytest.mark.slow
def test_stack_serves_five_dags_and_the_pools(running: EmbeddedStack) -> None:
    deadline = time.monotonic() + 120
    while len(dags := running.api("dags")["dags"]) < 5 and time.monotonic() < deadline:
        time.sleep(1)
    assert {dag["dag_id"] for dag in dags} == {"ingest", "observe", "train", "simulate", "report"}
    assert not any(dag["is_paused"] for dag in dags)
    assert running.api("importErrors")["import_errors"] == []
    assert {pool["name"] for pool in running.api("pools")["pools"]} == {"default_pool", "cpu", "gpu"}


@pytest.mark.slow
def test_stack_listens_on_the_loopback_address_only(running: EmbeddedStack) -> None:
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = {c.laddr for p in ours for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert running.port in {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


@pytest.mark.slow
def test_results_page_is_part_of_airflow(running: EmbeddedStack) -> None:
    with urllib.request.urlopen(f"{running.url}/meltlake/results/") as reply:
        assert b"no report yet" in reply.read()


@pytest.mark.slow
def test_task_of_a_run_with_a_deadline_can_be_cleared(running: EmbeddedStack) -> None:
    running.api("dags/report", {"is_paused": True}, method="PATCH")
    run = running.api("dags/report/dagRuns", {"logical_date": None})
    chosen = {"dag_run_id": run["dag_run_id"], "task_ids": ["publish"], "only_failed": False, "dry_run": False}
    assert running.api("dags/report/clearTaskInstances", chosen)["total_entries"] == 1
    running.api(f"dags/report/dagRuns/{run['dag_run_id']}", {"state": "failed"}, method="PATCH")
    running.api("dags/report", {"is_paused": False}, method="PATCH")


@pytest.mark.slow
def test_second_stack_on_the_same_home_is_refused(running: EmbeddedStack) -> None:
    with pytest.raises(MeltlakeError, match=f"runs already.*{running.url}"):
        EmbeddedStack(_settings(running.home.parent), port=0).start()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running(tmp_path: Path, number: signal.Signals) -> None:
    command = [*UP, "--lake", str(tmp_path / "lake"), "--landing", str(tmp_path / "landing")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    launcher = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert launcher.stdout is not None
    said = json.loads(launcher.stdout.readline())
    family = psutil.Process(launcher.pid).children(recursive=True)
    launcher.send_signal(number)
    launcher.wait(90)
    deadline = time.monotonic() + 120
    while not all(map(has_ended, family)) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = [process for process in family if not has_ended(process)]
    end_processes(left, grace_s=1)
    assert said["url"].startswith("http://127.0.0.1:")
    assert said["pid"] == launcher.pid
    assert launcher.stdout.read() == ""  # exactly one object
    assert len(family) > 5
    assert left == []
