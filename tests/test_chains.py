"""Restarts are one trajectory: linked whatever the order in which they come, each frame stored once, one time axis."""

import itertools
import random
import re
from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from operators.ingest import ingest
from operators.physics.continuation import missing_steps
from operators.potentials.kept_labels import kept_labels
from operators.potentials.selection import usable_runs
from operators.potentials.splitting import chosen_runs
from schemas.settings import Settings
from schemas.training import TrainingSetRequest

REFERENCE = Path(__file__).parents[1] / "../shared/vasp-reference"
OUTCAR = REFERENCE / "h2o-md10/OUTCAR"
XDATCAR = REFERENCE / "pt111-water-isif0"
TIME_STEP_FS = 1.0

pytestmark = pytest.mark.skipif(not OUTCAR.exists(), reason="the reference set is not beside the repository")


def segment(first, last):
    """Steps `first` to `last` of a real OUTCAR as VASP writes them after a restart: counted from 1."""
    text = OUTCAR.read_bytes()
    starts = [match.start() for match in re.finditer(rb"-+ Iteration +\d+\( +1\)", text)]
    head, end = text[: starts[0]], text.index(b" General timing")
    steps = [text[start:stop] for start, stop in itertools.pairwise([*starts, end])]
    renumbered = [
        re.sub(rb"Iteration +\d+\(", b"Iteration %4d(" % (number + 1), step)
        for number, step in enumerate(steps[first - 1 : last])
    ]
    return head + b"".join(renumbered) + text[end:]


def ingested(tmp_path, name, segments, order):
    settings = Settings.from_mapping({}, lake=str(tmp_path / name))
    for index in order:
        folder = tmp_path / "raw" / f"run{index}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "OUTCAR").write_bytes(segments[index])
        ingest(settings, [str(folder)])
    return Lake(settings.lake)


def logical(lake):
    """Every row of every table, but for the moment at which it was written."""
    tables = ("frames", "runs", "expectation_results", "raw_files", "cross_checks", "repeated_frames")
    rows = {name: lake.rows(name).to_pylist() for name in tables}
    for row in rows["runs"]:
        row.pop("ingested_at")
    return {name: sorted(map(repr, of_table)) for name, of_table in rows.items()}


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (2, 0, 1)])
def test_order_of_arrival_changes_nothing(tmp_path, order):
    segments = [segment(1, 5), segment(5, 8), segment(9, 10)]
    in_order = ingested(tmp_path, "in-order", segments, (0, 1, 2))
    assert logical(ingested(tmp_path, "other", segments, order)) == logical(in_order)


def test_overlap_is_stored_once_and_time_goes_on(tmp_path):
    lake = ingested(tmp_path, "lake", [segment(1, 5), segment(4, 8), segment(9, 10)], (2, 1, 0))
    rows = lake.rows("frames").to_pylist()
    assert sorted(row["time_fs"] for row in rows) == [TIME_STEP_FS * step for step in range(10)]
    runs = {row["n_frames"]: row for row in lake.rows("runs").to_pylist()}
    assert {row["trajectory_id"] for row in runs.values()} == {runs[5]["run_id"]}
    assert (runs[3]["n_stored_elsewhere"], runs[3]["continues_run_id"]) == (2, runs[5]["run_id"])
    assert runs[2]["continues_run_id"] == runs[3]["run_id"]
    assert [row["frame"] for row in rows if row["run_id"] == runs[3]["run_id"]] == [0, 1, 2]


def test_missing_steps_between_restarts_are_told(tmp_path):
    lake = ingested(tmp_path, "lake", [segment(1, 5), segment(7, 10)], (1, 0))
    later = next(row for row in lake.rows("runs").to_pylist() if row["continues_run_id"])
    assert "1 steps between the two are in no file" in " ".join(later["notes"])
    assert later["trajectory_start_fs"] == 6 * TIME_STEP_FS


def test_a_run_that_grows_moves_nothing_that_follows_it(tmp_path):
    short = [segment(1, 5), segment(5, 8)]
    cut = short[0][: short[0].index(b"Iteration    5(") - 60]
    grown = ingested(tmp_path, "grown", [cut, short[1]], (0, 1))
    (tmp_path / "raw/run0/OUTCAR").write_bytes(short[0])
    ingest(Settings.from_mapping({}, lake=str(grown.root)), [str(tmp_path / "raw/run0")])
    assert sorted(row["time_fs"] for row in grown.rows("frames").to_pylist()) == [TIME_STEP_FS * i for i in range(8)]


def test_unrelated_runs_of_one_composition_are_not_linked(tmp_path):
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    ingest(settings, [str(REFERENCE / name) for name in ("h2o-md10", "h2o-md3-conv", "h2o-md3-novirial")])
    rows = Lake(settings.lake).rows("runs").to_pylist()
    assert len(rows) >= 2
    assert all(row["trajectory_id"] == row["run_id"] and row["continues_run_id"] is None for row in rows)


