"""One calculation is one run, however its files come: growing, compressed, copied, cut, or told twice."""

import gzip
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from lake.delta import Lake
from operators.ingest import ingest
from operators.materialize import materialize
from operators.toy_melt import ToyMeltRequest, generate
from operators.validate import validate
from schemas.errors import TryAgainLater
from schemas.settings import Settings
from schemas.tables import FRAMES
from schemas.training import TrainingSetRequest

N_FRAMES = 30


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """OUTCAR and vasprun.xml of one synthetic run."""
    request = ToyMeltRequest(composition="Al50Cu50", n_atoms=32, n_frames=N_FRAMES, source_format="both")
    return generate(tmp_path_factory.mktemp("raw") / "run", request)


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


def cut(path, share, target):
    text = path.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text[: int(len(text) * share)])


def ingested(settings, path):
    [entry] = ingest(settings, [str(path)])["runs"]
    return entry


def test_a_growing_file_stays_one_run(run, settings, tmp_path):
    file = tmp_path / "job" / "OUTCAR"
    cut(run / "OUTCAR", 0.5, file)
    first = ingested(settings, file)
    shutil.copy(run / "OUTCAR", file)
    second = ingested(settings, file)
    assert (first["run_id"], first["complete"], second["complete"]) == (second["run_id"], False, True)
    assert (second["n_new"], second["n_frames"]) == (N_FRAMES - first["n_frames"], N_FRAMES)
    assert Lake(settings.lake).rows("frames").num_rows == N_FRAMES


def test_a_file_that_grew_and_was_then_compressed_is_still_the_same_run(run, settings, tmp_path):
    file = tmp_path / "job" / "OUTCAR"
    cut(run / "OUTCAR", 0.5, file)
    first = ingested(settings, file)
    shutil.copy(run / "OUTCAR", file)
    ingested(settings, file)
    (tmp_path / "job" / "OUTCAR.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    last = ingested(settings, tmp_path / "job" / "OUTCAR.gz")
    assert (last["run_id"], last["changed"]) == (first["run_id"], False)


def test_the_longer_file_of_a_folder_is_the_one_that_is_kept(run, settings, tmp_path):
    cut(run / "vasprun.xml", 0.3, tmp_path / "job" / "vasprun.xml")
    shutil.copy(run / "OUTCAR", tmp_path / "job" / "OUTCAR")
    entry = ingested(settings, tmp_path / "job")
    assert (entry["source"].endswith("OUTCAR"), entry["n_frames"]) == (True, N_FRAMES)
    assert "vasprun.xml beside it holds" in " ".join(entry["notes"])


def test_a_richer_file_that_comes_later_replaces_the_run_of_its_sibling(run, settings, tmp_path):
    shutil.copytree(run, tmp_path / "job")
    (tmp_path / "job" / "vasprun.xml").unlink()
    first = ingested(settings, tmp_path / "job")
    shutil.copy(run / "vasprun.xml", tmp_path / "job" / "vasprun.xml")
    second = ingested(settings, tmp_path / "job")
    assert first["run_id"] == second["run_id"]
    assert Lake(settings.lake).rows("runs")["source_format"].to_pylist() == ["vasprun"]


@pytest.mark.parametrize("later", ["OUTCAR", "vasprun.xml"])
def test_a_calculation_that_overwrote_an_earlier_one_does_not_replace_it(run, settings, tmp_path, later):
    (tmp_path / "job").mkdir()
    shutil.copy(run / "OUTCAR", tmp_path / "job" / "OUTCAR")
    first = ingested(settings, tmp_path / "job")
    request = ToyMeltRequest(composition="Al50Cu50", n_atoms=32, n_frames=8, seed=2, source_format="both")
    shutil.copy(generate(tmp_path / "again", request) / later, tmp_path / "job" / later)
    runs = ingest(settings, [str(tmp_path / "job")])["runs"]
    assert [entry["n_frames"] for entry in runs if entry["run_id"] != first["run_id"]] == [8]
    assert Lake(settings.lake).n_rows("frames") == N_FRAMES + 8


@pytest.mark.parametrize("split", ["blocks", "random"])
def test_a_backup_of_a_run_puts_no_frame_into_train_and_test(run, settings, tmp_path, split):
    cut(run / "OUTCAR", 0.7, tmp_path / "job" / "OUTCAR.bak")
    shutil.copy(run / "vasprun.xml", tmp_path / "elsewhere.xml")
    ingest(settings, [str(tmp_path / "job" / "OUTCAR.bak"), str(tmp_path / "elsewhere.xml")])
    made = materialize(settings, TrainingSetRequest(split=split))
    assert made["n_train"] + made["n_test"] + made["n_gap"] == N_FRAMES
    used = Lake(settings.lake).rows("training_set_frames")["run_id"].unique().to_pylist()
    assert len(used) == 1


def test_what_cannot_be_read_is_refused_with_a_reason_and_the_rest_goes_on(run, settings, tmp_path):
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "empty" / "OUTCAR").touch()
    shutil.copytree(run, tmp_path / "tree" / "good run: 1")
    bad, good = ingest(settings, [str(tmp_path / "tree")])["runs"]
    assert (bad["run_id"], bad["n_frames"], good["n_frames"]) == (None, 0, N_FRAMES)
    assert "empty" in bad["reason"]


def test_a_staging_file_of_a_killed_ingest_is_swept(run, settings):
    left = Path(settings.lake) / "_staging" / "killed.arrow"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a run")
    ingested(settings, run / "OUTCAR")
    assert list(left.parent.iterdir()) == []


def test_a_run_that_another_process_is_storing_is_waited_for(run, settings):
    first = ingested(settings, run / "OUTCAR")
    lake = Lake(settings.lake)
    hold = f"""if True:
        import sys, time
        from lake.delta import Lake
        with Lake({settings.lake!r}).writing({first["run_id"]!r}, doing="testing"):
            print("held", flush=True)
            time.sleep(1.5)"""
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(TryAgainLater, match="storing"), lake.writing(first["run_id"], doing="storing", wait_s=0):
            pass
        started = time.monotonic()
        validate(settings)
        assert time.monotonic() - started > 0.5


def test_mended_forces_make_another_training_set(run, settings):
    first = ingested(settings, run / "vasprun.xml")
    before = materialize(settings, TrainingSetRequest())["training_set_id"]
    lake = Lake(settings.lake)
    rows = lake.rows("frames").to_pylist()
    for row in rows:
        row["forces_ev_per_angstrom"] = [2 * value for value in row["forces_ev_per_angstrom"]]
    for row in rows:
        row["labels_id"] = None
    batches = pa.Table.from_pylist(rows, schema=FRAMES.file_schema).to_batches()
    partition = {"composition": first["composition"], "run_id": first["run_id"]}
    lake.replace_batches("frames", partition, batches)
    assert materialize(settings, TrainingSetRequest())["training_set_id"] != before
