"""What the gate says of many files at once: each is read as `ingest` does it, and all are judged together.

The gate costs a tenth of a second however few frames it judges, so frames of all files go through it as one table, and
so do the values of all runs. What a rule says of a frame depends on the frame's own row alone.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lake.delta import Lake
from lake.gate import Case, RuleGate
from lake.readers import parts_of
from operators.gate.run_checks import run_checks
from operators.gate.run_facts import facts_of_header
from operators.runs.reading import read_run
from schemas.columns import Columns, n_rows
from schemas.errors import UnreadableFile
from schemas.gate import RULES
from schemas.rows import Row

OF_FRAMES = tuple(rule for rule in RULES if rule.scope == "frame")
OF_RUNS = tuple(rule for rule in RULES if rule.scope == "run")
REJECTING = frozenset(rule.name for rule in RULES if rule.severity == "reject")


@dataclass(frozen=True, slots=True)
class Looked:
    """A run as the gate is shown it, or why its file was refused."""

    frames: Columns
    run: Row
    faults: dict[str, int] = field(default_factory=dict)
    """Reading faults, by how many frames have them."""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one run."""

    n_frames: int
    by_rule: dict[str, tuple[int, ...]]
    """The frames that each rule found fault with."""
    failed_of_run: frozenset[str]
    """Rules of runs that the run fails."""
    passed: frozenset[str]
    """Rules that had something to judge and found no fault."""
    faults: dict[str, int]
    refusal: str = ""

    @property
    def rejected(self) -> dict[int, list[str]]:
        """Rejecting rules of frames, by frame."""
        reasons: dict[int, list[str]] = {}
        for rule, frames in self.by_rule.items():
            for frame in frames if rule in REJECTING else ():
                reasons.setdefault(frame, []).append(rule)
        return reasons

    @property
    def is_rejected(self) -> bool:
        """Whether a rule of runs rejects every frame."""
        return bool(self.failed_of_run & REJECTING)

    @property
    def n_rejected(self) -> int:
        return self.n_frames if self.is_rejected else len(self.rejected)

    @property
    def tripped(self) -> frozenset[str]:
        """Every rule that found a fault."""
        return frozenset(self.by_rule) | self.failed_of_run


def looked_at(path: Path) -> dict[str, Looked]:
    """The runs in a file, by part; a file that is refused is one without frames."""
    try:
        return {part: _looked_at(path, part) for part in parts_of(str(path))}
    except UnreadableFile as refusal:
        return {"": Looked({}, {}, refusal=str(refusal).replace(f"{path}: ", ""))}


def looked_at_text(text: str, name: str) -> Looked:
    """Of a file with that text; `name` is that of a file that VASP writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="latin-1")
        [one] = looked_at(path).values()
        return one


def judged(runs: Sequence[Looked]) -> list[Judged]:
    """What the gate says of each of these runs."""
    whole = [run for run in runs if not run.refusal]
    table = _together([run.frames for run in whole], [rule.column for rule in OF_FRAMES])
    first_rows = np.cumsum([0, *(n_rows(run.frames) for run in whole)])
    for run, first in zip(whole, first_rows, strict=False):
        rows = slice(first, first + n_rows(run.frames))
        table["content_id"][rows] = [f"{first} {content_id}" for content_id in table["content_id"][rows]]
    of_frames = _failures(OF_FRAMES, table)
    of_runs = _failures(OF_RUNS, _together([_one_row(run.run) for run in whole], [rule.column for rule in OF_RUNS]))
    verdicts = iter(
        _judged(run, _within(of_frames, first, n_rows(run.frames)), {name for name in of_runs if i in of_runs[name]})
        for i, (run, first) in enumerate(zip(whole, first_rows, strict=False))
    )
    return [_refused(run) if run.refusal else next(verdicts) for run in runs]


def _looked_at(path: Path, part: str) -> Looked:
    with tempfile.TemporaryDirectory() as folder, read_run(Lake(folder), str(path), part=part) as read:
        case = run_checks(read.checks, facts_of_header(read.header, read.sample, goes_on=False)).case
        faults = Counter(code for codes in read.faults for code in codes)
    if case.origin != "aimd":
        raise ValueError(f"{path}: needed an AIMD run, found a simulation")
    return Looked(case.frames, dict(case.run), dict(sorted(faults.items())))


def _failures(rules: Iterable, columns: Columns) -> dict[str, set[int]]:
    """Rows that each rule finds fault with."""
    verdict = RuleGate(tuple(replace(rule, scope="frame") for rule in rules)).judge(Case(origin="aimd", frames=columns))
    errors = {str(result["expectation"]): result["error"] for result in verdict.results if result["success"] is None}
    if errors:
        raise RuntimeError(f"rules that could not be run: {errors}")
    return {str(one["expectation"]): set(one["unexpected_frames"]) for one in verdict.results}


def _together(parts: Sequence[Columns], names: Iterable[str]) -> Columns:
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in dict.fromkeys(names)}


def _one_row(run: Row) -> Columns:
    return {name: np.array([value]) for name, value in run.items()}


def _within(failures: dict[str, set[int]], first: int, n_frames: int) -> dict[str, tuple[int, ...]]:
    found = {
        rule: sorted(row - first for row in rows if 0 <= row - first < n_frames) for rule, rows in failures.items()
    }
    return {rule: tuple(map(int, rows)) for rule, rows in found.items() if rows}


def _judged(run: Looked, by_rule: dict[str, tuple[int, ...]], failed_of_run: set[str]) -> Judged:
    shown = {rule.name for rule in OF_FRAMES if rule.not_null or _tells(run.frames[rule.column])}
    shown |= {rule.name for rule in OF_RUNS if _tells(run.run[rule.column])}
    return Judged(
        n_frames=n_rows(run.frames),
        by_rule=by_rule,
        failed_of_run=frozenset(failed_of_run),
        passed=frozenset(shown - by_rule.keys() - failed_of_run),
        faults=run.faults,
    )


def _tells(values: object) -> bool:
    return bool(np.any(pd.notna(values)))


def _refused(run: Looked) -> Judged:
    return Judged(0, {}, frozenset(), frozenset(), {}, refusal=run.refusal)
