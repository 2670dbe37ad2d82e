"""Exactly once: whatever is repeated, raced or killed, a key has the rows of one writer, whole."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import deltalake
import polars as pl
import pytest

from lake.delta import Lake
from schemas.errors import MeltlakeError

ROOT = Path(__file__).parents[1]
SPAWN = multiprocessing.get_context("spawn")  # delta-rs does not survive a fork


def rows(key, n_rows, value=1.0):
    return [
        {"run_id": key, "composition": "Al100", "pair": "Al-Al", "r_angstrom": float(i), "g": value}
        for i in range(n_rows)
    ]


def put(root, key, n_rows, value=1.0):
    Lake(root).replace("rdf", key, rows(key, n_rows, value))


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


def test_racing_first_writers_of_one_key_leave_one_file(tmp_path):
    writers = [SPAWN.Process(target=put, args=(str(tmp_path), "a", n_rows, n_rows)) for n_rows in (2, 3, 4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
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


@pytest.mark.parametrize("root", ["s3://bucket/lake", "100%20/lake"])
def test_a_place_that_cannot_hold_a_lake_is_refused_before_anything_is_written(root):
    with pytest.raises(MeltlakeError, match=r"bucket|must not contain"):
        Lake(root)
