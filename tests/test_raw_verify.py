"""Proof that raw files may go: every frame is in the lake bit for bit, or it is said which is not."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lake.delta import Lake
from operators.ingest import ingest
from operators.raw_verify import raw_verify
from operators.toy_melt import ToyMeltRequest, generate
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import FRAMES

ROOT = Path(__file__).parents[1]
N_FRAMES = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """OUTCAR and vasprun.xml of one synthetic run."""
    request = ToyMeltRequest(composition="Al50Cu50", n_atoms=32, n_frames=N_FRAMES, source_format="both")
    return generate(tmp_path_factory.mktemp("raw") / "run", request)


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


def ingested(settings, path):
    [entry] = ingest(settings, [str(path)])["runs"]
    return entry["run_id"]


def rewritten(settings, run_id, change):
    """The lake's frames of a run, changed behind its back."""
    lake = Lake(settings.lake)
    rows = change(lake.rows("frames", key=run_id).to_pylist())
    partition = {name: rows[0][name] for name in ("composition", "run_id")}
    lake.replace_batches("frames", partition, pa.Table.from_pylist(rows, schema=FRAMES.file_schema).to_batches())


def verified_with_one_problem(settings, run_id):
    answer = raw_verify(settings, run_id)
    [problem] = answer["problems"]
    assert answer["complete"] is False
    return answer["files"][0]["verdict"], problem["problem"], answer


@pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml", "OUTCAR.gz"])
def test_every_frame_of_a_whole_file_is_proven(run, settings, tmp_path, name):
    file = tmp_path / name
    text = (run / name.removesuffix(".gz")).read_bytes()
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    answer = raw_verify(settings, ingested(settings, file))
    assert (answer["complete"], answer["raw_bytes"], answer["problems"]) == (True, file.stat().st_size, [])
    assert (answer["files"][0]["verdict"], answer["files"][0]["n_in_run"]) == ("proven", N_FRAMES)
    stored = [Path(path).stat().st_size for path in Lake(settings.lake).files("frames")]
    assert answer["lake_bytes"] == sum(stored)


def test_the_less_precise_file_beside_it_is_told_apart_and_frees_nothing(run, settings, tmp_path):
    shutil.copytree(run, tmp_path / "job")
    answer = raw_verify(settings, ingested(settings, tmp_path / "job"))
    verdicts = {Path(file["path"]).name: file["verdict"] for file in answer["files"]}
    assert verdicts == {"vasprun.xml": "proven", "OUTCAR": "other_digits"}
    assert (answer["complete"], answer["raw_bytes"]) == (True, (tmp_path / "job/vasprun.xml").stat().st_size)


@pytest.mark.parametrize(
    ("column", "index"),
    [
        ("positions_angstrom", 5),
        ("forces_ev_per_angstrom", 0),
        ("virial_ev", 8),
        ("cell_angstrom", 0),
        ("energy_ev", None),
        ("virial_trace_ev", None),
    ],
)
def test_one_flipped_bit_in_the_lake_is_found(run, settings, column, index):
    run_id = ingested(settings, run / "OUTCAR")

    def flipped(rows):
        if index is None:
            rows[7][column] = float(np.nextafter(rows[7][column], 0))
        else:
            rows[7][column][index] = float(np.nextafter(rows[7][column][index], 1e9))
        return rows

    rewritten(settings, run_id, flipped)
    verdict, problem, answer = verified_with_one_problem(settings, run_id)
    assert (verdict, answer["files"][0]["missing_frames"], answer["raw_bytes"]) == ("frames_missing", "7", 0)
    assert f"frame 7 differs in {column}" in problem


@pytest.mark.rows_by_hand
def test_lost_frames_are_listed(run, settings):
    run_id = ingested(settings, run / "vasprun.xml")
    rewritten(settings, run_id, lambda rows: [row for row in rows if row["frame"] not in (2, 8, 9, 10, 11)])
    verdict, problem, answer = verified_with_one_problem(settings, run_id)
    assert (verdict, answer["files"][0]["missing_frames"]) == ("frames_missing", "2, 8-11")
    assert "5 of 12 frames are not in the lake" in problem
    assert "frame 2 is not there" in problem


def test_a_file_that_is_gone_or_changed_is_told(run, settings, tmp_path):
    file = Path(shutil.copy(run / "OUTCAR", tmp_path / "OUTCAR"))
    run_id = ingested(settings, file)
    file.write_bytes(file.read_bytes().replace(b"POTIM ", b"POTIM  ", 1))
    assert verified_with_one_problem(settings, run_id)[0] == "changed"
    file.unlink()
    verdict, problem, answer = verified_with_one_problem(settings, run_id)
    assert (verdict, answer["raw_bytes"]) == ("missing", 0)
    assert "found nothing" in problem


