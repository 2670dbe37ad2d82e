"""Recipes: the hyperparameters of a potential. Table 1 of the paper by name, and a small one for laptops."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.errors import MeltlakeError


class LossPrefactors(BaseModel):
    """Weights of energy, force and virial in the loss, at the start and at the end of training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_energy: float = 0.2
    limit_energy: float = 0.2
    start_force: float = 500.0
    limit_force: float = 500.0
    start_virial: float = 0.1
    limit_virial: float = 0.1


class PaperResult(BaseModel):
    """What Table 1 prints for a recipe: errors against DFT, and speed (4096 atoms, one GPU of 2021)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rmse_energy_mev_per_atom: float
    rmse_force_mev_per_angstrom: float
    rmse_virial_mev_per_atom: float
    ns_per_day: float


class Recipe(BaseModel):
    """A DeepPot-SE recipe. What the paper leaves open has a default, with its reason in `docs/recipes.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"[A-Za-z0-9._-]+")
    embedding_net: tuple[int, ...]
    axis_neuron: int = Field(gt=0)
    fitting_net: tuple[int, ...]
    r_smooth_angstrom: float = Field(gt=0)
    r_cut_angstrom: float = Field(gt=0)
    loss_prefactors: LossPrefactors = LossPrefactors()
    n_steps: int = Field(default=400_000, gt=0)
    batch_size: int = Field(default=2, gt=0)
    start_learning_rate: float = 1e-3
    stop_learning_rate: float = 3.51e-8
    decay_steps: int = 5000
    paper: PaperResult | None = None

    @model_validator(mode="after")
    def _cutoff_is_ordered(self) -> Self:
        if self.r_smooth_angstrom >= self.r_cut_angstrom:
            raise ValueError("r_smooth_angstrom must be smaller than r_cut_angstrom")
        if self.axis_neuron > self.embedding_net[-1]:
            raise ValueError("axis_neuron must not exceed the last layer of embedding_net")
        return self


def _table_1(
    number: int,
    embedding_net: tuple[int, ...],
    fitting_net: tuple[int, ...],
    cutoff_angstrom: tuple[float, float],
    printed: tuple[float, float, float, float],
    *,
    axis_neuron: int = 8,
) -> Recipe:
    energy, force, virial, ns_per_day = printed
    pref_virial = 0.0 if number == 1 else 0.1
    return Recipe(
        name=f"DP-{number}",
        embedding_net=embedding_net,
        axis_neuron=axis_neuron,
        fitting_net=fitting_net,
        r_smooth_angstrom=cutoff_angstrom[0],
        r_cut_angstrom=cutoff_angstrom[1],
        loss_prefactors=LossPrefactors(start_virial=pref_virial, limit_virial=pref_virial),
        paper=PaperResult(
            rmse_energy_mev_per_atom=energy,
            rmse_force_mev_per_angstrom=force,
            rmse_virial_mev_per_atom=virial,
            ns_per_day=ns_per_day,
        ),
    )


_WIDE = (240, 240, 240)
TABLE_1: tuple[Recipe, ...] = (
    _table_1(1, (50, 100), _WIDE, (5.0, 6.0), (1.35, 71.1, 150.9, 0.37)),
    _table_1(2, (50, 100), _WIDE, (5.0, 6.0), (1.74, 68.1, 6.22, 0.37)),
    _table_1(3, (25, 50, 100), _WIDE, (5.0, 6.0), (1.6, 70.7, 6.32, 0.32)),
    _table_1(4, (50, 100), (50, 50), (5.0, 6.0), (1.65, 72.7, 6.28, 0.39)),
    _table_1(5, (50, 100), (240, 240, 240, 240), (5.0, 6.0), (1.7, 71.9, 6.24, 0.36)),
    _table_1(6, (10, 20), _WIDE, (5.0, 6.0), (2.67, 115.1, 14.6, 1.08)),
    _table_1(7, (30, 60), (120, 120, 120), (5.0, 6.0), (2.1, 75.2, 7.0, 0.67)),
    _table_1(8, (10, 20), (50, 50), (5.0, 6.0), (3.24, 113.4, 15.79, 1.2), axis_neuron=4),
    _table_1(9, (50, 100), _WIDE, (5.0, 6.0), (1.68, 71.1, 6.27, 0.37), axis_neuron=6),
    _table_1(10, (50, 100), _WIDE, (5.0, 6.0), (1.85, 67.8, 6.19, 0.36), axis_neuron=10),
    _table_1(11, (50, 100), _WIDE, (5.8, 6.0), (1.73, 70.9, 6.6, 0.37)),
    _table_1(12, (50, 100), _WIDE, (6.0, 7.0), (1.59, 69.7, 6.51, 0.27)),
    _table_1(13, (60, 120), _WIDE, (6.0, 7.0), (1.51, 67.6, 5.83, 0.24)),
    _table_1(14, (40, 80, 160), _WIDE, (7.0, 8.0), (1.51, 69.9, 6.25, 0.007)),
)

DP_SMALL = Recipe(
    name="DP-small",
    embedding_net=(8, 16),
    axis_neuron=4,
    fitting_net=(32, 32),
    r_smooth_angstrom=3.5,
    r_cut_angstrom=5.0,
    loss_prefactors=LossPrefactors(
        start_energy=0.02,
        limit_energy=1.0,
        start_force=1000.0,
        limit_force=50.0,
        start_virial=0.02,
        limit_virial=5.0,
    ),
    n_steps=3000,
    batch_size=1,
    start_learning_rate=1e-2,
    stop_learning_rate=1e-5,
    decay_steps=50,
)
"""For demo, tests and laptops: learns a toy melt in about a minute on one core."""

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (*TABLE_1, DP_SMALL)}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises
    ------
    MeltlakeError
        If there is none.
    """
    if name not in RECIPES:
        raise MeltlakeError(f"There is no recipe {name!r}.", f"Choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]
