"""Which training sets are wanted: by the campaign, or by whoever froze one by hand. What outdates them is next door."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from operators.campaign import Campaign
from operators.potentials.groups import Group
from operators.stale.holdings import Holdings, Row
from schemas.training import FURTHER_CHOICES, TrainingSetRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSet:
    """A training set that somebody wants: the campaign, or whoever froze it by hand before."""

    name: str
    """For a person: chemical system and level of theory."""
    request: TrainingSetRequest
    runs: tuple[Row, ...]
    """Rows of the runs that it is to be made of today."""
    frozen: tuple[Row, ...]
    """Rows of the training sets that were made for it, the newest last."""
    by_campaign: bool

    @property
    def newest(self) -> Row | None:
        return self.frozen[-1] if self.frozen else None

    @property
    def arguments(self) -> list[str]:
        """What to type after `meltlake`."""
        return ["materialize", *arguments_of(self.request)]


def arguments_of(request: TrainingSetRequest) -> list[str]:
    """Options of `meltlake materialize` that make this request; an option has the name of its field."""
    words: list[str] = []
    for name, field in TrainingSetRequest.model_fields.items():
        value = getattr(request, name)
        if value == field.default:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words += map(str, value) if isinstance(value, tuple) else [str(value)]
    return words


def wanted_by_campaign(holdings: Holdings) -> list[WantedSet]:
    """One per group of runs whose energies are comparable and of which something is to be trained on."""
    campaign = holdings.campaign
    return [
        WantedSet(
            name=f"{group.chemical_system}, {group.level_of_theory}",
            request=_request(holdings, group, hold_out=campaign.hold_out),
            runs=group.runs,
            frozen=tuple(made for made in holdings.training_sets if _is_of_group(holdings, made, group)),
            by_campaign=True,
        )
        for group in holdings.groups
        if group.trained(campaign)
    ]


def wanted_by_hand(holdings: Holdings) -> list[WantedSet]:
    """What was frozen with other choices than a campaign's: one per set of choices.

    Of two that differ only in that one has further compositions, the later one is what is wanted now.
    """
    by_choices: dict[tuple[object, ...], list[Row]] = {}
    for made in holdings.training_sets:
        if not (holdings.campaign.chooses_training and _could_be_the_campaigns(made, holdings.campaign)):
            key = (tuple(made["compositions"] or ()), _comparable_groups(holdings, made), *_choices(made))
            by_choices.setdefault(key, []).append(made)
    newest = [sets[-1] for sets in by_choices.values()]
    return [
        _of_hand(holdings, sets)
        for sets in by_choices.values()
        if not any(_replaces(other, sets[-1], holdings) for other in newest)
    ]


def never_frozen(holdings: Holdings, wanted: Collection[WantedSet]) -> list[WantedSet]:
    """Where no campaign says what to train on: groups with runs that no training set has and that none asks for.

    What every training set so far holds out is held out here, too.
    """
    told = {run["run_id"] for one in wanted for run in one.runs}.union(*holdings.runs_of_sets.values())
    held_out = {name for made in holdings.training_sets for name in made["held_out"] or ()}
    held_out -= {name for made in holdings.training_sets for name in made["compositions"] or ()}
    return [
        WantedSet(
            name=f"{group.chemical_system}, {group.level_of_theory}",
            request=_request(holdings, group, hold_out=held_out),
            runs=tuple(run for run in group.runs if run["run_id"] not in told),
            frozen=(),
            by_campaign=False,
        )
        for group in holdings.groups
        if not group.run_ids <= told and group.compositions - held_out
    ]


def _request(holdings: Holdings, group: Group, *, hold_out: Collection[str]) -> TrainingSetRequest:
    campaign = holdings.campaign
    return TrainingSetRequest(
        compositions=tuple(group.compositions - set(hold_out)),
        hold_out=tuple(group.compositions & set(hold_out)),
        runs=_named_runs(holdings, group.runs, group.compositions),
        split=campaign.split,
        test_fraction=campaign.test_fraction,
        **{name: getattr(campaign, name) for name in FURTHER_CHOICES},
    )


def _named_runs(holdings: Holdings, runs: Collection[Row], compositions: Collection[str]) -> tuple[str, ...]:
    """Names of the runs, where their compositions alone would bring others along: of another level of theory, say."""
    run_ids = {run["run_id"] for run in runs}
    brought = {run["run_id"] for run in holdings.trainable if run["composition"] in compositions}
    return tuple(sorted(run_ids)) if brought - run_ids else ()


def _is_of_group(holdings: Holdings, made: Row, group: Group) -> bool:
    without_frames = {run["run_id"] for run in holdings.runs if not run["n_accepted"]}
    return (
        _could_be_the_campaigns(made, holdings.campaign)
        and made["level_of_theory"] == group.level_of_theory
        and bool(made["synthetic"]) == group.synthetic
        and set(made["type_map"] or ()) == group.elements
        and holdings.runs_of(made) <= group.run_ids | without_frames
    )


def _could_be_the_campaigns(made: Row, campaign: Campaign) -> bool:
    """Whether it was made with the campaign's choices, at whatever state of the lake."""
    return (
        made["split_rule"] == campaign.split
        and made["test_fraction"] == campaign.test_fraction
        and _further_choices(made) == {name: getattr(campaign, name) for name in FURTHER_CHOICES}
        and made["seed"] in (None, TrainingSetRequest.model_fields["seed"].default)
        and set(made["held_out"] or ()) <= set(campaign.hold_out)
        and not set(made["compositions"] or ()) & set(campaign.hold_out)
    )


