"""What is stale is told from content, with the reason and a command that does it."""

import json
import shlex
from pathlib import Path

import pytest

from lake.vacuum import pinned_versions
from operators.arguments import parser
from operators.materialize import materialize
from operators.potentials.committee import committees
from operators.potentials.identity import name_of_potential
from operators.stale import stale
from operators.stale.campaign_work import CampaignWork
from operators.stale.results import has_length
from operators.status import status
from operators.status_text import status_text
from schemas.errors import MeltlakeError
from schemas.model_card import FILE_NAME
from schemas.recipes import RECIPES, recipe_named
from schemas.simulation import SimulationPlan
from schemas.training import TrainingSetRequest

AL, CU, ALCU, NI = {"Al": 4}, {"Cu": 4}, {"Al": 2, "Cu": 2}, {"Ni": 4}


def due(settings, verb):
    return [item for item in stale(settings) if item.arguments[0] == verb]


def campaign(settings, **choices):
    lines = [f"{name} = {json.dumps(value)}" for name, value in choices.items()]
    (settings.home / "campaign.toml").write_text("\n".join(lines))


def obey(settings, item):
    """Do what a suggested materialize command says."""
    asked = parser().parse_args(shlex.split(item.command)[1:])
    fields = {name: getattr(asked, name) for name in TrainingSetRequest.model_fields if hasattr(asked, name)}
    wanted = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return materialize(settings, TrainingSetRequest.model_validate(wanted))


def trained(settings, made, recipe, seed=1):
    """The rows and files that a training would leave behind, without training."""
    name = name_of_potential(recipe, made["training_set_id"], seed)
    folder = settings.artifacts / "potentials" / name
    folder.mkdir(parents=True)
    (folder / "frozen.pb").write_bytes(b"a model")
    (folder / FILE_NAME).write_text(json.dumps({"training": {"recipe": recipe.model_dump(mode="json")}}))
    row = {"potential_id": name, "recipe": recipe.name, "training_set_id": made["training_set_id"], "seed": seed}
    return name, row | {"n_steps": recipe.n_steps, "path": str(folder / "frozen.pb")}


@pytest.fixture
def set_up(three_melts, settings):
    """Three melts, a training set of all of them, and two potentials of the campaign on it."""
    campaign(settings, recipes=["DP-small", "DP-2"], seeds=[1])
    made = materialize(settings, TrainingSetRequest())
    for recipe in ("DP-small", "DP-2"):
        name, row = trained(settings, made, recipe_named(recipe))
        three_melts.lake.replace("potentials", name, [row])
    return made


def test_nothing_is_stale_while_frames_and_recipes_are_the_same(set_up, settings):
    assert due(settings, "materialize") + due(settings, "train") == []


def test_other_runs_and_versions_of_the_lake_make_nothing_stale(set_up, three_melts, settings):
    three_melts.add("d1", AL, three_melts.frames(AL, 20, seed=9), origin="dnnp")
    three_melts.add("rewritten", AL, three_melts.frames(AL, 5, seed=9), n_accepted=0)
    three_melts.add("a1", AL, three_melts.frames(AL, 40, seed=0))
    assert due(settings, "materialize") == []


def test_a_grown_run_outdates_its_training_set_with_the_number_of_new_frames(set_up, three_melts, settings):
    three_melts.add("a1", AL, three_melts.frames(AL, 52, seed=0))
    [item] = due(settings, "materialize")
    assert set_up["training_set_id"] in item.what
    assert item.why == "run a1 (Al100) has 12 new accepted frames"
    assert due(settings, "train") == [], "potentials of an outdated set wait for the next one"
    assert obey(settings, item)["changed"] is True
    assert due(settings, "materialize") == []


def test_a_new_run_outdates_the_set_and_a_copy_of_an_old_one_does_not(set_up, three_melts, settings):
    three_melts.add("copy", AL, three_melts.frames(AL, 40, seed=0))
    assert due(settings, "materialize") == []
    three_melts.add("a2", AL, three_melts.frames(AL, 30, seed=8))
    [item] = due(settings, "materialize")
    assert item.why == "run a2 (Al100) with 30 accepted frames is not in it"


