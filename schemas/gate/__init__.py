"""The gate's rules as data: what is checked, how bad a failure is, and why. Running them is `lake`'s."""

from schemas.gate.frame_rules import FRAME_RULES, LABEL_RULES, NEVER_OVERRULED, READ_WHOLE, UNLABELLED_RULES
from schemas.gate.limits import shortest_trainable_pairs_angstrom
from schemas.gate.rule import GATE_VERSION, Origin, Override, Rule, Rules, Severity, rules_id, spoken
from schemas.gate.run_rules import PHYSICAL, RUN_RULES

RULES: Rules = (*FRAME_RULES, *RUN_RULES)
"""The house's rules; a campaign may move thresholds and severities."""

__all__ = [
    "FRAME_RULES",
    "GATE_VERSION",
    "LABEL_RULES",
    "NEVER_OVERRULED",
    "PHYSICAL",
    "READ_WHOLE",
    "RULES",
    "RUN_RULES",
    "UNLABELLED_RULES",
    "Origin",
    "Override",
    "Rule",
    "Rules",
    "Severity",
    "rules_id",
    "shortest_trainable_pairs_angstrom",
    "spoken",
]
