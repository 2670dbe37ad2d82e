"""The published warehouse: a function of the lake's versions, swapped in whole, never older, whoever is killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.warehouse import is_current, publish, published, published_versions, query
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import FRAMES, TABLES
from schemas.views import VIEWS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def settings(tmp_path):
    """A lake with rows in some tables."""
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    store(settings, "a1", n_frames=3)
    store(settings, "b2", n_frames=2)
    Lake(settings.lake).replace("rdf", "a1", [{"run_id": "a1", "pair": "Al-Al", "r_angstrom": 2.0, "g": 1.0}])
    return settings


def store(settings, run_id, *, n_frames):
    lake = Lake(settings.lake)
    rows = [{"frame": frame, "accepted": True, "energy_ev": -1.5 * frame} for frame in range(n_frames)]
    batches = pa.Table.from_pylist(rows, schema=FRAMES.file_schema).to_batches()
    lake.replace_batches("frames", {"composition": "Al100", "run_id": run_id}, batches)
    lake.replace("runs", run_id, [{"run_id": run_id, "composition": "Al100", "n_frames": n_frames}])


def contents(settings):
    """Every row in its order, every definition and comment of a warehouse."""
    with duckdb.connect(settings.warehouse, read_only=True) as warehouse:
        names = [name for (name,) in warehouse.execute("select name from (show tables) order by 1").fetchall()]
        rows = {name: warehouse.execute(f"from {name}").fetchall() for name in names}
        columns = "table_name, column_name, column_index, data_type, comment"
        rows["columns"] = warehouse.execute(f"select {columns} from duckdb_columns() order by all").fetchall()
        rows["tables"] = warehouse.execute("select table_name, comment from duckdb_tables() order by 1").fetchall()
        rows["views"] = warehouse.execute("select view_name, sql, comment from duckdb_views() order by 1").fetchall()
    return rows


def test_what_is_current_is_not_built_again(settings):
    assert publish(settings).changed is True
    before = Path(settings.warehouse).stat().st_ino
    again = publish(settings)
    assert (again.changed, again.rebuilt, again.n_rows["frames"]) == (False, [], 5)
    assert Path(settings.warehouse).stat().st_ino == before
    assert is_current(settings, Lake(settings.lake))


def test_taking_over_what_has_not_changed_gives_the_same_as_building_all(settings):
    publish(settings)
    store(settings, "a1", n_frames=4)
    Lake(settings.lake).replace("vacf", "a1", [{"run_id": "a1", "element": "Al", "lag_fs": 0.0, "vacf": 1.0}])
    assert publish(settings).rebuilt == ["frames", "runs", "vacf"]
    taken_over = contents(settings)
    Path(settings.warehouse).unlink()
    assert publish(settings).rebuilt == sorted(TABLES)
    assert contents(settings) == taken_over
    assert (len(taken_over["rdf"]), len(taken_over["frames"])) == (1, 6)


def test_every_table_view_and_column_says_what_it_is(settings):
    publish(settings)
    with duckdb.connect(settings.warehouse, read_only=True) as warehouse:
        silent = warehouse.execute(
            "select table_name, column_name from duckdb_columns() where comment is null and not internal union all "
            "select table_name, null from duckdb_tables() where comment is null and not internal union all "
            "select view_name, null from duckdb_views() where comment is null and not internal"
        ).fetchall()
        [(n_said,)] = warehouse.execute("select count(*) from duckdb_columns() where comment is not null").fetchall()
    assert silent == []
    assert n_said > 800


def test_duckdb_1_5_can_open_the_file(settings):
    publish(settings)
    header = Path(settings.warehouse).read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 68  # what 1.5.5 writes itself; the default of 2.0 is above


@pytest.mark.skipif("MELTLAKE_OTHER_DUCKDB" not in os.environ, reason="MELTLAKE_OTHER_DUCKDB names no interpreter")
def test_another_duckdb_reads_all_of_it(settings):
    """An interpreter of an environment with nothing but another line of DuckDB."""
    publish(settings)
    names = [*TABLES, *(view.name for view in VIEWS)]
    program = (
        "import duckdb, sys; w = duckdb.connect(sys.argv[1], read_only=True); "
        "print(duckdb.__version__, *[len(w.execute(f'from {n}').fetchall()) for n in sys.argv[2:]])"
    )
    command = [os.environ["MELTLAKE_OTHER_DUCKDB"], "-c", program, settings.warehouse, *names]
    version, *counts = subprocess.run(command, check=True, capture_output=True, text=True, env={}).stdout.split()
    assert version != duckdb.__version__
    with published(settings) as run:
        assert list(map(int, counts)) == [run(f"select count(*) from {name}")[0][0].as_py() for name in names]


def test_whoever_still_reads_the_warehouse_before_keeps_nobody_from_the_new_one(settings):
    publish(settings)
    n_runs = "select count(*) from runs"
    with published(settings) as earlier:
        store(settings, "c3", n_frames=1)
        publish(settings)
        with published(settings) as later:
            assert later(n_runs)[0][0].as_py() == 3
            assert earlier(n_runs)[0][0].as_py() == 2


def test_a_damaged_warehouse_counts_as_absent_and_is_built_again(settings):
    publish(settings)
    whole = contents(settings)
    file = Path(settings.warehouse)
    file.write_bytes(b"no warehouse")
    assert published_versions(settings) == {}
    assert publish(settings).changed is True
    assert contents(settings) == whole


def test_damage_that_shows_only_when_rows_are_read_is_not_taken_over(settings):
    rows = [{"run_id": "a1", "pair": "Al-Al", "r_angstrom": float(i), "g": i**0.5} for i in range(200_000)]
    Lake(settings.lake).replace("rdf", "a1", rows)
    publish(settings)
    file = Path(settings.warehouse)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = os.urandom(4096)
    file.write_bytes(content)
    store(settings, "c3", n_frames=1)
    assert published_versions(settings)["rdf"] >= 0
    assert publish(settings).n_rows["rdf"] == 200_000
    assert query(settings, "select sum(g) as total from rdf") == [
        {"total": pytest.approx(sum(i**0.5 for i in range(200_000)))}
    ]


def test_a_lake_that_went_back_does_not_replace_what_is_newer(settings, tmp_path):
    shutil.copytree(settings.lake, tmp_path / "copy")
    store(settings, "c3", n_frames=1)
    publish(settings)
    shutil.rmtree(settings.lake)
    (tmp_path / "copy").rename(settings.lake)
    with pytest.raises(MeltlakeError, match="an older state must not replace a newer one"):
        publish(settings)
    assert published_versions(settings)["runs"] == 3
    Path(settings.warehouse).unlink()
    assert publish(settings).n_rows["runs"] == 2


def test_another_lake_at_the_same_place_is_no_older_one(settings):
    publish(settings)
    shutil.rmtree(settings.lake)
    store(settings, "z9", n_frames=1)
    assert publish(settings).n_rows["runs"] == 1
    assert query(settings, "select run_id from runs") == [{"run_id": "z9"}]


def test_a_session_sees_what_changed_since_the_warehouse_was_published(settings):
    publish(settings)
    store(settings, "a1", n_frames=9)
    both = "select (select sum(n_frames)::int from runs) as of_runs, (select count(*) from frames) as n, "
    both += "(select count(*) from rdf) as n_rdf"
    assert query(settings, both) == [{"of_runs": 11, "n": 11, "n_rdf": 1}]
    with published(settings) as run:
        assert run(both).to_pylist() == [{"of_runs": 5, "n": 5, "n_rdf": 1}]


WRITER = """if True:
    import sys, time
    import pyarrow as pa
    from lake.delta import Lake
    from schemas.tables import FRAMES
    lake = Lake(sys.argv[1])
    while True:
        number = lake.version("runs") + 1 if lake.version("runs") >= 0 else 1
        rows = [{"frame": i, "energy_ev": float(number)} for i in range(3)]
        batch = pa.Table.from_pylist(rows, schema=FRAMES.file_schema)
        lake.replace_batches("frames", {"composition": "Al100", "run_id": "r"}, batch.to_batches())
        lake.replace("runs", "r", [{"run_id": "r", "n_frames": number}])
        lake.replace("rmse", "p", [{"potential_id": "p", "n_frames": number}])
        time.sleep(0.2)
