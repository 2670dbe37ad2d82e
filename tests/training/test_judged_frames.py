"""The frames that potentials are judged on are those of the lake, with their own names, in whatever format they lie."""

from pathlib import Path

import numpy as np
import pytest

from operators.materialize import materialize
from operators.potentials.chosen_run import SPLITS
from operators.potentials.judged_frames import frame_names, judged_frames
from operators.potentials.safe_distances import closest_pairs
from schemas.errors import MeltlakeError
from schemas.training import TrainingSetRequest


@pytest.mark.parametrize("format_", ["npy", "hdf5"])
def test_every_frame_has_the_labels_of_its_name_in_the_lake(three_melts, settings, format_: str) -> None:
    made = materialize(settings, TrainingSetRequest(hold_out=("Cu100",), format=format_))
    names = frame_names(three_melts.lake, str(made["training_set_id"]))
    seen = []
    for split in SPLITS:
        for some in judged_frames(Path(str(made["path"])), names, split=split):
            rows = three_melts.lake.rows("frames", key=some.run_id).to_pylist()
            by_frame = {row["frame"]: row for row in rows}
            for place, frame in enumerate(some.frames):
                row = by_frame[int(frame)]
                energy, forces, virial = (part[place] for part in some.labels)
                assert (energy, some.composition) == (row["energy_ev"], row["composition"])
                np.testing.assert_array_equal(forces.ravel(), row["forces_ev_per_angstrom"])
                np.testing.assert_array_equal(virial.ravel(), row["virial_ev"])
                np.testing.assert_array_equal(some.positions_angstrom[place].ravel(), row["positions_angstrom"])
            seen += [(split, some.run_id, int(frame)) for frame in some.frames]
    listed = three_melts.lake.rows("training_set_frames", key=str(made["training_set_id"])).to_pylist()
    assert sorted(seen) == sorted((row["split"], row["run_id"], row["frame"]) for row in listed)


def test_closest_pairs_are_found_once(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    asked = (three_melts.lake, str(made["training_set_id"]), Path(str(made["path"])))
    first = closest_pairs(*asked)
    version = three_melts.lake.version("closest_pairs")
    assert closest_pairs(*asked) == first
    assert three_melts.lake.version("closest_pairs") == version
    assert {row["pair"] for row in first} == {"Al-Al", "Al-Cu", "Cu-Cu"}


def test_frames_that_the_lake_does_not_list_have_no_name(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    with pytest.raises(MeltlakeError, match="needed the 0 frames that the lake lists of run a1, found"):
        list(judged_frames(Path(str(made["path"])), {}, split="train"))
