"""The default DAGs lose workers, triggerer, scheduler and pods in the middle of trainings, and end as they should.

With real processes and real trainings, in both modes of waiting: some twenty minutes. One stack per mode; the tests
of a mode build on each other.
"""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lake.delta import Lake
from operators.potentials.backends import checkpoints
from operators.potentials.deepmd_input import saved_every
from operators.scheduling.leftovers import has_ended
from operators.scheduling.stack import EmbeddedStack
from schemas.recipes import recipe_named
from schemas.settings import Settings
from tests.scheduling.laboratory import Laboratory, wait_until

STEPS = int(os.environ.get("MELTLAKE_TEST_STEPS", "15000"))
COMPOSITIONS = ("Al50Cu50", "Al25Cu75", "Al75Cu25")[: int(os.environ.get("MELTLAKE_TEST_LANDINGS", "3"))]
CAMPAIGN = f'recipes = ["DP-small"]\nseeds = [1, 2, 3]\nprotocols = ["twin"]\napprove = true\nsteps = {STEPS}\n'
INTERVAL = saved_every(recipe_named("DP-small").model_copy(update={"n_steps": STEPS}))

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module", params=[False, True], ids=["sync", "deferrable"])
def laboratory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    home = tmp_path_factory.mktemp("home")
    (home / "campaign.toml").write_text(CAMPAIGN)
    settings = Settings.from_mapping({}, lake=str(home / "lake"), landing=str(home / "landing"))
    deferrable = {"OPERATORS__DEFAULT_DEFERRABLE": str(request.param)}
    # What the other tests set for the process would not be the default settings that are measured here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        with EmbeddedStack(settings, port=0, airflow=deferrable) as stack:
            one = Laboratory(stack, settings, deferrable=request.param)
            wait_until(lambda: len(stack.api("dags")["dags"]) == 5, 600, "five DAGs")
            yield one
    assert one.processes_of_pods() == []


def _trainings(laboratory: Laboratory) -> list[dict[str, Any]]:
    return laboratory.tasks("train", "train")


def _folder_of(laboratory: Laboratory, seed: int) -> Path | None:
    """Where the potential of that seed is trained, once it is."""
    for path in (laboratory.settings.artifacts / "potentials").glob("[!.]*/input.json"):
        if json.loads(path.read_text())["model"]["descriptor"]["seed"] == seed:
            return path.parent
    return None


def _last_step(folder: Path) -> int:
    rows = [line.split() for line in (folder / "lcurve.out").read_text().splitlines() if "#" not in line]
    return int(rows[-1][0])


def _running_training(laboratory: Laboratory) -> tuple[dict[str, Any], dict[str, Any], Path] | None:
    """A training whose pod runs, has saved something and is not done for long: task instance, pod and folder."""
    for pod in laboratory.pods("train"):
        index = int(pod["metadata"]["labels"]["map_index"])
        folder = _folder_of(laboratory, index + 1)
        if pod["status"]["phase"] == "Running" and folder and 0 < max(checkpoints(folder), default=0) < 0.8 * STEPS:
            [task] = [one for one in _trainings(laboratory) if one["map_index"] == index]
            return task, pod, folder
    return None


def test_landing_to_running_dag_takes_less_than_ten_seconds(laboratory: Laboratory, record_property: Any) -> None:
    seconds = []
    laboratory.pause("train", paused=True)  # or it would begin with the first of them
    for number, composition in enumerate(COMPOSITIONS, start=1):
        n_before = len(laboratory.runs("ingest"))
        landed = laboratory.land(f"run-{number}", composition, seed=number)
        run = wait_until(
            lambda n=n_before: [one for one in laboratory.runs("ingest")[n:] if one["start_date"]], 120, "an ingest"
        )[0]
        seconds.append((datetime.fromisoformat(run["start_date"]) - landed).total_seconds())
        wait_until(lambda: all(one["state"] == "success" for one in laboratory.runs("ingest")), 900, "ingested")
    print(f"landing to running DAG: {', '.join(f'{one:.1f}' for one in seconds)} s")
    record_property("landing_to_running_s", max(seconds))
    laboratory.pause("train", paused=False)
    assert max(seconds) < 10


def test_trainings_queue_for_the_devices_that_there_are(laboratory: Laboratory) -> None:
    n_devices = os.cpu_count() or 1
    laboratory.trigger("train")
    wait_until(lambda: len(laboratory.pods("train")) >= 3, 900, "three pods")
    for _ in range(10):
        phases = list(laboratory.phases("train").values())
        assert phases.count("Running") <= n_devices
        time.sleep(0.5)
    if n_devices < 3:
        assert "Pending" in phases


def test_killed_worker_or_triggerer_costs_no_pod(laboratory: Laboratory) -> None:
    wait_until(lambda: "Running" in laboratory.phases("train").values(), 300, "a training")
    before = set(laboratory.phases("train"))
    if laboratory.deferrable:
        wait_until(lambda: {"deferred"} == {one["state"] for one in _trainings(laboratory)}, 300, "deferred")
        [triggerer] = laboratory.parts("triggerer")
        triggerer.kill()
        wait_until(lambda: [p for p in laboratory.parts("triggerer") if p != triggerer], 60, "another")
        wait_until(laboratory.healthy, 600, "a healthy triggerer")
        assert {one["try_number"] for one in _trainings(laboratory)} == {1}
    else:
        wait_until(lambda: {"running"} == {one["state"] for one in _trainings(laboratory)}, 300, "running")
        for one in _trainings(laboratory):
            [worker] = laboratory.processes(rf"airflow worker -- LocalExecutor.*{one['id']}")
            worker.kill()
        wait_until(lambda: all(one["try_number"] == 2 for one in _trainings(laboratory)), 600, "second tries")
        wait_until(lambda: {"running"} == {one["state"] for one in _trainings(laboratory)}, 300, "running again")
    assert set(laboratory.phases("train")) == before


