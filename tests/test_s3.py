"""A lake and its sources in a bucket, through a real server that speaks S3: the same promises as on a disk."""

import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lake.compaction import compact
from lake.delta import Lake
from lake.object_store import file_system
from lake.raw_store import entries_of, is_file, is_folder, open_raw, size_bytes
from lake.sources import run_sources
from lake.vacuum import vacuum
from lake.warehouse import publish, query
from operators.ingest import ingest
from operators.toy_melt import ToyMeltRequest, generate
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.settings import Settings
from schemas.tables import TABLES
from tests.object_store import SECRET, make_bucket, s3_server, use_store

pytestmark = pytest.mark.skipif(importlib.util.find_spec("moto") is None, reason="needs moto, a server that speaks S3")

PROCESSES = multiprocessing.get_context("forkserver")  # delta-rs does not survive a fork of what has used it
PROCESSES.set_forkserver_preload(["great_expectations"])  # seconds of imports, once instead of four times
ROOT = Path(__file__).parents[1]
STORED = ROOT / "tests" / "stored" / "lake-version-1"


@pytest.fixture(scope="module")
def server():
    with s3_server() as address:
        yield address


@pytest.fixture(scope="module")
def bucket(server):
    """Address of a bucket of this server, which the environment then names."""
    with pytest.MonkeyPatch.context() as patch:
        use_store(patch, server)
        make_bucket(server, "melts")
        yield "s3://melts"


@pytest.fixture
def upload(bucket):
    """Put bytes under a key."""

    def put_object(key, content):
        with file_system(bucket).open_output_stream(f"melts/{key}") as stream:
            stream.write(content)

    return put_object


@pytest.fixture
def root(bucket, request, tmp_path, monkeypatch):
    """A lake of its own for each test, and a working directory for what stays on this machine."""
    monkeypatch.chdir(tmp_path)
    return f"{bucket}/{request.node.name.partition('[')[0]}"


def settle(folder, environment):
    os.chdir(folder)
    os.environ.update(environment)


@pytest.fixture(scope="module")
def race(bucket, tmp_path_factory):
    """Calls of one function in processes of their own, all at the same time."""
    with PROCESSES.Pool(4, settle, (tmp_path_factory.mktemp("here"), dict(os.environ))) as processes:
        processes.map(time.sleep, [0.5] * 4, chunksize=1)  # all have started
        yield lambda function, arguments: processes.starmap(function, arguments, chunksize=1)


def rows(n_rows, value=1.0):
    return [{"composition": "Al100", "pair": "Al-Al", "r_angstrom": float(i), "g": value} for i in range(n_rows)]


def put(root, key, n_rows, value=1.0):
    return Lake(root).replace("rdf", key, rows(n_rows, value))


def more(root, key, value, after):
    batch = pa.RecordBatch.from_pylist(rows(2, value), schema=TABLES["rdf"].file_schema)
    return Lake(root).append_batches("rdf", {"run_id": key}, [batch], after=after)


def test_a_lake_in_a_bucket_keeps_the_promises_of_one_on_a_disk(root):
    lake = Lake(root)
    assert (lake.version("rdf"), lake.rows("rdf").num_rows) == (-1, 0)
    pinned = put(root, "a", 3)
    assert put(root, "a", 3) == pinned
    assert more(root, "a", 7.0, after=3) == pinned + 1
    assert more(root, "a", 8.0, after=3) is None
    put(root, "b", 1)
    assert lake.rows("rdf", key="a")["g"].to_pylist() == [1.0, 1.0, 1.0, 7.0, 7.0]
    lake.remove("rdf", "a")
    assert (lake.keys("rdf"), lake.n_rows("rdf", version=pinned)) == (["b"], 3)
    assert lake.files("rdf")[0].startswith(f"{root}/rdf/run_id=b/000000000-")
    assert list(lake.scratch.iterdir()) == []


def test_racing_writers_of_one_key_leave_the_rows_of_one(root, race):
    race(put, [(root, "a", n_rows, float(n_rows)) for n_rows in (2, 3, 4, 5)])
    found = Lake(root).rows("rdf")["g"].to_pylist()
    assert set(found) == {float(len(found))}


def test_of_racing_appends_one_wins(root, race):
    put(root, "a", 2)
    versions = race(more, [(root, "a", value, 2) for value in (3.0, 4.0, 5.0, 6.0)])
    assert sum(version is not None for version in versions) == 1
    assert Lake(root).n_rows("rdf", "a") == 4


def test_racing_writers_of_different_keys_all_win(root, race):
    race(put, [(root, key, 3, float(i)) for i, key in enumerate("abcdefgh")])
    assert Lake(root).keys("rdf") == list("abcdefgh")
    assert Lake(root).rows("rdf").num_rows == 24


