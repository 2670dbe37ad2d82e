"""Runs grow, versions are pinned, other runs come: no frame that was tested on is ever trained on, and names hold."""

import shutil
from itertools import combinations
from pathlib import Path

import pytest

from operators.materialize import materialize
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.training import TrainingSetRequest

AL, CU = {"Al": 4}, {"Cu": 4}
WISHES = [
    {},
    {"split": "random"},
    {"every_fs": 200.0},
    {"relaxation": "drop"},
    {"gap_fs": 300.0},
    {"balance": "compositions"},
    {"format": "hdf5"},
]


def grow(maker, n_frames: int, run_id: str = "a1", **changes: object) -> None:
    frames = [{**frame, "content_id": f"{frame['energy_ev']}"} for frame in maker.frames(AL, n_frames, seed=3)]
    maker.add(run_id, AL, frames, **changes)


def labels(maker, made: dict[str, object]) -> dict[tuple[str, int], str]:
    rows = maker.lake.rows("training_set_frames", key=made["training_set_id"]).to_pylist()
    return {(row["run_id"], row["frame"]): row["split"] for row in rows}


@pytest.mark.parametrize("wish", WISHES[:5])
def test_frames_keep_their_label_while_a_run_grows_three_times(melts, settings, wish) -> None:
    given = []
    for n_frames in (40, 60, 75, 200):
        grow(melts, n_frames)
        made = materialize(settings, TrainingSetRequest(**wish))
        given.append(labels(melts, made))
        assert 0.1 < made["n_test"] / (made["n_test"] + made["n_train"]) < 0.4
    for before, after in combinations(given, 2):
        assert not {frame for frame, split in before.items() if split == "test" and after.get(frame) != "test"}
        assert not {frame for frame, split in before.items() if split == "train" and after.get(frame) == "test"}


def test_the_same_history_gives_the_same_names_in_another_lake(melts, settings, tmp_path) -> None:
    other = type(melts)(Settings.from_mapping({}, lake=str(tmp_path / "elsewhere" / "lake")))
    names = []
    for maker in (melts, other):
        for n_frames in (30, 50, 120):
            grow(maker, n_frames)
            names.append(materialize(maker.settings, TrainingSetRequest())["training_set_id"])
    assert len(set(names[:3])) == 3
    assert names[:3] == names[3:]


@pytest.mark.parametrize("wish", WISHES)
def test_a_pinned_version_gives_what_it_gave_whatever_came_later(melts, settings, wish) -> None:
    grow(melts, 40)
    pinned = melts.lake.version("frames")
    first = materialize(settings, TrainingSetRequest(**wish))
    grow(melts, 90)
    materialize(settings, TrainingSetRequest(**wish))
    shutil.rmtree(first["path"])
    again = materialize(settings, TrainingSetRequest(**wish, lake_version=pinned))
    assert (again["training_set_id"], again["changed"]) == (first["training_set_id"], True)
    assert {**again, "changed": None} == {**first, "changed": None}


@pytest.mark.parametrize("wish", WISHES)
def test_a_version_that_is_named_later_gives_what_it_would_have_given(melts, settings, tmp_path, wish) -> None:
    grow(melts, 40)
    pinned = melts.lake.version("frames")
    elsewhere = settings.model_copy(update={"lake": str(tmp_path / "copy" / "lake")})
    shutil.copytree(settings.lake, elsewhere.lake)
    then = materialize(elsewhere, TrainingSetRequest(**wish))
    grow(melts, 90)
    now = materialize(settings, TrainingSetRequest(**wish, lake_version=pinned))
    assert now["training_set_id"] == then["training_set_id"]


def test_lost_files_of_a_pinned_set_come_back_bit_by_bit(melts, settings) -> None:
    grow(melts, 40)
    pinned = melts.lake.version("frames")
    folder = Path(materialize(settings, TrainingSetRequest())["path"])
    whole = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    grow(melts, 90)
    materialize(settings, TrainingSetRequest())
    shutil.rmtree(folder)
    materialize(settings, TrainingSetRequest(lake_version=pinned))
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == whole


def test_a_longer_copy_of_a_run_does_not_take_its_frames_over(melts, settings) -> None:
    grow(melts, 40)
    first = materialize(settings, TrainingSetRequest())
    grow(melts, 60, run_id="a0")
    second = labels(melts, materialize(settings, TrainingSetRequest()))
    assert {frame: second[frame] for frame in labels(melts, first)} == labels(melts, first)


