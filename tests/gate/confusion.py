"""Which file trips which rule of the gate, as text: `python -m tests.gate.confusion > docs/gate-confusion.md`."""

import sys
from collections.abc import Iterator
from itertools import groupby

from schemas.gate import RULES
from tests.gate.clean_runs import REFERENCE
from tests.gate.evidence import misses, of_faults, of_reference, witnesses
from tests.gate.faults import FAULTS, Fault
from tests.gate.judging import REJECTING, Judged

_HEAD = """\
# The gate, put to the test: which file trips which rule

Made by `python -m tests.gate.confusion`, and compared with the gate at every test. Rules, thresholds and reasons are in
`tables.md`. Three kinds of files are judged, each as `meltlake ingest` would:

* real VASP output: every file of the reference set that is read (projects and licences are named there);
* sound toy melts: LAMMPS runs of a toy potential in VASP's layouts, 108 atoms, with a fixed cell and with one that
  breathes, with cold and with warm electrons (`tests/gate/clean_runs.py`);
* the same files with a fault put into their text (`tests/gate/faults.py`).
"""

_CLEAN = """\
## Sound melts: nothing is rejected

Ten compositions (those that the toy potential is known to melt at, 108 atoms, 2,000 frames of 2 fs each) were written
as OUTCAR and ingested: `pytest -m slow tests/gate/test_sound_melts.py`, which asserts that no frame is rejected. The
default tests do the same with three compositions and 200 frames. Of the 20,000 frames none was rejected and none was
flagged, and no rule of runs failed, when this was written.
"""

_POWER = """\
## How surely a single bad frame is seen

Made by hand: 41 bad frames, one in twelve, in runs of 501 frames of 108 atoms, as vasprun.xml (which prints no pressure
beside the stress). First those that are rejected, in brackets those that are rejected or flagged; 41 where one number
stands.

| one bad frame: | 1 fs | 2 fs | 5 fs | 10 fs | 2 fs, cell changes |
|---|---|---|---|---|---|
| forces x 0.1, opposite forces, or those of the next atom | 41 | 41 | 41 | 41 | 41 |
| positions of the next atom, or of two atoms exchanged | 41 | 41 | 41 | 41 | 41 |
| free energy off by 15 meV/atom | 41 | 41 | 41 | 41 | 41 |
| opposite stress | 41 | 41 | 41 | 41 | 40 (41) |
| stress x 0.1 | 41 | 41 | 39 | 2 | 34 (37) |
| one atom of 108 where it was before | 0 (41) | 0 (41) | 1 (41) | 0 (41) | 0 (41) |
| forces of two atoms of 108 exchanged | 0 (20) | 0 (32) | 4 (22) | 2 (6) | 0 (27) |

Frames 20 fs apart are too far from each other to compare them: only atoms that stay are seen there, and what a frame
says against itself. In these runs no good frame was rejected, but for one stretch of 33 frames at 10 fs between two
frames with exchanged forces.
"""

