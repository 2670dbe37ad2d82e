"""A training set is the frames it says, split as it says, under the same name every time."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from lake.deepmd_npy import deepmd_systems, read_deepmd_system
from lake.delta import Lake
from lake.locks import exclusive
from operators.materialize import materialize
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.training import TrainingSetRequest


def written(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_composition_is_trained_on_by_default(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    assert made["compositions"] == ["Al100", "Al50Cu50", "Cu100"]
    assert made["n_train"] + made["n_test"] + made["n_gap"] == 120
    assert (made["n_test"], made["n_held_out"], made["changed"]) == (30, 0, True)


def test_no_test_frame_is_close_to_a_training_frame(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    assert made["min_gap_fs"] >= 500.0
    for row in three_melts.lake.rows("training_set_frames").to_pylist():
        assert row["split"] in ("train", "test")


def test_files_hold_the_rows_of_the_lake_in_order(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest(split="random"))
    rows = three_melts.lake.rows("training_set_frames", key=made["training_set_id"]).to_pylist()
    frames = sorted(row["frame"] for row in rows if (row["run_id"], row["split"]) == ("c1", "test"))
    stored = three_melts.lake.rows("frames", key="c1").sort_by("frame").take(frames)
    read = read_deepmd_system(Path(made["path"]) / "test" / "Al2Cu2.c1")
    assert np.array_equal(read.frames.energy_ev, stored["energy_ev"].to_numpy())
    assert read.frames.forces_ev_per_angstrom.reshape(len(frames), -1).tolist() == (
        stored["forces_ev_per_angstrom"].to_pylist()
    )
    assert read.frames.virial_ev.reshape(len(frames), -1).tolist() == stored["virial_ev"].to_pylist()


def test_held_out_compositions_are_never_trained_on(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest(hold_out=("Cu50Al50",)))
    folder = Path(made["path"])
    assert made["held_out"] == ["Al50Cu50"]
    assert (made["n_held_out"], made["n_relaxation"]) == (30, 10)
    assert [path.name for path in deepmd_systems(folder / "held_out")] == ["Al2Cu2.c1"]
    assert not list((folder / "train").glob("*c1")) + list((folder / "test").glob("*c1"))


def test_rejected_and_machine_learned_frames_are_left_out(melts, settings) -> None:
    frames = melts.frames({"Al": 4}, 20)
    frames[3]["accepted"] = False
    frames[5]["label_source"] = "vasp_mlff"
    melts.add("a1", {"Al": 4}, frames)
    materialize(settings, TrainingSetRequest(split="random"))
    used = melts.lake.rows("training_set_frames")["frame"].to_pylist()
    assert sorted(used) == [frame for frame in range(20) if frame not in (3, 5)]


def test_simulations_are_not_training_data(three_melts, settings) -> None:
    three_melts.add("d1", {"Al": 4}, three_melts.frames({"Al": 4}, 20), origin="dnnp")
    materialize(settings, TrainingSetRequest())
    assert "d1" not in three_melts.lake.rows("training_set_frames")["run_id"].to_pylist()


def test_the_same_frames_have_the_same_name_at_a_later_version(three_melts, settings) -> None:
    request = TrainingSetRequest(compositions=("Al100", "Cu100"))
    first = materialize(settings, request)
    three_melts.add("c2", {"Al": 1, "Cu": 3}, three_melts.frames({"Al": 1, "Cu": 3}, 10))
    again = materialize(settings, request)
    assert again["training_set_id"] == first["training_set_id"]
    assert (first["changed"], again["changed"]) == (True, False)
    assert three_melts.lake.rows("training_sets").num_rows == 1


def test_other_labels_of_the_same_frames_have_another_name(three_melts, settings) -> None:
    first = materialize(settings, TrainingSetRequest())
    frames = three_melts.frames({"Al": 4}, 40, seed=0)
    frames[0]["energy_ev"] += 1e-9
    three_melts.add("a1", {"Al": 4}, frames)
    assert materialize(settings, TrainingSetRequest())["training_set_id"] != first["training_set_id"]


def test_a_pinned_version_does_not_see_later_frames(three_melts, settings) -> None:
    pinned = three_melts.lake.version("frames")
    before = materialize(settings, TrainingSetRequest())
    three_melts.add("a2", {"Al": 4}, three_melts.frames({"Al": 4}, 40, seed=9))
    assert materialize(settings, TrainingSetRequest())["training_set_id"] != before["training_set_id"]
    again = materialize(settings, TrainingSetRequest(lake_version=pinned))
    assert again["training_set_id"] == before["training_set_id"]


def test_random_split_repeats_with_its_seed_and_keeps_three_to_one(three_melts, settings) -> None:
    first, again, other = (materialize(settings, TrainingSetRequest(split="random", seed=seed)) for seed in (1, 1, 2))
    assert (first["n_train"], first["n_test"]) == (90, 30)
    assert first["training_set_id"] == again["training_set_id"] != other["training_set_id"]


def test_random_split_of_a_run_does_not_depend_on_other_runs(three_melts, settings) -> None:
    both = materialize(settings, TrainingSetRequest(split="random"))
    alone = materialize(settings, TrainingSetRequest(split="random", compositions=("Al100",)))
    splits = [
        {(row["frame"], row["split"]) for row in rows.to_pylist() if row["run_id"] == "a1"}
        for rows in (
            three_melts.lake.rows("training_set_frames", key=made["training_set_id"]) for made in (both, alone)
        )
    ]
    assert splits[0] == splits[1]


def test_a_chemical_system_includes_its_subsystems(three_melts, settings) -> None:
    three_melts.add("n1", {"Ni": 4}, three_melts.frames({"Ni": 4}, 10))
    made = materialize(settings, TrainingSetRequest(chemical_system="Al-Cu"))
    assert made["compositions"] == ["Al100", "Al50Cu50", "Cu100"]


def test_a_damaged_folder_is_rebuilt_bit_by_bit(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    folder = Path(made["path"])
    whole = written(folder)
    shutil.rmtree(folder / "test")
    assert materialize(settings, TrainingSetRequest())["changed"] is True
    assert written(folder) == whole


def test_what_a_killed_process_left_is_swept(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    folder = Path(made["path"])
    folder.rename(folder.with_name(f".{folder.name}.unfinished"))
    materialize(settings, TrainingSetRequest())
    assert folder.exists()
    assert not list(folder.parent.glob("*.unfinished"))


def test_two_processes_do_not_write_one_training_set(three_melts, settings) -> None:
    folder = Path(materialize(settings, TrainingSetRequest())["path"])
    lock = folder.with_name(f".{folder.name}.lock")
    with exclusive(lock, doing="testing"), pytest.raises(TryAgainLater, match="writing training set"):
        materialize(settings, TrainingSetRequest())


@pytest.mark.parametrize(("lacking", "has_virials", "note"), [
    ([], True, None),
    ([7], True, "1 of 2 runs has accepted frames without a virial among frames with one: 1 left out."),
    (range(9), True, "1 of 2 runs has accepted frames without a virial among frames with one: 9 left out."),
    (range(10), False, "1 of 2 runs has virials in 10 of 20 frames only: all frames there are trained and tested on"),
    (range(20), False, None),
])  # fmt: skip
def test_a_missing_virial_costs_its_frame_and_not_those_of_its_run(melts, settings, lacking, has_virials, note) -> None:
    frames = melts.frames({"Al": 4}, 20)
    for frame in lacking:
        frames[frame]["virial_ev"] = None
    melts.add("a1", {"Al": 4}, frames)
    melts.add("b1", {"Cu": 4}, melts.frames({"Cu": 4}, 20, seed=2))
    made = materialize(settings, TrainingSetRequest(split="random"))
    read = [read_deepmd_system(Path(made["path"]) / "train" / name) for name in ("Al4.a1", "Cu4.b1")]
    assert [of.frames.virial_ev is not None for of in read] == [has_virials, True]
    assert made["n_no_virial"] == (len(lacking) if has_virials else 0)
    told = [sentence for sentence in made["notes"] if "virial" in sentence]
    assert told == [] if note is None else [sentence[: len(note)] for sentence in told] == [note]


def test_frames_that_are_thinned_out_decide_nothing_about_virials(melts, settings) -> None:
    frames = melts.frames({"Al": 4}, 40)
    for frame in frames[1::2]:
        frame["virial_ev"] = None
    melts.add("a1", {"Al": 4}, frames)
    made = materialize(settings, TrainingSetRequest(every_fs=200.0))
    assert (made["n_thinned"], made["n_no_virial"]) == (20, 0)
    assert read_deepmd_system(Path(made["path"]) / "train" / "Al4.a1").frames.virial_ev is not None


def test_a_run_without_time_is_split_and_tells_no_gap(melts, settings) -> None:
    melts.add("a1", {"Al": 4}, melts.frames({"Al": 4}, 20, step_fs=None))
    made = materialize(settings, TrainingSetRequest())
    assert (made["n_train"], made["n_test"], made["n_gap"]) == (14, 5, 1)
    assert made["min_gap_fs"] is None


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({"level_of_theory": "functional=PBE ENCUT=400"}, "ENCUT"),
        ({"level_of_theory": "functional=PBEsol ENCUT=300 k-points=3 in list LASPH=T"}, "functional, k-points, LASPH"),
        ({"synthetic": False}, "synthetic or not"),
        ({"potcar_titles": ["PAW_PBE Al_GW 19Mar2012", "PAW_PBE Ni 02Aug2007"]}, "POTCAR titles"),
    ],
)
def test_energies_that_cannot_be_compared_are_refused(three_melts, settings, changes, tags) -> None:
    counts = {"Al": 2, "Ni": 2}
    three_melts.add("n1", counts, three_melts.frames(counts, 10), **changes)
    with pytest.raises(MeltlakeError, match=rf"2 levels of theory, which differ in {tags}, so.*Al50Ni50") as caught:
        materialize(settings, TrainingSetRequest())
    assert "--compositions Al100 Al50Cu50 Cu100" in caught.value.remedy
    assert materialize(settings, TrainingSetRequest(chemical_system="Al-Cu"))["n_train"] > 0


def test_one_composition_at_two_levels_of_theory_is_chosen_by_run(three_melts, settings) -> None:
    frames = three_melts.frames({"Al": 4}, 10)
    three_melts.add("a9", {"Al": 4}, frames, level_of_theory="functional=PBE ENCUT=400")
    with pytest.raises(MeltlakeError, match="--runs a1 c1 b1"):
        materialize(settings, TrainingSetRequest())
    assert materialize(settings, TrainingSetRequest(runs=("a9",)))["n_train"] == 7


def test_levels_of_theory_are_mixed_only_on_purpose_and_the_training_set_names_both(three_melts, settings) -> None:
    counts = {"Al": 2, "Ni": 2}
    three_melts.add("n1", counts, three_melts.frames(counts, 10), level_of_theory="functional=PBEsol ENCUT=300")
    with pytest.raises(MeltlakeError, match="which differ in functional") as caught:
        materialize(settings, TrainingSetRequest())
    assert "--mix-theories" in caught.value.remedy
    materialize(settings, TrainingSetRequest(mix_theories=True))
    [row] = Lake(settings.lake).rows("training_sets").to_pylist()
    assert row["level_of_theory"].split(" | ") == ["functional=PBE ENCUT=300", "functional=PBEsol ENCUT=300"]


def test_an_unknown_composition_tells_which_there_are(three_melts, settings) -> None:
    with pytest.raises(MeltlakeError, match=r"composition Ni100.*Al100, Al50Cu50, Cu100"):
        materialize(settings, TrainingSetRequest(compositions=("Ni100",)))


def test_a_held_out_element_that_is_never_trained_is_refused(three_melts, settings) -> None:
    request = TrainingSetRequest(compositions=("Al100",), hold_out=("Cu100",))
    with pytest.raises(MeltlakeError, match="Cu100 is held out and has an element that no training frame has"):
        materialize(settings, request)


def test_a_composition_is_not_both_trained_on_and_held_out() -> None:
    with pytest.raises(MeltlakeError, match="Al100 cannot be trained on and held out"):
        TrainingSetRequest(compositions=("Al100",), hold_out=("Al100",))


def test_an_empty_lake_says_what_to_do(settings) -> None:
    with pytest.raises(MeltlakeError, match=r"holds no frames\. Ingest"):
        materialize(settings, TrainingSetRequest())


def test_a_version_that_is_yet_to_come_is_told(three_melts, settings) -> None:
    with pytest.raises(MeltlakeError, match=r"no version 99\. Its newest is"):
        materialize(settings, TrainingSetRequest(lake_version=99))


@pytest.mark.parametrize("wrong", [{"test_fraction": 0.0}, {"test_fraction": 1.0}, {"seed": -1}, {"lake_version": -2}])
def test_numbers_that_make_no_sense_are_told(wrong) -> None:
    with pytest.raises(MeltlakeError, match=r"test fraction must be|not negative"):
        TrainingSetRequest(**wrong)