def test_frames_are_known_again_when_a_run_is_renumbered(melts, settings) -> None:
    grow(melts, 40)
    first = labels(melts, materialize(settings, TrainingSetRequest()))
    frames = melts.frames(AL, 60, seed=3)[5:]
    for place, frame in enumerate(frames):
        frame |= {"frame": place, "content_id": f"{frame['energy_ev']}"}
    melts.add("a1", AL, frames)
    second = labels(melts, materialize(settings, TrainingSetRequest()))
    tested = {frame - 5 for (_, frame), split in first.items() if split == "test" and frame >= 5}
    assert tested <= {frame for (_, frame), split in second.items() if split == "test"}


def test_frames_are_known_again_when_a_reader_is_mended(melts, settings) -> None:
    grow(melts, 40)
    first = labels(melts, materialize(settings, TrainingSetRequest()))
    frames = melts.frames(AL, 60, seed=3)
    for frame in frames:
        frame["energy_ev"] -= 1.0
        frame["content_id"] = f"{frame['energy_ev']}"
    melts.add("a1", AL, frames)
    second = labels(melts, materialize(settings, TrainingSetRequest()))
    assert {frame for frame, split in first.items() if split == "test"} <= {
        frame for frame, split in second.items() if split == "test"
    }


def rejected_where_trained_on(maker, made: dict[str, object], frames: list[dict[str, object]]) -> None:
    """Run a1 again, of which the gate now lets test frames pass only."""
    tested = {frame for (run_id, frame), split in labels(maker, made).items() if (run_id, split) == ("a1", "test")}
    maker.add("a1", AL, [frame | {"accepted": frame["frame"] in tested} for frame in frames])


def test_a_composition_that_lost_its_training_frames_is_named(melts, settings) -> None:
    frames = [frame | {"content_id": f"{frame['frame']}"} for frame in melts.frames(AL, 40)]
    melts.add("a1", AL, frames)
    melts.add("b1", AL | CU, melts.frames(AL | CU, 40, seed=5))
    rejected_where_trained_on(melts, materialize(settings, TrainingSetRequest()), frames)
    made = materialize(settings, TrainingSetRequest())
    assert (made["compositions"], made["held_out"]) == (["Al50Cu50"], [])
    assert [note for note in made["notes"] if note.startswith("Tested on, not trained on: Al100.")]
    melts.add("b1", CU, melts.frames(CU, 40, seed=5))
    with pytest.raises(MeltlakeError, match="Al100 has no frame left to train on and has an element that no training"):
        materialize(settings, TrainingSetRequest())


def test_other_wishes_are_other_families_and_compositions_are_not(melts, settings) -> None:
    grow(melts, 40)
    blocks = materialize(settings, TrainingSetRequest())
    half = materialize(settings, TrainingSetRequest(test_fraction=0.5))
    assert half["n_test"] > blocks["n_test"]
    melts.add("c1", CU, melts.frames(CU, 40, seed=5))
    both = labels(melts, materialize(settings, TrainingSetRequest()))
    assert {frame: split for frame, split in both.items() if frame[0] == "a1"} == labels(melts, blocks)


def test_another_wish_for_the_same_frames_finds_them_and_is_what_the_row_tells(melts, settings) -> None:
    grow(melts, 40)
    first = materialize(settings, TrainingSetRequest())
    again = materialize(settings, TrainingSetRequest(every_fs=50.0))
    [row] = melts.lake.rows("training_sets").to_pylist()
    assert (again["training_set_id"], again["changed"]) == (first["training_set_id"], False)
    assert row["every_fs"] == 50.0
    assert row["notes"] == again["notes"]
    assert melts.lake.rows("training_set_requests").num_rows == 2


def test_a_set_found_by_another_wish_tells_that_ones_gap_and_verdict(melts, settings) -> None:
    grow(melts, 40)
    first = materialize(settings, TrainingSetRequest(gap_fs=600.0))
    again = materialize(settings, TrainingSetRequest(gap_fs=50_000.0))
    assert (again["training_set_id"], again["changed"]) == (first["training_set_id"], False)
    assert (first["leakage"], again["leakage"]) == ("clear", "too_short")
    assert [first["notes"] == [], "too little time for the gap that was wanted" in again["notes"][0]] == [True, True]
    [of_run] = melts.lake.rows("training_set_runs").to_pylist()
    assert (of_run["gap_fs"], of_run["leakage"]) == (50_000.0, "too_short")
