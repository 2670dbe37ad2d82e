"""The cookbook is data: every query in it is run, and answers that stand in it are what comes out."""

import re
from pathlib import Path

import pytest

from lake.answers import plain_rows
from lake.sealed import Limits, sealed
from lake.warehouse import connected, publish
from operators.present import as_table
from schemas.settings import Settings
from tests.benchmarks.generated_lake import Size, commit, observed_lake, rows

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "cookbook.md").read_text()
QUERIES = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ANSWERED = re.findall(r"^<!-- answer -->\n```sql\n(.*?)^```\n+```text\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TYPED = {
    query: page.name
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for query in re.findall(r'meltlake sql "([^"]+)"', page.read_text())
    if query != "QUERY"
}
MELTS = ("Cu100", "Al60Cu20Ni20", "Al50Cu25Ni25")
ANSWERLESS = ("virials_worth", "task_failures", "experiment_why")
"""Queries about what the generated lake has not."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A published lake of generated rows of every observable, with a rejected frame."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings.from_mapping({}, lake=str(home / "lake"))
    lake = observed_lake(settings.lake, Size(melts=MELTS, potentials=3, n_points=6, n_parity=30))
    frames = rows("frames", 4, frame=range(4), n_atoms=2, accepted=True, forces_ev_per_angstrom=[0.1] * 6)
    commit(lake, "frames", [({"composition": "Cu100", "run_id": "aimd00000000"}, frames)])
    verdict = rows(
        "expectation_results", 1, expectation="scf_converged", scope="frame", success=False, severity="reject",
        unexpected_frames=[2], unexpected_values=["unconverged"], n_judged=4, n_unexpected=1,
    )  # fmt: skip
    commit(lake, "expectation_results", [({"run_id": "aimd00000000"}, verdict)])
    publish(settings)
    return settings


@pytest.fixture(scope="module")
def run(settings):
    with connected(settings) as connection:
        yield sealed(connection, settings, limits=Limits(rows=None), at_the_end=print)


def test_the_cookbook_has_what_it_should():
    assert len(QUERIES) > 25
    assert len(ANSWERED) == TEXT.count("<!-- answer -->") == 5
    assert all(f"C{number}" in TEXT for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14))


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_every_query_of_the_cookbook_runs_behind_meltlake_sql(run, query):
    answer, _types, _is_cut = run(query)
    assert answer.num_rows or any(name in query for name in ANSWERLESS)


@pytest.mark.parametrize("query", TYPED, ids=[f"{page}-{place}" for place, page in enumerate(TYPED.values())])
def test_every_query_that_a_page_tells_to_type_runs(run, query):
    assert run(query)[0].num_columns


def test_the_readme_asks_of_real_runs_apart_from_synthetic_ones(run):
    [query] = [query for query, page in TYPED.items() if page == "README.md" and "not synthetic" in query]
    assert run(query)[0].num_rows == 0
    assert run(query.replace("not synthetic", "synthetic"))[0].to_pylist()[0]["composition"] == "Cu100"


@pytest.mark.parametrize(("query", "answer"), ANSWERED, ids=range(len(ANSWERED)))
def test_answers_that_rest_on_printed_numbers_are_those_in_the_cookbook(run, query, answer):
    assert as_table(plain_rows(run(query)[0]), width=80) == answer.rstrip("\n")


def test_the_python_of_the_cookbook_runs(settings, monkeypatch):
    code = re.search(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL).group(1)
    typed = {}
    exec(compile(code.replace(".meltlake/warehouse.duckdb", settings.warehouse), "docs/cookbook.md", "exec"), typed)
    assert len(typed["table_1"]) >= 14
