"""What a lab wants judged, trained and simulated: `campaign.toml` beside the lake. How it is run belongs elsewhere."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from lake.gate import RuleGate
from schemas.composition import canonical_composition
from schemas.errors import MeltlakeError
from schemas.gate import NEVER_OVERRULED, PHYSICAL, RULES, Rule, Rules, Severity
from schemas.recipes import RECIPES, Recipe, recipe_named, recipes_from
from schemas.settings import Settings
from schemas.simulation import Protocol
from schemas.training import TrainingSetRequest


class RuleChange(BaseModel):
    """What a lab wants otherwise about one rule of the gate; what is not said stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: float | None = None
    maximum: float | None = None
    severity: Severity | None = None


class Campaign(BaseModel):
    """The choices that data cannot make. Every one has a default, so that a lake without the file works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipes: tuple[str, ...] = ("DP-small",)
    recipe: Mapping[str, Mapping[str, Any]] = {}
    """Recipes of the lab's own, by name; `all_recipes` are those that can be trained."""
    backend: Literal["tensorflow", "pytorch"] = "tensorflow"
    """What DeePMD computes with."""
    hold_out: tuple[str, ...] = ()
    """Compositions that are never trained on."""
    leave_one_out: bool | tuple[str, ...] = False
    """Compositions, or all that are trained on: a further training set without each, for the first recipe and seed."""
    split: Literal["blocks", "random"] = "blocks"
    test_fraction: float = 0.25
    gap_fs: float | None = None
    """Time between training and test frames instead of what each run's memory asks for."""
    every_fs: float | None = None
    """Time that runs are thinned to."""
    relaxation: Literal["train", "drop"] = "train"
    balance: Literal["frames", "compositions"] = "frames"
    format: Literal["npy", "hdf5"] = "npy"
    seeds: tuple[int, ...] = (1,)
    steps: int | None = None
    """Training steps instead of the recipe's own."""
    protocols: tuple[Protocol, ...] = ("twin",)
    simulation_steps: int | None = None
    """Steps of a simulation instead of the protocol's own; a twin is as long as its AIMD run."""
    temperature_k: float | None = None
    """Temperature of simulations that have no AIMD run to take it from."""
    approve: bool = False
    """Whether a person is asked in Airflow before new potentials are simulated."""
    most_rejected: float = 0.1
    """Share of a run's DFT frames that may be rejected before its task in Airflow turns red."""
    gate: Mapping[str, RuleChange] = {}
    """Changes to rules of the gate, by the rule's name."""

    @field_validator("hold_out", "leave_one_out")
    @classmethod
    def _are_canonical(cls, labels: bool | tuple[str, ...]) -> bool | tuple[str, ...]:  # noqa: FBT001 - TOML's
        """As the lake writes them: a composition that is spelt otherwise would be trained on."""
        return labels if isinstance(labels, bool) else tuple(sorted({canonical_composition(one) for one in labels}))

    @property
    def all_recipes(self) -> dict[str, Recipe]:
        """The recipes that come with meltlake and those of the lab, by name."""
        return {**RECIPES, **recipes_from(self.recipe, where="campaign.toml", known=RECIPES)}

    def leaves_out(self, composition: str) -> bool:
        """Whether a training set without this composition is wanted beside that with it."""
        named = self.leave_one_out
        return composition not in self.hold_out and (named if isinstance(named, bool) else composition in named)

    @property
    def training_choices(self) -> dict[str, Any]:
        """What `materialize` has options for, but for what is told of each group of runs."""
        names = TrainingSetRequest.model_fields.keys() & Campaign.model_fields.keys() - {"hold_out"}
        return {name: getattr(self, name) for name in names}

    def wants_apart(self, request: TrainingSetRequest) -> bool:
        """Whether a request is for a training set that leaves one composition out because `leave_one_out` says so."""
        left_out = set(request.hold_out) - set(self.hold_out)
        is_alike = all(getattr(request, name) == value for name, value in self.training_choices.items())
        return is_alike and len(left_out) == 1 and self.leaves_out(*left_out)

    @property
    def chooses_training(self) -> bool:
        """Whether the file says what to train, and not only what the gate expects."""
        return bool(self.model_fields_set - {"approve", "gate", "most_rejected"})

    @property
    def rules(self) -> Rules:
        """The house's rules with the lab's changes."""
        return tuple(_changed(rule, self.gate[rule.name]) if rule.name in self.gate else rule for rule in RULES)


def campaign_of(settings: Settings) -> Campaign:
    """The campaign beside the lake, or the defaults where there is none.

    Raises
    ------
    MeltlakeError
        If the file is not TOML in UTF-8, or says something that is not known.
    """
    path = settings.home / "campaign.toml"
    if not path.exists():
        return Campaign()
    try:
        campaign = Campaign.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except MeltlakeError as error:
        raise MeltlakeError(f"{path}: {error.problem}", error.remedy) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        known = ", ".join(Campaign.model_fields)
        raise MeltlakeError(f"{path}: {' '.join(str(error).split())}", f"Known settings are: {known}.") from error
    _require_known_rules(campaign, path)
    _require_known_recipes(campaign, path)
    return campaign


def gate_of(settings: Settings) -> RuleGate:
    """The gate with the campaign's rules."""
    return RuleGate(campaign_of(settings).rules)


def _changed(rule: Rule, change: RuleChange) -> Rule:
    wanted: dict[str, Any] = change.model_dump(exclude_none=True)
    return replace(rule, **wanted)


def _require_known_recipes(campaign: Campaign, path: object) -> None:
    recipes = {**RECIPES, **recipes_from(campaign.recipe, where=str(path), known=RECIPES)}
    for name in campaign.recipes:
        try:
            recipe_named(name, recipes)
        except MeltlakeError as error:
            raise MeltlakeError(f"{path}: {error.problem}", error.remedy) from error


def _require_known_rules(campaign: Campaign, path: object) -> None:
    """A threshold that no rule has would be ignored in silence."""
    rules = {rule.name: rule for rule in RULES}
    for name, change in campaign.gate.items():
        if name not in rules:
            raise MeltlakeError(f"{path}: the gate has no rule `{name}`.", f"Its rules are: {', '.join(rules)}.")
        if change.severity not in (None, "reject") and name in {*NEVER_OVERRULED, PHYSICAL}:
            raise MeltlakeError(
                f"{path}: rule `{name}` rejects what no average and no training can be made of; its severity stays.",
                "Take the line out.",
            )
        for bound in ("minimum", "maximum"):
            if getattr(change, bound) is not None and getattr(rules[name], bound) is None:
                raise MeltlakeError(
                    f"{path}: rule `{name}` has no {bound} that could be changed; it expects: {rules[name].expected}.",
                    "Take the line out, or change what the rule has.",
                )
