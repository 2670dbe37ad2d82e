"""The one door to Great Expectations: judges the frames of one run, and the run itself, by rules that are data.

It works on one value per frame or per run; computing those is the caller's. Nothing is dropped: a frame gets reasons.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lake.small_process import loaded_late
from schemas.columns import Columns, n_rows
from schemas.gate import RULES, Origin, Override, Rule, Rules, rules_id, spoken

_SUBJECT = "subject"
_WHETHER = {"result_format": "BOOLEAN_ONLY"}
_WHERE = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": [_SUBJECT],
    "return_unexpected_index_query": False,
}
_MOST_VALUES = 100
"""Failing values that are stored; a person looks at no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the gate judges: one run."""

    origin: Origin
    frames: Columns
    """The columns that rules of frames name, in frame order."""
    run: Mapping[str, object] = field(default_factory=dict)
    """The values that rules of runs name; None or NaN where a rule does not apply."""
    overrides: Sequence[Override] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one run."""

    results: list[dict[str, object]]
    """Rows of `expectation_results`, without the run."""
    rejection_reasons: list[list[str]]
    """Per frame, names of the rejecting rules that it failed."""
    flags: list[list[str]]
    """Per frame, names of the warning rules that it failed, and of rejecting ones that a person overruled."""

    @property
    def n_rejected(self) -> int:
        return sum(bool(reasons) for reasons in self.rejection_reasons)

    @property
    def failed(self) -> list[str]:
        """Names of rules that rejected a frame, or that could not be run; what a person overruled rejects none."""
        rejecting = {name for names in self.rejection_reasons for name in names}
        results = (result for result in self.results if result["success"] is None or result["expectation"] in rejecting)
        return [str(result["expectation"]) for result in results]

    @property
    def overruled(self) -> list[str]:
        """Names of rules that would have rejected a frame, had nobody let it pass."""
        return [str(result["expectation"]) for result in self.results if result["n_overruled"]]

    @property
    def reason(self) -> str | None:
        """Why frames are rejected, as one sentence; None when none is."""
        if not self.n_rejected:
            return None
        by_rule = Counter(name for names in self.rejection_reasons for name in names)
        told = ", ".join(f"{name} ({n_frames})" for name, n_frames in by_rule.most_common())
        return f"{self.n_rejected} of {len(self.rejection_reasons)} frames are rejected: {told}."


class Gate(Protocol):
    """Who judges runs, perhaps in another process."""

    rules_id: str
    """Name of the rules: a run that was judged by others is to be judged again."""

    def judge(self, case: Case) -> Verdict: ...


class RuleGate:
    """Judges by rules, in this process.

    Parameters
    ----------
    rules
        By default those of the house.
    """

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.rules_id = rules_id(rules)

    def load(self) -> None:
        """Do what takes seconds before the first run is judged, so that it need not wait."""
        _table()

    def judge(self, case: Case) -> Verdict:
        """Run every rule that applies to runs of this origin."""
        return _judge(case, self.rules)


def _judge(case: Case, rules: Rules) -> Verdict:
    """A rejecting rule of runs rejects every frame of the run; a flagging one leaves the frames alone."""
    n_frames = n_rows(case.frames)
    if not n_frames:
        return Verdict([], [], [])
    of_frames = _applicable(rules, case.origin, "frame")
    of_run = _applicable(rules, case.origin, "run")
    row = {rule.column: np.array([case.run[rule.column]]) for rule in of_run if rule.column in case.run}
    results = [*_results(case.frames, of_frames), *_results(row or {_SUBJECT: np.zeros(1)}, of_run)]
    rejections: list[list[str]] = [[] for _ in range(n_frames)]
    flags: list[list[str]] = [[] for _ in range(n_frames)]
    for rule, result in zip((*of_frames, *of_run), results, strict=True):
        for frame in _concerned(rule, result, n_frames):
            overruled = rule.severity == "reject" and any(one.covers(rule.name, frame) for one in case.overrides)
            (flags if overruled or rule.severity == "flag" else rejections)[frame].append(rule.name)
            result["n_overruled"] += overruled
    return Verdict(results, rejections, flags)


def _concerned(rule: Rule, result: Mapping[str, Any], n_frames: int) -> Iterable[int]:
    """The frames on which a result tells."""
    if rule.scope == "run" and rule.severity == "flag":
        return ()
    # A rejecting check that could not run proves nothing about any frame, so none may pass on its word.
    if result["success"] is None or (rule.scope == "run" and not result["success"]):
        return range(n_frames)
    return list(result["unexpected_frames"])


def _applicable(rules: Iterable[Rule], origin: str, scope: str) -> Rules:
    return tuple(rule for rule in rules if origin in rule.origins and rule.scope == scope)


def _results(columns: Columns, rules: Rules) -> list[dict[str, Any]]:
    if not rules:
        return []
    outcomes = _validate(columns, rules)
    return [_result(rule, outcomes[rule.name], columns) for rule in rules]


def _validate(columns: Columns, rules: Rules) -> dict[str, Any]:
    # To run a validation definition would also keep the result, as JSON, in a store in memory that nobody reads.
    batch = _table().get_batch(batch_parameters={"dataframe": _data_frame(columns, rules)})
    outcomes = _outcomes(batch, rules, _WHETHER)
    # Where a rule is broken costs twice as much to be told as whether it is, and most rules are kept.
    broken = tuple(rule for rule in rules if not outcomes[rule.name].success)
    return outcomes | (_outcomes(batch, broken, _WHERE) if broken else {})


