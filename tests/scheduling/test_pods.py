import asyncio
import os
import signal
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from kubernetes import client as kubernetes
from kubernetes import config

from operators.scheduling.leftovers import POD_MARK, Ledger, has_ended
from operators.scheduling.pod_devices import Devices
from operators.scheduling.pod_environment import settings_of
from operators.scheduling.pod_logs import PodLog
from operators.scheduling.pod_process import ContainerProcess
from operators.scheduling.pod_routes import label_test
from operators.scheduling.pods import PodApi
from tests.scheduling.conftest import PODS, PodClient

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def test_finished_pod_says_how_it_ended_and_keeps_its_log(client: PodClient) -> None:
    client.run("fine", "print('hello'); print('world')")
    pod = client.wait("fine", "Succeeded", "Failed")
    [status] = pod["status"]["containerStatuses"]
    assert pod["status"]["phase"] == "Succeeded"
    assert status["state"]["terminated"]["exitCode"] == 0
    assert client.log("fine") == "hello\nworld\n"


def test_failed_pod_carries_its_exit_code_and_last_lines(client: PodClient) -> None:
    client.run("bad", "import sys; print('what is wrong'); sys.exit(65)")
    [status] = client.wait("bad", "Succeeded", "Failed")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 65
    assert "what is wrong" in status["state"]["terminated"]["message"]


def test_command_that_does_not_exist_is_a_failure_with_its_reason_in_the_log(client: PodClient) -> None:
    container = {"name": "base", "command": ["no-such-command"]}
    client.ask("POST", PODS, {"metadata": {"name": "missing"}, "spec": {"containers": [container]}})
    [status] = client.wait("missing", "Failed")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 127
    assert "no-such-command" in client.log("missing")


def test_pod_sees_settings_but_no_secrets_of_the_scheduler(client: PodClient) -> None:
    client.run("settings", "import os; print(sorted(os.environ)); print(os.environ['MELTLAKE_LAKE'])")
    client.wait("settings", "Succeeded")
    assert "AIRFLOW" not in client.log("settings")
    assert "/lake" in client.log("settings")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE"])
def test_pod_reaches_the_network_as_its_launcher_does(name: str) -> None:
    assert settings_of({name: "here"})[name] == "here"


def test_values_of_the_manifest_win_over_the_launchers(client: PodClient) -> None:
    command = ["python", "-c", "import os; print(os.environ['MELTLAKE_LAKE'])"]
    container = {"name": "base", "command": command, "env": [{"name": "MELTLAKE_LAKE", "value": "elsewhere"}]}
    client.ask("POST", PODS, {"metadata": {"name": "valued"}, "spec": {"containers": [container]}})
    client.wait("valued", "Succeeded")
    assert client.log("valued") == "elsewhere\n"


def test_pods_queue_for_gpus_and_take_all_of_theirs_in_one_step(client: PodClient) -> None:
    client.run("both", SLEEP, gpus=2)
    client.wait("both", "Running")
    client.run("two-more", "print('mine')", gpus=2)
    client.run("one-more", "print('mine')", gpus=1)
    queued = client.ask("GET", f"{PODS}/two-more")[1]["status"]
    assert queued == {"phase": "Pending"}  # no PodScheduled condition: the operator's schedule timeout applies
    assert client.phase("one-more") == "Pending"  # first come, first served
    client.ask("DELETE", f"{PODS}/both?gracePeriodSeconds=1")
    client.wait("two-more", "Succeeded")
    client.wait("one-more", "Succeeded")


def test_queued_pod_is_deleted_at_once(client: PodClient) -> None:
    client.run("holder", SLEEP, gpus=2)
    client.wait("holder", "Running")
    client.run("waiter", SLEEP, gpus=1)
    client.ask("DELETE", f"{PODS}/waiter")
    assert client.phase("waiter") is None
    client.ask("DELETE", f"{PODS}/holder?gracePeriodSeconds=0")
    client.wait("holder", None)


