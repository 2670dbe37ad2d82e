"""Which training sets are wanted: by the campaign, or by whoever froze one by hand. What outdates them is next door."""

from collections.abc import Collection
from dataclasses import dataclass

from operators.campaign import Campaign
from operators.potentials.groups import Group
from operators.potentials.selection import is_wanted
from operators.stale.holdings import Holdings, Row
from schemas.composition import parse_composition
from schemas.training import TrainingSetRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSet:
    """A training set that somebody wants: the campaign, or whoever froze it by hand before."""

    name: str
    """For a person: chemical system and level of theory."""
    request: TrainingSetRequest
    """What to ask for today."""
    asked: TrainingSetRequest
    """What was asked for the last time: the same, but for runs that must be named since others came."""
    runs: tuple[Row, ...]
    """Rows of the runs that it is to be made of today."""
    frozen: tuple[Row, ...]
    """Rows of the training sets that were made for it, the newest last."""
    by_campaign: bool
    left_out: str | None = None
    """The composition that it leaves out of another set of the campaign, to learn how errors grow with distance."""

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
    """One per group of runs whose energies are comparable and of which something is to be trained on.

    Where the campaign leaves one composition out at a time, one more for each; first what it is compared with.
    """
    campaign = holdings.campaign
    return [
        _of_campaign(holdings, group, left_out=left_out)
        for group in holdings.groups
        if group.trained(campaign)
        for left_out in (None, *_left_out(group, campaign))
    ]


def _of_campaign(holdings: Holdings, group: Group, *, left_out: str | None) -> WantedSet:
    hold_out = _held_out(holdings.campaign, left_out)
    request = _request(holdings, group, hold_out=hold_out)
    return WantedSet(
        name=f"{group.chemical_system}, {group.level_of_theory}" + (f", without {left_out}" if left_out else ""),
        request=request,
        asked=request,
        runs=group.runs,
        frozen=tuple(made for made in holdings.training_sets if _is_of_group(holdings, made, group, hold_out=hold_out)),
        by_campaign=True,
        left_out=left_out,
    )


def _left_out(group: Group, campaign: Campaign) -> list[str]:
    """Compositions to leave out of a group: without the others, each of its elements is still trained on."""
    trained = group.trained(campaign)
    return [
        one
        for one in trained
        if campaign.leaves_out(one)
        and parse_composition(one).keys() <= {e for other in trained if other != one for e in parse_composition(other)}
    ]


def _held_out(campaign: Campaign, left_out: str | None) -> tuple[str, ...]:
    return campaign.hold_out if left_out is None else (*campaign.hold_out, left_out)


def wanted_by_hand(holdings: Holdings) -> list[WantedSet]:
    """What was asked for with other choices than a campaign's.

    Of two requests that differ only in that one has further compositions or runs, the later one is what is wanted now.
    Who names a version of the lake wants that one, and nothing of what comes later. What a campaign left out is its
    own: nobody wants it once the campaign does not.
    """
    sets = {made["training_set_id"]: made for made in holdings.training_sets}
    answers: dict[TrainingSetRequest, list[Row]] = {}
    for asked, name, _, for_campaign in holdings.requests:
        made = sets.get(name)
        if made is None or asked.lake_version is not None or for_campaign:
            continue
        if not (holdings.campaign.chooses_training and _is_wanted_by_campaign(made, holdings.campaign)):
            earlier = [row for row in answers.pop(asked, []) if row is not made]
            answers[asked] = [*earlier, made]  # at the end: the later of two requests counts
    wanted = [_of_hand(holdings, asked, made) for asked, made in answers.items()]
    return [
        one
        for place, one in enumerate(wanted)
        if not any(_takes_over(later.asked, one) for later in wanted[place + 1 :])
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
            request=(request := _request(holdings, group, hold_out=held_out)),
            asked=request,
            runs=tuple(run for run in group.runs if run["run_id"] not in told),
            frozen=(),
            by_campaign=False,
        )
        for group in holdings.groups
        if not group.run_ids <= told and group.compositions - held_out
    ]


