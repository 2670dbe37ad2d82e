"""Writers that are killed at any moment, while files grow under them: no frame is lost, doubled or half there."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from lake.frames import vectors
from lake.readers import open_run
from operators.ingest import ingest
from schemas.settings import Settings

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "../shared/vasp-reference"
N_WRITERS = 4
N_KILLS = int(os.environ.get("MELTLAKE_TEST_KILLS", "24"))
RAW = {
    "md": "h2o-md10/OUTCAR",
    "md-xml": "h2o-md10/vasprun.xml",
    "force-field": "ch4-mlff/OUTCAR",
    "ti": "ti32-aimd-nwrite0/vasprun.xml",
    "npt": "lips84-npt-langevin/OUTCAR.gz",
}
WRITER = """if True:
    import pathlib, random, sys
    from lake.gate import RuleGate
    from operators.ingest import ingest
    from schemas.settings import Settings
    settings, sources = Settings.from_mapping({}, lake=sys.argv[1]), sys.argv[3:]
    ingest(settings, [])
    pathlib.Path(sys.argv[2]).touch()
    while True:
        random.shuffle(sources)
        ingest(settings, sources)
"""

pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="the reference set is not beside the repository")


@pytest.fixture
def raw(tmp_path):
    """Address and whole content of every raw file; nothing is written yet."""
    found = {}
    for name, source in RAW.items():
        path = REFERENCE / source
        if path.exists():
            (tmp_path / "raw" / name).mkdir(parents=True)
            found[tmp_path / "raw" / name / path.name] = path.read_bytes()
    return found


class Writer:
    """A process that ingests the sources again and again."""

    def __init__(self, settings, sources, mark):
        self.mark = mark
        mark.unlink(missing_ok=True)
        command = [sys.executable, "-c", WRITER, settings.lake, str(mark), *sources]
        self.log = mark.with_suffix(".log")
        with self.log.open("w") as log:
            about = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "stdout": log, "stderr": log}
            self.process = subprocess.Popen(command, **about)

    def kill_at_work(self, after_s):
        """Kill -9 so many seconds after it began to ingest."""
        while not self.mark.exists():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            time.sleep(0.01)
        time.sleep(after_s)
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def assert_lake_holds_a_prefix_of(path, rows_of_run, *, whole):
    """Every stored frame is the raw file's frame of that number; all of them are there when `whole`."""
    with open_run(path) as reader:
        batches = list(reader.batches())
    energies = np.concatenate([batch.energy_ev for batch in batches])
    forces = np.concatenate([batch.forces_ev_per_angstrom for batch in batches])
    n_stored = rows_of_run.num_rows
    assert n_stored == len(energies) if whole else n_stored <= len(energies)
    assert rows_of_run["frame"].to_pylist() == list(range(n_stored))
    assert np.array_equal(rows_of_run["energy_ev"].to_numpy(), energies[:n_stored])
    stored = vectors(rows_of_run["forces_ev_per_angstrom"], forces.shape[1])
    assert np.array_equal(stored, forces[:n_stored], equal_nan=True)


def grow(raw, share):
    """VASP appends: what is there stays, and more follows."""
    for path, content in raw.items():
        with path.open("ab") as file:
            file.write(content[file.tell() : int(len(content) * share)])


def check(settings, raw, *, whole):
    lake = Lake(settings.lake)
    runs = lake.rows("runs").to_pylist()
    assert len({row["run_id"] for row in runs}) == len(runs)
    if whole:
        assert {row["source_uri"] for row in runs} == {str(path) for path in raw}
    for row in runs:
        rows = lake.rows("frames", key=row["run_id"])
        assert not whole or rows.num_rows == row["n_frames"]
        assert_lake_holds_a_prefix_of(row["source_uri"], rows, whole=whole)


@pytest.mark.timeout(1200)
def test_killed_writers_leave_every_frame_exactly_once(tmp_path, raw):
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    choose, sources = random.Random(7), [str(path) for path in raw]
    grow(raw, 0.3)
    writers = [Writer(settings, sources, tmp_path / f"ready-{number}") for number in range(N_WRITERS)]
    try:
        for n_kills in range(N_KILLS):
            victim = n_kills % N_WRITERS
            writers[victim].kill_at_work(after_s=choose.uniform(0, 3))
            grow(raw, 0.3 + 0.7 * (n_kills + 1) / N_KILLS)
            writers[victim] = Writer(settings, sources, writers[victim].mark)
    finally:
        for writer in writers:
            writer.process.kill()
            writer.process.wait()
    check(settings, raw, whole=False)
    ingest(settings, sources)
    check(settings, raw, whole=True)