def test_free_flight_is_a_continuation_whatever_the_number_of_steps_missing():
    rng = np.random.default_rng(1)
    start, way = rng.uniform(0, 12, (32, 3)), rng.normal(0, 0.01, (32, 3))
    cell, rest = 12.0 * np.eye(3), np.zeros((32, 3))
    about = {"cell": cell, "forces": rest, "masses_amu": np.full(32, 27.0), "time_step_fs": 1.0}
    last = np.stack([start, start + way])
    assert [missing_steps(last, start + (n + 2) * way, **about) for n in (0, 3, 10)] == [0, 3, 10]
    assert missing_steps(last, start + 20 * way, **about) is None
    assert missing_steps(last, rng.uniform(0, 12, (32, 3)), **about) is None


def test_an_xdatcar_goes_on_where_its_positions_do(tmp_path):
    text = (REFERENCE / "fe2o3-molten-xdatcar/XDATCAR").read_bytes()
    starts = [match.start() for match in re.finditer(rb"Direct configuration= +\d+\n", text)]
    head, body = text[: starts[0]], [text[a:b] for a, b in itertools.pairwise([*starts, len(text)])]
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    for name, frames in (("later", body[2:]), ("earlier", body[:3])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "XDATCAR").write_bytes(head + b"".join(frames))
        ingest(settings, [str(tmp_path / name)])
    rows = Lake(settings.lake).rows("runs").to_pylist()
    assert sorted((row["n_frames"], row["n_stored_elsewhere"]) for row in rows) == [(2, 1), (3, 0)]
    assert len({row["trajectory_id"] for row in rows}) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_chain_of_xdatcars_keeps_every_frame_in_any_order(tmp_path, order):
    text = (REFERENCE / "nacl-800k-xdatcar/XDATCAR").read_bytes()
    starts = [match.start() for match in re.finditer(rb"Direct configuration= +\d+\n", text)]
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    for first, stop in [((0, 5), (4, 8), (6, 10))[number] for number in order]:
        (tmp_path / str(first)).mkdir()
        (tmp_path / str(first) / "XDATCAR").write_bytes(text[: starts[0]] + text[starts[first] : starts[stop]])
        ingest(settings, [str(tmp_path / str(first))])
    lake = Lake(settings.lake)
    assert len(set(lake.rows("frames")["content_id"].to_pylist())) == lake.n_rows("frames") == 10
    assert sorted(lake.rows("runs")["n_stored_elsewhere"].to_pylist()) == [0, 1, 2]


@pytest.mark.parametrize("n_first", [3, 5])
def test_no_test_frame_is_beside_a_training_frame_of_the_run_before(tmp_path, n_first):
    lake = ingested(tmp_path, "lake", [segment(1, n_first), segment(n_first + 1, 10)], (1, 0))
    request = TrainingSetRequest()
    usable = usable_runs(lake, request, version=lake.version("frames"))
    chosen = chosen_runs(usable, request, kept=kept_labels(lake, request))
    runs = {row["run_id"]: row["trajectory_start_fs"] for row in lake.rows("runs").to_pylist()}
    split = np.concatenate([run.split for run in sorted(chosen, key=lambda run: runs[run.run_id])])
    assert len(split) == 10
    assert all({one, other} != {"train", "test"} for one, other in itertools.pairwise(split) if one and other)
    assert {"train", "test"} <= set(split)


@pytest.mark.parametrize("seed", range(6))
def test_any_segments_in_any_order_while_they_grow_give_one_lake(tmp_path, seed):
    choose = random.Random(seed)
    starts = sorted(choose.sample(range(1, 10), choose.choice([2, 3, 4])))
    ends = [choose.randint(start, 10) for start in starts]
    segments = [segment(*both) for both in zip(starts, ends, strict=True)]
    in_order = ingested(tmp_path, "in-order", segments, range(len(segments)))
    order = choose.sample(range(len(segments)), len(segments))
    early = [content[: choose.randint(len(content) // 2, len(content))] for content in segments]
    ingested(tmp_path, "other", early, [index for index in order if has_frame(early[index])])
    other = ingested(tmp_path, "other", segments, order)
    assert logical(other) == logical(in_order)
    energies = [round(energy, 5) for energy in other.rows("frames")["energy_ev"].to_pylist()]
    wanted = set().union(*(range(start, end + 1) for start, end in zip(starts, ends, strict=True)))
    assert len(energies) == len(set(energies)) == len(wanted)


def has_frame(content):
    return b"free  energy   TOTEN  =" in content


def test_frames_that_both_have_are_found_where_they_are_stored(tmp_path):
    lake = ingested(tmp_path, "lake", [segment(1, 5), segment(4, 8)], (1, 0))
    rows = lake.rows("repeated_frames").to_pylist()
    held = {row["content_id"]: row["run_id"] for row in lake.rows("frames").to_pylist()}
    assert [row["place"] for row in rows] == [0, 1]
    assert all(held[row["stored_content_id"]] == row["stored_run_id"] for row in rows)