def _request(holdings: Holdings, group: Group, *, hold_out: Collection[str]) -> TrainingSetRequest:
    return TrainingSetRequest(
        compositions=tuple(group.compositions - set(hold_out)),
        hold_out=tuple(group.compositions & set(hold_out)),
        runs=_named_runs(holdings, group.runs, group.compositions),
        **holdings.campaign.training_choices,
    )


def _named_runs(holdings: Holdings, runs: Collection[Row], compositions: Collection[str]) -> tuple[str, ...]:
    """Names of the runs, where their compositions alone would bring others along: of another level of theory, say."""
    run_ids = {run["run_id"] for run in runs}
    brought = {run["run_id"] for run in holdings.trainable if run["composition"] in compositions}
    return tuple(sorted(run_ids)) if brought - run_ids else ()


def _is_of_group(holdings: Holdings, made: Row, group: Group, *, hold_out: Collection[str]) -> bool:
    without_frames = {run["run_id"] for run in holdings.runs if not run["n_accepted"]}
    return (
        _could_be_the_campaigns(made, holdings.campaign, hold_out=hold_out)
        and made["level_of_theory"] == group.level_of_theory
        and bool(made["synthetic"]) == group.synthetic
        and set(made["type_map"] or ()) == group.elements
        and holdings.runs_of(made) <= group.run_ids | without_frames
    )


def _is_wanted_by_campaign(made: Row, campaign: Campaign) -> bool:
    """Whether it could be the campaign's, all compositions in it or one of them left out."""
    left_out = [None, *(one for one in made["held_out"] or () if campaign.leaves_out(one))]
    return any(_could_be_the_campaigns(made, campaign, hold_out=_held_out(campaign, one)) for one in left_out)


def _could_be_the_campaigns(made: Row, campaign: Campaign, *, hold_out: Collection[str]) -> bool:
    """Whether it was made with the campaign's choices and that one, at whatever state of the lake."""
    wanted = campaign.training_choices
    return (
        made["split_rule"] == wanted.pop("split")
        and made["seed"] in (None, TrainingSetRequest.model_fields["seed"].default)
        and all(_value(made, name) == value for name, value in wanted.items())
        and set(made["held_out"] or ()) <= set(hold_out)
        and not set(made["compositions"] or ()) & set(hold_out)
    )


def _value(made: Row, name: str) -> object:
    """A column of a training set; older lakes had no choice in most of them."""
    value = made[name]
    return TrainingSetRequest.model_fields[name].default if value is None else value


def _takes_over(later: TrainingSetRequest, one: WantedSet) -> bool:
    earlier = one.asked
    larger = {name: set(getattr(later, name)) >= set(getattr(earlier, name)) for name in ("compositions", "runs")}
    alike = later.model_copy(update={"compositions": earlier.compositions, "runs": earlier.runs}) == earlier
    has_named = all(bool(getattr(earlier, name)) == bool(getattr(later, name)) for name in larger)
    return later == one.request or (alike and has_named and all(larger.values()))


def _of_hand(holdings: Holdings, asked: TrainingSetRequest, answers: list[Row]) -> WantedSet:
    """What the same request means today: of runs at several levels of theory, those that go with its own."""
    made = answers[-1]
    meant = [run for run in holdings.trainable if is_wanted(run, asked)]
    comparable = frozenset[str]().union(
        *(group.run_ids for group in holdings.groups if group.run_ids & holdings.runs_of(made))
    )
    runs = tuple(meant if asked.mix_theories else (run for run in meant if run["run_id"] in comparable))
    is_ambiguous = len(runs) < len(meant)
    named = {"runs": tuple(sorted(run["run_id"] for run in runs))} if is_ambiguous else {}
    return WantedSet(
        name=f"{'-'.join(sorted(made['type_map'] or ()))}, {made['level_of_theory']}",
        request=asked.model_copy(update=named),
        asked=asked,
        runs=runs,
        frozen=tuple(answers),
        by_campaign=False,
    )
