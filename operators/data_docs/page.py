"""What a page says of one run: why each frame may or may not be trained on, and what a person can do about it.

How it looks belongs in `templates`, drawing in `picture`, judging in `lake.gate`.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from operators.data_docs.scalars import Row, RunScalars, Span, spans
from schemas.faults import FAULTS
from schemas.frames import Floats
from schemas.gate import READ_WHOLE, RULES
from schemas.units import FS_PER_PS

MOST_LINES = 200
"""Lines about frames on a page; the rest is a query away."""

_FRAMES_IN_A_COMMAND = 12
_COLUMNS = {rule.name: rule.column for rule in RULES}
_REPEATING = {rule.name for rule in RULES if rule.unique}
_FACTS = (
    ("composition", "{composition} ({formula}), {n_atoms} atoms"),
    ("source", "{source_uri}"),
    ("format", "{source_format}"),
    ("sha256 of the file", "{source_sha256}"),
    ("sha256 of its content", "{content_sha256}"),
    ("level of theory", "{level_of_theory}"),
    ("POTCAR", "{potcar_titles}"),
    ("largest ENMAX", "{enmax_ev:g} eV"),
    ("program", "VASP {vasp_version}"),
    ("program", "LAMMPS {lammps_version}"),
    ("potential", "{potential_id}, protocol {protocol}"),
    ("started from run", "{parent_run_id}"),
    ("ensemble", "{ensemble}"),
    ("target temperature", "{temperature_target_k:g} K"),
    ("time step", "{time_step_fs:g} fs"),
    ("averages begin at", "{equilibrated_from_fs:g} fs"),
    ("independent samples after that", "{n_effective:.3g}"),
    ("energy change per work of the forces", "{energy_per_work:.3g} (1 when they belong together)"),
    ("goes on from run", "{continues_run_id}"),
    ("frames stored with another run", "{n_stored_elsewhere}"),
    ("steps with an energy but no positions", "{n_energy_only}"),
    ("steps begun and never finished", "{n_incomplete}"),
    ("judged by rules", "{rules_id} (gate version {gate_version})"),
    ("read by reader version", "{reader_version}, on {ingested_at:%Y-%m-%d %H:%M} UTC"),
)
_UNSAID_WHEN_ZERO = {"n_stored_elsewhere", "n_energy_only", "n_incomplete"}


@dataclass(frozen=True, slots=True)
class Word:
    """A verdict in a few words, and its kind: reject, flag, broken, overruled, fine, moot."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """One rule and what it found."""

    name: str
    scope: str
    severity: str
    expected: str
    verdict: Word
    n_frames: int
    """Frames that failed, overruled ones included; of a rule of runs, all."""
    observed: str
    reason: str
    overruled: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLine:
    """One frame, or neighbours with the same fault, that a rule speaks of."""

    span: Span
    steps: str
    time: str
    rule: str
    kind: str
    found: str
    expected: str


@dataclass(frozen=True)
class Judged:
    """A run with what the gate and people said of it, from tables that are small."""

    run: Row
    results: Sequence[Row]
    overrides: Sequence[Row] = ()

    @property
    def run_id(self) -> str:
        return str(self.run["run_id"])

    @property
    def n_frames(self) -> int:
        return int(self.run["n_frames"] or 0)

    @property
    def n_rejected(self) -> int:
        return int(self.run["n_rejected"] or 0)

    @cached_property
    def rules(self) -> list[RuleLine]:
        """Those that tell something first."""
        order = ("broken", "reject", "overruled", "flag", "fine", "moot")
        lines = [self._rule_line(result) for result in self.results]
        return sorted(lines, key=lambda line: (order.index(line.verdict.kind), line.severity != "reject"))

    @cached_property
    def verdict(self) -> Word:
        kinds = {line.verdict.kind for line in self.rules}
        if not self.n_frames:
            return Word("flag", "no frames")
        if "broken" in kinds:
            return Word("broken", "could not be checked")
        if self.n_rejected:
            share = "all" if self.n_rejected == self.n_frames else f"{self.n_rejected:,} of {self.n_frames:,}"
            return Word("reject", f"{share} rejected")
        if not self.results:
            return Word("flag", "no verdict stored")
        if kinds & {"flag", "overruled"}:
            return Word("flag", "accepted, with flags")
        return Word("fine", "accepted")

    def names(self, kind: str) -> list[str]:
        """Rules whose verdict is of that kind."""
        return [line.name for line in self.rules if line.verdict.kind == kind]

    @cached_property
    def facts(self) -> list[tuple[str, str]]:
        """What is known of the run, null columns left out."""
        return [(label, text) for label, form in _FACTS if (text := _fact(form, self.run))]

    def _rule_line(self, result: Row) -> RuleLine:
        name, severity = str(result["expectation"]), str(result["severity"] or "reject")
        said = [override for override in self.overrides if override["expectation"] == name]
        return RuleLine(
            name=name,
            scope=result["scope"] or "frame",
            severity=severity,
            expected=_plain(result["expected"]),
            verdict=_verdict(result, severity, n_frames=self.n_frames),
            n_frames=self.n_frames if result["scope"] == "run" else int(result["n_unexpected"] or 0),
            observed=_plain(result["observed"]),
            reason=str(result["error"] or result["reason"] or ""),
            overruled=[_said(override) for override in said],
        )


@dataclass(frozen=True, kw_only=True)
class RunPage(Judged):
    """The same with the run's frames: what one page shows."""

    scalars: RunScalars

    @cached_property
    def rejected(self) -> list[FrameLine]:
        """Every rejected frame and rule, neighbours of one value together."""
        return self._lines(self.scalars.rejection_reasons, "reject", self._alike)

    @cached_property
    def flagged(self) -> list[FrameLine]:
        """Every flagged stretch of frames, with the range of its values."""
        return self._lines(self.scalars.flags, "flag", lambda _, frames: _stretches(frames))

    @property
    def rest(self) -> str:
        """How to see all of them."""
        return _sql(f"select frame, rule, found, expected from quarantine where run_id = '{self.run_id}'")

    @property
    def rest_of_flags(self) -> str:
        where = f"run_id = '{self.run_id}' and len(flags) > 0"
        return _sql(f"select frame, ionic_step, time_fs, flags from frames where {where} order by frame")

    @property
    def overriding(self) -> list[str]:
        """One command for each rule that rejects and that a person may overrule."""
        commands = []
        for name in self.names("reject"):
            frames = [frame for frame, names in enumerate(self.scalars.rejection_reasons) if name in names]
            some = len(frames) < self.n_frames and len(frames) <= _FRAMES_IN_A_COMMAND
            chosen = f" --frames {' '.join(map(str, frames))}" if some and frames else ""
            if name != READ_WHOLE and frames:
                commands.append(f'meltlake override {self.run_id} --rule {name}{chosen} --because "..."')
        return commands

    @property
    def withdrawing(self) -> list[str]:
        names = sorted({str(override["expectation"]) for override in self.overrides})
        return [f"meltlake override {self.run_id} --rule {name} --withdraw" for name in names]

    @property
    def validating(self) -> str:
        return f"meltlake validate {self.run_id}"

    @property
    def ingesting(self) -> str:
        return f"meltlake ingest {shlex.quote(str(self.run['source_uri']))}"

    def _lines(self, names_of_frames: Sequence[Sequence[str]], kind: str, stretches: Any) -> list[FrameLine]:
        frames_of: dict[str, list[int]] = defaultdict(list)
        for frame, names in enumerate(names_of_frames):
            for name in names:
                frames_of[name].append(frame)
        lines = [
            self._frame_line(name, span, kind) for name, frames in frames_of.items() for span in stretches(name, frames)
        ]
        return sorted(lines, key=lambda line: line.span.first)

    def _alike(self, name: str, frames: Sequence[int]) -> Iterator[Span]:
        """Neighbours among these frames that have the same value."""
        start = last = frames[0]
        for frame in frames[1:]:
            if frame != last + 1 or self._found(name, frame) != self._found(name, start):
                yield Span(start, last)
                start = frame
            last = frame
        yield Span(start, last)

    def _frame_line(self, name: str, span: Span, kind: str) -> FrameLine:
        result = self._by_rule.get(READ_WHOLE if name in FAULTS else name, {})
        is_overruled = kind == "flag" and result.get("severity") == "reject"
        columns = self.scalars.columns
        return FrameLine(
            span=span,
            steps=_ends(columns["ionic_step"], span),
            time=_ends(columns["time_fs"] / FS_PER_PS, span),
            rule=name,
            kind="overruled" if is_overruled else kind,
            found=_range([self._found(name, frame) for frame in range(span.first, span.last + 1)]),
            expected=_plain(result.get("expected")),
        )

    @cached_property
    def _by_rule(self) -> dict[str, Row]:
        return {str(result["expectation"]): result for result in self.results}

    @cached_property
    def _values(self) -> dict[str, dict[int, str]]:
        """By rule and frame, what the verdict has stored: the first hundred of each rule."""
        return {
            name: dict(zip(result["unexpected_frames"] or (), result["unexpected_values"] or (), strict=False))
            for name, result in self._by_rule.items()
            if result["scope"] != "run"
        }

    @cached_property
    def _first_with(self) -> dict[str, int]:
        """The first frame of every content."""
        ids = self.scalars.columns["content_id"].tolist()
        return {name: frame for frame, name in reversed(list(enumerate(ids)))}

    def _found(self, name: str, frame: int) -> str:
        if name in FAULTS:
            return FAULTS[name]
        if name in _REPEATING:
            return f"the same as frame {self._first_with[self.scalars.columns['content_id'][frame]]}"
        if (stored := self._values.get(name, {}).get(frame)) is not None:
            return "missing" if stored in ("nan", "None") else stored
        column = self.scalars.columns.get(_COLUMNS.get(name, ""))
        if column is not None:
            return _value(column[frame])
        return _plain(self._by_rule.get(name, {}).get("observed"))


