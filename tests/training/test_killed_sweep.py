"""Trainings of a sweep are killed -9 at random steps, in every way, and end as if nothing had happened."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from operators.materialize import materialize
from operators.potentials.deepmd_input import saved_every
from operators.potentials.deepmd_training import checkpoints, prepare, train_to_the_end
from operators.potentials.learning_curve import learning_curve
from operators.train import train
from schemas.training import TrainingSetRequest
from tests.training.tiny import numbers_in, tiny_recipe, wait_until

ROOT = Path(__file__).parents[2]
N_KILLS = int(os.environ.get("MELTLAKE_TEST_KILLS", "10"))
N_POTENTIALS = 4
KINDS = ("dp", "supervisor", "pod")
TINY = tiny_recipe(n_steps=200)
SUPERVISOR = """
import json, sys
from operators.train import train
from schemas.errors import MeltlakeError
from schemas.recipes import Recipe
from schemas.settings import Settings
settings, training_set_id, recipe, seed = json.loads(sys.argv[1])
try:
    train(Settings(**settings), training_set_id, recipe=Recipe(**recipe), seed=seed)
except MeltlakeError as error:
    print(error.problem, error.remedy, sep="\\n", file=sys.stderr)
    sys.exit(error.exit_code)
"""

pytestmark = pytest.mark.long


class Training:
    """One potential of the sweep: its supervisor, and what is killed of it."""

    def __init__(self, settings, training_set_id, seed):
        self.words = json.dumps([settings.model_dump(), training_set_id, TINY.model_dump(mode="json"), seed])
        self.settings, self.seed, self.said = settings, seed, []

    @property
    def folder(self):
        potentials = self.settings.artifacts / "potentials"
        inputs = [path for path in potentials.glob("[!.]*/input.json") if self._is_mine(path)]
        return inputs[0].parent if inputs else None

    def _is_mine(self, path):
        return json.loads(path.read_text())["model"]["descriptor"]["seed"] == self.seed

    def start(self):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", SUPERVISOR, self.words]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def displayed(self):
        """Last step of the learning curve so far."""
        curves = list(self.folder.glob("lcurve.out")) if self.folder else []
        rows = [line.split() for curve in curves for line in curve.read_text().splitlines() if "#" not in line]
        return int(rows[-1][0]) if rows else -1

    def kill(self, kind):
        guards = children(self.process.pid)
        programs = [pid for guard in guards for pid in children(guard)]
        for pid in {"dp": programs, "supervisor": [self.process.pid], "pod": [self.process.pid, *guards, *programs]}[
            kind
        ]:
            os.kill(pid, signal.SIGKILL)
        _, said = self.process.communicate(timeout=60)
        self.said.append((kind, self.process.returncode, said))
        for pid in (*guards, *programs):
            wait_until(lambda pid=pid: not alive(pid), 30)

    def survive(self, kills):
        """Train to the end, killed at these steps in these ways."""
        try:
            for step, kind in kills:
                self.start()
                wait_until(lambda step=step: self.displayed() >= step or self.process.poll() is not None, 600)
                assert self.process.poll() is None, self.process.communicate()
                self.kill(kind)
            self.start()
            _, said = self.process.communicate(timeout=900)
            assert self.process.returncode == 0, said
        finally:
            self.process.kill()


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listed.read_text().split()]


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def most_repeated(folder):
    """Steps done again after a restart, at most, as DeePMD's log tells them."""
    steps = [int(step) for step in re.findall(r"Batch\s+(\d+): trn", (folder / "train.log").read_text())]
    return max(before - after for before, after in pairwise(steps))


def unbroken(folder, written):
    """The same input trained in one go: its numbers and its learning curve."""
    prepare(folder, written)
    train_to_the_end(folder, n_steps=200, reference_force_ev_per_angstrom=1.0, keep_points=[].append)
    return numbers_in(folder / "model.ckpt-200"), learning_curve((folder / "lcurve.out").read_text())


def check(training, lake):
    folder = training.folder
    interval = saved_every(TINY)
    assert most_repeated(folder) <= interval, folder
    expected, curve = unbroken(
        folder.parents[1] / "unbroken" / str(training.seed), json.loads((folder / "input.json").read_text())
    )
    found = numbers_in(folder / f"model.ckpt-{checkpoints(folder)[0]}")
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected), folder
    stored = sorted(lake.rows("learning_curves", key=folder.name).to_pylist(), key=lambda row: row["step"])
    assert [row["step"] for row in stored] == list(range(0, 201, 8))
    assert stored == [{"potential_id": folder.name, **row} for row in curve]
    for kind, code, said in training.said:
        assert code == (75 if kind == "dp" else -9), said
        assert "by SIGKILL" in said or kind != "dp"


@pytest.mark.timeout(3000)
def test_every_potential_of_a_killed_sweep_is_the_unbroken_one(melts, settings, labelled_by_emt):
    for run_id, counts in (("a1", {"Al": 16, "Cu": 16}), ("b1", {"Al": 24, "Cu": 8})):
        melts.add(run_id, counts, labelled_by_emt(counts, 20))
    training_set_id = str(materialize(settings, TrainingSetRequest())["training_set_id"])
    choose = random.Random(int(os.environ.get("MELTLAKE_TEST_SEED", "5")))
    trainings = [Training(settings, training_set_id, seed) for seed in range(1, N_POTENTIALS + 1)]
    kills = [
        [(choose.randrange(190), KINDS[(n + seed) % 3]) for n in range(seed, N_KILLS, N_POTENTIALS)]
        for seed in range(4)
    ]
    with ThreadPoolExecutor(N_POTENTIALS) as pool:
        list(pool.map(lambda pair: pair[0].survive(sorted(pair[1])), zip(trainings, kills, strict=True)))
    assert sum(len(training.said) for training in trainings) == N_KILLS
    for training in trainings:
        check(training, melts.lake)
        again = train(settings, training_set_id, recipe=TINY, seed=training.seed)
        assert (again["changed"], again["potential_id"]) == (False, training.folder.name)
        assert again["n_restarts"] == (training.folder / "train.log").read_text().count("goes on from step")