def test_more_gpus_than_the_machine_has_are_refused(client: PodClient) -> None:
    container = {"name": "base", "command": ["true"], "resources": {"limits": {"nvidia.com/gpu": 3}}}
    status, answer = client.ask("POST", PODS, {"metadata": {"name": "big"}, "spec": {"containers": [container]}})
    assert (status, answer["reason"]) == (403, "Forbidden")


def test_real_gpus_are_exported_to_the_pod_that_holds_them() -> None:
    devices = Devices(("0", "1"), real=True)
    assert devices.environment(["1"]) == {"CUDA_VISIBLE_DEVICES": "1"}
    assert devices.environment([]) == {"CUDA_VISIBLE_DEVICES": ""}


def test_lines_are_stamped_when_they_are_written(client: PodClient) -> None:
    client.run("stamps", "import time; print(time.time(), flush=True); time.sleep(0.5); print(time.time())")
    client.wait("stamps", "Succeeded")
    for line in client.log("stamps", "timestamps=True").splitlines():
        stamp, said = line.split(" ")
        written = datetime.fromisoformat(stamp[:26]).replace(tzinfo=UTC).timestamp()
        assert abs(written - float(said)) < 0.2


def test_log_since_and_tail_give_the_end_only(client: PodClient) -> None:
    client.run("parts", "import time; print('a', flush=True); time.sleep(1.6); print('b'); print('c')")
    client.wait("parts", "Succeeded")
    assert client.log("parts", "tailLines=1") == "c\n"
    assert client.log("parts", "sinceSeconds=1") == "b\nc\n"
    assert client.log("parts", "sinceSeconds=60&tailLines=2&follow=false") == "b\nc\n"


def test_following_a_log_ends_with_the_process(client: PodClient) -> None:
    client.run("followed", "import time; print('first', flush=True); time.sleep(1); print('last', end='')")
    client.wait("followed", "Running")
    began = time.monotonic()
    assert client.log("followed", "follow=True") == "first\nlast\n"
    assert 0.5 < time.monotonic() - began < 10


def test_follower_that_went_away_holds_nothing_open(client: PodClient) -> None:
    client.run("silent", SLEEP)
    client.wait_for_log("silent", "up")
    before, deadline = psutil.Process().num_fds(), time.monotonic() + 10
    asked = f"GET {PODS}/silent/log?follow=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.api.token}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", client.api.port), timeout=10) as following:
        following.sendall(asked.encode())
        assert b"200" in following.recv(99)
        assert psutil.Process().num_fds() > before
    while psutil.Process().num_fds() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert psutil.Process().num_fds() == before
    client.ask("DELETE", f"{PODS}/silent?gracePeriodSeconds=0")


def test_line_with_carriage_returns_is_kept_whole(client: PodClient) -> None:
    client.run("progress", "print('step 1\\rstep 2\\rdone')")
    client.wait("progress", "Succeeded")
    assert client.log("progress") == "step 1\rstep 2\rdone\n"


def test_full_disk_costs_lines_of_the_log_and_nothing_else(client: PodClient, tmp_path: Path) -> None:
    code = f"while not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.05)\nprint('x' * 1_000_000)"
    client.run("flooded", f"import pathlib, time\n{code}")
    uid = client.wait("flooded", "Running")["metadata"]["uid"]
    log = client.folder / f"{uid}.base.log"
    log.unlink()
    log.symlink_to("/dev/full")
    (tmp_path / "go").touch()
    client.wait("flooded", "Succeeded")
    log.unlink()
    log.touch()
    assert client.log("flooded", "follow=True") == ""  # nobody follows it for ever


