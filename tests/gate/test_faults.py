"""Each fault that is put into a sound file is caught by the rule that is there for it, and no sound frame suffers."""

from pathlib import Path

import pytest

from schemas.gate import RULES
from tests.gate import confusion
from tests.gate.clean_runs import is_here
from tests.gate.evidence import CLEAN_TOYS, misses, of_clean_toys, of_faults, of_reference, witnesses
from tests.gate.faults import FAULTS

PAGE = Path(__file__).parents[2] / "docs/gate-confusion.md"
HERE = [
    pytest.param(
        fault,
        id=f"{fault.name} in {fault.clean}",
        marks=pytest.mark.skipif(not is_here(fault.clean), reason="the reference set is not on this machine"),
    )
    for fault in FAULTS
]


@pytest.mark.parametrize("fault", HERE)
def test_fault_is_caught_and_no_good_frame_is_rejected(fault):
    assert misses(fault, of_faults()[fault]) == []


@pytest.mark.parametrize("name", CLEAN_TOYS)
def test_sound_toy_melt_is_neither_rejected_nor_flagged(name):
    verdict = of_clean_toys()[name]
    assert (verdict.tripped, verdict.faults, verdict.refusal) == (frozenset(), {}, "")


# A rule about simulations alone has its witnesses in tests/simulation.
@pytest.mark.parametrize("rule", [rule.name for rule in RULES if "aimd" in rule.origins])
def test_each_rule_has_a_file_that_trips_it_and_one_that_does_not(rule):
    if not of_reference():
        pytest.skip("the reference set is not on this machine")
    trip, sound = witnesses(rule)
    assert trip, "no file trips it: put a fault into tests/gate/faults.py"
    assert sound, "no file passes it"


def test_names_of_faults_are_told_apart():
    assert len({(fault.name, fault.clean) for fault in FAULTS}) == len(FAULTS)


def test_every_rejected_frame_of_a_real_file_was_looked_at():
    rejected = {name for name, verdict in of_reference().items() if verdict.n_rejected}
    if not rejected:
        pytest.skip("the reference set is not on this machine")
    assert rejected == confusion.JUDGEMENT.keys()


def test_the_page_is_what_the_gate_says():
    if not of_reference():
        pytest.skip("the reference set is not on this machine")
    assert PAGE.read_text() == confusion.document(), "run: python -m tests.gate.confusion > docs/gate-confusion.md"
