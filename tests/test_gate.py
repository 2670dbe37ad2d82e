"""The gate gives every frame its reasons and drops none; a check that cannot run is not a check that failed."""

import numpy as np
import pytest

from lake.gate import judge
from schemas.expectations import RULES, Rule

N_FRAMES = 6


@pytest.fixture
def frames():
    n = N_FRAMES
    return {
        "n_faults": np.zeros(n, dtype=int),
        "scf_verdict": np.array(["converged"] * n, dtype=object),
        "label_source": np.array(["dft"] * n, dtype=object),
        "energy_ev": -3.0 - np.arange(n),
        "max_force_ev_per_angstrom": np.full(n, 2.0),
        "max_virial_ev_per_atom": np.full(n, 0.5),
        "min_distance_over_limit": np.full(n, 1.4),
        "net_force_per_root_n_ev_per_angstrom": np.zeros(n),
        "content_id": np.array([f"frame {i}" for i in range(n)], dtype=object),
        "steps_over_stride": np.ones(n),
    }


def test_good_frames_are_accepted(frames):
    verdict = judge(frames, "aimd")
    assert (verdict.n_rejected, verdict.failed) == (0, [])
    assert {result["expectation"] for result in verdict.results} == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("n_faults", 1, "read_whole"),
        ("scf_verdict", "unconverged", "scf_converged"),
        ("scf_verdict", "suspect", "scf_converged"),
        ("label_source", "vasp_mlff", "label_from_dft"),
        ("energy_ev", np.nan, "energy_present"),
        ("max_force_ev_per_angstrom", np.nan, "forces_present"),
        ("max_force_ev_per_angstrom", 51.0, "forces_bounded"),
        ("max_virial_ev_per_atom", 51.0, "virial_bounded"),
        ("min_distance_over_limit", 0.9, "pairs_apart"),
        ("content_id", "frame 1", "frame_not_repeated"),
    ],
)
def test_each_rejecting_rule_names_the_frame_that_broke_it(frames, column, value, rule):
    frames[column][4] = value
    verdict = judge(frames, "aimd")
    assert [bool(reasons) for reasons in verdict.rejection_reasons] == [False] * 4 + [True, False]
    assert rule in verdict.rejection_reasons[4]
    assert rule in verdict.failed


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("net_force_per_root_n_ev_per_angstrom", 0.06, "net_force_small"),
        ("max_force_ev_per_angstrom", 25.0, "forces_moderate"),
        ("min_distance_over_limit", 1.05, "pairs_not_close"),
    ],
)
def test_a_flag_warns_and_does_not_reject(frames, column, value, rule):
    frames[column][2] = value
    verdict = judge(frames, "aimd")
    assert verdict.flags[2] == [rule]
    assert (verdict.n_rejected, verdict.failed) == (0, [])


def test_a_simulation_is_not_asked_for_electronic_steps(frames):
    frames["scf_verdict"][:], frames["label_source"][:] = "unknown", "none"
    assert judge(frames, "dnnp").n_rejected == 0
    assert judge(frames, "aimd").n_rejected == N_FRAMES


def test_a_check_that_cannot_run_is_told_apart_and_lets_nothing_pass(frames):
    broken = Rule(name="of_nothing", column="no_such_column", severity="reject", reason="none", maximum=1)
    verdict = judge(frames, "aimd", rules=[broken])
    assert verdict.results[0]["success"] is None
    assert "no_such_column" in str(verdict.results[0]["error"])
    assert verdict.n_rejected == N_FRAMES


def test_the_most_extreme_failing_value_is_kept_with_its_unit(frames):
    frames["max_force_ev_per_angstrom"][:] = [1, 60, 75, 2, 3, 4]
    [result] = [r for r in judge(frames, "aimd").results if r["expectation"] == "forces_bounded"]
    assert (result["unexpected_frames"], result["observed"]) == ([1, 2], "75 eV/angstrom")