JUDGEMENT = {
    "na100-liquid-671k/XDATCAR.gz": "right: positions without labels",
    "nacl-800k-xdatcar/XDATCAR": "right: positions without labels",
    "xdatcar-v4/XDATCAR": "right: positions without labels, the same ones four times",
    "xdatcar-v5/XDATCAR": "right: positions without labels, the same ones four times",
    "xdatcar-v6-varcell/XDATCAR": "right: positions without labels",
    "fe2o3-molten-xdatcar/XDATCAR": "right: positions without labels",
    "pt111-water-isif0/XDATCAR": "right: positions without labels; the OUTCAR of the run has them",
    "pt111-water-isif0/XDATCAR-run2": "right: positions without labels",
    "xdatcar-bad-fmt/XDATCAR.gz": "right: positions without labels, of which the first have two atoms 1.12 angstrom "
    "apart that should have 1.26",
    "bad-xdatcar-cut/XDATCAR": "right: positions without labels",
    "h2o-md3-tribox/vasprun.xml": "right: an O-H of 0.53 angstrom, a force of 151 eV/angstrom, 26 eV above the others",
    "ch4-unconverged/OUTCAR": "right: its loop ended at NELM",
    "ch4-1step/OUTCAR": "right: its loop ended at NELM",
    "si-nelm-breach/OUTCAR": "right: every loop ended at NELM",
    "si1-unconv-v620/OUTCAR": "right: VASP says that EDIFF was not reached",
    "si1-unconv-v620/vasprun.xml": "right for the first; the fourth converged in its last step, as the OUTCAR "
    "says, but this file prints EDIFF as 0 and cannot tell",
    "h2o-nelm2/OUTCAR": "right: NELM = 2",
    "oand-stopped/OUTCAR.gz": "right: its loop was stopped by hand in the 100th of 100 steps",
    "ch4-mlff/OUTCAR": "right: labels of VASP's force field; those of the DFT steps between them are accepted",
    "h2-mlff-istart0/OUTCAR": "right: labels of a force field that was not trained yet, all zero",
    "h2-mlff-istart1/OUTCAR": "right: labels of VASP's force field, one of them twice",
    "h2-mlab/ML_AB": "right as long as no OUTCAR or vasprun.xml of the run tells which energy this is; three frames "
    "are the same",
    "bad-mlab-cut/ML_AB": "right as long as no OUTCAR or vasprun.xml of the run tells which energy this is",
    "si2-h5-v641/vaspout.h5.gz": "careful: the frames are sound, as the OUTCAR of the run says, but this file keeps no "
    "history of its electronic loops; the OUTCAR or vasprun.xml beside it is taken",
    "ti32-md-h5-derived/vaspout.h5": "careful: made from a vasprun.xml without its electronic loops",
    "bad-outcar-force-stars/OUTCAR": "right: asterisks were put there",
    "bad-outcar-force-nan/OUTCAR": "right: a NaN was put there",
    "bad-vasprun-force-stars/vasprun.xml": "right: asterisks were put there",
    "bad-outcar-kB-glued/OUTCAR": "right: a component of the stress was damaged",
}
"""What a person who opened the file says about the frames that the gate rejects."""


def document() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_by_rule(), *_injected(), *_unseen(), _POWER, *_real(), *_rejected(), _CLEAN])


def _by_rule() -> Iterator[str]:
    yield "## Every rule, and what trips it\n"
    yield (
        "`faults`: injected ones that the rule is there for, caught of all. `real files`: those that trip it, and "
        "those that it had something to judge in and passed. One example each, of a real file where there is one.\n"
    )
    yield "| rule | severity | faults | real files | trips it | does not |\n|---|---|---|---|---|---|"
    for rule in (rule for rule in RULES if "aimd" in rule.origins):
        meant = [fault for fault in FAULTS if rule.name in fault.caught_by]
        caught = [fault for fault in meant if rule.name in of_faults()[fault].tripped]
        real = of_reference().values()
        n_trip, n_pass = (sum(rule.name in names for names in sets) for sets in _sets(real))
        trip, sound = witnesses(rule.name)
        examples = f"{_example(trip)} | {_example(sound)}"
        yield f"| `{rule.name}` | {rule.severity} | {len(caught)}/{len(meant)} | {n_trip}, {n_pass} | {examples} |"
    yield ""


def _sets(verdicts: object) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
    listed = list(verdicts)  # type: ignore[call-overload]
    return [verdict.tripped for verdict in listed], [verdict.passed for verdict in listed]


def _example(files: list[str]) -> str:
    if not files:
        return "**none**"
    name, _, what = files[0].partition(": ")
    return f"`{name}`" + (f": {what}" if what else "")


