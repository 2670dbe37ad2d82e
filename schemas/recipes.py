"""Recipes: the hyperparameters of a potential. Those that come with the code stand by name in `recipes.toml`.

DeePMD's spellings of them belong in `operators.potentials.deepmd_input`; a lab's own stand in `campaign.toml`.
"""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.resources import files
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import MeltlakeError
from schemas.ids import content_id

Activation = Literal["tanh", "gelu", "gelu_tf", "relu", "relu6", "softplus", "sigmoid"]
"""Those that DeePMD can compress."""
Sampling = Literal["by_frames", "evenly"]
"""How often a step draws from a run: in proportion to its frames, or as often as from any other run."""

_CHOSEN_LATER = (
    "decay_rate", "activation", "resnet_embedding", "resnet_fitting", "type_one_side", "precision", "sampling",
)  # fmt: skip
"""Keys that recipes have had no choice in before: at their default they leave the name of a potential as it was."""
_BASE = "based_on"
_LOSS = "loss_prefactors"


class LossPrefactors(BaseModel):
    """Weights of energy, force and virial in the loss, at the start and at the end of training."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    start_energy: float = Field(default=0.2, ge=0)
    limit_energy: float = Field(default=0.2, ge=0)
    start_force: float = Field(default=500.0, ge=0)
    limit_force: float = Field(default=500.0, ge=0)
    start_virial: float = Field(default=0.1, ge=0)
    limit_virial: float = Field(default=0.1, ge=0)


class PaperResult(BaseModel):
    """What Table 1 prints for a recipe: errors against DFT, and speed (4096 atoms, one GPU of 2021)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rmse_energy_mev_per_atom: float
    rmse_force_mev_per_angstrom: float
    rmse_virial_mev_per_atom: float
    ns_per_day: float


class Recipe(BaseModel):
    """A DeepPot-SE recipe. What the paper leaves open has a default, with its reason in `docs/recipes.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    embedding_net: tuple[int, ...] = Field(min_length=1)
    axis_neuron: int = Field(gt=0)
    fitting_net: tuple[int, ...] = Field(min_length=1)
    r_smooth_angstrom: float = Field(gt=0)
    r_cut_angstrom: float = Field(gt=0)
    loss_prefactors: LossPrefactors = LossPrefactors()
    n_steps: int = Field(default=400_000, gt=0)
    batch_size: int = Field(default=2, gt=0)
    start_learning_rate: float = Field(default=1e-3, gt=0)
    stop_learning_rate: float = Field(default=3.51e-8, gt=0)
    decay_steps: int = Field(default=5000, gt=0)
    decay_rate: float | None = Field(default=None, gt=0, le=1)
    """Factor of the learning rate every `decay_steps`; None: the one that leads from start to stop."""
    activation: Activation = "tanh"
    resnet_embedding: bool = False
    """Whether the embedding net's residual steps have lengths to learn."""
    resnet_fitting: bool = True
    type_one_side: bool = False
    """One embedding net per neighbour's element, whatever the centre's."""
    precision: Literal["float64", "float32"] = "float64"
    """Of the nets; coordinates and labels are always float64."""
    sampling: Sampling = "by_frames"
    paper: PaperResult | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.r_smooth_angstrom >= self.r_cut_angstrom:
            raise ValueError("r_smooth_angstrom must be smaller than r_cut_angstrom")
        if self.axis_neuron > self.embedding_net[-1]:
            raise ValueError("axis_neuron must not exceed the last layer of embedding_net")
        if min(*self.embedding_net, *self.fitting_net) < 1:
            raise ValueError("every layer of embedding_net and fitting_net needs at least one neuron")
        if self.stop_learning_rate > self.start_learning_rate:
            raise ValueError("stop_learning_rate must not exceed start_learning_rate")
        return self

    @property
    def definition(self) -> dict[str, Any]:
        """What a potential's name is made of, as JSON has it: all but what the paper prints."""
        content = self.model_dump(mode="json", exclude={"paper"})
        fields = type(self).model_fields
        return {
            key: value for key, value in content.items() if key not in _CHOSEN_LATER or value != fields[key].default
        }

    @property
    def recipe_id(self) -> str:
        """Name of the content: two recipes that differ only in how they are called, or in length, have the same."""
        content = self.definition
        return content_id({key: content[key] for key in content if key not in ("name", "n_steps")})


def recipes_from(
    tables: Mapping[str, object], *, where: str, known: Mapping[str, Recipe] | None = None
) -> dict[str, Recipe]:
    """Recipes by name from `[recipe.NAME]` tables, in which `based_on` takes over what is not said.

    Parameters
    ----------
    tables
        Tables by name of recipe.
    where
        What an error calls the place they stand in.
    known
        Recipes that they may be based on besides each other, and whose names are taken.

    Raises
    ------
    MeltlakeError
        If a recipe says something that recipes do not have, or its values do not fit together.
    """
    known = known or {}
    for name, table in tables.items():
        if name in known:
            raise MeltlakeError(
                f"{where}: {name} is the name of a recipe that comes with meltlake.", "Give yours another name."
            )
        _require_known_keys(table, f"{where}: recipe {name}", has_paper=not known)
    return {name: _recipe(name, tables, where=where, known=known) for name in tables}


