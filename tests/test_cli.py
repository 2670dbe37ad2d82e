"""What pods and scripts rely on: one JSON object on stdout, two lines on stderr, documented exit codes."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lake.delta import Lake
from operators.toy_melt import Faults, ToyMeltRequest, generate

ROOT = Path(__file__).parents[1]


def meltlake(home, *words):
    command = [sys.executable, "-m", "operators.cli", *map(str, words), "--lake", str(home / "lake")]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A lake with one good synthetic run that has a bad frame, after an ingest that also met a broken file."""
    home = tmp_path_factory.mktemp("home")
    request = ToyMeltRequest(composition="Al50Ni50", n_atoms=32, n_frames=12, faults=Faults(unconverged=(4,)))
    generate(home / "raw" / "good", request)
    (home / "raw" / "broken").mkdir()
    (home / "raw" / "broken" / "OUTCAR").write_bytes(b"")
    home.joinpath("first.json").write_text((answer := meltlake(home, "ingest", home / "raw", "--json")).stdout)
    assert answer.returncode == 65
    return home


def test_ingest_stores_the_good_lists_the_bad_and_exits_65(home):
    runs = {Path(run["source"]).parent.name: run for run in json.loads((home / "first.json").read_text())["runs"]}
    assert (runs["good"]["n_frames"], runs["good"]["n_accepted"], runs["good"]["n_rejected"]) == (12, 11, 1)
    assert runs["good"]["changed"] is True
    assert "empty" in runs["broken"]["reason"]


def test_ingest_again_changes_nothing(home):
    answer = meltlake(home, "ingest", home / "raw" / "good", "--json")
    [run] = json.loads(answer.stdout)["runs"]
    assert (answer.returncode, run["changed"], run["n_new"]) == (0, False, 0)


def test_rejected_frames_are_stored_with_their_reasons(home):
    query = "select frame, rejection_reasons from frames where not accepted"
    rows = json.loads(meltlake(home, "sql", query, "--json").stdout)["rows"]
    assert rows == [{"frame": 4, "rejection_reasons": ["scf_converged"]}]


def test_a_query_where_no_lake_is_says_so(tmp_path):
    answer = meltlake(tmp_path, "sql", "from frames")
    assert (answer.returncode, answer.stdout) == (0, "(no rows)\n")
    assert f"There is no lake at {tmp_path / 'lake'}." in answer.stderr


def test_every_format_of_sql_gives_the_same_numbers(home):
    query = "select composition, count(*) n, avg(energy_ev/n_atoms) e from frames group by 1"
    [row] = json.loads(meltlake(home, "sql", query, "--format", "json").stdout)["rows"]
    header, line = meltlake(home, "sql", query, "--format", "csv").stdout.split()
    assert (header, line.split(",")[0]) == ('"composition","n","e"', '"Al50Ni50"')
    assert float(line.split(",")[2]) == row["e"]
    assert "Al50Ni50" in meltlake(home, "sql", query).stdout


def test_sql_only_reads(home):
    answer = meltlake(home, "sql", "create table mine as select 1")
    assert answer.returncode == 65
    assert len(answer.stderr.splitlines()) == 2


def test_status_tells_what_is_due_and_what_failed(home):
    told = json.loads(meltlake(home, "status", "--json").stdout)
    assert [row["subject"] for row in told["failed"]] == [str(home / "raw" / "broken" / "OUTCAR")]
    assert any(item["command"].startswith("meltlake observe --run") for item in told["stale"])


def test_validate_changes_nothing_while_the_rules_are_the_same(home):
    answer = json.loads(meltlake(home, "validate", "--json").stdout)
    [run] = answer["runs"]
    assert (run["passed"], run["failed_expectations"], run["changed"]) == (False, ["scf_converged"], False)
    page = Path(answer["data_docs"]).read_text()
    assert "scf_converged" in page
    assert "synthetic" in page


def test_publish_says_which_lake_version_it_shows(home):
    answer = json.loads(meltlake(home, "publish", "--json").stdout)
    assert answer["tables"]["frames"] == 12
    assert answer["lake_version"] == 1


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("train", "no-such-set", "--recipe", "DP-2"), 65),
        (("train", "no-such-set", "--recipe", "DP-99"), 65),
        (("observe", "--run", "no-such-run"), 65),
        (("potential", "export", "no-such-potential", "out"), 65),
        (("materialize", "--compositions", "Zr100"), 65),
        (("materialize", "--test-fraction", "2"), 65),
        (("ingest", "no/such/path"), 65),
        (("observe",), 2),
    ],
)
def test_what_a_person_can_mend_is_told_in_lines_without_a_traceback(home, words, exit_code):
    answer = meltlake(home, *words)
    assert answer.returncode == exit_code
    assert "Traceback" not in answer.stderr
    assert answer.stderr.strip()
    assert Lake(str(home / "lake")).rows("task_failures").num_rows == 1  # the broken file's: typos are not remembered


def test_a_refusal_names_its_file_once(home):
    broken = home / "raw" / "broken" / "OUTCAR"
    told = meltlake(home, "ingest", broken).stderr.splitlines()
    assert [line.count(str(broken)) for line in told if str(broken) in line] == [1, 1]


def test_the_version_is_that_of_the_package():
    command = [sys.executable, "-m", "operators.cli", "--version"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (answer.returncode, answer.stdout) == (0, f"meltlake {declared}\n")
