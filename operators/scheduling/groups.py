"""Which compositions train together. Pure bookkeeping over rows of the lake; reading them belongs in `plans`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from operators.campaign import Campaign

UNUSUAL = ("gap_fs", "every_fs", "relaxation", "balance", "format")
"""Settings of a campaign that most leave as they are; training sets have them as columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs with comparable energies within one chemical system that is not part of a larger one."""

    level_of_theory: str
    synthetic: bool
    elements: frozenset[str]
    runs: tuple[tuple[str, str], ...]
    """(composition, run_id) of each run."""

    @property
    def compositions(self) -> frozenset[str]:
        return frozenset(composition for composition, _ in self.runs)

    def trained(self, campaign: Campaign) -> list[str]:
        """Compositions to train on."""
        return sorted(self.compositions - set(campaign.hold_out))

    def held_out(self, campaign: Campaign) -> list[str]:
        """Compositions to evaluate only."""
        return sorted(self.compositions & set(campaign.hold_out))

    def owns(self, training_set: Mapping[str, Any], campaign: Campaign) -> bool:
        """Whether a row of `training_sets` was made of this group as the campaign wants it."""
        return (
            training_set["level_of_theory"] == self.level_of_theory
            and bool(training_set["synthetic"]) == self.synthetic
            and set(training_set["type_map"]) == self.elements
            and training_set["split_rule"] == campaign.split
            and training_set["test_fraction"] == campaign.test_fraction
            and all(_of(training_set, name) == getattr(campaign, name) for name in UNUSUAL)
            and set(training_set["compositions"]) <= set(self.trained(campaign))
            and set(training_set["held_out"]) <= set(self.held_out(campaign))
        )


def groups_of(runs: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Groups of runs that may be trained on; a subsystem's runs join every largest system that contains them.

    Pure Al at the same level of theory serves Al-Cu-Ni and Al-Zr alike.
    """
    comparable: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
    for run in runs:
        comparable.setdefault((run["level_of_theory"], bool(run["synthetic"])), []).append(run)
    return [
        Group(
            level_of_theory=level_of_theory,
            synthetic=synthetic,
            elements=elements,
            runs=tuple(sorted((run["composition"], run["run_id"]) for run in members if _elements(run) <= elements)),
        )
        for (level_of_theory, synthetic), members in sorted(comparable.items())
        for elements in largest_systems(map(_elements, members))
    ]


def largest_systems(systems: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Chemical systems that are not part of another one."""
    distinct = set(systems)
    return sorted((one for one in distinct if not any(one < other for other in distinct)), key=sorted)


def _of(training_set: Mapping[str, Any], name: str) -> object:
    """Training sets of older lakes were all made by the defaults."""
    value = training_set[name]
    return Campaign.model_fields[name].default if value is None else value


def _elements(run: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(run["chemical_system"].split("-"))
