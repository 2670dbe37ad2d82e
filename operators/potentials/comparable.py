"""Whether the energies of runs may be compared: one level of theory, one POTCAR title per element."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from schemas.errors import MeltlakeError

Row = Mapping[str, Any]
AnyRow = TypeVar("AnyRow", bound=Row)

_MOST_GROUPS_SHOWN = 8
_TAG = re.compile(r"(\S+?)=(.*?)(?= \S+?=|$)")
"""Name and value in the label of a level of theory; values may hold blanks."""


def require_one_level_of_theory(rows: Sequence[Row]) -> None:
    """Stop where energies of these rows of `runs` could not be compared.

    Raises
    ------
    MeltlakeError
        With what differs, and how to choose one of them.
    """
    groups = comparable_groups(rows)
    if len(groups) <= 1:
        return
    tags = ", ".join(_differing_tags(groups))
    labels = [{str(row["composition"]) for row in group} for group in groups]
    told = "; ".join(
        f"{_level_of_theory(group[0])} ({', '.join(sorted(label))})"
        for group, label in list(zip(groups, labels, strict=True))[:_MOST_GROUPS_SHOWN]
    )
    more = f"; and {len(groups) - _MOST_GROUPS_SHOWN} more" if len(groups) > _MOST_GROUPS_SHOWN else ""
    largest = max(range(len(groups)), key=lambda i: sum(int(str(row["n_accepted"])) for row in groups[i]))
    elsewhere = set().union(*(label for i, label in enumerate(labels) if i != largest))
    choice = (
        f"--runs {' '.join(str(row['run_id']) for row in groups[largest])}"
        if labels[largest] & elsewhere
        else f"--compositions {' '.join(sorted(labels[largest]))}"
    )
    raise MeltlakeError(
        f"These runs have {len(groups)} levels of theory, which differ in {tags}, so their energies cannot be "
        f"compared: {told}{more}.",
        f"Choose one of them, for example `{choice}`; or say --mix-theories, if you know why.",
    )


def _differing_tags(groups: Sequence[Sequence[Row]]) -> list[str]:
    """Names of what the groups disagree in, as the labels of their level of theory have them."""
    firsts = [group[0] for group in groups]
    told = [dict(_TAG.findall(str(row["level_of_theory"]))) for row in firsts]
    names = dict.fromkeys(name for tags in told for name in tags)
    differing = [name for name in names if len({tags.get(name) for tags in told}) > 1]
    if len({bool(row["synthetic"]) for row in firsts}) > 1:
        differing.append("synthetic or not")
    return differing or ["POTCAR titles"]


def comparable_groups(rows: Sequence[AnyRow]) -> list[list[AnyRow]]:
    """Runs whose energies may be compared: one label, one POTCAR title per element, all synthetic or none.

    A run joins the first group that it does not contradict, so that unary runs of different elements meet.
    """
    groups: list[list[AnyRow]] = []
    for row in sorted(rows, key=lambda row: (str(row["composition"]), str(row["run_id"]))):
        for group in groups:
            if all(_agree(row, other) for other in group):
                group.append(row)
                break
        else:
            groups.append([row])
    return groups


def _agree(one: Row, other: Row) -> bool:
    if one["level_of_theory"] != other["level_of_theory"] or one["synthetic"] != other["synthetic"]:
        return False
    titles, others = _titles_by_element(one), _titles_by_element(other)
    return all(titles[element] == others[element] for element in titles.keys() & others.keys())


def _titles_by_element(row: Row) -> dict[str, str]:
    """`PAW_PBE Ni_pv 06Sep2000` belongs to Ni; a title that is one word only stands for itself."""
    titles = cast("Sequence[str] | None", row["potcar_titles"]) or ()
    words = [(title.split(), title) for title in titles]
    return {(parts[1] if len(parts) > 1 else title).split("_")[0]: title for parts, title in words}


def _level_of_theory(row: Row) -> str:
    kind = "synthetic, " if row["synthetic"] else ""
    titles = ", ".join(sorted(_titles_by_element(row).values()))
    return f"{kind}{row['level_of_theory']}" + (f", {titles}" if titles else "")
