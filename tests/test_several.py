"""Several runs of one command: one that fails is told with its reason, and neither stops nor repeats the others."""

import json
import shutil

import numpy as np
import pytest

from lake.delta import Lake
from lake.gate import RuleGate
from lake.sources import run_sources
from operators.cli import main
from operators.ingest import ingest, ingest_in_worker
from operators.observe import observe_runs
from operators.runs.part import Part
from operators.several import attempt
from operators.toy_melt import ToyMeltRequest, generate
from schemas.errors import MeltlakeError, TryAgainLater, Unexpected, one_code
from schemas.settings import Settings
from tests.observables.made_runs import Motion, put


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Runs of twelve folders, each of a file."""
    folder = tmp_path_factory.mktemp("raw") / "tree"
    for number in range(12):
        generate(folder / f"{number}", ToyMeltRequest(composition="Al50Cu50", n_atoms=16, n_frames=3, seed=number))
    return folder


class CannotBegin(RuleGate):
    """A gate with a bug that only its first run meets."""

    begun = False

    def judge(self, case):
        if not self.begun:
            self.begun = True
            raise ZeroDivisionError("division by zero")
        return super().judge(case)


def answer_of(capsys, settings, *words):
    """Exit code, answer and what was said of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--json", "--lake", settings.lake])
    said = capsys.readouterr()
    return stopped.value.code, json.loads(said.out), said.err


def gas(settings, run_id, seed):
    positions = np.random.default_rng(seed).uniform(0, 12, (60, 40, 3))
    put(settings, run_id, Motion(numbers=[13] * 40, positions=positions, edge=12.0))


def n_means(settings):
    return Lake(settings.lake).rows("thermodynamics").num_rows


@pytest.mark.usefixtures("own_log")
def test_a_run_that_fails_keeps_no_other_from_being_observed(settings, capsys):
    for seed, run_id in enumerate(("first", "last")):
        gas(settings, run_id, seed)
    code, answer, said = answer_of(capsys, settings, "observe", "--run", "first", "none", "last")
    assert (code, n_means(settings)) == (65, 2)
    assert [run["run_id"] for run in answer["runs"] if "reason" in run] == ["none"]
    assert answer["rows"]["thermodynamics"] == 2
    assert "none: The lake's table runs has no none.\n`meltlake status` lists the runs it has.\n" in said


def test_a_command_that_is_repeated_observes_what_is_due_only(settings):
    gas(settings, "seen", 1)
    assert observe_runs(settings, ["seen"], only_due=True)["left_out"] == []
    gas(settings, "new", 2)
    answer = observe_runs(settings, ["seen", "new", "none"], only_due=True)
    assert answer["left_out"] == ["seen"]
    assert [run["run_id"] for run in answer["runs"]] == ["new", "none"]


@pytest.mark.usefixtures("own_log")
def test_a_run_that_cannot_be_judged_keeps_no_other_from_it(tree, settings, capsys):
    [entry] = ingest(settings, [str(tree / "0")])["runs"]
    code, answer, said = answer_of(capsys, settings, "validate", "--require", "none", entry["run_id"])
    assert (code, [run["passed"] for run in answer["runs"]]) == (65, [False, True])
    assert "none: The lake has no run none.\n" in said


def test_parts_of_a_tree_are_all_of_it_and_none_twice(tree, settings):
    stored = [len(ingest(settings, [str(tree)], part=Part(number, 3))["runs"]) for number in (1, 2, 3)]
    assert sum(stored) == 12
    assert max(stored) < 12  # which part a run is of depends on where this test has its files
    assert Lake(settings.lake).rows("runs").num_rows == 12


def test_a_part_that_is_none_is_a_slip_of_who_typed_it(settings, capsys):
    for part in ("0/3", "4/3", "3", "a/b"):
        with pytest.raises(SystemExit, match="2"):
            main(["ingest", "tree", "--part", part])
        assert f"needed a part as 3/8, found {part}" in capsys.readouterr().err


def test_a_bug_that_one_file_meets_keeps_no_other_out(tree, settings, tmp_path, capsys):
    for name in "01":
        shutil.copytree(tree / name, tmp_path / "two" / name)
    gate = CannotBegin()
    entries = [ingest_in_worker(settings.lake, run, gate, lambda *_: None) for run in run_sources(tmp_path / "two")]
    [[failed], [stored]] = entries
    assert (failed["run_id"], failed["exit_code"]) == (None, 1)
    assert failed["reason"] == "Unexpected ZeroDivisionError: division by zero."
    assert stored["n_frames"] == 3
    assert "in judge\n" in capsys.readouterr().err
    assert Lake(settings.lake).rows("task_failures").num_rows == 0  # it is not the file's fault: it stays due


def test_a_full_disk_ends_a_command_and_a_bug_ends_one_subject():
    def full():
        raise OSError(28, "No space left on device")

    found = attempt(lambda: 1 // 0)
    assert isinstance(found, Unexpected)
    with pytest.raises(OSError, match="No space"):
        attempt(full)


def test_trying_again_is_asked_for_only_where_nothing_else_is_wrong():
    bad, busy, bug = (kind("", "").exit_code for kind in (MeltlakeError, TryAgainLater, Unexpected))
    assert one_code([]) == 0
    assert one_code([busy]) == 75
    assert one_code([busy, bug]) == 1
    assert one_code([busy, bug, bad]) == 65
