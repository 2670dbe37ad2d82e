"""What anyone may type into the SQL box and behind `meltlake sql`: reading works, an attack ends in a sentence."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.sandbox import Limits, ask
from lake.sealed import sealed
from lake.warehouse import connected, publish
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.settings import Settings
from schemas.tables import FRAMES

ROOT = Path(__file__).parents[1]
NO_SELECT = "needed one SELECT and found"
LEAVES = "would leave the warehouse: .* disabled by configuration"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A published lake of two frames, with a secret beside it and one in it that is no frame."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings.from_mapping({}, lake=str(home / "lake"))
    lake = Lake(settings.lake)
    batches = pa.Table.from_pylist([{"frame": 0}, {"frame": 1}], schema=FRAMES.file_schema).to_batches()
    lake.replace_batches("frames", {"composition": "Al100", "run_id": "a1"}, batches)
    lake.replace("runs", "a1", [{"run_id": "a1", "n_frames": 2}, {"run_id": "a1", "n_frames": 3}])
    (home / "secret.csv").write_text("secret\n42\n")
    (home / "lake" / "secret.csv").write_text("secret\n42\n")
    (home / "lake" / "frames" / "way_out").symlink_to(home)
    publish(settings)
    with duckdb.connect(str(home / "other.duckdb")) as other:
        other.execute("create table secret as select 42")
    return settings


@pytest.fixture
def run(settings):
    with connected(settings) as connection:
        yield sealed(connection, settings, limits=Limits(), at_the_end=print)


def named(query, settings):
    return query.replace("LAKE", settings.lake).replace("HOME", str(settings.home))


def files(settings):
    found = [path for path in settings.home.rglob("*") if "_cache" not in path.parts]
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found)


READING = {
    "select count(*) from frames": 2,
    "from (select sum(n_frames) from runs)": 5,
    "with a as (select 1 as x) select x from a": 1,
    "select count(*) from (show tables) where name = 'runs'": 1,
    "select count(*) from (describe runs) where column_name = 'run_id'": 1,
    "select count(*) from (summarize runs) where column_name = 'run_id'": 1,
    "select frame from read_parquet('LAKE/frames/*/*/*.parquet') order by 1 desc": 1,
    "select comment is not null from duckdb_columns() where table_name = 'runs' and column_name = 'run_id'": True,
    "from query('select n_frames from runs where n_frames > 2')": 3,
    "-- a comment\nselect /* another */ 7;": 7,
    "select * from (" * 400 + "select 1" + ")" * 400: 1,
    'select count(*) from runs a, range(a.n_frames) where \'a\\"\\", "name": "COPY"\' is not null': 5,
    """select n_frames as "name"": "" copy" from runs order by 1 limit 1""": 2,
}


@pytest.mark.parametrize("query", READING)
def test_what_reads_the_warehouse_is_answered(settings, run, query):
    answer, _types, is_cut = run(named(query, settings))
    assert (answer.column(0)[0].as_py(), is_cut) == (READING[query], False)


@pytest.mark.parametrize("query", ["explain select 1", "explain /* so */ analyze select 1", "explain (select 1)"])
def test_a_select_is_explained(run, query):
    assert "plan" in run(query)[0].column("explain_key")[0].as_py()


COPYING = "with a as (copy (select 1) to 'LAKE/frames/out.csv')"

ATTACKS = {
    # writes
    "create table mine as select 1": f"{NO_SELECT} CREATE",
    "create temp table mine as select 1": f"{NO_SELECT} CREATE",
    "insert into runs (run_id) values ('x')": f"{NO_SELECT} INSERT",
    "update runs set n_frames = 0": f"{NO_SELECT} UPDATE",
    "delete from runs": f"{NO_SELECT} DELETE",
    "truncate runs": f"{NO_SELECT} DELETE",
    "drop table runs": f"{NO_SELECT} DROP",
    "alter table runs add column x int": f"{NO_SELECT} ALTER",
    "comment on table runs is 'x'": f"{NO_SELECT}",
    "vacuum": f"{NO_SELECT} VACUUM",
    "checkpoint": f"{NO_SELECT}",
    "begin": f"{NO_SELECT} TRANSACTION",
    "prepare p as delete from runs": f"{NO_SELECT} PREPARE",
    "select 1; delete from runs": f"{NO_SELECT} SELECT and DELETE",
    "with a as (select 1) delete from runs": f"{NO_SELECT} DELETE",
    "with a as (delete from runs returning *) from a": "attached in read-only mode",
    "from checkpoint()": "found checkpoint",
    "merge into runs using (select 1 as x) on false when not matched then insert (n_frames) values (x)": NO_SELECT,
    # files written
    "copy (select 1) to 'HOME/out.csv'": f"{NO_SELECT} COPY",
    "copy (select 1) to 'LAKE/frames/out.csv'": f"{NO_SELECT} COPY",
    "copy runs from 'HOME/secret.csv'": f"{NO_SELECT} COPY",
    "export database 'HOME/out'": f"{NO_SELECT} EXPORT",
    "explain analyze copy (select 1) to 'LAKE/frames/out.csv'": f"{NO_SELECT} COPY",
    "explain/**/analyze/**/copy (select 1) to 'LAKE/frames/out.csv'": f"{NO_SELECT} COPY",
    "explain (analyze) copy (select 1) to 'LAKE/frames/out.csv'": "query failed: Parser Error",
    "explain analyze create table t as select 1": f"{NO_SELECT} CREATE",
    "from query('copy (select 1) to ''LAKE/frames/out.csv''')": "Expected a single SELECT",
    f"{COPYING} select * from a": "found COPY TO FILE",
    f"explain analyze {COPYING} select 1": "found COPY TO FILE",
    "with a as (copy (select 1) to 'LAKE/frames/_delta_log/0.json') select 1": "found COPY TO FILE",
    "with a as (copy runs to 'LAKE/frames/out' (format parquet, partition_by run_id)) from a": "found COPY TO FILE",
    f"from query($${COPYING} from a$$)": "must be at the top level",
    f"from json_execute_serialized_sql(json_serialize_sql($${COPYING} from a$$))": "found json_execute_serialized_sql",
    "from query('from json_execute_serialized_sql(json_serialize_sql(''from runs''))')": "found json_execute",
    "from destroy_external_resource('json_execute_serialized_sql', 'x')": "found destroy_external_resource",
    "from register_external_resource_type('t', kind:='k', create_function:='f', status_function:='f', "
    "destroy_function:='f')": "found register_external_resource_type",
    # DuckDB counts bytes; counted as letters, what is explained would begin at the second `select`
    f"explain analyze /*{'ä' * 150}*/ copy (select 1) to 'LAKE/frames/out.csv' (null '{' ' * 200}select 1 --')": (
        f"{NO_SELECT} COPY"
    ),
    # files read
    "from read_csv('HOME/secret.csv')": LEAVES,
    "from 'HOME/secret.csv'": LEAVES,
    "from read_csv('LAKE/secret.csv')": LEAVES,
    "from read_csv('LAKE/frames/../secret.csv')": LEAVES,
    "from read_csv('LAKE/frames/way_out/secret.csv')": LEAVES,
    "from read_text('/etc/passwd')": LEAVES,
    "from read_blob('/etc/passwd')": LEAVES,
    "from read_ndjson('/proc/self/environ')": LEAVES,
    "from parquet_metadata('HOME/x.parquet')": LEAVES,
    "from sniff_csv('/etc/passwd')": LEAVES,
    "from glob('/etc/*')": LEAVES,
    "from query('from read_text(''/etc/passwd'')')": LEAVES,
    "from query_table('/etc/passwd')": "query failed: Catalog Error",
    "from 'https://example.org/x.csv'": LEAVES,
    "from 's3://bucket/x.parquet'": LEAVES,
    # other databases, extensions, settings
    "attach 'HOME/other.duckdb' as other": f"{NO_SELECT} ATTACH",
    "attach ':memory:' as w": f"{NO_SELECT} ATTACH",
    "from read_duckdb('HOME/other.duckdb')": LEAVES,
    "install httpfs": f"{NO_SELECT} LOAD",
    "load httpfs": f"{NO_SELECT} LOAD",
    "load 'HOME/secret.csv'": f"{NO_SELECT} LOAD",
    "set enable_external_access = true": f"{NO_SELECT} SET",
    "set memory_limit = '100GB'": f"{NO_SELECT} SET",
    "pragma threads = 64": f"{NO_SELECT}",
    "call enable_logging()": f"{NO_SELECT} CALL",
    "use memory": f"{NO_SELECT} SET",
    "from duckdb_secrets()": "would leave the warehouse: .*stored_secrets",
    "create secret s (type s3)": f"{NO_SELECT} CREATE",
    "select getenv('HOME')": "query failed: Catalog Error",
    # variables of the process
    "from os": "query failed: Catalog Error",
    "from settings": "query failed: Catalog Error",
    "from connection": "query failed: Catalog Error",
    "from arrow_scan(1::pointer, 1::pointer, 1::pointer)": "query failed: Catalog Error",
    # nothing
    "": f"{NO_SELECT} nothing",
    "-- only a comment": f"{NO_SELECT} nothing",
    "selec 1": "query failed: Parser Error",
    "explain": "query failed|needed one SELECT",
}


@pytest.mark.parametrize("query", ATTACKS)
def test_an_attack_ends_in_a_sentence_and_changes_nothing(settings, run, query):
    before = files(settings)
    with pytest.raises(MeltlakeError, match=ATTACKS[query]):
        run(named(query, settings))
    assert files(settings) == before
    assert run("select count(*) from runs")[0].column(0).to_pylist() == [2]


@pytest.mark.parametrize(
    ("query", "hint"), [("from framez", 'Did you mean "frames'), ("select run_idd from runs", 'bindings: "run_id"')]
)
def test_a_slip_is_told_with_what_is_called_alike(run, query, hint):
    with pytest.raises(MeltlakeError, match=hint):
        run(query)


def test_what_is_sealed_stays_sealed_where_the_lake_has_moved_on(settings, tmp_path):
    moved = settings.model_copy(update={"warehouse": str(tmp_path / "none.duckdb")})
    with connected(moved) as connection:
        run = sealed(connection, moved, limits=Limits(), at_the_end=print)
        assert run("select count(*) from frames")[0].column(0).to_pylist() == [2]
        with pytest.raises(MeltlakeError, match=LEAVES):
            run(f"from read_csv('{settings.home}/secret.csv')")
        with pytest.raises(MeltlakeError, match=f"{NO_SELECT} DROP"):
            run("drop table runs")
        with pytest.raises(duckdb.Error, match="configuration has been locked"):
            connection.execute("set enable_external_access = true")


def test_an_answer_has_no_more_rows_than_the_limit(settings):
    answer = ask(settings, "select range as n, range / 0 as x, 1.5 as x from range(10)", limits=Limits(rows=3))
    assert (answer.columns, answer.types[0], answer.is_cut) == (["n", "x", "x_1"], "BIGINT", True)
    assert answer.rows == [[0, None, 1.5], [1, None, 1.5], [2, None, 1.5]]
    assert ask(settings, "from range(3)", limits=Limits(rows=3)).is_cut is False


TOO_MUCH = {
    "select count(*) from range(100000000000) a, range(1000) b": "longer than 1 s",
    "select levenshtein(repeat('ab', 200000), repeat('ba', 200000))": "longer than 1 s",  # hears no interruption
    "select len(repeat('x', 3000000000))": "more memory than it may have",
    "select array_agg(range) from range(100000000)": "more memory than it may have|longer than 1 s",
    "select repeat('x', 40000000)": "The answer has",
    "select repeat(chr(1), 6000000)": "The answer has",  # 6 MB in memory, 36 MB as JSON
}


@pytest.mark.parametrize("query", TOO_MUCH)
def test_a_question_of_a_stranger_ends_at_its_limits(settings, query):
    started = time.monotonic()
    with pytest.raises(MeltlakeError, match=TOO_MUCH[query]):
        ask(settings, query, limits=Limits(seconds=1, memory_mb=500))
    assert time.monotonic() - started < 20


def test_a_third_question_waits_and_is_told_so(settings):
    hog = "select count(*) from range(100000000000) a, range(1000) b"

    def hold():
        with pytest.raises(MeltlakeError, match="longer than 4 s"):
            ask(settings, hog, limits=Limits(seconds=4))

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    with pytest.raises(TryAgainLater, match="Two other questions"):
        ask(settings, "select 1", limits=Limits(seconds=1))
    for thread in threads:
        thread.join()
    assert ask(settings, "select 1").rows == [[1]]


def test_whoever_cannot_wait_in_line_is_told_at_once(settings):
    def hold():
        with pytest.raises(MeltlakeError, match=r"longer than 2 s|Two other questions"):
            ask(settings, "select sleep_ms(6000)", limits=Limits(seconds=2))

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    asked = time.monotonic()
    with pytest.raises(TryAgainLater, match="Two other questions"):
        ask(settings, "select 1")
    assert time.monotonic() - asked < 0.5
    for thread in threads:
        thread.join()


LONG_WORDS = ("select error(repeat('x', 3000000))", "select repeat('x', 3000000)::date", "select " + "1, " * 600)


@pytest.mark.parametrize("query", LONG_WORDS)
def test_a_refusal_is_short_whatever_the_query_says(settings, query):
    with pytest.raises(MeltlakeError, match=r"The query failed: .* \.\.\. |The answer has 600 columns") as refused:
        ask(settings, query)
    assert len(str(refused.value)) < 1200


def test_whoever_answers_strangers_is_told_no_secret(settings, tmp_path, monkeypatch):
    noting = f"import os, pathlib; pathlib.Path({str(tmp_path / 'told')!r}).write_text(repr(dict(os.environ)))"
    (tmp_path / "sitecustomize.py").write_text(noting)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    for name in ("AWS_SECRET_ACCESS_KEY", "AIRFLOW__CORE__FERNET_KEY"):
        monkeypatch.setenv(name, "not-to-be-told")
    assert ask(settings, "select 1").rows == [[1]]
    assert "PYTHONPATH" in (tmp_path / "told").read_text()
    assert "not-to-be-told" not in (tmp_path / "told").read_text()


def test_a_date_that_no_calendar_of_ours_has_is_refused_in_a_sentence(settings):
    with pytest.raises(MeltlakeError, match="The answer cannot be written down"):
        ask(settings, "select '290000-01-01'::date")


def test_without_a_warehouse_it_is_said_what_to_do(tmp_path):
    with pytest.raises(MeltlakeError, match=r"no warehouse at .* `meltlake publish`"):
        ask(Settings.from_mapping({}, lake=str(tmp_path / "lake")), "select 1")


@pytest.mark.parametrize("query", list(TOO_MUCH)[:2])
def test_meltlake_sql_ends_at_its_limit(settings, query):
    command = [sys.executable, "-m", "operators.cli", "sql", "-", "--seconds", "1", "--lake", settings.lake]
    started = time.monotonic()
    done = subprocess.run(command, check=False, input=query, capture_output=True, text=True, cwd=ROOT, env=os.environ)
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.splitlines() == ["The query took longer than 1 s.", "Ask for less at a time."]
    assert time.monotonic() - started < 20


def test_meltlake_sql_says_when_there_is_more(settings):
    command = [sys.executable, "-m", "operators.cli", "sql", "from range(9)", "--rows", "2", "--lake", settings.lake]
    done = subprocess.run([*command, "--json"], check=False, capture_output=True, text=True, cwd=ROOT)
    assert json.loads(done.stdout) == {"rows": [{"range": 0}, {"range": 1}], "is_cut": True}
    assert "more than 2 rows" in done.stderr
