"""Rules may change and people may know better: verdicts follow, without raw files, and nothing is lost on the way."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from lake.frames import trajectory
from lake.gate import RuleGate
from lake.warehouse import publish, query
from operators.ingest import ingest
from operators.override import override, withdraw
from operators.runs.storing import rewrite_run
from operators.status import rejected, status
from operators.toy_melt import ToyMeltRequest, generate
from operators.validate import validate, why_it_fails
from schemas.errors import MeltlakeError
from schemas.settings import Settings

ROOT = Path(__file__).parents[2]
N_FRAMES = 40
BAD = 7
RULE = "forces_bounded"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A synthetic OUTCAR with one force of 99 eV/angstrom."""
    folder = tmp_path_factory.mktemp("raw") / "run"
    generate(folder, ToyMeltRequest(composition="Al50Cu50", n_atoms=32, n_frames=N_FRAMES, source_format="outcar"))
    lines = (folder / "OUTCAR").read_text().splitlines(keepends=True)
    tables = [number for number, line in enumerate(lines) if "TOTAL-FORCE" in line]
    row = tables[BAD] + 2
    force = list(re.finditer(r" *\S+", lines[row]))[3]
    lines[row] = lines[row][: force.start()] + f"{99:{len(force[0])}.6f}" + lines[row][force.end() :]
    (folder / "OUTCAR").write_text("".join(lines))
    return folder


@pytest.fixture
def settings(tmp_path, raw):
    """A lake that holds the run, whose raw file is gone."""
    shutil.copytree(raw, tmp_path / "landed")
    made = Settings.from_mapping({}, lake=str(tmp_path / "home" / "lake"))
    ingest(made, [str(tmp_path / "landed")])
    shutil.rmtree(tmp_path / "landed")
    return made


def run_of(settings):
    [row] = Lake(settings.lake).rows("runs").to_pylist()
    return row


def reasons(settings):
    batches = Lake(settings.lake).frame_batches(run_of(settings)["run_id"], ("rejection_reasons", "flags"))
    columns = [(batch.column("rejection_reasons").to_pylist(), batch.column("flags").to_pylist()) for batch in batches]
    return [row for rejections, flags in columns for row in zip(rejections, flags, strict=True)]


def with_campaign(settings, text):
    (settings.home / "campaign.toml").write_text(text)


def test_every_frame_is_stored_and_each_is_accepted_or_rejected(settings):
    row = run_of(settings)
    assert (row["n_frames"], row["n_accepted"], row["n_rejected"]) == (N_FRAMES, N_FRAMES - 1, 1)
    assert row["reason"].startswith("1 of 40 frames are rejected: ")
    assert RULE in reasons(settings)[BAD][0]


def test_a_moved_threshold_makes_runs_stale_and_validate_judges_them_without_raw_files(settings):
    with_campaign(settings, f"[gate.{RULE}]\nmaximum = 120.0\n")
    assert any("rules have changed" in item["why"] for item in status(settings)["stale"])
    [entry] = validate(settings)["runs"]
    assert entry["changed"]
    assert RULE not in reasons(settings)[BAD][0]
    assert not any("rules have changed" in item["why"] for item in status(settings)["stale"])


def test_a_severity_can_be_changed(settings):
    with_campaign(settings, f'[gate.{RULE}]\nseverity = "flag"\n')
    validate(settings)
    found, flags = reasons(settings)[BAD]
    assert RULE in flags
    assert RULE not in found


def test_ingest_after_a_change_of_rules_judges_what_it_knows_again(tmp_path, raw):
    settings = Settings.from_mapping({}, lake=str(tmp_path / "home" / "lake"))
    ingest(settings, [str(raw)])
    with_campaign(settings, f"[gate.{RULE}]\nmaximum = 120.0\n")
    [entry] = ingest(settings, [str(raw)])["runs"]
    assert (entry["n_new"], entry["changed"]) == (0, True)
    assert RULE not in reasons(settings)[BAD][0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[gate.no_such_rule]\nmaximum = 1\n", "no rule `no_such_rule`"),
        (f"[gate.{RULE}]\nminimum = 1\n", "has no minimum"),
        (f"[gate.{RULE}]\nlimit = 1\n", "Extra inputs"),
        ('[gate.physical]\nseverity = "flag"\n', "rule `physical` rejects what no average"),
        ('[gate.forces_present]\nseverity = "flag"\n', "its severity stays"),
    ],
)
def test_a_campaign_that_no_rule_understands_is_refused(settings, text, match):
    with_campaign(settings, text)
    with pytest.raises(MeltlakeError, match=match):
        validate(settings)


def test_a_person_lets_a_frame_pass_and_takes_it_back(settings):
    run_id = run_of(settings)["run_id"]
    for rule in reasons(settings)[BAD][0]:
        override(settings, run_id, rule=rule, frames=[BAD], because="looked at")
    row, (found, flags) = run_of(settings), reasons(settings)[BAD]
    assert (row["n_rejected"], row["reason"], found) == (0, None, [])
    assert RULE in flags
    words = Lake(settings.lake).rows("overrides").to_pylist()
    assert {(word["reason"], tuple(word["frames"])) for word in words} == {("looked at", (BAD,))}
    withdraw(settings, run_id, rule=RULE)
    assert reasons(settings)[BAD][0] == [RULE]