def recipe_named(name: str, recipes: Mapping[str, Recipe] | None = None) -> Recipe:
    """The recipe of that name, by default among those that come with meltlake.

    Raises
    ------
    MeltlakeError
        If there is none.
    """
    recipes = RECIPES if recipes is None else recipes
    if name not in recipes:
        raise MeltlakeError(
            f"There is no recipe {name!r}.{_meant(name, recipes)}", f"Choose one of: {', '.join(recipes)}."
        )
    return recipes[name]


def _recipe(name: str, tables: Mapping[str, Any], *, where: str, known: Mapping[str, Recipe]) -> Recipe:
    try:
        return Recipe.model_validate(_content(name, tables, where=where, known=known, below=()) | {"name": name})
    except ValidationError as error:
        said = "; ".join(_told(part) for part in error.errors())
        raise MeltlakeError(
            f"{where}: recipe {name}: {said}.", "Correct it; docs/recipes.md tells every key."
        ) from error


def _content(
    name: str, tables: Mapping[str, Any], *, where: str, known: Mapping[str, Recipe], below: tuple[str, ...]
) -> dict[str, Any]:
    """What a recipe says, with what it takes over from others."""
    if name in known:
        return known[name].model_dump()
    own, base = dict(tables[name]), {}
    if (based_on := own.pop(_BASE, None)) is not None:
        _require_base(name, based_on, [*known, *tables], where=where, below=below)
        base = _content(based_on, tables, where=where, known=known, below=(*below, name))
        base.pop("paper", None)
    if _LOSS in own:
        own[_LOSS] = _loss(own[_LOSS], base.get(_LOSS, {}), f"{where}: recipe {name}")
    return base | own


def _require_base(name: str, based_on: object, names: list[str], *, where: str, below: tuple[str, ...]) -> None:
    if based_on not in names:
        raise MeltlakeError(
            f"{where}: recipe {name}: {_BASE}: there is no recipe {based_on!r}.{_meant(str(based_on), names)}",
            f"Choose one of: {', '.join(one for one in names if one != name)}.",
        )
    if based_on in (*below, name):
        raise MeltlakeError(
            f"{where}: recipe {name} is based on itself: {' on '.join((*below, name, str(based_on)))}.",
            "Say the keys of one of them in full.",
        )


def _loss(said: object, base: Mapping[str, float], what: str) -> object:
    if isinstance(said, str):
        if said not in LOSS_SCHEMES:
            raise MeltlakeError(
                f"{what}: {_LOSS}: there is no scheme {said!r}.{_meant(said, LOSS_SCHEMES)}",
                f"Choose one of: {', '.join(LOSS_SCHEMES)}; or give the weights themselves.",
            )
        return LOSS_SCHEMES[said].model_dump()
    return {**base, **said} if isinstance(said, Mapping) else said


def _require_known_keys(table: object, what: str, *, has_paper: bool) -> None:
    """A key that nothing reads would be ignored in silence, or refused in pydantic's words."""
    if not isinstance(table, Mapping):
        raise MeltlakeError(f"{what}: needed a table, found {table!r}.", "Write it as [recipe.NAME] with a key a line.")
    not_said = {"name"} if has_paper else {"name", "paper"}
    _require_among(table, [_BASE, *(key for key in Recipe.model_fields if key not in not_said)], what)
    if isinstance(loss := table.get(_LOSS), Mapping):
        _require_among(loss, list(LossPrefactors.model_fields), f"{what}: {_LOSS}")


def _require_among(table: Mapping[str, object], keys: list[str], what: str) -> None:
    for key in table:
        if key not in keys:
            raise MeltlakeError(
                f"{what}: there is no key `{key}`.{_meant(key, keys)}", f"Its keys are: {', '.join(keys)}."
            )


def _meant(word: str, words: Iterable[str]) -> str:
    by_lower = {one.lower(): one for one in words}
    # 0.4: `rcut` is near enough to `r_cut_angstrom`.
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.4)
    return f" Did you mean {by_lower[close[0]]}?" if close else ""


def _told(part: Any) -> str:
    """A sentence of pydantic's about one value, with the key before it and the value behind it."""
    key = ".".join(str(step) for step in part["loc"])
    message = str(part["msg"]).removeprefix("Value error, ")
    if not key:
        return message
    found = "" if part["type"] == "missing" else f", found {part['input']!r}"
    return f"{key}: {message[0].lower()}{message[1:]}{found}"


_SHIPPED: dict[str, Any] = tomllib.loads(files("schemas").joinpath("recipes.toml").read_text(encoding="utf-8"))

LOSS_SCHEMES = {name: LossPrefactors.model_validate(table) for name, table in _SHIPPED["loss_scheme"].items()}
RECIPES = recipes_from(_SHIPPED["recipe"], where="recipes.toml")
TABLE_1 = tuple(recipe for recipe in RECIPES.values() if recipe.paper is not None)
DP_SMALL = RECIPES["DP-small"]