def test_compaction_and_vacuum_work_in_a_bucket(root):
    lake = Lake(root)
    put(root, "a", 3)
    pinned = more(root, "a", 7.0, after=3)
    more(root, "a", 8.0, after=5)
    assert len(compact(lake, "rdf")) == 1
    deleted = vacuum(lake, keep_versions={"rdf": {pinned}}, older_than_hours=0, dry_run=False)
    assert [file.path.rpartition("/")[2][:10] for file in deleted] == ["000000005-"]
    assert lake.rows("rdf")["g"].to_pylist() == [1.0, 1.0, 1.0, 7.0, 7.0, 8.0, 8.0]
    assert lake.rows("rdf", version=pinned).num_rows == 5


def test_frames_come_back_from_a_bucket_as_they_went(root):
    here, there = Lake(str(STORED)), Lake(root)
    columns = TABLES["frames"].file_schema.names
    [run_id] = here.keys("frames")
    batches = list(here.frame_batches(run_id, columns))
    there.replace_batches("frames", {"composition": "Al50Cu50", "run_id": run_id}, batches)
    assert list(there.frame_batches(run_id, columns)) == batches


def test_sql_sees_every_column_of_frames_in_a_bucket_before_and_after_publishing(root):
    here, settings = Lake(str(STORED)), Settings.from_mapping({}, lake=root)
    [run_id] = here.keys("frames")
    batches = here.frame_batches(run_id, TABLES["frames"].file_schema.names)
    Lake(root).replace_batches("frames", {"composition": "Al50Cu50", "run_id": run_id}, batches)
    asked = "select composition, count(*) as n, sum(len(positions_angstrom)) as m from frames group by composition"
    expected = [{"composition": "Al50Cu50", "n": 6, "m": 6 * 3 * 32}]
    assert query(settings, asked) == expected
    assert publish(settings).n_rows["frames"] == 6
    assert Path(settings.warehouse).is_file()
    assert query(settings, asked) == expected


@pytest.fixture(scope="module")
def outcars(tmp_path_factory):
    """OUTCARs of four synthetic runs."""
    folder = tmp_path_factory.mktemp("raw")
    for seed in range(4):
        request = ToyMeltRequest(composition="Al50Cu50", n_atoms=16, n_frames=9, source_format="outcar", seed=seed)
        generate(folder / f"run{seed}", request)
    return [(folder / f"run{seed}" / "OUTCAR").read_bytes() for seed in range(4)]


def ingested(root, source):
    return ingest(Settings.from_mapping({}, lake=root), [source])["runs"]


def test_four_processes_that_ingest_one_run_from_and_to_a_bucket_store_it_once(root, upload, bucket, outcars, race):
    upload("one/run/OUTCAR", outcars[0])
    found = race(ingested, [(root, f"{bucket}/one")] * 4)
    assert len({run["run_id"] for [run] in found}) == 1
    assert [(run["n_frames"], run["reason"]) for [run] in found] == [(9, None)] * 4
    lake = Lake(root)
    assert lake.rows("frames", columns=["frame"])["frame"].to_pylist() == list(range(9))
    assert lake.rows("runs")["source_uri"].to_pylist() == [f"{bucket}/one/run/OUTCAR"]
    [again] = ingested(root, f"{bucket}/one")
    assert (again["n_new"], again["changed"]) == (0, False)


def test_four_processes_that_ingest_a_run_each_lose_none(root, upload, bucket, outcars, race):
    for seed, content in enumerate(outcars):
        upload(f"four/run{seed}/OUTCAR", content)
    race(ingested, [(root, f"{bucket}/four/run{seed}") for seed in range(4)])
    lake = Lake(root)
    assert lake.rows("runs")["n_frames"].to_pylist() == [9] * 4
    assert lake.rows("frames", columns=["frame"])["frame"].to_pylist() == list(range(9)) * 4