def test_lost_lines_are_told_when_there_is_room_again(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = PodLog(folder / "one.log")
    folder.rename(tmp_path / "away")
    log.write(b"first\nsecond\n")
    (tmp_path / "away").rename(folder)
    log.write(b"third\n")
    log.close()
    assert log.tail(9, 999) == "2 lines were lost: the disk was full or the log could not be opened\nthird\n"


def test_process_that_cannot_be_noted_runs_all_the_same(client: PodClient) -> None:
    unfinished = client.folder.with_name("pods.pids.tmp")
    unfinished.mkdir()  # so that the ledger cannot be written
    client.run("unnoted", "print('done')")
    client.wait("unnoted", "Succeeded")
    unfinished.rmdir()


def test_sigterm_that_comes_while_a_process_is_started_is_not_lost(tmp_path: Path) -> None:
    async def stopped_at_once() -> int | None:
        (tmp_path / "one").mkdir()
        environment = {"PATH": os.environ["PATH"], POD_MARK: "one"}
        spec = {"name": "base", "command": ["sleep", "60"]}
        container = ContainerProcess(spec, tmp_path / "one", environment, Ledger(tmp_path / "pids.json"))
        running = asyncio.create_task(container.run({}))
        await asyncio.sleep(0)
        container.send(signal.SIGTERM)
        await asyncio.wait([running], timeout=10)
        container.send(signal.SIGKILL)
        await running
        return container.exit_code

    assert asyncio.run(stopped_at_once()) == 143


def test_sigterm_leaves_time_for_a_checkpoint(client: PodClient, tmp_path: Path) -> None:
    kept = tmp_path / "checkpoint"
    trap = "import signal, sys, time, pathlib\ndef keep(*_):\n time.sleep(0.3); pathlib.Path(sys.argv[1]).touch()\n"
    code = f"{trap} sys.exit(143)\nsys.argv.append({str(kept)!r})\nsignal.signal(15, keep)\nprint('up', flush=True)\n"
    client.run("trained", f"{code}time.sleep(60)", terminationGracePeriodSeconds=10)
    client.wait_for_log("trained", "up")
    client.ask("DELETE", f"{PODS}/trained")
    client.wait("trained", None)
    assert kept.exists()


def test_pod_that_ignores_sigterm_is_killed_after_its_grace(client: PodClient) -> None:
    client.run("deaf", "import signal; signal.signal(15, signal.SIG_IGN)\n" + SLEEP)
    client.wait_for_log("deaf", "up")
    began = time.monotonic()
    status, _ = client.ask("DELETE", f"{PODS}/deaf", {"gracePeriodSeconds": 1})
    assert time.monotonic() - began < 0.5  # answers at once
    assert status == 200
    client.wait("deaf", None)
    assert 1 <= time.monotonic() - began < 5


def test_deadline_ends_a_pod_and_says_so(client: PodClient) -> None:
    client.run("late", SLEEP, activeDeadlineSeconds=0.5)
    pod = client.wait("late", "Failed")
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


def test_nothing_that_a_pod_started_survives_it(client: PodClient) -> None:
    start = "import subprocess; print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)"
    client.run("parent", start)
    client.wait("parent", "Succeeded")
    assert not _is_alive(int(client.log("parent")))


def test_names_are_taken_once_and_unknown_pods_are_not_found(client: PodClient) -> None:
    client.run("once", "pass")
    spec = {"containers": [{"name": "base", "command": ["true"]}]}
    assert client.ask("POST", PODS, {"metadata": {"name": "once"}, "spec": spec})[1]["reason"] == "AlreadyExists"
    assert client.ask("GET", f"{PODS}/never")[1]["reason"] == "NotFound"
    assert client.ask("GET", f"{PODS}/once/log?container=other")[0] == 400
    assert client.ask("GET", "/api/v1/nodes")[0] == 404


@pytest.mark.parametrize("spec", [{}, {"containers": [{"name": "base"}], "initContainers": [{"name": "first"}]}])
def test_manifest_that_would_run_differently_is_refused(client: PodClient, spec: dict[str, object]) -> None:
    status, answer = client.ask("POST", PODS, {"metadata": {"name": "odd"}, "spec": spec})
    assert (status, answer["reason"]) == (422, "Invalid")


def test_patch_merges_labels_and_selectors_find_them(client: PodClient) -> None:
    client.run("patched", "pass")
    client.ask("PATCH", f"{PODS}/patched", {"metadata": {"labels": {"already_checked": "True", "pod": None}}})
    _, found = client.ask("GET", f"{PODS}?labelSelector=already_checked%3DTrue,!pod")
    assert [pod["metadata"]["name"] for pod in found["items"]] == ["patched"]


@pytest.mark.parametrize(
    ("selector", "matches"),
    [("a=1", True), ("a==1,b!=2", True), ("a!=1", False), ("c!=1", True), ("a", True), ("!a", False), ("", True)],
)
def test_label_selectors_mean_what_kubernetes_means(selector: str, matches: bool) -> None:
    assert label_test(selector)({"a": "1", "b": "3"}) is matches


def test_selector_of_sets_is_refused_rather_than_misread(client: PodClient) -> None:
    assert client.ask("GET", f"{PODS}?labelSelector=pod%20in%20(a,b)")[1]["reason"] == "BadRequest"


def test_words_of_a_command_are_read_as_the_kubelet_reads_them(client: PodClient) -> None:
    said = ["$(MELTLAKE_LAKE)", "$$(MELTLAKE_LAKE)", "$(NEVER_SET)", "$$$$", "5$", "$(open"]
    container = {"name": "base", "command": ["python", "-c", "import sys; print(*sys.argv[1:])"], "args": said}
    client.ask("POST", PODS, {"metadata": {"name": "words"}, "spec": {"containers": [container]}})
    client.wait("words", "Succeeded")
    assert client.log("words") == "/lake $(MELTLAKE_LAKE) $(NEVER_SET) $$ 5$ $(open\n"


def test_pods_that_ended_are_forgotten_when_there_are_too_many(tmp_path: Path) -> None:
    with PodApi(tmp_path / "pods", most_ended=3) as api:
        client = PodClient(api)
        for name in ("seen", "first", "second", "third", "last"):
            client.run(name, "pass")
            client.wait(name, "Succeeded")
            if name == "seen":
                client.ask("PATCH", f"{PODS}/seen", {"metadata": {"labels": {"already_checked": "True"}}})
        left = client.ask("GET", PODS)[1]["items"]
        assert [pod["metadata"]["name"] for pod in left] == ["first", "second", "third", "last"]
        client.run("one-more", "pass")
        assert client.phase("first") is None
        assert len(list((tmp_path / "pods").glob("*.log"))) == 4


def test_nobody_without_the_token_is_answered(client: PodClient) -> None:
    for method, path in (("GET", PODS), ("POST", PODS), ("GET", "/version")):
        assert client.ask(method, path, token="wrong")[0] == 401


def test_header_that_is_no_text_is_refused_as_any_other(client: PodClient) -> None:
    with socket.create_connection(("127.0.0.1", client.api.port), timeout=10) as asking:
        asking.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\nConnection: close\r\n\r\n")
        assert asking.makefile("rb").readline().split()[1] == b"401"


def test_api_listens_on_the_loopback_address_only(client: PodClient) -> None:
    listening = [c for c in psutil.Process().net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    [ours] = [connection for connection in listening if connection.laddr.port == client.api.port]
    assert ours.laddr.ip == "127.0.0.1"
    assert ours.family is socket.AF_INET


def test_official_client_works_with_the_kubeconfig(client: PodClient, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    client.api.write_kubeconfig(path)
    core = kubernetes.CoreV1Api(config.new_client_from_config(str(path)))
    client.run("official", "print('hello')")
    client.wait("official", "Succeeded")
    assert path.stat().st_mode & 0o777 == 0o600
    assert core.read_namespaced_pod("official", "meltlake").status.phase == "Succeeded"
    reply = core.read_namespaced_pod_log("official", "meltlake", follow=True, _preload_content=False)
    assert reply.read() == b"hello\n"
    assert core.list_namespaced_event("meltlake").items == []


def test_stopping_the_api_stops_its_pods(tmp_path: Path) -> None:
    with PodApi(tmp_path / "pods", stop_grace_s=2.0) as api:
        client = PodClient(api)
        client.run("running", "import os; print(os.getpid(), flush=True)\n" + SLEEP)
        client.wait_for_log("running", "up")
        pid = int(client.log("running").split()[0])
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and not has_ended(psutil.Process(pid))