def test_a_new_composition_outdates_the_set_only_within_its_elements(set_up, three_melts, settings):
    three_melts.add("n1", NI, three_melts.frames(NI, 20, seed=8))
    [item] = due(settings, "materialize")
    assert item.why == "there is none as the campaign wants it, of 1 run with 20 accepted frames"
    three_melts.add("c2", {"Al": 1, "Cu": 3}, three_melts.frames({"Al": 1, "Cu": 3}, 30, seed=9))
    told = [item.why for item in due(settings, "materialize") if set_up["training_set_id"] in item.what]
    assert told == ["run c2 (Al25Cu75) with 30 accepted frames is not in it"]


def test_another_verdict_of_the_gate_is_told_as_such(set_up, three_melts, settings):
    frames = three_melts.frames(AL, 40, seed=0)
    for frame in frames[3:6]:
        frame["accepted"] = False
    three_melts.add("a1", AL, frames)
    [item] = due(settings, "materialize")
    assert item.why == "run a1 (Al100) has 3 frames that the gate accepted then and rejects now"


def test_potentials_of_a_superseded_set_name_the_set_that_took_its_place(set_up, three_melts, settings):
    three_melts.add("a1", AL, three_melts.frames(AL, 52, seed=0))
    new = materialize(settings, TrainingSetRequest())["training_set_id"]
    told = due(settings, "train")
    assert [item.arguments for item in told] == [
        ["train", new, "--recipe", recipe, "--seed", "1"] for recipe in ("DP-small", "DP-2")
    ]
    assert all(f"{set_up['training_set_id']}, which {new} has superseded" in item.why for item in told)


def test_a_recipe_with_other_content_is_told_by_what_changed(set_up, settings, monkeypatch):
    monkeypatch.setitem(RECIPES, "DP-2", recipe_named("DP-2").model_copy(update={"axis_neuron": 6}))
    [item] = due(settings, "train")
    assert item.why.endswith("has another recipe of that name: axis_neuron was 8 and is 6")


def test_missing_seeds_of_a_committee_are_told_apart_from_untrained_recipes(set_up, settings):
    campaign(settings, recipes=["DP-2", "DP-3"], seeds=[1, 2])
    told = {shlex.join(item.arguments[2:]): item.why for item in due(settings, "train")}
    assert told["--recipe DP-2 --seed 2"] == "its committee has 1 of 2 seeds: 1"
    assert told["--recipe DP-3 --seed 1"] == "it was never trained there"
    assert len(told) == 3


def test_a_composition_that_is_held_out_under_another_label_than_its_runs_is_told(melts, settings):
    counts = {"Al": 75, "Cu": 22, "Ni": 11}  # Al70Cu20Ni10, as near as 108 atoms come
    melts.add("a1", counts, melts.frames(counts, 4))
    campaign(settings, hold_out=["Al70Cu20Ni10", "Al100"], leave_one_out=["Al69Cu20Ni10"])
    near, far = (row["note"] for row in status(settings)["campaign"])
    assert "names Al100, of which the lake has no AIMD run." in near
    assert "hold_out of campaign.toml names Al70Cu20Ni10" in far
    assert "but of Al69Cu20Ni10: name that one" in far
    assert far in status_text(status(settings))


def test_a_missing_model_file_is_told_with_its_path(set_up, settings):
    [model] = (settings.artifacts / "potentials").glob(
        f"{name_of_potential(recipe_named('DP-2'), set_up['training_set_id'], 1)}/frozen.pb"
    )
    model.unlink()
    [item] = due(settings, "train")
    assert str(model) in item.why


def test_files_of_a_training_set_that_are_gone_are_due(set_up, settings):
    next(Path(set_up["path"]).rglob("force.npy")).unlink()
    [item] = due(settings, "materialize")
    assert "are not whole" in item.why
    assert obey(settings, item)["training_set_id"] == set_up["training_set_id"]


