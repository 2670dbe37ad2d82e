"""The command line as a newcomer meets it: help that teaches, examples that parse, completion in a shell, lineage."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lake.delta import Lake
from lake.warehouse import publish, query
from operators.arguments import parser
from operators.help import GROUPS, VERBS, overview
from operators.lake_describe import lake_describe, lake_describe_text
from operators.lineage import lineage, lineage_text
from schemas.errors import MeltlakeError
from schemas.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """An AIMD run, a training set of it, two potentials, one from the other's weights, and a simulation."""
    settings = Settings.from_mapping({}, lake=str(tmp_path_factory.mktemp("home") / "lake"))
    lake = Lake(settings.lake)
    aimd = {"run_id": "aimd1", "origin": "aimd", "composition": "Al100", "ensemble": "nvt", "n_frames": 9,
            "n_accepted": 8, "n_rejected": 1,
            "source_uri": "/raw/al/OUTCAR", "source_sha256": "ab" * 32, "synthetic": False}  # fmt: skip
    other = aimd | {"run_id": "aimd2", "source_uri": "/raw/two/OUTCAR", "source_sha256": "cd" * 32}
    simulated = aimd | {"run_id": "sim1", "origin": "dnnp", "protocol": "npt", "potential_id": "pot2",
                        "parent_run_id": "aimd1", "source_uri": "/sim/1", "source_sha256": "ef" * 32}  # fmt: skip
    for row in (aimd, other, simulated):
        lake.replace("runs", row["run_id"], [row])
    lake.replace("training_sets", "set1", [{"training_set_id": "set1", "lake_version": 3, "type_map": ["Al"]}])
    frames = [("aimd1", 0, "train"), ("aimd1", 1, "train"), ("aimd1", 5, "test"), ("aimd2", 0, "held_out")]
    lake.replace("training_set_frames", "set1", [{"run_id": r, "frame": f, "split": s} for r, f, s in frames])
    first = {"potential_id": "pot1", "recipe": "DP-1", "seed": 1, "n_steps": 10, "training_set_id": "set1"}
    for row in (first, first | {"potential_id": "pot2", "recipe": "DP-2", "init_from": "pot1"}):
        lake.replace("potentials", row["potential_id"], [row])
    lake.replace("thermodynamics", "sim1", [{"run_id": "sim1", "composition": "Al100"}])
    lake.replace("agreement", "sim1", [{"run_id": "sim1", "aimd_run_id": "aimd2", "observable": "pressure_gpa"}])
    publish(settings)
    return settings


def meltlake(settings, *words):
    command = [sys.executable, "-m", "operators.cli", *words, "--lake", settings.lake]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def test_lineage_goes_back_to_raw_files_and_checksums(settings):
    told = lineage(settings, "sim1")
    steps = {(step["made"], step["how"], step["source"]) for step in told["steps"]}
    assert steps == {
        ("sim1", "driven by", "pot2"),
        ("sim1", "started from a frame of", "aimd1"),
        ("sim1", "compared with", "aimd2"),
        ("pot2", "trained on", "set1"),
        ("pot2", "began with the weights of", "pot1"),
        ("pot1", "trained on", "set1"),
        ("set1", "frames (1 test, 2 train) of", "aimd1"),
        ("set1", "frames (1 held_out) of", "aimd2"),
    }
    assert {source["run_id"]: source["source_sha256"] for source in told["sources"]} == {
        "sim1": "ef" * 32,
        "aimd1": "ab" * 32,
        "aimd2": "cd" * 32,
    }
    assert told["rows"] == {"runs": 1, "thermodynamics": 1, "agreement": 1}


def test_lineage_as_a_verb_and_as_a_view_name_the_same_files(settings):
    of_view = query(settings, "select distinct source_run_id as run_id from lineage where run_id = 'sim1'")
    assert {row["run_id"] for row in of_view} == {row["run_id"] for row in lineage(settings, "sim1")["sources"]}


@pytest.mark.parametrize("name", ["/raw/al/OUTCAR", "ab" * 32, "aimd1"])
def test_a_raw_file_is_found_by_its_address_and_checksum(settings, name):
    assert lineage(settings, name)["found"] == ["aimd1"]


def test_the_tree_tells_each_thing_once(settings):
    told = lineage_text(lineage(settings, "pot2")).splitlines()
    assert told[0] == "potential pot2, DP-2 seed 1, 10 steps"
    assert told[1] == "  trained on training set set1, version 3 of the frames"
    assert [line.strip() for line in told].count("sha256 " + "ab" * 32) == 1
    assert any("trained on training set set1" in line and line.endswith("as above") for line in told[2:])


def test_what_has_no_lineage_is_said(settings):
    with pytest.raises(MeltlakeError, match="no run, potential, training set or raw file is called 'nothing'"):
        lineage(settings, "nothing")
    answer = meltlake(settings, "lineage", "nothing")
    assert (answer.returncode, len(answer.stderr.splitlines())) == (65, 2)


def test_lineage_of_a_potential_on_the_command_line(settings):
    assert json.loads(meltlake(settings, "lineage", "pot1", "--json").stdout)["found"] == ["pot1"]
    assert "/raw/al/OUTCAR" in meltlake(settings, "lineage", "pot1").stdout


def test_the_lake_describes_itself_in_80_columns(settings):
    told = lake_describe_text(lake_describe(settings))
    lines = [line for line in told.splitlines() if not line.startswith("lake: ")]
    assert max(map(len, lines)) <= 80
    assert "3 runs" in told
    assert "training_set_frames" in told


def test_every_verb_is_in_a_group_with_an_example_that_parses():
    assert sum(map(len, GROUPS.values())) == len(VERBS)
    for verb in VERBS.values():
        assert parser().parse_args(shlex.split(verb.example)).name == verb.name


def test_help_fits_80_columns_and_names_every_verb():
    told = overview().splitlines()
    assert max(map(len, told)) <= 80
    assert [name for name in VERBS if not any(line.startswith(f"  {name} ") for line in told)] == []
    longest = max(len(line) for verb in VERBS.values() for line in (f"      {verb.means}",))
    assert longest <= 80


def test_every_option_says_what_it_is_for():
    def silent(of, name):
        for action in of._actions:
            choices = action.choices if isinstance(action.choices, dict) else {}
            yield from (found for word, one in choices.items() for found in silent(one, f"{name} {word}"))
            if action.help is None and not isinstance(action, argparse._SubParsersAction):
                yield f"{name} {action.dest}"

    assert list(silent(parser(), "meltlake")) == []


def completed(settings, line, bin_folder):
    """What bash offers after a line."""
    program = bin_folder / "meltlake"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m operators.cli "$@"\n')
    program.chmod(0o755)
    script = f"""
        eval "$(meltlake completion bash)"
        COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)} COMP_TYPE=9
        _python_argcomplete meltlake
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = os.environ | settings.environment | {
        "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}  # fmt: skip
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("meltlake ma", ["materialize"]),
        ("meltlake lake ", ["describe", "compact", "vacuum"]),
        ("meltlake observe --run ", ["aimd1", "aimd2", "sim1"]),
        ("meltlake lineage pot", ["pot1", "pot2"]),
    ],
)
def test_bash_completes_verbs_options_and_ids(settings, tmp_path, line, offered):
    assert set(offered) <= set(completed(settings, line, tmp_path))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(settings, shell):
    told = json.loads(meltlake(settings, "completion", shell, "--json").stdout)
    assert told["shell"] == shell
    assert "meltlake" in told["script"]


def test_what_people_type_all_day_loads_no_compiler():
    program = "import operators.cli, operators.status, operators.sql, sys; print('numba' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n"