def _choices(made: Row) -> tuple[object, ...]:
    columns = ("level_of_theory", "synthetic", "split_rule", "seed", "test_fraction")
    return (*(made[name] for name in columns), *_further_choices(made).values(), tuple(made["held_out"] or ()))


def _further_choices(made: Row) -> dict[str, Any]:
    """Training sets of older lakes, which have no such columns, were all made by the defaults."""
    usual = TrainingSetRequest.model_fields
    return {name: usual[name].default if made[name] is None else made[name] for name in FURTHER_CHOICES}


def _comparable_groups(holdings: Holdings, made: Row) -> tuple[int, ...]:
    """Places of the groups that it has runs of: their labels need not tell POTCARs apart."""
    used = holdings.runs_of(made)
    return tuple(place for place, group in enumerate(holdings.groups) if group.run_ids & used)


def _replaces(later: Row, earlier: Row, holdings: Holdings) -> bool:
    order = holdings.training_sets.index
    return (
        _choices(later) == _choices(earlier)
        and set(later["compositions"]) > set(earlier["compositions"])
        and order(later) > order(earlier)
    )


def _of_hand(holdings: Holdings, sets: list[Row]) -> WantedSet:
    made = sets[-1]
    used, compositions = holdings.runs_of(made), {*(made["compositions"] or ()), *(made["held_out"] or ())}
    comparable = [holdings.groups[place].run_ids for place in _comparable_groups(holdings, made)]
    known = holdings.frame_files.at(made["lake_version"])
    runs = tuple(
        run
        for run in holdings.trainable
        if run["composition"] in compositions
        # What was in the lake then and is not in the set was left out on purpose.
        and (run["run_id"] in used or run["run_id"] not in known)
        and any(run["run_id"] in run_ids for run_ids in comparable)
    )
    return WantedSet(
        name=f"{'-'.join(sorted(made['type_map']))}, {made['level_of_theory']}",
        request=TrainingSetRequest(
            compositions=tuple(made["compositions"] or ()),
            hold_out=tuple(made["held_out"] or ()),
            runs=_named_runs(holdings, runs, compositions),
            mix_theories=not any(used <= run_ids for run_ids in comparable),
            split=made["split_rule"],
            seed=made["seed"] or 1,
            test_fraction=made["test_fraction"],
            **_further_choices(made),
        ),
        runs=runs,
        frozen=tuple(sets),
        by_campaign=False,
    )