def judged(run: Row, results: Iterable[Row], overrides: Iterable[Row]) -> Judged:
    """A run with what was said of it, in an order that does not depend on the lake's files."""
    return Judged(run, list(results), sorted(overrides, key=lambda row: (row["expectation"], str(row["made_at"]))))


def _verdict(result: Row, severity: str, *, n_frames: int) -> Word:
    n_unexpected, n_overruled = int(result["n_unexpected"] or 0), int(result["n_overruled"] or 0)
    verb = "rejects" if severity == "reject" else "flags"
    if result["success"] is None:
        return Word("broken", "could not be checked")
    if result["success"]:
        return _met(result["n_judged"], n_frames=1 if result["scope"] == "run" else n_frames)
    if result["scope"] == "run":
        return Word("overruled", "overruled") if n_overruled >= n_frames else Word(severity, f"{verb} the run")
    if n_overruled >= n_unexpected:
        return Word("overruled", f"{n_overruled:,} overruled")
    also = f", {n_overruled:,} overruled" if n_overruled else ""
    return Word(severity, f"{verb} {n_unexpected - n_overruled:,}{also}")


def _met(n_judged: int | None, *, n_frames: int) -> Word:
    """A rule without anything to judge was not met; where some frames lack the value, how many have it."""
    if n_judged is None or n_judged >= n_frames:
        return Word("fine", "met")
    return Word("fine", f"met, {n_judged:,} of {n_frames:,} judged") if n_judged else Word("moot", "not applicable")


