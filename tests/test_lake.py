"""Exactly once: whatever is repeated, raced or killed, a key has the rows of one writer, whole."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.warehouse import publish, query
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.settings import Settings
from schemas.tables import TABLES

ROOT = Path(__file__).parents[1]
VERSION_1 = ROOT / "tests" / "stored" / "lake-version-1"
STORED_RUN = "0bdecf9d0fd8"
SPAWN = multiprocessing.get_context("spawn")  # delta-rs does not survive a fork


def rows(key, n_rows, value=1.0):
    return [
        {"run_id": key, "composition": "Al100", "pair": "Al-Al", "r_angstrom": float(i), "g": value}
        for i in range(n_rows)
    ]


def put(root, key, n_rows, value=1.0):
    Lake(root).replace("rdf", key, rows(key, n_rows, value))


def more(root, key, n_rows, *, after, value=1.0):
    batch = pa.RecordBatch.from_pylist(rows(key, n_rows, value), schema=TABLES["rdf"].file_schema)
    return Lake(root).append_batches("rdf", {"run_id": key}, [batch], after=after)


@pytest.fixture(scope="module")
def race():
    """Calls of one function in processes of their own, all at the same time."""
    with SPAWN.Pool(4) as processes:
        processes.map(time.sleep, [0.5] * 4, chunksize=1)  # all have started
        yield lambda function, arguments: processes.starmap(function, arguments, chunksize=1)


def append_in_race(root, value):
    more(root, "a", 1, after=2, value=value)


def append_or_replace(root, value):
    put(root, "a", 1, value) if value == 0.0 else append_in_race(root, value)


@pytest.fixture
def old_lake(tmp_path):
    return str(shutil.copytree(VERSION_1, tmp_path / "lake"))


def test_a_table_that_was_never_written_has_no_rows(tmp_path):
    lake = Lake(str(tmp_path))
    assert (lake.version("runs"), lake.rows("runs").num_rows, lake.keys("runs")) == (-1, 0, [])


def test_replacing_a_key_leaves_the_other_keys_alone(tmp_path):
    lake = Lake(str(tmp_path))
    put(str(tmp_path), "a", 3)
    put(str(tmp_path), "b", 5)
    put(str(tmp_path), "a", 2, value=7.0)
    assert lake.rows("rdf", key="a")["g"].to_pylist() == [7.0, 7.0]
    assert lake.rows("rdf").num_rows == 7
    assert lake.keys("rdf") == ["a", "b"]


def test_the_same_rows_again_make_no_new_version(tmp_path):
    put(str(tmp_path), "a", 3)
    before = Lake(str(tmp_path)).version("rdf")
    put(str(tmp_path), "a", 3)
    assert Lake(str(tmp_path)).version("rdf") == before


def test_an_older_version_can_still_be_read(tmp_path):
    lake = Lake(str(tmp_path))
    pinned = lake.replace("rdf", "a", rows("a", 3))
    lake.replace("rdf", "a", rows("a", 9))
    assert lake.rows("rdf", version=pinned).num_rows == 3


def test_racing_first_writers_of_one_key_leave_one_file(tmp_path, race):
    race(put, [(str(tmp_path), "a", n_rows, n_rows) for n_rows in (2, 3, 4)])
    found = Lake(str(tmp_path)).rows("rdf")["g"].to_pylist()
    assert len(found) in (2, 3, 4)
    assert set(found) == {float(len(found))}


def test_a_writer_killed_at_any_moment_leaves_whole_rows_only(tmp_path):
    code = f"from tests_put import put_for_ever; put_for_ever({str(tmp_path)!r})"
    (tmp_path / "tests_put.py").write_text(
        "import itertools\nfrom lake.delta import Lake\n\n\ndef put_for_ever(root):\n"
        "    for n in itertools.count(1):\n"
        "        row = {'run_id': 'a', 'pair': 'Al-Al', 'g': float(n % 7 + 1)}\n"
        "        Lake(root).replace('rdf', 'a', [row] * (n % 7 + 1))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    for pause_s in (0.05, 0.13, 0.21, 0.34):
        writer = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
        while not Lake(str(tmp_path)).keys("rdf") and writer.poll() is None:
            time.sleep(0.01)
        time.sleep(pause_s)
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
        found = Lake(str(tmp_path)).rows("rdf")["g"].to_pylist()
        assert set(found) == {float(len(found))}


def test_an_appending_writer_killed_at_any_moment_leaves_whole_appends_in_order(tmp_path):
    (tmp_path / "tests_append.py").write_text(
        "import itertools\nimport pyarrow as pa\nfrom lake.delta import Lake\nfrom schemas.tables import TABLES\n"
        "schema = TABLES['rdf'].file_schema\n\n\ndef append_for_ever(root):\n"
        "    for n in itertools.count(Lake(root).n_rows('rdf', 'a') // 3):\n"
        "        batch = pa.RecordBatch.from_pylist([{'g': float(n)}] * 3, schema=schema)\n"
        "        Lake(root).append_batches('rdf', {'run_id': 'a'}, [batch], after=3 * n)\n"
    )
    code = f"from tests_append import append_for_ever; append_for_ever({str(tmp_path)!r})"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    for pause_s in (0.07, 0.19):
        before = Lake(str(tmp_path)).n_rows("rdf")
        writer = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
        while Lake(str(tmp_path)).n_rows("rdf") == before and writer.poll() is None:
            time.sleep(0.01)
        time.sleep(pause_s)
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
        found = Lake(str(tmp_path)).rows("rdf")["g"].to_pylist()
        assert found == [float(n // 3) for n in range(len(found))]
        assert before < len(found) == len(found) // 3 * 3


def test_polars_reads_a_table_without_us(tmp_path):
    put(str(tmp_path), "a", 4)
    assert pl.scan_delta(str(tmp_path / "rdf")).collect().height == 4


def test_no_version_of_a_table_expires_by_itself(tmp_path):
    put(str(tmp_path), "a", 1)
    settings = deltalake.DeltaTable(str(tmp_path / "rdf")).metadata().configuration
    assert settings["delta.logRetentionDuration"] == "interval 36500 days"


def test_a_name_that_a_path_must_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must not have"):
        put(str(tmp_path), "../a", 1)


@pytest.mark.parametrize("name", ["a b", "ü", "c#d", "x:y", "[1]"])
def test_any_folder_name_can_hold_a_lake(tmp_path, name):
    root = str(tmp_path / name / "lake")
    put(root, "a", 3)
    put(root, "a", 2)
    assert Lake(root).rows("rdf", key="a").num_rows == 2
    assert [Path(file).exists() for file in Lake(root).files("rdf")] == [True]


@pytest.mark.parametrize("root", ["s3://", "s3://bucket/a b", "gs://bucket/lake", "100%20/lake"])
def test_a_place_that_cannot_hold_a_lake_is_refused_before_anything_is_written(root):
    with pytest.raises(MeltlakeError, match=r"needed a (folder|path)|must not contain"):
        Lake(root)


def test_appended_rows_follow_those_that_were_there(tmp_path):
    put(str(tmp_path), "a", 3)
    put(str(tmp_path), "b", 1)
    before = Lake(str(tmp_path)).version("rdf")
    assert more(str(tmp_path), "a", 2, after=3, value=7.0) == before + 1
    lake = Lake(str(tmp_path))
    assert lake.rows("rdf", key="a")["g"].to_pylist() == [1.0, 1.0, 1.0, 7.0, 7.0]
    assert (lake.n_rows("rdf", "a"), lake.n_rows("rdf"), lake.n_rows("rdf", "c")) == (5, 6, 0)
    assert lake.n_rows("rdf", "a", version=before) == 3
    assert [Path(file).name[:10] for file in lake.files("rdf", key="a")] == ["000000000-", "000000003-"]


@pytest.mark.parametrize("after", [0, 2, 4])
def test_rows_are_not_appended_to_another_number_of_rows(tmp_path, after):
    put(str(tmp_path), "a", 3)
    assert more(str(tmp_path), "a", 2, after=after) is None
    assert Lake(str(tmp_path)).n_rows("rdf", "a") == 3


def test_the_same_append_again_adds_nothing(tmp_path):
    put(str(tmp_path), "a", 3)
    more(str(tmp_path), "a", 2, after=3)
    assert more(str(tmp_path), "a", 2, after=3) is None
    assert Lake(str(tmp_path)).n_rows("rdf", "a") == 5


def test_of_racing_appends_one_wins(tmp_path, race):
    put(str(tmp_path), "a", 2)
    race(append_in_race, [(str(tmp_path), value) for value in (3.0, 4.0, 5.0, 6.0)])
    found = Lake(str(tmp_path)).rows("rdf", key="a")["g"].to_pylist()
    assert found[:2] == [1.0, 1.0]
    assert len(found) == 3


def test_a_replaced_key_has_no_rows_of_an_append_that_raced(tmp_path, race):
    put(str(tmp_path), "a", 2)
    race(append_or_replace, [(str(tmp_path), value) for value in (5.0, 0.0, 6.0, 0.0)])
    assert Lake(str(tmp_path)).rows("rdf", key="a")["g"].to_pylist() == [0.0]


def test_a_removed_key_is_gone_now_and_there_before(tmp_path):
    put(str(tmp_path), "a", 3)
    put(str(tmp_path), "b", 1)
    lake = Lake(str(tmp_path))
    before = lake.version("rdf")
    assert lake.remove("rdf", "a") == lake.remove("rdf", "a") == before + 1
    assert (lake.keys("rdf"), lake.n_rows("rdf", "a", version=before)) == (["b"], 3)
    assert lake.remove("vacf", "a") == -1


def test_a_second_writer_of_a_run_waits_and_then_gives_up(tmp_path):
    lake = Lake(str(tmp_path))
    with (
        lake.writing("a", doing="storing run a"),
        lake.writing("b", doing="storing run b"),
        pytest.raises(TryAgainLater, match="storing run a"),
        lake.writing("a", doing="storing run a", wait_s=0.2),
    ):
        pytest.fail("two writers of one run")
    with lake.writing("a", doing="storing run a", wait_s=0.0):
        assert (tmp_path / "_locks" / "a.lock").exists()


def test_a_lake_of_version_1_reads_with_nulls_for_what_it_lacks(old_lake):
    lake = Lake(old_lake)
    assert lake.rows("frames").num_rows == lake.n_rows("frames", STORED_RUN) == 6
    [batch] = lake.frame_batches(STORED_RUN, ("scf_verdict", "energy_ev", "n_atoms"))
    assert batch.schema.names == ["scf_verdict", "energy_ev", "n_atoms"]
    assert batch["n_atoms"].to_pylist() == [32] * 6
    assert (batch["scf_verdict"].null_count, batch["energy_ev"].null_count) == (6, 0)


@pytest.mark.rows_by_hand
def test_the_first_write_brings_a_lake_of_version_1_to_this_version(old_lake):
    lake = Lake(old_lake)
    stored = lake.rows("runs").to_pylist()[0]
    lake.replace("runs", "new", [{**stored, "run_id": "new", "encut_ev": 400.0}])
    assert sorted(pl.scan_delta(f"{old_lake}/runs").collect()["encut_ev"].to_list(), key=str) == [400.0, None]
    files = [f"'{file}'" for file in lake.files("runs")]
    found = duckdb.sql(f"select encut_ev from read_parquet([{','.join(files)}], union_by_name=true)").fetchall()
    assert sorted(found, key=str) == [(400.0,), (None,)]
    assert lake.rows("runs", key=STORED_RUN).to_pylist() == [stored]


def test_sql_reads_a_lake_of_version_1_and_publishes_it(old_lake):
    settings = Settings.from_mapping({}, lake=old_lake)
    asked = "select count(*) as n, count(scf_verdict) as n_verdicts, count(energy_ev) as n_energies from frames"
    expected = [{"n": 6, "n_verdicts": 0, "n_energies": 6}]
    assert query(settings, asked) == expected
    publish(settings)
    assert query(settings, asked) == expected


@pytest.mark.rows_by_hand
def test_appending_to_a_run_of_version_1_keeps_its_frames_first(old_lake):
    lake = Lake(old_lake)
    [batch] = lake.frame_batches(STORED_RUN, TABLES["frames"].file_schema.names)
    partition = {"composition": "Al50Cu50", "run_id": STORED_RUN}
    lake.append_batches("frames", partition, [batch.slice(0, 2)], after=6)
    frames = [row for part in lake.frame_batches(STORED_RUN, ("frame",)) for row in part["frame"].to_pylist()]
    assert frames == [0, 1, 2, 3, 4, 5, 0, 1]


def put_run(root, key):
    lake = Lake(root)
    lake.replace("runs", key, [{**lake.rows("runs", key=STORED_RUN).to_pylist()[0], "encut_ev": 400.0}])


@pytest.mark.rows_by_hand
def test_racing_first_writers_bring_a_lake_of_version_1_up_together(old_lake, race):
    race(put_run, [(old_lake, key) for key in "abcd"])
    assert Lake(old_lake).keys("runs") == [STORED_RUN, "a", "b", "c", "d"]
    assert Lake(old_lake).rows("runs")["encut_ev"].null_count == 1


def test_a_lake_of_a_newer_version_is_read_and_not_written(tmp_path):
    put(str(tmp_path), "a", 3)
    later = deltalake.Field("charge", deltalake.schema.PrimitiveType("double"))
    deltalake.DeltaTable(str(tmp_path / "rdf")).alter.add_columns(later)
    assert Lake(str(tmp_path)).rows("rdf").num_rows == 3
    with pytest.raises(MeltlakeError, match="does not know: charge"):
        put(str(tmp_path), "b", 1)


def test_files_folders_and_log_entries_are_on_the_disk_before_a_write_returns(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    put(str(tmp_path), "a", 3)
    more(str(tmp_path), "a", 2, after=3)
    log, folder = tmp_path / "rdf" / "_delta_log", tmp_path / "rdf" / "run_id=a"
    assert {str(log / f"{version:020d}.json") for version in (0, 1, 2)} <= set(flushed)
    assert {str(path) for path in (tmp_path, tmp_path / "rdf", log, folder)} <= set(flushed)
    assert sum(name.startswith(str(folder)) and name.endswith(".tmp") for name in flushed) == 2