def test_the_newest_set_is_the_one_that_was_found_last(set_up, three_melts, settings):
    frames, found = three_melts.frames(AL, 40, seed=0), []
    for accepted in (False, True, False):
        frames[3]["accepted"] = accepted
        three_melts.add("a1", AL, frames)
        [item] = due(settings, "materialize")
        found.append(obey(settings, item)["training_set_id"])
        assert due(settings, "materialize") == CampaignWork(settings).training_sets() == []
        assert {one.training_set_id for one in CampaignWork(settings).wanted_potentials} == {found[-1]}
    assert found[1] == set_up["training_set_id"] != found[0] == found[2]
    assert three_melts.lake.version("frames") in pinned_versions(three_melts.lake)["frames"]


def test_airflow_trains_and_simulates_nothing_on_an_outdated_set(set_up, three_melts, settings):
    campaign(settings, recipes=["DP-2", "DP-3"], seeds=[1])
    work = CampaignWork(settings)
    assert [item.arguments[3] for item in work.potentials()] == ["DP-3"]
    assert len(work.simulations()) == 3
    three_melts.add("a1", AL, three_melts.frames(AL, 52, seed=0))
    work = CampaignWork(settings)
    assert len(work.training_sets()) == 1
    assert work.potentials() == work.simulations() == []
    obey(settings, work.training_sets()[0])
    assert len(CampaignWork(settings).potentials()) == 2


def observed(maker, made, seeds):
    """DP-2 trained with those seeds, with the rows that `observe` would leave behind; returns their names."""
    rows = [trained(maker.settings, made, recipe_named("DP-2"), seed)[1] | {"sha256": f"of {seed}"} for seed in seeds]
    for row in rows:
        maker.lake.replace("potentials", row["potential_id"], [row])
        errors = {"composition": "all", "split": "test", "model_sha256": row["sha256"]}
        maker.lake.replace("rmse", row["potential_id"], [errors])
    [committee] = committees(rows)
    maker.lake.replace("committees", committee.committee_id, [{"model_sha256s": committee.sha256s, "split": "test"}])
    return committee.potential_ids


def test_a_committee_that_was_compared_is_not_due_when_the_campaign_wants_fewer_seeds(three_melts, settings):
    made = materialize(settings, TrainingSetRequest())
    names = observed(three_melts, made, seeds=(1, 2, 3))
    campaign(settings, recipes=["DP-2"], seeds=[1, 2])
    models = settings.artifacts / "potentials"
    for missing in ([], [models / names[2] / "frozen.pb"]):
        for model in missing:
            model.unlink()
        of_potentials = [item for item in due(settings, "observe") if "--potential" in item.arguments]
        assert CampaignWork(settings).scores() == of_potentials == []


def test_a_seed_by_hand_makes_the_committee_of_the_campaigns_seeds_due_while_its_model_is_there(three_melts, settings):
    made = materialize(settings, TrainingSetRequest())
    names = observed(three_melts, made, seeds=(1, 2))
    campaign(settings, recipes=["DP-2"], seeds=[1, 2])
    name, row = trained(settings, made, recipe_named("DP-2"), seed=7)
    three_melts.lake.replace("potentials", name, [row | {"sha256": "of 7"}])
    [item] = CampaignWork(settings).scores()
    assert (item.why, item.arguments) == ("its 3 seeds were not compared", ["observe", "--potential", names[0]])
    Path(row["path"]).unlink()
    assert CampaignWork(settings).scores() == [], "who was trained by hand is made again by hand"


@pytest.fixture
def two_theories(three_melts, settings):
    """Al100 at two levels of theory, and Ni100 with another POTCAR at the second."""
    other = {"level_of_theory": "functional=PBEsol ENCUT=400"}
    three_melts.add("sol", AL, three_melts.frames(AL, 30, seed=5), **other)
    three_melts.add("ni", NI, three_melts.frames(NI, 30, seed=6), **other)
    three_melts.add("pv", NI, three_melts.frames(NI, 30, seed=7), potcar_titles=["PAW_PBE Ni_pv 06Sep2000"], **other)
    return three_melts


