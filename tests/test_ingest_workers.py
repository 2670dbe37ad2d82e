"""Several processes make the lake that one makes; each is small, and none outlives the one that started it."""

import gzip
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from lake.delta import Lake
from lake.gate import RuleGate
from lake.sources import RunSource, run_sources
from operators.ingest import ingest, ingest_in_worker
from operators.runs.ingest_workers import in_processes
from operators.toy_melt import ToyMeltRequest, generate
from schemas.errors import TryAgainLater
from schemas.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSITIONS = ("Al50Cu50", "Al50Ni50", "Cu50Ni50")
LEFT_TO_THE_GATE = {"great_expectations", "pandas"}
PARENT = """if True:
    import sys
    from pathlib import Path
    from lake.gate import RuleGate
    from lake.sources import RunSource
    from operators.runs.ingest_workers import in_processes
    sys.path.insert(0, str(Path("tests").absolute()))
    from test_ingest_workers import read_for_ever
    in_processes(read_for_ever, [RunSource((name,)) for name in sys.argv[1:]], RuleGate(), n_workers=2, progress=print)
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A tree of three runs."""
    tree = tmp_path_factory.mktemp("raw")
    for composition in COMPOSITIONS:
        generate(tree / composition, ToyMeltRequest(composition=composition, n_atoms=16, n_frames=5))
    return tree


def settings_of(folder):
    return Settings.from_mapping({}, lake=str(folder))


def ingest_and_tell_imports(lake, run, gate, progress):
    [entry] = ingest_in_worker(lake, run, gate, progress)
    return entry["n_accepted"], LEFT_TO_THE_GATE & sys.modules.keys()


def be_killed(_run, _gate, _progress):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(run, _gate, _progress):
    raise ZeroDivisionError(run.uri)


def read_for_ever(run, _gate, progress):
    Path(run.uri).write_text(str(os.getpid()))
    while True:
        progress(0, 0)
        time.sleep(0.02)


def nothing(_n_frames, _n_bytes):
    pass


def is_alive(process_id):
    status = Path(f"/proc/{process_id}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(true, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def told(settings, table):
    return [{**row, "ingested_at": None} for row in Lake(settings.lake).rows(table).to_pylist()]


def test_three_processes_make_the_lake_that_one_makes(raw, tmp_path):
    one, three = settings_of(tmp_path / "one"), settings_of(tmp_path / "three")
    entries = [ingest(settings, [str(raw)], workers=n)["runs"] for settings, n in ((one, 1), (three, 3))]
    assert entries[0] == entries[1]
    for table in ("runs", "frames", "expectation_results"):
        assert sorted(map(str, told(one, table))) == sorted(map(str, told(three, table)))


@pytest.mark.parametrize(("names", "n_workers"), [("ab", 1), ("ba", 1), ("ab", 2), ("ba", 2)])
def test_of_copies_that_differ_the_first_by_address_stays(tmp_path, names, n_workers):
    content = gzip.decompress((ROOT / "tests/stored/lake-version-1-OUTCAR.gz").read_bytes())
    force = b"  0.859620"
    assert force in content
    for name, text in (("a", content), ("b", content.replace(force, b"  0.859621"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "OUTCAR").write_bytes(text)
    settings = settings_of(tmp_path / "lake")
    ingest(settings, [str(tmp_path / name) for name in names], workers=n_workers)
    [row] = told(settings, "runs")
    assert row["source_uri"] == str(tmp_path / "a" / "OUTCAR")
    assert told(settings, "frames")[0]["forces_ev_per_angstrom"][0] == 0.85962


def test_workers_leave_the_gates_libraries_to_their_parent(raw, tmp_path):
    work = partial(ingest_and_tell_imports, str(tmp_path / "lake"))
    answers = in_processes(work, list(run_sources(str(raw))), RuleGate(), n_workers=2, progress=nothing)
    assert answers == [(5, set())] * 3


def test_a_killed_worker_is_told_of():
    with pytest.raises(TryAgainLater, match="killed by SIGKILL"):
        in_processes(be_killed, [RunSource(("a",)), RunSource(("b",))], RuleGate(), n_workers=2, progress=nothing)


def test_what_went_wrong_in_a_worker_goes_wrong_here():
    with pytest.raises(ZeroDivisionError, match="the run") as caught:
        in_processes(fail, [RunSource(("the run",))], RuleGate(), n_workers=1, progress=nothing)
    assert "in fail" in caught.value.__notes__[0]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path, how):
    notes = [tmp_path / "one", tmp_path / "other"]
    command = [sys.executable, "-c", PARENT, *map(str, notes)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, **quiet) as parent:
        have_begun = wait_until(lambda: all(note.exists() and note.read_text() for note in notes))
        parent.send_signal(how if have_begun else signal.SIGKILL)
    assert have_begun
    workers = [int(note.read_text()) for note in notes]
    assert wait_until(lambda: not any(map(is_alive, workers)))