def _outcomes(batch: Any, rules: Rules, result_format: Mapping[str, object]) -> dict[str, Any]:
    suite = _great_expectations().ExpectationSuite(name="rules", expectations=[_expectation(rule) for rule in rules])
    outcome = batch.validate(suite, result_format=result_format)
    return {result.expectation_config.meta["rule"]: result for result in outcome.results}


def _data_frame(columns: Columns, rules: Rules) -> Any:
    """What the rules name and nothing else: each of them copies the whole table."""
    import pandas as pd

    named = {rule.column: columns[rule.column] for rule in rules if rule.column in columns}
    # Copies of categories are quick, of pandas' own texts slow.
    cells = {name: values if values.dtype.kind in "biuf" else pd.Categorical(values) for name, values in named.items()}
    return pd.DataFrame({_SUBJECT: np.arange(n_rows(columns)), **cells})


@cache
def _table() -> Any:
    """What makes batches of a table."""
    context = _great_expectations().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    subjects = context.data_sources.add_pandas("staging").add_dataframe_asset("subjects")
    return subjects.add_batch_definition_whole_dataframe("run")


def _great_expectations() -> Any:
    # To plot and to fit distributions, no rule of ours, takes half the time that it is imported in, and 80 MB.
    with loaded_late("altair", "scipy.stats"):
        import great_expectations

    return great_expectations


@cache
def _expectation(rule: Rule) -> Any:
    about = {"column": rule.column, "meta": {"rule": rule.name}}
    if rule.not_null:
        return _kind("ExpectColumnValuesToNotBeNull")(**about)
    if rule.unique:
        return _kind("ExpectColumnValuesToBeUnique")(**about)
    if rule.allowed:
        return _kind("ExpectColumnValuesToBeInSet")(value_set=list(rule.allowed), **about)
    return _kind("ExpectColumnValuesToBeBetween")(min_value=rule.minimum, max_value=rule.maximum, **about)


@cache
def _kind(name: str) -> Any:
    """Expectations of that kind that remember their configuration.

    It never changes, but to validate one of them asks for it a hundred times, and to make it takes half the time.
    """
    kind: Any = getattr(_great_expectations().expectations, name)
    from great_expectations.compatibility.pydantic import PrivateAttr

    def configuration(self: Any) -> Any:
        if self._remembered is None:
            self._remembered = kind.configuration.fget(self)
        return self._remembered

    own = {"_remembered": PrivateAttr(None), "configuration": property(configuration), "__module__": __name__}
    return type(f"Our{name}", (kind,), own)


def _result(rule: Rule, outcome: Any, columns: Columns) -> dict[str, Any]:
    error = _error(outcome)
    broken = not (error or outcome.success)
    failed = sorted(int(entry[_SUBJECT]) for entry in outcome.result["unexpected_index_list"]) if broken else []
    if rule.unique and failed:
        failed = _repetitions(columns[rule.column], failed)
    of_frames = rule.scope == "frame"
    return {
        "expectation": rule.name,
        "scope": rule.scope,
        "success": None if error else not failed,
        "n_judged": 0 if error else _n_judged(rule, columns),
        "n_unexpected": len(failed),
        "unexpected_frames": failed if of_frames else [],
        "unexpected_values": [_text(columns[rule.column][one]) for one in failed[:_MOST_VALUES]],
        "n_overruled": 0,
        "severity": rule.severity,
        "expected": rule.expected,
        "observed": _observed(rule, columns, failed),
        "reason": rule.reason,
        "error": error,
    }


def _n_judged(rule: Rule, columns: Columns) -> int:
    """Values that there were; where one is missing, only a rule that asks for it has something to judge."""
    values = columns[rule.column]
    if values.dtype.kind == "f" and not rule.not_null:
        return int(np.count_nonzero(~np.isnan(values)))
    if values.dtype.kind == "O" and not rule.not_null:
        return sum(value is not None for value in values)
    return len(values)


def _error(outcome: Any) -> str | None:
    """Why a check could not run: Great Expectations reports that as a failure like any other."""
    details = outcome.exception_info or {}
    for candidate in (details, *(value for value in details.values() if isinstance(value, dict))):
        if candidate.get("raised_exception"):
            return str(candidate.get("exception_message"))
    return None


def _repetitions(values: NDArray[Any], failed: list[int]) -> list[int]:
    """The first of several equal frames is kept; only the later ones are repetitions."""
    firsts = set(np.unique(values, return_index=True)[1].tolist())
    return [frame for frame in failed if frame not in firsts]


def _observed(rule: Rule, columns: Columns, failed: list[int]) -> str | None:
    """The most extreme failing value; of a rule of runs the run's value, whether it fails or not."""
    seen = list(range(n_rows(columns))) if rule.scope == "run" else failed
    if rule.column not in columns or not seen or rule.not_null or rule.unique:
        return None
    values = columns[rule.column][seen]
    if rule.allowed:
        return ", ".join(sorted({spoken(value) for value in values}))
    worst = values.min() if rule.minimum is not None else values.max()
    unit = re.split("[:,(]", rule.unit)[0]  # what follows explains
    return None if worst is None or np.isnan(worst) else f"{worst:.6g} {unit}".strip()


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else spoken(value)
