"""Programs run beside us end when we end, in whatever way we end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from operators.processes import ProgramFailed, run
from schemas.errors import StoppedBySignal

ROOT = Path(__file__).parents[1]
# A wrapper like `lmp`: it starts the real program, which notes its process id and ignores nothing.
WRAPPER = "sleep 300 & echo $! > child; echo started; wait"
CALLER = f"""
from pathlib import Path
from operators.processes import run
run(["sh", "-c", {WRAPPER!r}], cwd=Path.cwd(), log_path=Path("log"))
"""


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def caller_and_grandchild(folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    caller = subprocess.Popen([sys.executable, "-c", CALLER], cwd=folder, env=environment, stderr=subprocess.PIPE)
    note = folder / "child"
    while not note.exists() or not note.read_text().strip():
        time.sleep(0.02)
    return caller, int(note.read_text())


def test_lines_arrive_one_by_one_and_are_logged(tmp_path: Path) -> None:
    heard: list[str] = []
    run(["sh", "-c", "echo one; echo two >&2"], cwd=tmp_path, log_path=tmp_path / "log", on_line=heard.append)
    assert heard == ["one", "two"]
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_second_run_goes_on_in_the_same_log(tmp_path: Path) -> None:
    for _ in range(2):
        run(["echo", "again"], cwd=tmp_path, log_path=tmp_path / "log")
    assert (tmp_path / "log").read_text() == "again\nagain\n"


@pytest.mark.parametrize(
    ("script", "cause", "exit_code"),
    [
        ("echo 'OOM when allocating tensor'; exit 1", "out of memory", 75),
        ("echo 'ResourceExhaustedError: model.ckpt-8; No space left on device'; exit 1", "disk full", 75),
        ("echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB'; exit 1", "out of memory", 75),
        ("echo 'OpenBLAS error: Memory allocation still failed after 10 retries, giving up.'; exit 1", "memory", 75),
        ("echo 'NaN detected in total loss'; exit 1", "not a number", 65),
        ("echo 'ERROR: unknown command'; exit 1", "bad input", 65),
        ("kill -9 $$", "by SIGKILL .killed.", 75),
        ("kill -SEGV $$", "by SIGSEGV .killed.", 75),
        ("exit 255", "with code 255 .bad input.", 65),
    ],
)
def test_a_failure_names_its_cause(tmp_path: Path, script: str, cause: str, exit_code: int) -> None:
    with pytest.raises(ProgramFailed, match=cause) as caught:
        run(["sh", "-c", script], cwd=tmp_path, log_path=tmp_path / "log")
    assert caught.value.exit_code == exit_code


def test_a_failure_keeps_the_last_lines_without_the_usual_noise(tmp_path: Path) -> None:
    script = "seq 50; echo 'implib-gen: libcudart.so.12: failed'; exit 3"
    with pytest.raises(ProgramFailed, match=r"code 3 .*: 50") as caught:
        run(["sh", "-c", script], cwd=tmp_path, log_path=tmp_path / "log")
    assert caught.value.last_lines == tuple(str(number) for number in range(31, 51))


def test_sigterm_stops_the_program_behind_a_wrapper(tmp_path: Path) -> None:
    def terminate(line: str) -> None:
        if line == "started":
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedBySignal, match="stopped by SIGTERM"):
        run(["sh", "-c", WRAPPER], cwd=tmp_path, log_path=tmp_path / "log", on_line=terminate)
    assert wait_until_gone(int((tmp_path / "child").read_text()), 1.0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_of_the_listener_leaves_no_program_behind(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise ValueError(f"cannot use {line}")

    with pytest.raises(ValueError, match="cannot use started"):
        run(["sh", "-c", WRAPPER], cwd=tmp_path, log_path=tmp_path / "log", on_line=fail)
    assert wait_until_gone(int((tmp_path / "child").read_text()), 1.0)


def test_killing_us_outright_ends_the_program_behind_a_wrapper(tmp_path: Path) -> None:
    caller, grandchild = caller_and_grandchild(tmp_path)
    with caller:
        caller.kill()
    assert wait_until_gone(grandchild)


def test_killing_its_guard_outright_ends_the_program_too(tmp_path: Path) -> None:
    def kill_the_guard(line: str) -> None:
        os.kill(int((Path("/proc") / line / "stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)

    with pytest.raises(ProgramFailed, match="by SIGKILL"):
        run(["sh", "-c", "echo $$; exec sleep 300"], cwd=tmp_path, log_path=tmp_path / "log", on_line=kill_the_guard)
    assert wait_until_gone(int((tmp_path / "log").read_text()), 1.0)


def test_sigterm_to_us_ends_us_and_the_program(tmp_path: Path) -> None:
    caller, grandchild = caller_and_grandchild(tmp_path)
    with caller:
        caller.terminate()
        _, complaint = caller.communicate(timeout=10)
    assert b"StoppedBySignal" in complaint
    assert not alive(grandchild)


def test_a_program_runs_outside_the_main_thread(tmp_path: Path) -> None:
    log = tmp_path / "log"
    thread = threading.Thread(target=run, args=(["echo", "hello"],), kwargs={"cwd": tmp_path, "log_path": log})
    thread.start()
    thread.join()
    assert log.read_text() == "hello\n"