@pytest.mark.parametrize("choices", [{}, {"recipes": ["DP-2"]}, {"hold_out": ["Al50Cu50"], "split": "random"}])
def test_suggested_training_sets_of_several_theories_can_all_be_made(two_theories, settings, choices):
    if choices:
        campaign(settings, **choices)
    told = due(settings, "materialize")
    made = [obey(settings, item) for item in told]
    assert len({answer["training_set_id"] for answer in made}) == len(told) == 4
    assert due(settings, "materialize") == []
    two_theories.add("ni2", NI, two_theories.frames(NI, 30, seed=3), level_of_theory="functional=PBEsol ENCUT=400")
    [item] = due(settings, "materialize")
    assert "ni2" in item.command
    assert "30 accepted frames" in item.why
    assert obey(settings, item)["n_train"] + 1 > 2 * 18
    assert due(settings, "materialize") == []


def test_every_suggested_command_parses(two_theories, settings):
    campaign(settings, recipes=["DP-2"], protocols=["twin", "npt"], temperature_k=1500, steps=40)
    for item in due(settings, "materialize"):
        name, row = trained(settings, obey(settings, item), recipe_named("DP-2").model_copy(update={"n_steps": 40}))
        two_theories.lake.replace("potentials", name, [row])
    (Path(settings.landing) / "a folder").mkdir(parents=True)
    (Path(settings.landing) / "a folder" / "OUTCAR").write_text("frames")
    told = status(settings, places=["--lake", settings.lake])["stale"]
    asked = [parser().parse_args(shlex.split(item["command"])[1:]) for item in told]
    assert {one.name for one in asked} == {"ingest", "validate", "observe", "simulate", "publish"}
    assert {one.lake for one in asked} == {settings.lake}


def test_what_was_frozen_by_hand_keeps_its_own_choices(three_melts, settings):
    first = materialize(settings, TrainingSetRequest(hold_out=("Al50Cu50",)))
    materialize(settings, TrainingSetRequest(hold_out=("Cu100",), compositions=("Al100", "Al50Cu50")))
    assert due(settings, "materialize") == []
    three_melts.add("b1", CU, three_melts.frames(CU, 45, seed=1))
    one, other = sorted(due(settings, "materialize"), key=lambda item: first["training_set_id"] not in item.what)
    assert "--hold-out Al50Cu50" in one.command
    assert "--hold-out Cu100" in other.command
    assert obey(settings, one)["held_out"] == ["Al50Cu50"]


def test_what_is_asked_for_again_is_wanted_again(three_melts, settings):
    small, large = ("Al100",), ("Al100", "Cu100")
    for compositions in (small, large, small):
        materialize(settings, TrainingSetRequest(compositions=compositions))
    three_melts.add("a1", AL, three_melts.frames(AL, 52, seed=0))
    grown = [item.arguments for item in due(settings, "materialize") if "12 new accepted frames" in item.why]
    assert sorted(grown) == [["materialize", "--compositions", *compositions] for compositions in (small, large)]


def test_a_set_of_a_named_version_is_no_standing_wish(three_melts, settings):
    older = three_melts.lake.version("frames")
    three_melts.add("a1", AL, three_melts.frames(AL, 52, seed=0))
    for version in (older, three_melts.lake.version("frames")):
        materialize(settings, TrainingSetRequest(every_fs=200.0, lake_version=version))
    three_melts.add("b1", CU, three_melts.frames(CU, 45, seed=1))
    assert due(settings, "materialize") == []
    three_melts.add("b1", CU, three_melts.frames(CU, 40, seed=1))
    now = three_melts.lake.version("frames")
    for version in (now, None):
        materialize(settings, TrainingSetRequest(every_fs=200.0, lake_version=version))
    three_melts.add("b1", CU, three_melts.frames(CU, 45, seed=1))
    [item] = due(settings, "materialize")
    assert item.arguments == ["materialize", "--every-fs", "200.0"]


