"""Recipes are data: those of the paper as it prints them, a lab's own beside them, and nothing in them goes unread."""

import ast
import csv
import tomllib
from pathlib import Path

import pytest

from operators.arguments import parser
from schemas.errors import MeltlakeError
from schemas.recipes import LOSS_SCHEMES, RECIPES, TABLE_1, LossPrefactors, Recipe, recipe_named, recipes_from

PRINTED = Path(__file__).parents[2] / "../shared/design/science/table1.csv"
SCHEME = ("start_pref_e", "limit_pref_e", "start_pref_f", "limit_pref_f", "start_pref_v", "limit_pref_v")
ERRORS = ("rmse_e_meV_atom", "rmse_f_meV_A", "rmse_v_meV_atom", "ns_per_day_4096_1gpu")


def labs(text: str) -> dict[str, Recipe]:
    """Recipes as a lab writes them into its campaign file."""
    return recipes_from(tomllib.loads(text)["recipe"], where="campaign.toml", known=RECIPES)


def test_table_1_is_what_the_paper_prints() -> None:
    if not PRINTED.exists():
        pytest.skip("the table as printed lies beside the repository, and is not there")
    with PRINTED.open() as file:
        printed = {row["model"]: row for row in csv.DictReader(file)}
    assert list(printed) == [recipe.name for recipe in TABLE_1]
    for recipe in TABLE_1:
        row = printed[recipe.name]
        nets = tuple(ast.literal_eval(row[net]) for net in ("embedding_net", "axis_neuron", "fitting_net"))
        assert nets == (list(recipe.embedding_net), recipe.axis_neuron, list(recipe.fitting_net))
        assert [float(row[r]) for r in ("rcut_smth_A", "rcut_A")] == [recipe.r_smooth_angstrom, recipe.r_cut_angstrom]
        assert [float(row[key]) for key in SCHEME] == list(recipe.loss_prefactors.model_dump().values())
        assert recipe.paper is not None
        assert [float(row[key]) for key in ERRORS] == list(recipe.paper.model_dump().values())
        assert (recipe.n_steps, recipe.batch_size) == (400_000, 2)


def test_a_recipe_takes_over_what_it_does_not_say() -> None:
    mine = labs('[recipe.mine]\nbased_on = "DP-small"\nsampling = "evenly"\nloss_prefactors.start_virial = 0.5')["mine"]
    small = RECIPES["DP-small"]
    weights = small.loss_prefactors.model_copy(update={"start_virial": 0.5})
    assert mine == small.model_copy(update={"name": "mine", "sampling": "evenly", "loss_prefactors": weights})


def test_recipes_may_be_based_on_each_other_in_any_order() -> None:
    mine = labs('[recipe.b]\nbased_on = "a"\nn_steps = 7\n[recipe.a]\nbased_on = "DP-2"\nbatch_size = 1')
    assert (mine["b"].n_steps, mine["b"].batch_size, mine["b"].embedding_net) == (7, 1, (50, 100))
    assert mine["a"].paper is None


def test_a_loss_scheme_is_named_or_written_out() -> None:
    named = labs('[recipe.mine]\nbased_on = "DP-2"\nloss_prefactors = "forces_first"')["mine"]
    assert named.loss_prefactors == LOSS_SCHEMES["forces_first"]
    assert (named.loss_prefactors.start_force, named.loss_prefactors.limit_energy) == (1000.0, 1.0)
    assert LOSS_SCHEMES["constant"] == LossPrefactors()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('based_on = "DP-2"\nembeding_net = [1]', "no key `embeding_net`. Did you mean embedding_net"),
        ('based_on = "DP-2"\nrcut = 6', "recipe mine: there is no key `rcut`. Did you mean r_cut_angstrom"),
        ('based_on = "DP-2"\npaper.ns_per_day = 9', "recipe mine: there is no key `paper`"),
        ('based_on = "DP-2"\nloss_prefactors.virial = 1', "loss_prefactors: there is no key `virial`. Did you mean"),
        ('based_on = "DP-2"\nloss_prefactors = "force_first"', "no scheme 'force_first'. Did you mean forces_first"),
        ('based_on = "DP2"', "recipe mine: based_on: there is no recipe 'DP2'. Did you mean DP-2"),
        ('based_on = "mine"', "recipe mine is based on itself: mine on mine"),
        ('based_on = "DP-2"\nr_cut_angstrom = 5', "recipe mine: r_smooth_angstrom must be smaller than r_cut_angstrom"),
        ('based_on = "DP-2"\nr_cut_angstrom = inf', "recipe mine: r_cut_angstrom: input should be a finite number"),
        ('based_on = "DP-2"\nactivation = "tan"', "recipe mine: activation: input should be 'tanh'.*found 'tan'"),
        ('based_on = "DP-2"\nn_steps = 0', "recipe mine: n_steps: input should be greater than 0, found 0"),
        ("axis_neuron = 4", "recipe mine: embedding_net: field required"),
    ],
)  # fmt: skip
def test_what_a_recipe_does_not_have_is_told_with_its_name_and_key(said: str, told: str) -> None:
    with pytest.raises(MeltlakeError, match=rf"campaign\.toml: .*{told}"):
        labs(f"[recipe.mine]\n{said}")


def test_the_names_of_the_paper_are_taken() -> None:
    with pytest.raises(MeltlakeError, match="DP-2 is the name of a recipe that comes with meltlake"):
        labs('[recipe.DP-2]\nbased_on = "DP-1"')


def test_an_unknown_recipe_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(MeltlakeError, match=r"no recipe 'DP-22'\. Did you mean DP-2\?") as caught:
        recipe_named("DP-22")
    assert all(name in caught.value.remedy for name in RECIPES)


def test_help_lists_the_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args(["train", "--help"])
    told = "".join(capsys.readouterr().out.split())
    assert [name for name in RECIPES if name not in told] == []


def test_only_what_changes_the_training_changes_the_name_of_a_potential() -> None:
    recipe = recipe_named("DP-2")
    said = labs('[recipe.mine]\nbased_on = "DP-2"\nprecision = "float64"\nactivation = "tanh"')["mine"]
    assert said.definition == recipe.definition | {"name": "mine"}
    assert said.recipe_id == recipe.recipe_id == recipe.model_copy(update={"n_steps": 9}).recipe_id
    for changed in ({"activation": "gelu"}, {"decay_rate": 0.9}, {"sampling": "evenly"}, {"batch_size": 1}):
        assert recipe.model_copy(update=changed).recipe_id != recipe.recipe_id