def test_killed_scheduler_is_replaced_and_costs_no_pod(laboratory: Laboratory) -> None:
    before = set(laboratory.phases("train"))
    [scheduler] = laboratory.parts("scheduler")
    scheduler.kill()
    wait_until(lambda: [p for p in laboratory.parts("scheduler") if p != scheduler], 60, "another scheduler")
    wait_until(laboratory.healthy, 600, "a healthy scheduler")
    time.sleep(70)  # longer than a lost task's last sign of life counts
    assert set(laboratory.phases("train")) == before


def test_killed_pod_is_followed_by_one_that_resumes(laboratory: Laboratory) -> None:
    task, pod, folder = wait_until(lambda: _running_training(laboratory), 900, "a training with a checkpoint")
    for process in laboratory.processes_of_pods(pod["metadata"]["uid"]):
        process.send_signal(signal.SIGKILL)
    index = str(task["map_index"])
    wait_until(
        lambda: sum(p["metadata"]["labels"]["map_index"] == index for p in laboratory.pods("train")) == 2, 600, "a pod"
    )
    laboratory.resumed.append(folder)


def test_cancelled_training_leaves_no_process_and_loses_one_interval_at_most(laboratory: Laboratory) -> None:
    task, pod, folder = wait_until(lambda: _running_training(laboratory), 900, "a training with a checkpoint")
    processes = laboratory.processes_of_pods(pod["metadata"]["uid"])
    laboratory.mark_failed(task)
    wait_until(lambda: all(map(has_ended, processes)), 180, "the end of its processes")
    wait_until(lambda: pod["metadata"]["name"] not in laboratory.phases("train"), 60, "its pod gone")
    assert _last_step(folder) - max(checkpoints(folder)) <= INTERVAL
    laboratory.clear(task)
    laboratory.resumed.append(folder)


def test_bad_input_fails_at_the_first_try(laboratory: Laboratory) -> None:
    broken = Path(laboratory.settings.landing) / "broken"
    broken.mkdir()
    (broken / "OUTCAR").write_bytes(b"")
    wait_until(lambda: "failed" in {one["state"] for one in laboratory.tasks("ingest", "ingest")}, 600, "a failure")
    [failed] = [one for one in laboratory.tasks("ingest", "ingest") if one["state"] == "failed"]
    assert failed["try_number"] == 1
    assert failed["rendered_map_index"] == "landing/broken"


def test_all_is_done_in_the_end_and_nothing_twice(laboratory: Laboratory) -> None:
    wait_until(lambda: {"success"} == {one["state"] for one in _trainings(laboratory)}, 3000, "trained")
    assert all("restart from model" in (folder / "train.log").read_text() for folder in laboratory.resumed)
    lake = Lake(laboratory.settings.lake)
    assert sorted(row["seed"] for row in lake.rows("potentials").to_pylist()) == [1, 2, 3]
    assert {row["n_steps"] for row in lake.rows("potentials").to_pylist()} == {STEPS}
    for seed in (1, 2, 3):
        folder = _folder_of(laboratory, seed)
        assert folder is not None
        steps = re.findall(r"Batch\s+(\d+): trn", (folder / "train.log").read_text())
        repeated = max(int(before) - int(after) for before, after in pairwise(steps))
        print(f"seed {seed}: at most {repeated} steps done again, checkpoints every {INTERVAL}")
        assert repeated <= INTERVAL


def test_nothing_is_simulated_before_a_person_approves_it(laboratory: Laboratory) -> None:
    def asking() -> list[dict[str, Any]]:
        return [one for one in laboratory.tasks("simulate", "promote") if one["state"] == "awaiting_input"]

    def simulated() -> set[str]:
        runs = Lake(laboratory.settings.lake).rows("runs").to_pylist()
        return {row["potential_id"] for row in runs if row["potential_id"] is not None}

    potentials = {row["potential_id"] for row in Lake(laboratory.settings.lake).rows("potentials").to_pylist()}
    approved: set[str] = set()
    while approved != potentials:  # those that were cancelled were trained after the others were asked about
        [asked] = wait_until(asking, 900, "a question")
        assert simulated() == approved
        question = laboratory.question(asked)
        wanted = {name for name in potentials if name in question}
        assert wanted
        assert not wanted & approved
        # Airflow asks again if the answer comes before it has noticed that the asking process ended.
        wait_until(lambda name=asked["id"]: not laboratory.processes(f"worker -- .*{name}"), 60, "asked")
        time.sleep(5)
        laboratory.answer(asked, "Approve")
        approved |= wanted
        wait_until(lambda now=set(approved): simulated() == now, 900, "simulated")
    wait_until(lambda: {"success"} == {one["state"] for one in laboratory.runs("simulate")}, 900, "all simulated")
    assert simulated() == potentials
