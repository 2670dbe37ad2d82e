"""Which potentials are wanted and why one is to be trained: told by the content of recipes and sets, not by names."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.potentials.identity import name_of_potential
from operators.stale.holdings import Holdings, Row
from operators.stale.item import Stale
from operators.stale.wanted_sets import WantedSet
from schemas.model_card import FILE_NAME
from schemas.recipes import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPotential:
    """A recipe to be trained with a seed on a training set."""

    recipe: Recipe
    seed: int
    training_set_id: str
    superseded: tuple[str, ...]
    """Training sets that this one has taken the place of, the newest last."""
    seeds: tuple[int, ...]
    """All seeds of its committee."""
    backend: str
    init_from: str | None
    options: tuple[str, ...]
    """What to type besides recipe and seed, where it is not the usual."""

    @property
    def potential_id(self) -> str:
        return name_of_potential(
            self.recipe, self.training_set_id, self.seed, backend=self.backend, init_from=self.init_from
        )

    @property
    def name(self) -> str:
        return f"{self.recipe.name} seed {self.seed}"

    @property
    def arguments(self) -> list[str]:
        """What to type after `meltlake`."""
        words = ["train", self.training_set_id, "--recipe", self.recipe.name, "--seed", str(self.seed)]
        return [*words, *self.options]


def wanted_potentials(holdings: Holdings, sets: Iterable[WantedSet]) -> list[WantedPotential]:
    """The campaign's recipes and seeds on the newest set of each; by hand, what was trained on the sets before it.

    Of a set that leaves a composition out, the first recipe and seed alone.
    """
    return [
        WantedPotential(
            recipe=recipe,
            seed=seed,
            training_set_id=one.newest["training_set_id"],
            superseded=tuple(row["training_set_id"] for row in one.frozen[:-1]),
            seeds=holdings.campaign.seeds if one.by_campaign and one.left_out is None else (seed,),
            backend=backend,
            init_from=init_from,
            options=_options(holdings, recipe, backend=backend, init_from=init_from),
        )
        for one in sets
        if one.newest is not None
        for recipe, seed, backend, init_from in _wanted_of(holdings, one)
    ]


def stale_potentials(holdings: Holdings, wanted: Iterable[WantedPotential]) -> Iterator[Stale]:
    """Those that are not there, or whose model file is not."""
    for one in wanted:
        if (why := why_to_train(holdings, one)) is not None:
            yield Stale(f"potential {one.name} on training set {one.training_set_id}", why, one.arguments)


def why_to_train(holdings: Holdings, wanted: WantedPotential) -> str | None:
    """Why a potential is to be trained, or its model made again; None when it is there."""
    by_id = {row["potential_id"]: row for row in holdings.potentials}
    if (row := by_id.get(wanted.potential_id)) is not None:
        return _why_incomplete(holdings, row)
    name = (wanted.recipe.name, wanted.seed, wanted.backend, wanted.init_from)
    alike = [row for row in holdings.potentials if (row["recipe"], row["seed"], *_origin(row)) == name]
    for row in reversed(alike):
        if row["training_set_id"] == wanted.training_set_id:
            changed = _differences(holdings, row, wanted)
            return f"potential {row['potential_id']} has another recipe of that name: {changed}"
    for row in reversed(alike):
        if row["training_set_id"] in wanted.superseded:
            return (
                f"potential {row['potential_id']} was trained on {row['training_set_id']}, which "
                f"{wanted.training_set_id} has superseded"
            )
    return _why_new(holdings, wanted)


def missing_model(holdings: Holdings, potential: Row) -> Path | None:
    """Where its model file should be and is not; None when it is there, or on another machine than this."""
    here = holdings.settings.artifacts / "potentials"
    recorded = Path(potential["path"] or "")
    path = here / potential["potential_id"] / recorded.name
    return path if here.is_dir() and recorded.name and not (path.is_file() or recorded.is_file()) else None


def _wanted_of(holdings: Holdings, one: WantedSet) -> list[tuple[Recipe, int, str, str | None]]:
    if not one.by_campaign:
        return _by_hand(holdings, one)
    return _by_campaign(holdings) if one.left_out is None else _by_campaign(holdings)[:1]


def _by_campaign(holdings: Holdings) -> list[tuple[Recipe, int, str, str | None]]:
    """Recipe, seed, backend and the potential whose weights it begins with, of each that the campaign wants."""
    campaign, recipes = holdings.campaign, holdings.campaign.all_recipes
    steps = {} if campaign.steps is None else {"n_steps": campaign.steps}
    return [
        (recipes[name].model_copy(update=steps), seed, campaign.backend, None)
        for name in campaign.recipes
        for seed in campaign.seeds
    ]


def _by_hand(holdings: Holdings, one: WantedSet) -> list[tuple[Recipe, int, str, str | None]]:
    """What was trained on this set or on one that it supersedes, as the recipe of that name is today."""
    sets, recipes = {row["training_set_id"] for row in one.frozen}, holdings.campaign.all_recipes
    found = {
        (row["recipe"], row["n_steps"], row["seed"], *_origin(row)): None
        for row in holdings.potentials
        if row["training_set_id"] in sets and row["recipe"] in recipes
    }
    return [(recipes[name].model_copy(update={"n_steps": steps}), *rest) for name, steps, *rest in found]


def _origin(row: Row) -> tuple[str, str | None]:
    return row["backend"] or "tensorflow", row["init_from"]


def _options(holdings: Holdings, recipe: Recipe, *, backend: str, init_from: str | None) -> tuple[str, ...]:
    campaign = holdings.campaign
    usual = campaign.all_recipes.get(recipe.name)
    steps = () if usual and usual.n_steps == recipe.n_steps else ("--steps", str(recipe.n_steps))
    other = () if backend == campaign.backend else ("--backend", backend)
    return (*steps, *other, *(() if init_from is None else ("--init-from", init_from)))


def _why_incomplete(holdings: Holdings, row: Row) -> str | None:
    path = missing_model(holdings, row)
    return None if path is None else f"its model file {path} is missing; it is made again from the last checkpoint"


def _why_new(holdings: Holdings, wanted: WantedPotential) -> str:
    of_recipe = {
        row["seed"]
        for row in holdings.potentials
        if (row["recipe"], row["training_set_id"]) == (wanted.recipe.name, wanted.training_set_id)
    }
    present = [seed for seed in wanted.seeds if seed in of_recipe]
    if present:
        told = ", ".join(map(str, present))
        return f"its committee has {len(present)} of {len(wanted.seeds)} seeds: {told}"
    return "it was never trained there"


def _differences(holdings: Holdings, row: Row, wanted: WantedPotential) -> str:
    """What the recipe was when the potential was trained, beside what it is now."""
    then = _recipe_of(holdings, row)
    now: dict[str, Any] = wanted.recipe.model_dump(mode="json", exclude={"paper"})
    if then is None:
        then = {"n_steps": row["n_steps"]}
    changed = [
        f"{name} was {_shown(then[name])} and is {_shown(now[name])}"
        for name in now
        if name in then and then[name] != now[name]
    ]
    return "; ".join(changed) or "its content has changed"


def _recipe_of(holdings: Holdings, row: Row) -> dict[str, Any] | None:
    card = holdings.settings.artifacts / "potentials" / row["potential_id"] / FILE_NAME
    try:
        recipe = json.loads(card.read_text())["training"]["recipe"]
    except (OSError, ValueError, KeyError):
        return None  # on another machine; the table knows less
    return recipe if isinstance(recipe, dict) else None


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part:g}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