def test_a_file_that_is_still_written_is_not_complete(run, settings, tmp_path):
    text = (run / "OUTCAR").read_bytes()
    file = tmp_path / "OUTCAR"
    file.write_bytes(text[: int(len(text) * 0.6)])
    answer = raw_verify(settings, ingested(settings, file))
    assert (answer["complete"], answer["problems"]) == (False, [])
    assert answer["files"][0]["verdict"] == "proven"
    file.write_bytes(text)
    assert verified_with_one_problem(settings, answer["run_id"])[0] == "changed"
    assert raw_verify(settings, ingested(settings, file))["complete"] is True


@pytest.mark.rows_by_hand
@pytest.mark.parametrize(("shift_ev", "verdict", "complete"), [(0.0, "proven", True), (1e-5, "other_digits", False)])
def test_frames_that_a_restart_shares_with_an_earlier_run_are_found_there(run, settings, shift_ev, verdict, complete):
    run_id = ingested(settings, run / "OUTCAR")
    lake = Lake(settings.lake)
    first, [row] = lake.rows("frames", key=run_id).to_pylist()[:3], lake.rows("runs", key=run_id).to_pylist()
    rewritten(settings, run_id, lambda rows: rows[3:])
    lake.replace("runs", run_id, [row | {"n_frames": N_FRAMES - 3, "n_stored_elsewhere": 3}])
    for frame in first:
        frame["ionic_step"] += 40
    first[1]["energy_ev"] += shift_ev
    batches = pa.Table.from_pylist(first, schema=FRAMES.file_schema).to_batches()
    lake.replace_batches("frames", {"composition": row["composition"], "run_id": "earlier"}, batches)
    lake.replace("runs", "earlier", [row | {"run_id": "earlier", "n_frames": 3, "source_uri": "/gone/OUTCAR"}])
    answer = raw_verify(settings, run_id)
    [file] = answer["files"]
    n_alike = int(shift_ev > 0)
    assert (answer["problems"], file["verdict"], answer["complete"]) == ([], verdict, complete)
    assert (file["n_in_run"], file["n_elsewhere"], file["n_in_other_digits"]) == (N_FRAMES - 3, 3 - n_alike, n_alike)


TWO_MELTS = """\
2
Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 free_energy=-{energy}
{one} 0 0 0.1 0.5 0 0
{other} 2.7 0 0 -0.5 0 0
"""


@pytest.mark.rows_by_hand
def test_a_file_of_two_runs_is_proven_by_both(settings, tmp_path):
    frames = [("Al", "Al", 7), ("Al", "Cu", 8), ("Al", "Cu", 9)]
    text = "".join(TWO_MELTS.format(one=one, other=other, energy=energy) for one, other, energy in frames)
    (tmp_path / "two.extxyz").write_text(text)
    runs = {run["run_id"]: run["n_frames"] for run in ingest(settings, [str(tmp_path / "two.extxyz")])["runs"]}
    assert sorted(runs.values()) == [1, 2]
    for run_id in runs:
        [file] = raw_verify(settings, run_id)["files"]
        assert (file["verdict"], file["n_frames"], file["n_in_run"]) == ("proven", 3, 3)
    lost = next(run_id for run_id, n_frames in runs.items() if n_frames == 2)
    rewritten(settings, lost, lambda rows: rows[:1])
    assert {raw_verify(settings, run_id)["files"][0]["missing_frames"] for run_id in runs} == {"2"}


def test_a_run_that_the_lake_does_not_have_is_told(settings):
    with pytest.raises(MeltlakeError, match="has no 0123456789ab"):
        raw_verify(settings, "0123456789ab")


@pytest.mark.rows_by_hand
def test_the_command_exits_65_when_a_frame_is_missing(run, settings, tmp_path):
    run_id = ingested(settings, run / "OUTCAR")
    command = [sys.executable, "-m", "operators.cli", "raw", "verify", run_id, "--lake", settings.lake, "--json"]
    whole = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert json.loads(whole.stdout)["complete"] is True
    rewritten(settings, run_id, lambda rows: rows[:-1])
    lost = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert (lost.returncode, json.loads(lost.stdout)["complete"]) == (65, False)
    assert "meltlake ingest" in lost.stderr
