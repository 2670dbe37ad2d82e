"""One composition left out at a time, as a campaign asks for it: which sets, potentials and simulations are wanted."""

import json

import pytest

from lake.warehouse import query
from operators.campaign import campaign_of
from operators.materialize import materialize
from operators.potentials.identity import name_of_potential
from operators.stale import stale
from operators.stale.campaign_work import CampaignWork
from schemas.errors import MeltlakeError
from schemas.recipes import RECIPES
from schemas.training import TrainingSetRequest

MELTS = ("Al100", "Al50Cu50", "Cu100")


def campaign(settings, **choices):
    lines = [f"{name} = {json.dumps(value)}" for name, value in choices.items()]
    (settings.home / "campaign.toml").write_text("\n".join(lines))


def due(settings, verb):
    return [list(item.arguments) for item in stale(settings) if item.arguments[0] == verb]


def freeze(settings, *left_out, compositions=MELTS):
    kept = tuple(one for one in compositions if one not in left_out)
    return materialize(settings, TrainingSetRequest(compositions=kept, hold_out=left_out))


def add_potential(lake, settings, made, recipe, seed):
    name = name_of_potential(RECIPES[recipe], made["training_set_id"], seed)
    folder = settings.artifacts / "potentials" / name
    folder.mkdir(parents=True)
    (folder / "frozen.pb").write_bytes(b"a model")
    row = {"potential_id": name, "recipe": recipe, "training_set_id": made["training_set_id"], "seed": seed}
    row |= {"n_steps": RECIPES[recipe].n_steps, "path": str(folder / "frozen.pb"), "backend": "tensorflow"}
    lake.replace("potentials", name, [row])
    return name


def test_one_set_more_is_wanted_for_each_composition_that_can_be_left_out(three_melts, settings):
    campaign(settings, leave_one_out=True)
    whole, *apart = due(settings, "materialize")
    assert whole == ["materialize", "--compositions", *MELTS]
    assert apart == [
        ["materialize", "--compositions", *(other for other in MELTS if other != melt), "--hold-out", melt]
        for melt in MELTS
    ]


@pytest.mark.parametrize(
    ("choices", "left_out"),
    [
        ({"leave_one_out": ["Cu50Al50"]}, [["Al50Cu50"]]),
        ({"leave_one_out": True, "hold_out": ["Cu100"]}, [["Al100", "Cu100"]]),
        ({"leave_one_out": ["Al100"], "hold_out": ["Al50Cu50"]}, []),
        ({"leave_one_out": False, "hold_out": ["Al50Cu50"]}, []),
    ],
)
def test_what_is_held_out_stays_out_and_every_element_stays_in(three_melts, settings, choices, left_out):
    campaign(settings, **choices)
    _, *apart = due(settings, "materialize")
    assert [words[words.index("--hold-out") + 1 :] for words in apart] == left_out


def test_each_left_out_composition_wants_one_potential_whatever_recipes_and_seeds_there_are(three_melts, settings):
    campaign(settings, leave_one_out=True, recipes=["DP-2", "DP-8"], seeds=[3, 4])
    whole = freeze(settings)
    apart = [freeze(settings, melt) for melt in MELTS]
    assert due(settings, "materialize") == []
    wanted = due(settings, "train")
    assert len(wanted) == 4 + len(MELTS)
    assert wanted[4:] == [["train", made["training_set_id"], "--recipe", "DP-2", "--seed", "3"] for made in apart]
    assert {words[1] for words in wanted[:4]} == {whole["training_set_id"]}
    assert [list(item.arguments) for item in CampaignWork(settings).potentials()] == wanted


def test_a_potential_is_simulated_at_what_it_has_not_seen(three_melts, settings):
    campaign(settings, leave_one_out=["Al100"])
    whole, apart = freeze(settings), freeze(settings, "Al100")
    of_all = add_potential(three_melts.lake, settings, whole, "DP-small", 1)
    of_rest = add_potential(three_melts.lake, settings, apart, "DP-small", 1)
    assert due(settings, "train") == []
    simulated = [(words[1], words[-1]) for words in due(settings, "simulate")]
    assert simulated == [*((of_all, melt) for melt in MELTS), (of_rest, "Al100")]
    assert {words[-1] for words in due(settings, "observe") if "--potential" in words} == {of_all, of_rest}


def test_new_frames_outdate_all_of_them_and_each_is_made_again(three_melts, settings):
    campaign(settings, leave_one_out=["Al100", "Cu100"])
    old = [freeze(settings, *out)["training_set_id"] for out in ((), ("Al100",), ("Cu100",))]
    three_melts.add("a1", {"Al": 4}, three_melts.frames({"Al": 4}, 52, seed=0))
    items = [item for item in stale(settings) if item.arguments[0] == "materialize"]
    assert [name in item.what for name, item in zip(old, items, strict=True)] == [True] * 3
    new = [freeze(settings, *out)["training_set_id"] for out in ((), ("Al100",), ("Cu100",))]
    assert due(settings, "materialize") == []
    assert not set(old) & set(new)
    rows = query(settings, "select training_set_id, left_out, base_training_set_id from leave_one_out_sets")
    assert {tuple(row.values()) for row in rows} == {(new[1], "Al100", new[0]), (new[2], "Cu100", new[0])}


def test_what_a_campaign_left_out_is_nobodys_wish_once_it_leaves_out_no_more(three_melts, settings):
    campaign(settings, leave_one_out=True)
    for out in ((), ("Al100",), ("Cu100",)):
        freeze(settings, *out)
    campaign(settings, leave_one_out=["Al100"])
    three_melts.add("a1", {"Al": 4}, three_melts.frames({"Al": 4}, 52, seed=0))
    assert [words[words.index("--hold-out") + 1 :] for words in due(settings, "materialize")[1:]] == [["Al100"]]
    campaign(settings, leave_one_out=False, recipes=["DP-2"])
    assert due(settings, "materialize") == [["materialize", "--compositions", *MELTS]]
    freeze(settings)
    freeze(settings, "Cu100")
    three_melts.add("a1", {"Al": 4}, three_melts.frames({"Al": 4}, 60, seed=0))
    by_hand = [words for words in due(settings, "materialize") if "--hold-out" in words]
    assert [words[words.index("--hold-out") + 1 :] for words in by_hand] == [["Cu100"]], "a person asked for it since"


def test_a_composition_that_is_none_is_refused_where_it_stands(settings):
    settings.home.mkdir(parents=True, exist_ok=True)
    campaign(settings, leave_one_out=["Al3Ni"])
    with pytest.raises(MeltlakeError, match=r"campaign.toml: 'Al3Ni' is not a composition"):
        campaign_of(settings)
