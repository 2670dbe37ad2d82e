"""Which runs train together. Pure bookkeeping over rows of the lake; reading them belongs elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from operators.campaign import Campaign
from operators.potentials.comparable import comparable_groups

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs with comparable energies within one chemical system that is not part of a larger one."""

    elements: frozenset[str]
    runs: tuple[Row, ...]
    """Rows of `runs`, by composition and name."""

    @property
    def level_of_theory(self) -> str:
        return str(self.runs[0]["level_of_theory"])

    @property
    def synthetic(self) -> bool:
        return bool(self.runs[0]["synthetic"])

    @property
    def chemical_system(self) -> str:
        return "-".join(sorted(self.elements))

    @property
    def run_ids(self) -> frozenset[str]:
        return frozenset(run["run_id"] for run in self.runs)

    @property
    def compositions(self) -> frozenset[str]:
        return frozenset(run["composition"] for run in self.runs)

    def trained(self, campaign: Campaign) -> list[str]:
        """Compositions to train on."""
        return sorted(self.compositions - set(campaign.hold_out))

    def held_out(self, campaign: Campaign) -> list[str]:
        """Compositions to evaluate only."""
        return sorted(self.compositions & set(campaign.hold_out))


def groups_of(runs: Iterable[Row]) -> list[Group]:
    """Groups of runs that may be trained on; a subsystem's runs join every largest system that contains them.

    Pure Al at the same level of theory serves Al-Cu-Ni and Al-Zr alike.
    """
    groups = [
        Group(elements=elements, runs=tuple(run for run in members if _elements(run) <= elements))
        for members in _comparable(runs)
        for elements in largest_systems(map(_elements, members))
    ]
    return sorted(groups, key=lambda group: (group.level_of_theory, group.synthetic, group.chemical_system))


def largest_systems(systems: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Chemical systems that are not part of another one."""
    distinct = set(systems)
    return sorted((one for one in distinct if not any(one < other for other in distinct)), key=sorted)


def _comparable(runs: Iterable[Row]) -> list[list[Row]]:
    """The same groups as of all runs one by one, from one run of each kind: hundreds of runs are of a few kinds."""
    kinds: dict[tuple[object, ...], list[Row]] = {}
    for run in sorted(runs, key=lambda run: (str(run["composition"]), str(run["run_id"]))):
        titles = tuple(run["potcar_titles"] or ())
        kinds.setdefault((run["level_of_theory"], bool(run["synthetic"]), titles), []).append(run)
    of_first = {id(members[0]): members for members in kinds.values()}
    return [
        sorted(
            (run for first in firsts for run in of_first[id(first)]),
            key=lambda run: (run["composition"], run["run_id"]),
        )
        for firsts in comparable_groups([members[0] for members in kinds.values()])
    ]


def _elements(run: Row) -> frozenset[str]:
    return frozenset(run["chemical_system"].split("-"))
