"""The lake is read without us: what docs/reading-the-lake.md tells to type is typed here."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from lake.delta import Lake
from operators.publish import publish
from schemas.settings import Settings
from schemas.tables import FRAMES

TEXT = (Path(__file__).parents[1] / "docs" / "reading-the-lake.md").read_text()
BLOCKS = re.findall(r"^```(python|sql)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
RUN = [(language, code) for language, code in BLOCKS if "not run by our tests" not in code.splitlines()[0]]
N_ATOMS, N_FRAMES = 4, 6


def frame_rows(rng):
    return [
        {
            "frame": number,
            "n_atoms": N_ATOMS,
            "atomic_numbers": [13] * N_ATOMS,
            "cell_angstrom": [8.0, 0, 0, 0, 8.0, 0, 0, 0, 8.0],
            "positions_angstrom": rng.normal(size=3 * N_ATOMS).tolist(),
            "forces_ev_per_angstrom": rng.normal(size=3 * N_ATOMS).tolist(),
            "energy_ev": rng.normal(),
            "accepted": number > 0,
        }
        for number in range(N_FRAMES)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A lake of two runs at `.meltlake/lake` below a folder, one of them stored twice."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings.from_mapping({}, lake=str(home / ".meltlake" / "lake"))
    lake, rng = Lake(settings.lake), np.random.default_rng(1)
    for run_id in ("a1", "b2", "b2"):
        batches = pa.Table.from_pylist(frame_rows(rng), schema=FRAMES.file_schema).to_batches()
        lake.replace_batches("frames", {"composition": "Al100", "run_id": run_id}, batches)
        lake.replace("runs", run_id, [{"run_id": run_id, "formula": "Al4", "n_frames": N_FRAMES}])
    lake.replace("training_sets", "set1", [{"training_set_id": "set1", "lake_version": 1}])
    publish(settings)
    return home


@pytest.mark.parametrize("code", [code for language, code in RUN if language == "python"])
def test_what_the_page_tells_to_type_in_python_runs(home, monkeypatch, code):
    monkeypatch.chdir(home)
    typed = {}
    exec(compile(code, "docs/reading-the-lake.md", "exec"), typed)
    if "per_run" in typed:
        assert [(run_id, formula, n) for run_id, formula, n, _ in typed["per_run"]] == [
            ("a1", "Al4", 5),
            ("b2", "Al4", 5),
        ]
    if "means" in typed:
        assert typed["means"].rows()[0][:2] == ("Al100", 10)
    if "energies" in typed:
        assert np.isclose(typed["energies"]["Al100"], 4 * typed_mean(home))
    if "the_same" in typed:
        assert typed["as_it_was"].collect().height == len(typed["the_same"]) == 2 * N_FRAMES
    if "files" in typed:
        assert len(typed["files"]) == 2 < len(list(home.glob(".meltlake/lake/frames/*/*/*.parquet")))


def typed_mean(home):
    with duckdb.connect(str(home / ".meltlake/warehouse.duckdb"), read_only=True) as warehouse:
        [(mean,)] = warehouse.execute("select avg(energy_ev / n_atoms) from frames where accepted").fetchall()
    return mean


@pytest.mark.parametrize("code", [code for language, code in RUN if language == "sql"])
def test_what_the_page_tells_to_type_in_sql_runs(home, code):
    with duckdb.connect(str(home / ".meltlake/warehouse.duckdb"), read_only=True) as warehouse:
        answers = [warehouse.execute(query).fetchall() for query in code.split(";") if query.strip()]
    assert answers[0][0][:2] == ("Al100", 2 * N_FRAMES)
    assert all(len(rows) == 1 for rows in answers)


def test_every_way_to_read_is_on_the_page_and_most_are_run():
    assert len(RUN) == 8
    assert all(f"## {name}" in TEXT for name in ("DuckDB", "polars", "pandas", "Spark", "Trino"))
    assert [language for language, _ in BLOCKS].count("python") == 9


def test_the_protocol_is_what_the_page_says(home):
    from deltalake import DeltaTable

    lowest = DeltaTable(home / ".meltlake/lake/frames").protocol()
    timed = DeltaTable(home / ".meltlake/lake/runs").protocol()
    assert (lowest.min_reader_version, lowest.min_writer_version) == (1, 2)
    assert (timed.min_reader_version, timed.reader_features) == (3, ["timestampNtz"])
