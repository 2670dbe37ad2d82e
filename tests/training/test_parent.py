"""A potential may begin with another one's weights; where they have no place, that is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from lake.deep_potential import DeepPotential
from lake.deepmd_npy import deepmd_systems, read_deepmd_system
from lake.delta import Lake
from operators.materialize import materialize
from operators.potentials.backends import checkpoints
from operators.potentials.deepmd_input import TrainingData, deepmd_input
from operators.potentials.parent import n_test_frames_known
from operators.train import train
from schemas.composition import atomic_numbers_of
from schemas.errors import MeltlakeError
from schemas.training import TrainingSetRequest
from tests.training.tiny import tiny_recipe

TINY = tiny_recipe(n_steps=60)


@pytest.fixture
def training_set_id(three_melts, settings) -> str:
    return str(materialize(settings, TrainingSetRequest())["training_set_id"])


def trained_before(settings, **changes) -> None:
    """The files and the row of a potential, as far as one that begins with its weights looks at them."""
    row = {
        "potential_id": "parent",
        "recipe": "tiny",
        "backend": "tensorflow",
        "type_map": ["Al", "Cu"],
        "sel": [99, 99],
    }
    Lake(settings.lake).replace("potentials", "parent", [row | changes])
    folder = settings.artifacts / "potentials" / "parent"
    folder.mkdir(parents=True)
    data = TrainingData(type_map=("Al", "Cu"), sel=(99, 99), train=("a",), test=(), has_virials=True)
    (folder / "input.json").write_text(json.dumps(deepmd_input(TINY, data, seed=1)))
    (folder / "frozen.pb").touch()


def test_there_must_be_a_potential_to_begin_with(settings, training_set_id) -> None:
    with pytest.raises(MeltlakeError, match=r"no potential 'parent' to begin with.*Choose one of: none"):
        train(settings, training_set_id, recipe=TINY, init_from="parent")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"backend": "pytorch"},
            "parent is of the backend pytorch, needed one of tensorflow: a model that is converted",
        ),
        ({"type_map": ["Al", "Cu", "Ni"], "sel": [99, 99, 99]}, "parent knows Al, Cu, Ni; needed Al, Cu, the elements"),
        ({"sel": [99, 1]}, "parent has slots for 99, 1 neighbours within its cutoff .*; the training set has up to"),
    ],
)
def test_a_potential_of_other_elements_room_or_backend_is_refused(settings, training_set_id, changes, told) -> None:
    trained_before(settings, **changes)
    with pytest.raises(MeltlakeError, match=told):
        train(settings, training_set_id, recipe=TINY, init_from="parent")


def test_other_nets_are_refused_key_by_key_and_another_loss_is_not(settings, training_set_id) -> None:
    trained_before(settings)
    wider = TINY.model_copy(update={"name": "wider", "embedding_net": (5, 10), "type_one_side": True, "batch_size": 4})
    with pytest.raises(MeltlakeError, match=r"cannot give its weights to recipe wider: embedding_net \[4, 8\] there, "
                       r"\[5, 10\] here; type_one_side False there, True here\. "):  # fmt: skip
        train(settings, training_set_id, recipe=wider, init_from="parent")


def test_a_parent_without_its_model_is_refused(settings, training_set_id) -> None:
    trained_before(settings)
    (settings.artifacts / "potentials" / "parent" / "frozen.pb").unlink()
    with pytest.raises(MeltlakeError, match=r"needed frozen\.pb and input\.json of potential parent"):
        train(settings, training_set_id, recipe=TINY, init_from="parent")


def test_a_checkpoint_of_either_backend_is_found_when_it_is_whole(tmp_path: Path) -> None:
    for name in ("-30.index", "-30.meta", "-30.data-00000-of-00001", "-60.index", "-60.meta"):
        (tmp_path / f"model.ckpt{name}").touch()
    assert checkpoints(tmp_path) == [30]
    (tmp_path / "model.ckpt-90.pt").touch()
    (tmp_path / "model.ckpt.pt").symlink_to("model.ckpt-90.pt")
    assert checkpoints(tmp_path) == [90, 30]


def test_frames_that_any_ancestor_was_trained_on_are_no_test(settings) -> None:
    lake = Lake(settings.lake)
    for name, init_from, frames in (("first", None, range(4)), ("second", "first", range(10, 12))):
        row = {"potential_id": name, "training_set_id": f"of-{name}", "init_from": init_from}
        lake.replace("potentials", name, [row])
        split = [{"run_id": "a", "frame": frame, "split": "train"} for frame in frames]
        lake.replace("training_set_frames", f"of-{name}", [{"training_set_id": f"of-{name}", **one} for one in split])
    mine = [("a", 0, "train"), ("a", 3, "test"), ("a", 11, "held_out"), ("a", 12, "test"), ("b", 2, "test")]
    rows = [{"training_set_id": "mine", "run_id": run, "frame": frame, "split": split} for run, frame, split in mine]
    lake.replace("training_set_frames", "mine", rows)
    assert n_test_frames_known(lake, "mine", "second") == 2


def test_a_copy_of_a_frame_that_was_trained_on_is_no_test(settings) -> None:
    lake = Lake(settings.lake)
    lake.replace("potentials", "parent", [{"potential_id": "parent", "training_set_id": "of-parent"}])
    sets = {
        "of-parent": [("a", 0, "train", "x"), ("a", 1, "train", "y"), ("a", 2, "train", "old"), ("a", 3, "test", "z")],
        # Run c is a longer copy of a; b was renumbered; frame 2 of a was read again by a mended reader.
        "mine": [("c", 7, "test", "x"), ("a", 1, "test", "new"), ("a", 2, "held_out", "mended"),
                 ("c", 10, "test", "z"), ("c", 8, "train", "y"), ("b", 0, "test", "other")],
    }  # fmt: skip
    for name, frames in sets.items():
        rows = [dict(zip(("run_id", "frame", "split", "content_id"), frame, strict=True)) for frame in frames]
        lake.replace("training_set_frames", name, [{"training_set_id": name, **row} for row in rows])
    assert n_test_frames_known(lake, "mine", "parent") == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_potential_begins_where_its_parent_ended(melts, settings, labelled_by_emt) -> None:
    melts.add("a1", {"Al": 16, "Cu": 16}, labelled_by_emt({"Al": 16, "Cu": 16}, 20))
    training_set_id = str(materialize(settings, TrainingSetRequest())["training_set_id"])
    parent = train(settings, training_set_id, recipe=TINY)
    # So small a learning rate moves no weight: what the child says is what its parent said.
    still = {"name": "still", "start_learning_rate": 1e-12, "stop_learning_rate": 1e-13, "n_steps": 5}
    recipe = TINY.model_copy(update=still)
    child = train(settings, training_set_id, recipe=recipe, seed=2, init_from=str(parent["potential_id"]))
    read = read_deepmd_system(deepmd_systems(settings.artifacts / "training_sets" / training_set_id / "test")[0])
    numbers = atomic_numbers_of([read.type_map[kind] for kind in read.types])
    (one, forces, _), (two, same_forces, _) = (
        DeepPotential(str(made["path"])).predict(
            numbers, read.frames.positions_angstrom, cells=read.frames.cell_angstrom
        )
        for made in (parent, child)
    )
    np.testing.assert_allclose(two, one, atol=1e-6)
    np.testing.assert_allclose(same_forces, forces, atol=1e-6)
    lake = Lake(settings.lake)
    [row] = lake.rows("potentials", key=str(child["potential_id"])).to_pylist()
    assert (row["init_from"], row["recipe"], row["n_test_frames_known"]) == (parent["potential_id"], "still", 0)
