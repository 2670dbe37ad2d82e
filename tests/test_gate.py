"""The gate gives every frame its reasons and drops none; a check that cannot run is not a check that failed."""

import numpy as np
import pytest

from lake.gate import Case, RuleGate
from schemas.gate import FRAME_RULES, RULES, RUN_RULES, Override, Rule, rules_id

N_FRAMES = 6
_WORDS = {"scf_verdict": "converged", "label_source": "dft"}
_EXPECTED = {
    "energy_ev": -3.0,
    "min_distance_over_limit": 1.4,
    "max_force_ev_per_angstrom": 2.0,
    "steps_over_stride": 1.0,
}


@pytest.fixture
def frames():
    columns = {rule.column: np.full(N_FRAMES, _EXPECTED.get(rule.column, 0.0)) for rule in FRAME_RULES}
    columns |= {name: np.array([word] * N_FRAMES, dtype=object) for name, word in _WORDS.items()}
    return columns | {"content_id": np.array([f"frame {i}" for i in range(N_FRAMES)], dtype=object)}


@pytest.fixture
def run():
    nothing_known = {rule.column: np.nan for rule in RUN_RULES}
    return nothing_known | {"level_of_theory_is_known": True}


@pytest.fixture
def judge(frames, run):
    def judged(*, origin="aimd", rules=RULES, overrides=()):
        return RuleGate(tuple(rules)).judge(Case(origin=origin, frames=frames, run=run, overrides=overrides))

    return judged


def test_good_frames_are_accepted(judge):
    verdict = judge()
    assert (verdict.n_rejected, verdict.failed, verdict.reason) == (0, [], None)
    asked = {rule.name for rule in RULES if "aimd" in rule.origins}
    assert {result["expectation"] for result in verdict.results} == asked
    assert not any(verdict.flags)


def _beyond(rule):
    """A value that breaks a rule."""
    if rule.not_null:
        return np.nan
    if rule.unique:
        return "frame 1"
    if rule.allowed:
        return "unconverged" if rule.column == "scf_verdict" else "vasp_mlff"
    return rule.maximum + 0.01 if rule.maximum is not None else rule.minimum - 0.01


@pytest.mark.parametrize("rule", FRAME_RULES, ids=lambda rule: rule.name)
def test_each_rule_of_frames_names_the_frame_that_broke_it(frames, judge, rule):
    frames[rule.column][4] = _beyond(rule)
    verdict = judge()
    named = verdict.rejection_reasons if rule.severity == "reject" else verdict.flags
    assert [rule.name in names for names in named] == [False] * 4 + [True, False]
    assert (rule.name in verdict.failed) == (rule.severity == "reject")


def test_a_rule_says_how_many_values_there_were_to_judge(frames, run, judge):
    frames["temperature_over_limit"][:4] = np.nan
    run["n_effective"] = 12.0
    n_judged = {result["expectation"]: result["n_judged"] for result in judge().results}
    of_one = ("temperature_bounded", "energy_present", "scf_converged", "equilibrated", "energy_conserved")
    assert [n_judged[name] for name in of_one] == [2, N_FRAMES, N_FRAMES, 1, 0]


def test_a_step_that_ended_at_nelm_unexplained_is_rejected(frames, judge):
    frames["scf_verdict"][4] = "suspect"
    assert judge().rejection_reasons[4] == ["scf_converged"]


@pytest.mark.parametrize("rule", RUN_RULES, ids=lambda rule: rule.name)
def test_a_rule_of_runs_rejects_all_frames_or_none(run, judge, rule):
    run[rule.column] = False if rule.allowed else _beyond(rule)
    verdict = judge(origin=rule.origins[0])
    [result] = [result for result in verdict.results if result["expectation"] == rule.name]
    assert (result["scope"], result["success"], result["unexpected_frames"]) == ("run", False, [])
    assert verdict.n_rejected == (N_FRAMES if rule.severity == "reject" else 0)
    assert not any(verdict.flags)


def test_a_simulation_is_not_asked_for_electronic_steps(frames, judge):
    frames["scf_verdict"][:], frames["label_source"][:] = "unknown", "none"
    assert judge(origin="dnnp").n_rejected == 0
    assert judge(origin="aimd").n_rejected == N_FRAMES


@pytest.mark.parametrize("scope", ["frame", "run"])
def test_a_check_that_cannot_run_is_told_apart_and_lets_nothing_pass(judge, scope):
    broken = Rule(name="of_nothing", column="no_such_column", severity="reject", reason="none", maximum=1, scope=scope)
    verdict = judge(rules=[broken])
    assert verdict.results[0]["success"] is None
    assert "no_such_column" in str(verdict.results[0]["error"])
    assert verdict.n_rejected == N_FRAMES


def test_the_most_extreme_failing_value_is_kept_with_its_unit_and_what_was_expected(frames, judge):
    frames["max_force_ev_per_angstrom"][:] = [1, 60, 75, 2, 3, 4]
    [result] = [result for result in judge().results if result["expectation"] == "forces_bounded"]
    assert (result["unexpected_frames"], result["unexpected_values"]) == ([1, 2], ["60", "75"])
    assert (result["observed"], result["expected"]) == ("75 eV/angstrom", "at most 50 eV/angstrom")


def test_the_reason_names_rules_by_how_many_frames_they_reject(frames, judge):
    frames["max_force_ev_per_angstrom"][:3] = 60
    frames["scf_verdict"][0] = "unconverged"
    assert judge().reason == "3 of 6 frames are rejected: forces_bounded (3), scf_converged (1)."


@pytest.mark.parametrize(("named", "passing"), [((1,), [1]), (None, [1, 2])])
def test_frames_that_a_person_lets_pass_are_flagged_instead(frames, judge, named, passing):
    frames["max_force_ev_per_angstrom"][1:3] = 60
    verdict = judge(overrides=[Override(rule="forces_bounded", frames=named)])
    assert [frame for frame, flags in enumerate(verdict.flags) if "forces_bounded" in flags] == passing
    assert verdict.n_rejected == 2 - len(passing)
    [result] = [result for result in verdict.results if result["expectation"] == "forces_bounded"]
    assert (result["n_unexpected"], result["n_overruled"]) == (2, len(passing))


def test_rules_with_another_threshold_have_another_name():
    moved = tuple(rule for rule in RULES if rule.name != "forces_bounded")
    assert len({rules_id(RULES), rules_id(moved), rules_id(RULES[::-1])}) == 3
