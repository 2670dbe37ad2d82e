"""The one door to Great Expectations: judges the frames of one run by the rules in `schemas.expectations`.

It works on columns of one value per frame; computing those is the caller's. Nothing is dropped: a frame gets reasons.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.columns import Columns, n_rows
from schemas.expectations import RULES, Rule

_SUBJECT = "frame"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one run."""

    results: list[dict[str, object]]
    """Rows of `expectation_results`, without the run."""
    rejection_reasons: list[list[str]]
    """Per frame, names of the rejecting rules that it failed."""
    flags: list[list[str]]
    """Per frame, names of the warning rules that it failed."""

    @property
    def n_rejected(self) -> int:
        return sum(bool(reasons) for reasons in self.rejection_reasons)

    @property
    def failed(self) -> list[str]:
        """Names of rules that rejected a frame, or that could not be run."""
        return [
            str(result["expectation"])
            for result in self.results
            if result["success"] is None or (not result["success"] and result["severity"] == "reject")
        ]


Gate = Callable[[Columns, str], Verdict]
"""Says what `judge` says of a run's columns and origin."""


@cache
def load_rules() -> None:
    """Do what takes seconds before the first run is judged, so that it need not wait."""
    _definition(_applicable(RULES, "aimd"))


def judge(frames: Columns, origin: str, rules: Iterable[Rule] = RULES) -> Verdict:
    """Run every rule that applies to runs of this origin.

    Parameters
    ----------
    frames
        The columns that the rules name, in frame order.
    origin
        `aimd` or `dnnp`.
    rules
        The rules; by default those of the house.
    """
    n_frames = n_rows(frames)
    if not n_frames:
        return Verdict([], [], [])
    applicable = _applicable(rules, origin)
    outcomes = _validate(frames, applicable)
    rejections: list[list[str]] = [[] for _ in range(n_frames)]
    flags: list[list[str]] = [[] for _ in range(n_frames)]
    results = [_result(rule, outcomes[rule.name], frames) for rule in applicable]
    for rule, result in zip(applicable, results, strict=True):
        # A rejecting check that could not run proves nothing about any frame, so none may pass on its word.
        failed = range(n_frames) if result["success"] is None else result["unexpected_frames"]
        for frame in failed:  # type: ignore[attr-defined]
            (rejections if rule.severity == "reject" else flags)[frame].append(rule.name)
    return Verdict(results, rejections, flags)


def _applicable(rules: Iterable[Rule], origin: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules if origin in rule.origins)


def _validate(frames: Columns, rules: tuple[Rule, ...]) -> Mapping[str, Any]:
    context, definition = _definition(rules)
    del context
    outcome = definition.run(
        batch_parameters={"dataframe": _data_frame(frames, rules)},
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [_SUBJECT]},
    )
    return {result.expectation_config.meta["rule"]: result for result in outcome.results}


def _data_frame(frames: Columns, rules: tuple[Rule, ...]) -> Any:
    """What the rules name and nothing else: each of them copies the whole table."""
    import pandas as pd

    named = {rule.column: frames[rule.column] for rule in rules if rule.column in frames}
    # Copies of categories are quick, of pandas' own texts slow.
    columns = {
        name: values if values.dtype.kind in "biuf" else pd.Categorical(values) for name, values in named.items()
    }
    return pd.DataFrame({_SUBJECT: np.arange(n_rows(frames)), **columns})


@cache
def _definition(rules: tuple[Rule, ...]) -> tuple[Any, Any]:
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.add_pandas("staging").add_dataframe_asset("frames")
    suite = gx.ExpectationSuite(name="frames", expectations=[_expectation(rule) for rule in rules])
    definition = gx.ValidationDefinition(
        name="gate", data=batch.add_batch_definition_whole_dataframe("run"), suite=context.suites.add(suite)
    )
    return context, context.validation_definitions.add(definition)


def _expectation(rule: Rule) -> Any:
    import great_expectations.expectations as gxe

    about = {"column": rule.column, "meta": {"rule": rule.name}}
    if rule.not_null:
        return gxe.ExpectColumnValuesToNotBeNull(**about)
    if rule.unique:
        return gxe.ExpectColumnValuesToBeUnique(**about)
    if rule.allowed:
        return gxe.ExpectColumnValuesToBeInSet(value_set=list(rule.allowed), **about)
    return gxe.ExpectColumnValuesToBeBetween(min_value=rule.minimum, max_value=rule.maximum, **about)


def _result(rule: Rule, outcome: Any, frames: Columns) -> dict[str, object]:
    error = _error(outcome)
    failed = [] if error else sorted(int(entry[_SUBJECT]) for entry in outcome.result["unexpected_index_list"] or ())
    if rule.unique and failed:
        failed = _repetitions(frames[rule.column], failed)
    return {
        "expectation": rule.name,
        "success": None if error else not failed,
        "n_unexpected": len(failed),
        "unexpected_frames": failed,
        "severity": rule.severity,
        "observed": _most_extreme(rule, frames, failed),
        "reason": rule.reason,
        "error": error,
    }


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


def _most_extreme(rule: Rule, frames: Columns, failed: list[int]) -> str | None:
    if not failed or rule.not_null or rule.unique:
        return None
    values = frames[rule.column][failed]
    if rule.allowed:
        return ", ".join(sorted({str(value) for value in values}))
    worst = values.min() if rule.minimum is not None else values.max()
    return f"{worst:.6g} {rule.unit}".strip()