def test_an_override_outlives_another_judgement(settings):
    run_id = run_of(settings)["run_id"]
    override(settings, run_id, rule=RULE, frames=[], because="looked at")
    with_campaign(settings, "[gate.forces_moderate]\nmaximum = 21.0\n")
    validate(settings)
    assert RULE in reasons(settings)[BAD][1]


def test_an_override_stays_with_its_frame_when_a_restart_takes_earlier_frames_away(settings):
    lake, row = Lake(settings.lake), run_of(settings)
    override(settings, row["run_id"], rule=RULE, frames=[BAD], because="looked at")
    rewrite_run(lake, row, RuleGate(), keep=np.arange(N_FRAMES) >= 3)
    flagged = [frame for frame, (_, flags) in enumerate(reasons(settings)) if RULE in flags]
    assert flagged == [BAD - 3]
    [found] = query(settings, f"select frame, overruled from quarantine where rule = '{RULE}'")
    assert found == {"frame": BAD - 3, "overruled": "looked at"}


def test_a_run_whose_failures_are_all_overruled_passes(settings):
    run_id = run_of(settings)["run_id"]
    rules = reasons(settings)[BAD][0]
    answers = [override(settings, run_id, rule=rule, frames=[BAD], because="looked at") for rule in rules]
    [entry] = answers[-1]["runs"]
    assert (entry["passed"], entry["failed_expectations"]) == (True, [])
    assert set(entry["overruled"]) == set(rules)
    [entry] = withdraw(settings, run_id, rule=RULE)["runs"]
    assert (entry["passed"], entry["failed_expectations"]) == (False, [RULE])


@pytest.mark.parametrize(
    ("rule", "frames", "because", "match"),
    [
        ("no_such_rule", [], "x", "no rejecting rule"),
        ("read_whole", [], "x", "no number to train on"),
        ("forces_present", [], "x", "no number to train on"),
        ("forces_moderate", [], "x", "no rejecting rule"),
        (RULE, [N_FRAMES], "x", f"no frame {N_FRAMES}"),
        (RULE, [], "  ", "needs its reason"),
    ],
)
def test_what_cannot_be_overruled_is_said(settings, rule, frames, because, match):
    with pytest.raises(MeltlakeError, match=match):
        override(settings, run_of(settings)["run_id"], rule=rule, frames=frames, because=because)


def test_nothing_said_is_nothing_to_withdraw(settings):
    with pytest.raises(MeltlakeError, match="Nobody overruled"):
        withdraw(settings, run_of(settings)["run_id"], rule=RULE)


def test_status_and_quarantine_tell_the_failing_value(settings):
    [row] = [row for row in rejected(Lake(settings.lake)) if row["rule"] == RULE]
    assert (row["frames"], row["expected"]) == (str(BAD), "at most 50 eV/angstrom")
    publish(settings)
    [found] = query(settings, f"select kind, frame, found, overruled from quarantine where rule = '{RULE}'")
    assert (found["kind"], found["frame"], found["overruled"]) == ("frame", BAD, None)
    assert float(found["found"]) == pytest.approx(99, abs=1)


def command(settings, *words):
    return subprocess.run(
        [sys.executable, "-c", "from operators.cli import main; main()", *words, "--lake", settings.lake, "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_a_pipeline_can_stop_at_a_run_that_fails(settings):
    assert command(settings, "validate", "--require").returncode == 0
    with_campaign(settings, "most_rejected = 0.01\n")
    answer = command(settings, "validate", "--require")
    assert answer.returncode == 65
    assert "fails the gate" in answer.stderr.splitlines()[0]
    [run] = json.loads(answer.stdout)["runs"]
    assert run["fails_because"].startswith("1 of its 40 DFT frames are rejected, more than 1%.")


def test_frames_that_no_dft_labelled_make_no_run_fail():
    verdict = RuleGate().judge(case_of(label_source=["vasp_mlff"] * 9 + ["dft"]))
    assert verdict.n_rejected == 9
    assert why_it_fails(verdict, most_rejected=0.1) is None


def case_of(**columns):
    from lake.gate import Case
    from schemas.gate import FRAME_RULES, RUN_RULES

    n_frames = len(columns["label_source"])
    frames = {rule.column: np.zeros(n_frames) for rule in FRAME_RULES}
    frames |= {
        "scf_verdict": np.array(["converged"] * n_frames, dtype=object),
        "min_distance_over_limit": np.full(n_frames, 2.0),
        "content_id": np.arange(n_frames),
    }
    frames |= {name: np.array(values, dtype=object) for name, values in columns.items()}
    run = {rule.column: np.nan for rule in RUN_RULES} | {"level_of_theory_is_known": True}
    return Case(origin="aimd", frames=frames, run=run)


def test_averages_begin_where_the_run_is_equilibrated(settings):
    row = run_of(settings)
    run = trajectory(Lake(settings.lake), row["run_id"])
    quarter = 0.25 * (run.time_fs[-1] - run.time_fs[0])
    assert row["equilibrated_from_fs"] >= quarter - 1e-6
    expected = run.accepted & (run.time_fs >= row["equilibrated_from_fs"])
    assert (run.averaged == expected).all()
    assert 0 < run.n_averaged < N_FRAMES