def _said(override: Row) -> str:
    frames = override["frames"]
    which = (
        "all frames" if frames is None else f"frame{'s' * (len(frames) > 1)} {', '.join(map(str, _stretches(frames)))}"
    )
    when = f"{override['made_at']:%Y-%m-%d}" if isinstance(override["made_at"], datetime) else "no date"
    return f"{which}: “{override['reason'] or ''}” ({override['made_by'] or 'nobody named'}, {when})"


def _fact(form: str, run: Mapping[str, Any]) -> str:
    """The sentence, or nothing where a column that it needs is null."""
    names = [name for name in run if f"{{{name}}}" in form or f"{{{name}:" in form]
    needed = [run[name] for name in names]
    if any(value is None or value == [] for value in needed):
        return ""
    if any(name in _UNSAID_WHEN_ZERO and not run[name] for name in names):
        return ""
    told = {name: ", ".join(run[name]) if isinstance(run[name], list) else run[name] for name in names}
    return form.format(**told)


def _stretches(frames: Sequence[int]) -> list[Span]:
    chosen = np.zeros(max(frames, default=-1) + 1, dtype=bool)
    chosen[list(frames)] = True
    return spans(chosen)


def _ends(values: Floats, span: Span) -> str:
    """Values of the first and the last frame; nothing where they are not known."""
    ends = values[[span.first, span.last]]
    if not np.isfinite(ends).all():
        return ""
    return "–".join(f"{end:.10g}" for end in dict.fromkeys(ends.tolist()))


def _range(found: Sequence[str]) -> str:
    """One value, the ends of a range of numbers, or the few words that occur."""
    different = sorted(set(found))
    if len(different) <= 3:
        return ", ".join(different)
    try:
        numbers = sorted(different, key=float)
    except ValueError:
        return f"{', '.join(different[:3])} ..."
    return f"{numbers[0]} to {numbers[-1]}"


def _value(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _sql(query: str) -> str:
    return f'meltlake sql "{query}"'
