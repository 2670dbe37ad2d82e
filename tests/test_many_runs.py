"""Hundreds of runs of one kind: a new one costs what it is, and not what the lake has already."""

import itertools
import re
from pathlib import Path

import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.gate import RuleGate
from lake.kept_rows import NAME, KeptRows
from operators.ingest import ingest
from operators.runs.chains import link_runs
from operators.runs.outlines import Outlines
from operators.runs.restarts import best_link
from operators.runs.stored_run import StoredRun
from operators.toy_melt import ToyMeltRequest, generate
from schemas.settings import Settings

SCHEMA = pa.schema([("value", pa.int64())])
N_STEPS = 363


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Head, ionic steps and end of an OUTCAR."""
    request = ToyMeltRequest(
        composition="Al50Cu50", n_atoms=16, n_frames=N_STEPS, sample_fs=1.0, source_format="outcar"
    )
    content = (generate(tmp_path_factory.mktemp("raw") / "run", request) / "OUTCAR").read_bytes()
    starts = [match.start() for match in re.finditer(rb"-+ Iteration +\d+\( +1\)", content)]
    end = content.index(b" General timing")
    return content[: starts[0]], [content[a:b] for a, b in itertools.pairwise([*starts, end])], content[end:]


def put(folder, steps, first, stop):
    """Steps `first` to `stop` as VASP writes them after a restart: counted from 1."""
    head, body, end = steps
    renumbered = [
        re.sub(rb"Iteration +\d+\(", b"Iteration %4d(" % (number + 1), step)
        for number, step in enumerate(body[first:stop])
    ]
    folder.mkdir(parents=True)
    (folder / "OUTCAR").write_bytes(head + b"".join(renumbered) + end)
    return str(folder)


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


def made(asked):
    def make(names):
        asked.append(list(names))
        return pa.table({"value": [int(name) for name in names for _ in "ab"], NAME: [n for n in names for _ in "ab"]})

    return make


def test_kept_rows_are_made_once_and_come_in_the_order_asked_for(tmp_path):
    kept, asked = KeptRows(tmp_path / "kept.arrow", SCHEMA), []
    names = [str(number) for number in range(40)]
    kept.rows(names[:30], made(asked))
    rows = kept.rows(names[:4:-1], made(asked))
    assert rows["value"].to_pylist() == [value for value in range(39, 4, -1) for _ in "ab"]
    assert [sorted(map(int, made_now)) for made_now in asked] == [list(range(30)), list(range(30, 40))]


@pytest.mark.parametrize("damage", [b"", b"ARROW1\0\0 and then nothing"])
def test_damaged_kept_rows_are_made_again(tmp_path, damage):
    file, asked = tmp_path / "kept.arrow", []
    names = [str(number) for number in range(20)]
    KeptRows(file, SCHEMA).rows(names, made(asked))
    file.write_bytes(damage)
    assert KeptRows(file, SCHEMA).rows(names, made(asked)).num_rows == 40
    assert asked == [names, names]


def test_kept_rows_of_other_columns_are_made_again(tmp_path):
    names = [str(number) for number in range(20)]
    KeptRows(tmp_path / "kept.arrow", pa.schema([("value", pa.string())])).rows(names, made([]))
    assert KeptRows(tmp_path / "kept.arrow", SCHEMA).rows(names, made(asked := [])).num_rows == 40
    assert asked == [names]


def test_rows_of_a_table_are_the_same_whether_kept_or_read(tmp_path):
    lake = Lake(str(tmp_path))
    for number in range(12):
        lake.replace("runs", f"run{number}", [{"run_id": f"run{number}", "n_frames": number, "notes": ["a", "b"]}])
    lake.rows("runs")
    lake.replace("runs", "run3", [{"run_id": "run3", "n_frames": 33}])
    lake.remove("runs", "run4")
    assert (tmp_path / "_cache" / "runs.arrow").exists()
    assert lake.rows("runs").to_pylist() == lake.rows("runs", version=lake.version("runs")).to_pylist()
    assert lake.rows("runs", columns=["n_frames"])["n_frames"].to_pylist().count(33) == 1


@pytest.mark.rows_by_hand
def test_linking_a_new_run_opens_none_that_it_has_nothing_to_do_with(settings, steps, tmp_path):
    folders = [put(tmp_path / "raw" / str(first), steps, first, first + 3) for first in range(0, N_STEPS, 30)]
    ingest(settings, folders[:-1])
    lake = Lake(settings.lake)
    for file in lake.files("frames"):
        Path(file).unlink()
    [new] = ingest(settings, folders[-1:])["runs"]
    runs = lake.rows("runs").to_pylist()
    assert {row["trajectory_id"] == row["run_id"] for row in runs} == {True}
    assert (len(runs), new["n_frames"]) == (len(folders), 3)


def test_outlines_keep_back_no_run_that_another_goes_on_from(settings, steps, tmp_path):
    parts = ((0, 12), (8, 20), (20, 30), (33, 40), (36, 38), (80, 90))
    ingest(settings, [put(tmp_path / "raw" / str(part), steps, *part) for part in parts])
    lake = Lake(settings.lake)
    runs = [StoredRun(lake, row) for row in lake.rows("runs").to_pylist()]
    everyone = range(len(runs))
    linked = {pair for pair in itertools.permutations(everyone, 2) if best_link(runs[pair[1]], [runs[pair[0]]])}
    found = set(Outlines(lake, runs, ["a kind"]).pairs(earlier=everyone, later=everyone))
    assert linked <= found
    assert 4 <= len(linked) <= len(found) <= len(linked) + 2


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_long_restarts_that_come_at_once_are_one_trajectory(settings, steps, tmp_path, order):
    parts = [(0, 30), (15, 50), (40, 60)]
    ingest(settings, [put(tmp_path / "raw" / str(number), steps, *parts[number]) for number in order])
    lake = Lake(settings.lake)
    assert sorted(lake.rows("frames")["time_fs"].to_pylist()) == list(range(60))
    assert sorted(lake.rows("runs")["n_stored_elsewhere"].to_pylist()) == [0, 10, 15]


def test_linking_again_changes_nothing(settings, steps, tmp_path):
    ingest(settings, [put(tmp_path / "raw" / str(part), steps, *part) for part in ((0, 12), (8, 20), (80, 90))])
    lake = Lake(settings.lake)
    before = [lake.version(table) for table in ("runs", "frames", "repeated_frames")]
    link_runs(lake, RuleGate(), lake.keys("runs"))
    assert [lake.version(table) for table in ("runs", "frames", "repeated_frames")] == before