def test_a_growing_run_in_a_bucket_gets_its_new_frames_only(root, upload, bucket, outcars, race):
    upload("growing/OUTCAR", outcars[1][: len(outcars[1]) * 2 // 3])
    [[first]] = race(ingested, [(root, f"{bucket}/growing")])
    upload("growing/OUTCAR", outcars[1])
    [[second]] = race(ingested, [(root, f"{bucket}/growing")])
    assert (first["run_id"], first["complete"], second["complete"]) == (second["run_id"], False, True)
    assert 0 < first["n_frames"] == 9 - second["n_new"] < 9
    assert Lake(root).rows("frames", columns=["frame"])["frame"].to_pylist() == list(range(9))


def command(*words):
    """One command as a process of its own, with this environment."""
    line = [sys.executable, "-m", "operators.cli", *words, "--json"]
    return subprocess.Popen(line, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True)


@pytest.mark.slow
def test_four_commands_that_ingest_one_run_from_and_to_a_bucket_store_it_once(root, upload, bucket, outcars):
    upload("commands/run/OUTCAR", outcars[2])
    processes = [command("ingest", f"{bucket}/commands", "--lake", root) for _ in range(4)]
    told = [json.loads(process.communicate(timeout=200)[0])["runs"] for process in processes]
    assert [(run["n_frames"], run["reason"]) for [run] in told] == [(9, None)] * 4
    assert [process.returncode for process in processes] == [0] * 4
    assert Lake(root).rows("frames", columns=["frame"])["frame"].to_pylist() == list(range(9))


def test_runs_are_found_below_a_prefix(upload, bucket):
    for key in ("one/OUTCAR", "one/vasprun.xml", "two/deep/OUTCAR.gz", "two/.hidden/OUTCAR", "two/POSCAR"):
        upload(f"tree/{key}", b"VASP")
    found = [source.files for source in run_sources(f"{bucket}/tree/")]
    tree = f"{bucket}/tree"
    assert found == [(f"{tree}/one/vasprun.xml", f"{tree}/one/OUTCAR"), (f"{tree}/two/deep/OUTCAR.gz",)]
    assert list(entries_of(f"{tree}/one")) == [(f"{tree}/one/OUTCAR", False), (f"{tree}/one/vasprun.xml", False)]
    assert (is_file(f"{tree}/one/OUTCAR"), is_folder(f"{tree}/one"), is_folder(f"{tree}/none")) == (True, True, False)


def test_a_raw_file_in_a_bucket_reads_front_to_back(upload, bucket):
    content = np.random.default_rng(1).bytes(20_000_003)  # several requests
    upload("raw/OUTCAR of run#1%", content)
    uri = f"{bucket}/raw/OUTCAR of run#1%"
    stream, found, memory = open_raw(uri), bytearray(), memoryview(bytearray(300_000))
    while n := stream.readinto(memory):
        found += memory[:n]
    stream.close()
    assert size_bytes(uri) == len(content)
    assert found == content


def test_a_missing_bucket_is_told_and_not_an_empty_lake(bucket):
    with pytest.raises(MeltlakeError, match=r"s3://no-such/lake.*there is no such bucket"):
        Lake("s3://no-such/lake").rows("runs")
    with pytest.raises(MeltlakeError, match="there is no such bucket"):
        run_sources("s3://no-such/runs")
    with pytest.raises(MeltlakeError, match="there is no such bucket"):
        put("s3://no-such/lake", "a", 1)


def test_a_missing_raw_file_is_told(bucket):
    with pytest.raises(MeltlakeError, match="found nothing"):
        run_sources(f"{bucket}/nowhere")
    with pytest.raises(MeltlakeError, match="there is nothing there"):
        open_raw(f"{bucket}/nowhere/OUTCAR")


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_PUT = do_GET  # noqa: N815  # http.server's names

    def log_message(self, *_):
        pass


def test_a_store_that_refuses_access_is_told_without_the_secret(bucket, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Refusing) as store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        use_store(monkeypatch, f"http://127.0.0.1:{store.server_port}")
        with pytest.raises(MeltlakeError, match="refuses access") as refused:
            Lake("s3://forbidden/lake").rows("runs")
        store.shutdown()
    assert SECRET not in f"{refused.value} {refused.value.__cause__}"


def test_a_store_that_does_not_answer_is_given_up_soon(bucket, monkeypatch):
    use_store(monkeypatch, "http://127.0.0.1:1")
    started = time.monotonic()
    with pytest.raises(TryAgainLater, match="does not answer") as silent:
        Lake("s3://silent/lake").rows("runs")
    assert time.monotonic() - started < 30
    assert SECRET not in f"{silent.value} {silent.value.__cause__}"


def test_what_is_not_a_table_stays_on_this_machine(bucket):
    settings = Settings.from_mapping(os.environ, lake=f"{bucket}/lake")
    here = Path(".meltlake/buckets/melts/lake")
    assert (settings.home, settings.artifacts, settings.warehouse) == (
        here,
        here / "artifacts",
        str(here / "warehouse.duckdb"),
    )
    assert SECRET not in repr(settings)


def test_what_is_not_a_table_may_be_put_where_every_process_reaches_it(bucket, tmp_path):
    places = {"LAKE": f"{bucket}/lake", "LANDING": str(tmp_path / "landing"), "HOME": str(tmp_path)}
    told = Settings.from_mapping({f"MELTLAKE_{name}": place for name, place in places.items()})
    assert (told.home, told.artifacts, told.warehouse) == (
        tmp_path,
        tmp_path / "artifacts",
        str(tmp_path / "warehouse.duckdb"),
    )
    assert Settings.from_mapping(told.environment) == told
    named = Settings.from_mapping({"MELTLAKE_HOME": "/elsewhere"}, lake=str(tmp_path / "lake"), home=str(tmp_path))
    assert (named.home, named.artifacts) == (tmp_path, tmp_path / "lake" / "artifacts")
