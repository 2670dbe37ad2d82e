"""What a rule is, and how a person overrules one."""

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from schemas.ids import content_id

Severity = Literal["reject", "flag"]
Origin = Literal["aimd", "dnnp"]
Scope = Literal["frame", "run"]

GATE_VERSION = 3
"""Rises when what the rules look at is computed in another way; thresholds need not raise it, see `rules_id`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule over one column; `minimum`, `maximum` or `allowed` says what is expected.

    A value that is missing (null, NaN) breaks no rule but `not_null`: the rule does not apply there.
    """

    name: str
    column: str
    severity: Severity
    reason: str
    scope: Scope = "frame"
    """`frame`: the column has a value per frame. `run`: one per run."""
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str | bool | int, ...] = ()
    not_null: bool = False
    unique: bool = False
    unit: str = ""
    origins: tuple[Origin, ...] = ("aimd", "dnnp")
    """Which runs it judges: a simulation has no electronic steps and is never trained on."""

    @property
    def expected(self) -> str:
        """What the rule wants, for a person: `at most 50 eV/angstrom`; `at most the limit` where once it is allowed."""
        if self.not_null:
            return "present"
        if self.unique:
            return "once"
        if self.allowed:
            return " or ".join(map(spoken, self.allowed))
        if self.minimum is None and self.maximum == 0:
            return f"no {self.unit}"
        bounds = (("at least", self.minimum), ("at most", self.maximum))
        words = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        return f"{words} {self.unit}".strip().replace(" 1 times ", " ")


Rules: TypeAlias = tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A person's word against a rejecting rule: the frames that it names are flagged instead."""

    rule: str
    frames: tuple[int, ...] | None = None
    """Positions in the run; None for every frame."""

    def covers(self, rule: str, frame: int) -> bool:
        """Whether the rule may not reject that frame."""
        return self.rule == rule and (self.frames is None or frame in self.frames)


def spoken(value: object) -> str:
    """A word of a file as it is; yes or no where it is asked whether."""
    return {"True": "yes", "False": "no"}.get(str(value), str(value))


def rules_id(rules: Rules) -> str:
    """Name of a set of rules: runs that were judged by others are to be judged again."""
    return content_id([GATE_VERSION, *map(asdict, rules)])
