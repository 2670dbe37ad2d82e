"""The SQL of docs/observables.md is typed here, and every table of observables is on the page."""

import re
from pathlib import Path

import numpy as np
import pytest

from lake.warehouse import query
from operators.observables.single_run import OF_ONE_RUN
from operators.observables.together import OF_SEVERAL_RUNS
from operators.observe import observe_run
from schemas.settings import Settings
from tests.observables.made_runs import Motion, put

TEXT = (Path(__file__).parents[2] / "docs" / "observables.md").read_text()
QUERIES = [
    sql
    for block in re.findall(r"^```sql\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    for sql in block.split(";")
    if sql.strip()
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(lake=str(tmp_path_factory.mktemp("page") / "lake"))
    positions = np.random.default_rng(0).uniform(0, 16, (40, 60, 3))
    put(settings, "melt", Motion(numbers=[13] * 30 + [28] * 30, positions=positions, edge=16.0))
    put(
        settings,
        "npt",
        Motion(numbers=[13] * 30 + [28] * 30, positions=positions, edge=16.0),
        ensemble="npt",
        pressure_target_gpa=0.0,
    )
    for run_id in ("melt", "npt"):
        observe_run(settings, run_id)
    return settings


@pytest.mark.parametrize("sql", QUERIES)
def test_what_the_page_tells_to_type_runs_and_answers(settings: Settings, sql: str) -> None:
    assert query(settings, sql)


def test_every_table_of_observables_is_on_the_page() -> None:
    assert len(QUERIES) == 6
    assert [table for table in (*OF_ONE_RUN, *OF_SEVERAL_RUNS) if f"`{table}`" not in TEXT] == []
