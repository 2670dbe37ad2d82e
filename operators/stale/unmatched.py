"""Compositions that `campaign.toml` names and no run has: what was to be held out may be trained on under a near label.

108 atoms cannot be Al70Cu20Ni10; their label, in whole percents, is Al70Cu20Ni9.
"""

from collections.abc import Collection, Iterator

from operators.campaign import Campaign
from schemas.composition import half_l1_at_percent

_NEAR_AT_PERCENT = 3.0
"""Rounding to whole atoms moves a melt of fifty atoms or more by less."""


def unmatched(campaign: Campaign, compositions: Collection[str]) -> Iterator[str]:
    """A sentence for each composition that is held out or left out and that the lake does not have.

    Parameters
    ----------
    campaign
        What names compositions.
    compositions
        Labels of the runs that can be trained on.
    """
    named = {"hold_out": campaign.hold_out}
    if not isinstance(campaign.leave_one_out, bool):
        named["leave_one_out"] = campaign.leave_one_out
    for setting, labels in named.items():
        for label in sorted(set(labels) - set(compositions)):
            near = min(compositions, key=lambda other: half_l1_at_percent(label, other), default=None)
            is_meant = near is not None and half_l1_at_percent(label, near) <= _NEAR_AT_PERCENT
            told = f", but of {near}: name that one if it is meant" if is_meant else ""
            yield f"{setting} of campaign.toml names {label}, of which the lake has no AIMD run{told}."
