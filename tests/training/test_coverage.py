"""How much of a melt's environments a training set knows: computed once per set and cutoff, from an even sample."""

from itertools import pairwise

import numpy as np
import pytest

from operators.materialize import materialize
from operators.physics.local_composition import coverage, environments
from operators.potentials.coverage import MOST_FRAMES, bring_coverage_up_to_date, melts_of_set, unused_melts
from operators.potentials.stored_frames import evenly, geometries, sound_frames
from operators.potentials.unused_frames import MOST_FRAMES as MOST_UNUSED
from operators.potentials.unused_frames import unused_frames, unused_judged_frames
from operators.stale.coverage import outdated_coverage
from operators.stale.holdings import Holdings
from schemas.training import TrainingSetRequest
from tests.training.shaken import melt


@pytest.fixture
def made(melts, settings):
    """Three melts, one of them held out, in a training set; a fourth came later."""
    for seed, (run_id, counts) in enumerate(
        (("a", {"Al": 64}), ("b", {"Al": 32, "Cu": 32}), ("c", {"Al": 36, "Cu": 28}))
    ):
        melts.add(run_id, counts, melt(counts, 24, seed=seed))
    name = materialize(settings, TrainingSetRequest(hold_out=("Al56Cu44",)))["training_set_id"]
    melts.add("d", {"Cu": 64}, melt({"Cu": 64}, 24, seed=9))
    [row] = melts.lake.rows("training_sets", key=name).to_pylist()
    return row


def rows_of(lake, made):
    return {
        (row["composition"], row["split"]): row
        for row in lake.rows("coverage", key=made["training_set_id"]).to_pylist()
        if row["r_cut_angstrom"] == 6.0
    }


def test_training_melts_are_covered_near_ones_largely_and_far_ones_not(made, melts):
    bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
    found = {key: row["coverage_frac"] for key, row in rows_of(melts.lake, made).items()}
    assert set(found) == {
        ("Al100", "train"), ("Al100", "test"), ("Al50Cu50", "train"), ("Al50Cu50", "test"), ("Al56Cu44", "held_out"),
        ("Cu100", "unused"),
    }  # fmt: skip
    assert found["Al50Cu50", "train"] > 0.97
    assert found["Al50Cu50", "train"] > found["Al56Cu44", "held_out"] > 0.4
    assert found["Cu100", "unused"] == 0.0


def test_the_stored_share_is_that_of_the_formula_over_all_frames(made, melts):
    bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
    by_split = {}
    for one in melts_of_set(melts.lake, made):
        [(run_id, frames)] = one.frames.items()
        read = list(geometries(melts.lake, run_id, frames))
        shapes = [(frame.positions_angstrom, frame.cell_angstrom) for frame in read]
        by_split[one.composition, one.split] = environments(read[0].atomic_numbers, shapes, r_cut_angstrom=6.0)
    taught = [found for (_, split), found in by_split.items() if split == "train"]
    row = rows_of(melts.lake, made)["Al56Cu44", "held_out"]
    assert row["coverage_frac"] == pytest.approx(coverage(by_split["Al56Cu44", "held_out"], taught))
    assert row["n_environments"] == 64 * row["n_frames"]


def test_it_is_computed_once_for_each_cutoff_and_again_for_new_compositions(made, melts):
    lake = melts.lake
    assert bring_coverage_up_to_date(lake, made, r_cut_angstrom=6.0) == 6
    version = lake.version("coverage")
    assert bring_coverage_up_to_date(lake, made, r_cut_angstrom=6.0) == 6
    assert lake.version("coverage") == version
    assert bring_coverage_up_to_date(lake, made, r_cut_angstrom=4.0) == 6
    melts.add("e", {"Al": 48, "Cu": 16}, melt({"Al": 48, "Cu": 16}, 3, seed=5))
    assert bring_coverage_up_to_date(lake, made, r_cut_angstrom=6.0) == 7
    assert lake.n_rows("coverage", made["training_set_id"]) == 13


def test_a_simulation_stands_for_a_composition_without_aimd(made, melts):
    frames = [row | {"accepted": False, "label_source": "none", "rejection_reasons": ["energy_present"]} for row in
              melt({"Al": 16, "Cu": 48}, 5)]  # fmt: skip
    melts.add("sim", {"Al": 16, "Cu": 48}, frames, origin="dnnp")
    assert sound_frames(melts.lake, "sim") == [0, 1, 2, 3, 4]
    bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
    row = rows_of(melts.lake, made)["Al25Cu75", "unused"]
    assert (row["origin"], row["n_frames"]) == ("dnnp", 5)


def test_aimd_that_comes_after_a_simulation_takes_its_place(made, melts):
    counts = {"Al": 16, "Cu": 48}
    frames = [row | {"accepted": False, "label_source": "none", "rejection_reasons": ["energy_present"]} for row in
              melt(counts, 5)]  # fmt: skip
    melts.add("sim", counts, frames, origin="dnnp")
    bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
    melts.add("later", counts, melt(counts, 5, seed=4))
    bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
    assert rows_of(melts.lake, made)["Al25Cu75", "unused"]["origin"] == "aimd"