"""
PUBLISHER = """if True:
    import pathlib, sys
    from lake.warehouse import publish
    from schemas.settings import Settings
    pathlib.Path(sys.argv[2]).touch()
    while True:
        publish(Settings.from_mapping({}, lake=sys.argv[1]))
"""
READER = """if True:
    import json, pathlib, sys, time, duckdb
    told = {"reads": 0, "errors": [], "mixed": [], "states": 0}
    last, names = {}, int(sys.argv[3])
    while not pathlib.Path(sys.argv[2]).exists():
        try:
            with duckdb.connect(sys.argv[1], read_only=True) as warehouse:
                of = dict(warehouse.execute("select table_name, lake_version from _meta").fetchall())
                seen = {
                    "runs": warehouse.execute("select max(n_frames) from runs").fetchone()[0],
                    "rmse": warehouse.execute("select max(n_frames) from rmse").fetchone()[0],
                    "frames": int(warehouse.execute("select min(energy_ev) from frames").fetchone()[0]),
                }
                n_frames, n_names = warehouse.execute(
                    "select (select count(*) from frames), (select count(*) from (show tables))"
                ).fetchone()
            if any(seen[name] != of[name] for name in seen) or (n_frames, n_names) != (3, names):
                told["mixed"].append([seen, {name: of[name] for name in seen}, n_frames, n_names])
            if any(of[name] < last.get(name, -1) for name in of):
                told["mixed"].append("older: " + repr([last, of]))
            told["reads"] += 1
            told["states"] += of != last
            last = of
            time.sleep(0.1)
        except Exception as error:
            told["errors"].append(repr(error))
    print(json.dumps(told))
