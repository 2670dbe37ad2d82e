import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from operators.scheduling.leftovers import Ledger, has_ended

LAUNCHER = """
import sys, time, json, urllib.request
from pathlib import Path
from operators.scheduling.pods import PodApi
api = PodApi(Path(sys.argv[1])).start()
code = "import sys, signal, time; sys.argv[1] == 'deaf' and signal.signal(15, signal.SIG_IGN); time.sleep(60)"
spec = {"containers": [{"name": "base", "command": ["python", "-c", code, sys.argv[2]]}]}
body = json.dumps({"metadata": {"name": "one"}, "spec": spec}).encode()
url = api.url + "/api/v1/namespaces/meltlake/pods"
urllib.request.urlopen(urllib.request.Request(url, body, {"Authorization": "Bearer " + api.token}))
time.sleep(60)
"""


def _pod_of_killed_launcher(folder: Path, kind: str) -> psutil.Process:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(folder), kind])
    ledger, deadline = folder.with_suffix(".pids.json"), time.monotonic() + 20
    while not (ledger.exists() and (groups := json.loads(ledger.read_text()))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pod = psutil.Process(int(next(iter(groups))))
    time.sleep(0.3)  # until it ignores SIGTERM
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    return pod


def test_pods_end_with_a_launcher_that_was_killed(tmp_path: Path) -> None:
    pod = _pod_of_killed_launcher(tmp_path / "pods", "obedient")
    deadline = time.monotonic() + 5
    while not has_ended(pod) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert has_ended(pod)


def test_next_launcher_ends_what_survived_the_killed_one(tmp_path: Path) -> None:
    pod = _pod_of_killed_launcher(tmp_path / "pods", "deaf")
    assert not has_ended(pod)
    assert Ledger(tmp_path / "pods.pids.json").reap(grace_s=0.5) == 1
    assert has_ended(pod)


def test_ledger_of_a_machine_that_lost_its_power_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "pids.json").write_bytes(b"")
    assert Ledger(tmp_path / "pids.json").reap() == 0


def test_stranger_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    ledger = tmp_path / "pids.json"
    ledger.write_text(json.dumps({str(stranger.pid): time.time() - 3600}))
    assert Ledger(ledger).reap() == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_group_without_its_leader_is_recognised(tmp_path: Path) -> None:
    leader = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout is not None
    orphan = psutil.Process(int(leader.stdout.readline()))
    Ledger(tmp_path / "pids.json").add(leader.pid)
    os.kill(leader.pid, signal.SIGKILL)
    leader.wait()
    leader.stdout.close()
    assert Ledger(tmp_path / "pids.json").reap() == 1
    assert has_ended(orphan)


GUARDED = """
import subprocess, sys, time
from pathlib import Path
from operators.scheduling.leftovers import Guard, Ledger
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
Ledger(Path(sys.argv[1])).add(child.pid)
guard = Guard(Path(sys.argv[1]))
print(child.pid, guard._process.pid, flush=True)
time.sleep(60)
"""


def test_guard_ends_what_ignores_the_end_of_its_launcher(tmp_path: Path) -> None:
    command = [sys.executable, "-c", GUARDED, str(tmp_path / "pids.json")]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    child, guard = (psutil.Process(int(pid)) for pid in launcher.stdout.readline().split())
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    gone, alive = psutil.wait_procs([guard], timeout=25)
    assert (gone, alive) == ([guard], [])
    assert has_ended(child)