def _injected() -> Iterator[str]:
    seen = [fault for fault in FAULTS if not fault.unseen]
    good = [fault for fault in seen if not misses(fault, of_faults()[fault])]
    yield f"## Injected faults: {len(good)} of {len(seen)} are caught by the rule that is there for them\n"
    yield (
        "**Bold**: the rule that must catch it. Others that fail as well are named where the sound file is a real one "
        "(a toy melt is another one on another machine). `frames`: those that must bear the reason, counted from 0. In "
        "each file no other frame is rejected.\n"
    )
    yield "| fault | in | frames | caught by |\n|---|---|---|---|"
    for fault in seen:
        yield f"| {fault.name} | `{fault.clean}` | {_frames(fault)} | {_caught(fault, of_faults()[fault])} |"
    yield ""


def _frames(fault: Fault) -> str:
    if fault.refused:
        return "file"
    if fault.frames is None:
        return "all"
    if not fault.frames:
        return "run"
    first, last = fault.frames[0], fault.frames[-1]
    if fault.all_bad:
        return f"{first} to {last}, all bad"
    if len(fault.frames) < last - first + 1:
        return f"{first}, {fault.frames[1]} ... {last}"
    return f"{first}" if first == last else f"{first} to {last}"


def _caught(fault: Fault, verdict: Judged) -> str:
    if wrong := misses(fault, verdict):
        return f"WRONG: {'; '.join(wrong)}"
    if fault.refused:
        return f"**refused**: {verdict.refusal.partition('. ')[0]}"
    told = [f"**{name}**" for name in fault.caught_by]
    if (REFERENCE / fault.clean).exists():
        told += sorted(verdict.tripped - set(fault.caught_by) - of_reference()[fault.clean].tripped)
    return ", ".join(told)


def _unseen() -> Iterator[str]:
    yield "## What cannot be told\n\n| fault | in | why nothing in the file tells |\n|---|---|---|"
    yield from (f"| {fault.name} | `{fault.clean}` | {fault.unseen} |" for fault in FAULTS if fault.unseen)
    yield ""


def _real() -> Iterator[str]:
    yield "## Real files\n"
    yield "Number of frames in brackets; a rule of runs is told without one. Refused files hold no frame.\n"
    yield "| file | frames | rejected | rejected by | flagged by |\n|---|---|---|---|---|"
    for name, verdict in of_reference().items():
        if verdict.refusal:
            yield f"| `{name}` | | | refused: {verdict.refusal.partition('. ')[0]} | |"
            continue
        rejecting, flagging = (_told(verdict, verdict.tripped & names) for names in (REJECTING, _FLAGGING))
        yield f"| `{name}` | {verdict.n_frames} | {verdict.n_rejected or ''} | {rejecting} | {flagging} |"
    yield ""


_FLAGGING = frozenset(rule.name for rule in RULES) - REJECTING


def _told(verdict: Judged, names: frozenset[str]) -> str:
    ordered = [rule.name for rule in RULES if rule.name in names]
    return ", ".join(f"{name} ({len(verdict.by_rule[name])})" if name in verdict.by_rule else name for name in ordered)


def _rejected() -> Iterator[str]:
    yield "## Rejected frames of real files, looked at by a person\n\n| file | frames | verdict |\n|---|---|---|"
    for name, verdict in of_reference().items():
        if verdict.n_rejected:
            yield f"| `{name}` | {_listed(verdict)} | {JUDGEMENT.get(name, 'not looked at')} |"
    yield ""


def _listed(verdict: Judged) -> str:
    frames = range(verdict.n_frames) if verdict.is_rejected else sorted(verdict.rejected)
    if len(frames) == verdict.n_frames:
        return "all"
    # Consecutive numbers stay as far from their place in the list.
    runs = [
        [frame for _, frame in group] for _, group in groupby(enumerate(frames), key=lambda pair: pair[1] - pair[0])
    ]
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


if __name__ == "__main__":
    if not of_reference():
        sys.exit("the reference set of VASP output is not on this machine")
    sys.stdout.write(document())
