"""A part of Airflow that dies is started again, and takes along what it had started."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from operators.scheduling.airflow_parts import AirflowParts, Part
from operators.scheduling.leftovers import Ledger, has_ended

SCHEDULER = """
import os, subprocess, time
worker = subprocess.Popen(["sleep", "60"], process_group=0)
print("began", os.getpid(), worker.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    one = Part(
        "scheduler", [sys.executable, "-c", SCHEDULER], environment=os.environ, home=tmp_path,
        ledger=Ledger(tmp_path / "pids.json"),
    )  # fmt: skip
    one.pauses_s = (0.2, 0.3)
    one.start()
    yield one
    one.end_the_rest()


def _wait(condition: Callable[[], object], part: Part) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        part.look_after()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _starts(part: Part) -> list[list[str]]:
    return [line.split()[1:] for line in part.log_path.read_text().splitlines()]


def test_part_that_was_killed_is_started_again_without_its_old_workers(part: Part) -> None:
    _wait(lambda: len(_starts(part)) == 1, part)
    program, worker = (psutil.Process(int(pid)) for pid in _starts(part)[0])
    program.kill()
    _wait(lambda: len(_starts(part)) == 2, part)
    assert has_ended(worker)
    assert part.code() is None


def test_part_that_keeps_ending_is_given_up(part: Part) -> None:
    for n_starts in (1, 2, 3):
        _wait(lambda n_starts=n_starts: len(_starts(part)) == n_starts, part)  # type: ignore[misc]
        assert not part.is_hopeless
        psutil.Process(int(_starts(part)[-1][0])).kill()
    _wait(lambda: part.is_hopeless, part)
    part.look_after()
    assert len(_starts(part)) == 3


def test_part_that_is_asked_to_stop_leaves_nothing(part: Part, tmp_path: Path) -> None:
    _wait(lambda: len(_starts(part)) == 1, part)
    processes = [psutil.Process(int(pid)) for pid in _starts(part)[0]]
    part.ask_to_stop()
    part.wait(5)
    part.end_the_rest()
    assert all(map(has_ended, processes))
    assert (tmp_path / "pids.json").read_text() == "{}"


@pytest.mark.usefixtures("own_log")
def test_parts_that_cannot_be_started_are_not_said_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "airflow"
    home.mkdir()
    parts = AirflowParts(os.environ, home, Ledger(tmp_path / "pids.json"))
    shutil.rmtree(home)
    parts.start()
    deadline = time.monotonic() + 10
    while parts.are_running and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not parts.are_running
    assert "database.log" in capsys.readouterr().err