def test_a_request_that_new_runs_make_ambiguous_is_told_with_its_runs(three_melts, settings):
    first = materialize(settings, TrainingSetRequest(chemical_system="Al-Cu"))
    three_melts.add("sol", AL, three_melts.frames(AL, 30, seed=5), level_of_theory="functional=PBEsol ENCUT=400")
    three_melts.add("a2", AL, three_melts.frames(AL, 30, seed=4))
    old, new = sorted(due(settings, "materialize"), key=lambda item: first["training_set_id"] not in item.what)
    assert "--chemical-system Al-Cu --runs a1 a2 b1 c1" in old.command
    assert "--runs sol" in new.command
    assert [obey(settings, item)["changed"] for item in (old, new)] == [True, True]
    assert due(settings, "materialize") == []


def test_new_compositions_are_due_without_a_campaign_too(three_melts, settings):
    materialize(settings, TrainingSetRequest(hold_out=("Al50Cu50",)))
    three_melts.add("n1", NI, three_melts.frames(NI, 20, seed=3))
    [item] = due(settings, "materialize")
    assert item.why == "no set has 1 run with 20 accepted frames of it"
    assert obey(settings, item)["compositions"] == ["Ni100"]


def test_a_campaigns_length_and_temperature_leave_twins_alone(set_up, settings):
    choices = {"protocols": ["twin", "npt"], "simulation_steps": 40, "temperature_k": 1500}
    campaign(settings, recipes=["DP-small", "DP-2"], seeds=[1], **choices)
    wanted = [list(item.arguments) for item in due(settings, "simulate")]
    assert {words[3] for words in wanted} == {"twin", "npt"}
    for words in wanted:
        assert ("--steps" in words) is ("--temperature-k" in words) is (words[3] == "npt")


def test_no_simulation_is_due_that_has_nothing_to_start_from(set_up, three_melts, settings):
    three_melts.add("c1", ALCU, three_melts.frames(ALCU, 40, seed=2), time_step_fs=None)
    campaign(settings, recipes=["DP-small", "DP-2"], seeds=[1], protocols=["twin", "nvt"])
    wanted = {(words[3], words[5]) for item in due(settings, "simulate") if (words := list(item.arguments))}
    assert wanted == {(protocol, melt) for protocol in ("twin", "nvt") for melt in ("Al100", "Cu100")}
    campaign(settings, recipes=["DP-small", "DP-2"], seeds=[1], protocols=["twin", "nvt"], temperature_k=1500)
    wanted = {(words[3], words[5]) for item in due(settings, "simulate") if (words := list(item.arguments))}
    assert ("nvt", "Al50Cu50") in wanted, "a temperature is given"
    assert ("twin", "Al50Cu50") not in wanted


def test_status_of_no_lake_is_a_sentence(settings):
    with pytest.raises(MeltlakeError, match=r"There is no lake at .*lake"):
        status(settings)


@pytest.mark.parametrize(
    ("protocol", "n_done", "n_asked", "is_enough"),
    [
        ("twin", 42, 40, True),
        ("twin", 30, 40, True),
        ("twin", 42, 20, True),
        ("nvt", 42, 40, True),
        ("nvt", 30, 40, False),
    ],
)
def test_length_of_a_simulation_is_in_whole_saved_frames(protocol, n_done, n_asked, is_enough):
    plan = SimulationPlan(
        protocol=protocol, composition="Al100", temperature_k=1000.0, time_step_fs=1.0, n_equilibration_steps=0,
        n_production_steps=n_done, steps_per_frame=3, replicate=1, seed=1, pressure_gpa=0.0,
    )  # fmt: skip
    assert has_length(plan, n_asked) is is_enough
    assert has_length(plan, None)
