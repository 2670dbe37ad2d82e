"""docs/agreement.md and docs/experiments.md: their SQL is typed, their CSV is added."""

import re
from pathlib import Path

import pytest

from lake.delta import Lake
from lake.experiments import write_experiments
from lake.warehouse import query
from operators.experiments import experiments_add
from schemas.quantities import CURVES, NUMBERS
from schemas.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = [
    (page, language, code)
    for page in ("agreement", "experiments")
    for language, code in re.findall(
        r"^```(sql|csv)\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL
    )
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path_factory.mktemp("docs") / "lake")})
    lake = Lake(settings.lake)
    write_experiments(lake)
    melt = {"composition": "Al100", "chemical_system": "Al", "synthetic": False, "n_atoms": 512, "ensemble": "npt"}
    for run_id, origin, density in (("aimd", "aimd", 2.33), ("npt", "dnnp", 2.31)):
        of = {"run_id": run_id, "origin": origin, "parent_run_id": None if origin == "aimd" else "aimd"}
        lake.replace("runs", run_id, [melt | of | {"potential_id": None if origin == "aimd" else "p1"}])
        means = {"temperature_k": 1000.0, "density_g_per_cm3": density, "density_error_g_per_cm3": 0.003}
        lake.replace("thermodynamics", run_id, [{"run_id": run_id} | means])
    judged = {"run_id": "npt", "aimd_run_id": "aimd", "potential_id": "p1", "composition": "Al100", "measure": "l1"}
    lake.replace("agreement", "npt", [judged | {"observable": "rdf all", "z": 1.2, "verdict": "indistinguishable"}])
    return settings


@pytest.mark.parametrize("code", [code for _, language, code in BLOCKS if language == "sql"])
def test_sql_of_the_pages_answers(settings, code):
    [first, *_] = query(settings, code.strip().rstrip(";"))
    assert any(value is not None for value in first.values())


@pytest.mark.parametrize("code", [code for _, language, code in BLOCKS if language == "csv"])
def test_csv_of_the_pages_is_added(tmp_path, code):
    file = tmp_path / "mine.csv"
    file.write_text(code, encoding="utf-8")
    [answer] = experiments_add(Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")}), [file])["files"]
    assert answer["n_new"] == 3


def test_the_page_names_every_quantity_and_verdict():
    told = (DOCS / "experiments.md").read_text()
    assert [name for name in (*NUMBERS, *CURVES) if f"`{name}`" not in told] == []
    verdicts = ("agrees", "dft", "potential", "both", "cannot tell")
    assert [verdict for verdict in verdicts if f"| `{verdict}` |" not in told] == []