"""


def start(program, *words):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def killed_publishers(home, *, n_kills, n_readers, n_publishers):
    """What readers saw while so many publishers, some at a time, were killed at any moment of their work."""
    lake, stop, choose = home / "lake", home / "stop", random.Random(3)
    settings, others = Settings.from_mapping({}, lake=str(lake)), [start(WRITER, lake)]
    try:
        while min(Lake(str(lake)).version(name) for name in ("frames", "runs", "rmse")) < 1:
            time.sleep(0.1)
        started = time.monotonic()
        publish(settings)
        longest_s = 4 * (time.monotonic() - started)
        n_names = len(TABLES) + len(VIEWS) + 1
        readers = [start(READER, settings.warehouse, stop, n_names) for _ in range(n_readers)]
        for _ in range(n_kills):
            marks = [home / f"ready-{number}" for number in range(n_publishers)]
            victims = [start(PUBLISHER, lake, mark) for mark in marks]
            others += victims
            for victim, mark in zip(victims, marks, strict=True):
                while not mark.exists():
                    assert victim.poll() is None
                    time.sleep(0.01)
                time.sleep(choose.uniform(0, longest_s))
                victim.send_signal(signal.SIGKILL)
                assert victim.wait() == -signal.SIGKILL
                mark.unlink()
        publish(settings)
        time.sleep(1)
        stop.touch()
        told = [json.loads(reader.communicate()[0]) for reader in readers]
    finally:
        for process in others:
            process.kill()
            process.communicate()
    publish(settings)
    assert is_current(settings, Lake(str(lake)))
    assert list(home.glob(".*unfinished*")) == []
    return told


def check(told):
    assert [reader["errors"] for reader in told] == [[]] * len(told)
    assert [reader["mixed"] for reader in told] == [[]] * len(told)
    assert min(reader["reads"] for reader in told) > 0
    assert max(reader["states"] for reader in told) > 1
    print(f"{sum(reader['reads'] for reader in told)} reads of {max(reader['states'] for reader in told)} states")


def test_killed_publishers_leave_no_mixed_state(tmp_path):
    check(killed_publishers(tmp_path, n_kills=2, n_readers=2, n_publishers=1))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_many_killed_publishers_leave_no_mixed_state(tmp_path):
    check(killed_publishers(tmp_path, n_kills=7, n_readers=4, n_publishers=2))
