"""Verdicts of the gate on every file there is: real ones of the reference set, sound toy melts, and injected faults."""

import json
from functools import cache

from schemas.gate import RULES
from tests.gate.clean_runs import DERIVED, REFERENCE, TOYS, clean_text, is_here
from tests.gate.faults import FAULTS, Fault
from tests.gate.judging import Judged, judged, looked_at, looked_at_text
from tests.gate.vasp_text import VaspText

CLEAN_TOYS = tuple(
    f"{kind}/{file}"
    for kind in (*(kind for kind in TOYS if kind not in ("crystal", "runaway")), *DERIVED)
    for file in ("OUTCAR", "vasprun.xml")
)
"""Toy runs that nothing is wrong with."""

_OTHER_PROGRAMS = ("json_mlearn", "deepmd_raw")


@cache
def of_faults() -> dict[Fault, Judged]:
    """Each fault whose sound file is here, and what the gate says of the damaged one."""
    here = [fault for fault in FAULTS if is_here(fault.clean)]
    looked = [looked_at_text(damaged(fault), file_name(fault.clean)) for fault in here]
    return dict(zip(here, judged(looked), strict=True))


@cache
def of_clean_toys() -> dict[str, Judged]:
    """The sound toy melts."""
    looked = [looked_at_text(clean_text(name), file_name(name)) for name in CLEAN_TOYS]
    return dict(zip(CLEAN_TOYS, judged(looked), strict=True))


@cache
def of_reference() -> dict[str, Judged]:
    """Every VASP file of the reference set, and every run in it; none where the set is not here."""
    if not (REFERENCE / "index.json").exists():
        return {}
    entries = json.loads((REFERENCE / "index.json").read_text())["files"]
    names = [entry["file"] for entry in entries if entry["format"] not in _OTHER_PROGRAMS]
    looked = {
        f"{name} {part}".strip(): run
        for name in names
        for part, run in looked_at(REFERENCE / name).items()
        if "one of outcar, vasprun" not in run.refusal  # what is no file of VASP says nothing about the gate
    }
    return dict(zip(looked, judged(list(looked.values())), strict=True))


def damaged(fault: Fault) -> str:
    """Text of the file with the fault in it."""
    return str(fault.damage(VaspText.of(clean_text(fault.clean))))


def file_name(clean: str) -> str:
    """As VASP calls the file."""
    return clean.split("/")[1].removesuffix(".gz")


def misses(fault: Fault, verdict: Judged) -> list[str]:
    """What the gate should have said and did not, and which good frames it rejected; empty if all is right."""
    if fault.unseen:
        return (
            [] if not verdict.tripped else [f"was said to be unseen, but {', '.join(sorted(verdict.tripped))} saw it"]
        )
    if fault.refused:
        return [] if fault.refused in verdict.refusal else [f"not refused for {fault.refused!r}: {verdict.refusal}"]
    if verdict.refusal:
        return [f"refused: {verdict.refusal}"]
    wanted = set(range(verdict.n_frames)) if fault.frames is None else set(fault.frames)
    found = [f"not caught by {name}" for name in fault.caught_by if not _catches(verdict, name, wanted)]
    good = set() if fault.frames is None or fault.all_bad else set(verdict.rejected) - wanted
    found += [f"good frames rejected: {sorted(good)}"] if good else []
    is_whole = fault.frames is None or fault.all_bad
    return found + (["all frames rejected"] if verdict.is_rejected and not is_whole else [])


def _catches(verdict: Judged, rule: str, wanted: set[int]) -> bool:
    if rule in verdict.failed_of_run:
        return True
    return rule in verdict.by_rule and wanted <= set(verdict.by_rule[rule])


def witnesses(rule: str) -> tuple[list[str], list[str]]:
    """Files that trip a rule and files that it judged and found sound."""
    trip = [name for name, verdict in of_reference().items() if rule in verdict.tripped]
    trip += [
        f"{fault.clean}: {fault.name}" for fault, verdict in of_faults().items() if rule in _expected(fault, verdict)
    ]
    sound = [name for found in (of_reference(), of_clean_toys()) for name, v in found.items() if rule in v.passed]
    return trip, sound


def _expected(fault: Fault, verdict: Judged) -> set[str]:
    return set(fault.caught_by) & verdict.tripped


def without_evidence() -> list[str]:
    """Rules that no file trips, or that no file passes."""
    return [rule.name for rule in RULES if not all(witnesses(rule.name))]