def test_a_run_that_grows_or_loses_frames_is_sampled_again(made, melts):
    n_frames = {}
    for n in (10, 12):
        melts.add("e", {"Al": 48, "Cu": 16}, melt({"Al": 48, "Cu": 16}, n, seed=5))
        bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
        n_frames[n] = rows_of(melts.lake, made)["Al75Cu25", "unused"]["n_frames"]
    overruled = [row | {"accepted": row["frame"] != 3} for row in melt({"Al": 48, "Cu": 16}, 12, seed=5)]
    melts.add("e", {"Al": 48, "Cu": 16}, overruled)
    bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
    assert n_frames == {10: 10, 12: 12}
    assert rows_of(melts.lake, made)["Al75Cu25", "unused"]["n_frames"] == 11


def test_status_says_when_coverage_is_of_other_runs_than_there_are(made, melts, settings):
    potential = {"training_set_id": made["training_set_id"], "r_cut_angstrom": 6.0}
    assert outdated_coverage(Holdings(settings), potential) is None, "it was never computed"
    bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
    assert outdated_coverage(Holdings(settings), potential) is None
    for n in (3, 5):
        melts.add("e", {"Al": 48, "Cu": 16}, melt({"Al": 48, "Cu": 16}, n, seed=5))
        assert "other AIMD of Al75Cu25" in outdated_coverage(Holdings(settings), potential)
        bring_coverage_up_to_date(melts.lake, made, r_cut_angstrom=6.0)
        assert outdated_coverage(Holdings(settings), potential) is None


def test_a_sample_is_even_and_bounded(made, melts):
    melts.add("long", {"Al": 40, "Cu": 24}, melt({"Al": 40, "Cu": 24}, 200))
    [sample] = [one for one in unused_melts(melts.lake, made) if one.composition == "Al62Cu38"]
    assert sample.n_frames == MOST_FRAMES
    frames = sample.frames["long"]
    assert (frames[0], frames[-1]) == (0, 199)
    assert {later - one for one, later in pairwise(frames)} == {3, 4}
    assert evenly(range(9), 1) == [8]
    assert evenly([4, 7], 5) == [4, 7]


def test_a_composition_of_two_formulas_is_sampled_from_the_longer(made, melts):
    melts.add("other", {"Cu": 32}, small_copper(60))
    [sample] = [one for one in unused_melts(melts.lake, made) if one.composition == "Cu100"]
    assert set(sample.frames) == {"other"}


def small_copper(n_frames):
    first = {"atomic_numbers": 32, "positions_angstrom": 96, "forces_ev_per_angstrom": 96}
    return [
        row | {"n_atoms": 32} | {name: row[name][:most] for name, most in first.items()}
        for row in melt({"Cu": 64}, n_frames)
    ]


def test_unused_frames_are_accepted_comparable_and_in_no_split(made, melts):
    used = {(row["run_id"], row["frame"]) for row in melts.lake.rows("training_set_frames").to_pylist()}
    melts.add("other-theory", {"Cu": 64}, melt({"Cu": 64}, 8, seed=7), level_of_theory="functional=LDA")
    rejected = [row | {"accepted": False, "rejection_reasons": ["x"]} for row in melt({"Al": 64}, 4, seed=6)]
    melts.add("rejected", {"Al": 64}, [*rejected, *melt({"Al": 64}, 6, seed=6)[4:]])
    sample = {one.run["run_id"]: one.frames for one in unused_frames(melts.lake, made)}
    assert sample["d"] == list(range(24))
    assert sample["rejected"] == [4, 5]
    assert "other-theory" not in sample
    assert not used & {(run_id, frame) for run_id, frames in sample.items() for frame in frames}


def test_unused_frames_are_apart_in_time_and_bounded(made, melts):
    melts.add("dense", {"Al": 44, "Cu": 20}, melt({"Al": 44, "Cu": 20}, 40, step_fs=5.0))
    sample = {one.run["run_id"]: one.frames for one in unused_frames(melts.lake, made)}
    assert sample["dense"] == list(range(0, 40, 5))
    assert sum(map(len, sample.values())) <= MOST_UNUSED


def test_unused_frames_come_with_their_labels(made, melts):
    sample = [one for one in unused_frames(melts.lake, made) if one.run["run_id"] == "d"]
    [judged] = unused_judged_frames(melts.lake, sample)
    stored = melt({"Cu": 64}, 24, seed=9)
    assert (judged.composition, judged.split, judged.frames.tolist()) == ("Cu100", "unused", list(range(24)))
    energies, forces, virials = judged.labels
    np.testing.assert_array_equal(energies, [row["energy_ev"] for row in stored])
    np.testing.assert_array_equal(forces[3].ravel(), stored[3]["forces_ev_per_angstrom"])
    np.testing.assert_array_equal(virials[3].ravel(), stored[3]["virial_ev"])
