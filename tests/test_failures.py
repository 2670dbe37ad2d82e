"""What failed at its work is remembered until it succeeds; a wish that cannot be met is answered and forgotten."""

import pytest

from lake.delta import Lake
from operators.cli import main
from operators.failures import cause_beside


@pytest.fixture
def lake(tmp_path):
    """A lake with a potential whose model file is gone."""
    lake = Lake(str(tmp_path / "lake"))
    lake.replace("potentials", "gone", [{"training_set_id": "set", "path": "/nowhere/model.pb", "sha256": "0"}])
    lake.replace("training_sets", "set", [{"compositions": ["Al100"]}])
    return lake


def exit_code(lake, *words):
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--lake", lake.root])
    return stopped.value.code


def test_a_step_that_failed_at_its_work_is_remembered(lake):
    assert exit_code(lake, "observe", "--potential", "gone") == 65
    [row] = lake.rows("task_failures").to_pylist()
    assert (row["verb"], row["subject"]) == ("observe", "observe --potential gone")
    assert "missing or was changed" in row["cause"]


@pytest.mark.parametrize(
    "words",
    [
        ("observe", "--potential", "mistyped"),
        ("materialize", "--compositions", "Zr100"),
        ("train", "mistyped", "--recipe", "DP-2"),
        ("report", "--out", __file__),
    ],
)
def test_a_wish_that_cannot_be_met_is_answered_and_forgotten(lake, words):
    assert exit_code(lake, *words) == 65
    assert lake.rows("task_failures").num_rows == 0


def test_a_cause_names_files_of_its_folder_without_the_folder():
    cause = "/raw/run/vasprun.xml: cut here; /raw/run/OUTCAR: empty; /raw/OUTCAR: another."
    assert cause_beside("/raw/run/vasprun.xml", cause) == "vasprun.xml: cut here; OUTCAR: empty; /raw/OUTCAR: another."
    assert cause_beside("train set", "It failed.") == "It failed."
