"""Frames that are there and untrained: the condition that docs tell to make of them is one that `export` takes."""

import re
from pathlib import Path

from lake.frame_choice import chosen_frames
from lake.warehouse import query
from operators.materialize import materialize
from schemas.training import TrainingSetRequest


def test_the_condition_that_docs_make_of_free_frames_chooses_them(three_melts, settings):
    lake = three_melts.lake
    name = materialize(settings, TrainingSetRequest(compositions=("Al100", "Al50Cu50")))["training_set_id"]
    lake.replace("committees", "c", [{"committee_id": "c", "training_set_id": name, "composition": "all"}])
    wanted = [("b1", 3, 90.0), ("b1", 17, 70.0), ("a1", 39, 80.0)]
    of = {"committee_id": "c", "split": "unused", "composition": "Cu100"}
    rows = [of | {"run_id": r, "frame": f, "max_deviation_force_mev_per_angstrom": d} for r, f, d in wanted]
    lake.replace("committee_frames", "c", rows)
    ranked = query(settings, "select run_id, frame from untrained_frames")
    assert [(row["run_id"], row["frame"]) for row in ranked] == [("b1", 3), ("a1", 39), ("b1", 17)]
    told = (Path(__file__).parents[2] / "docs" / "transferability.md").read_text()
    [row] = query(settings, re.findall(r"```sql\n(.*?)```", told, re.DOTALL)[-1])
    chosen = chosen_frames(lake, row["condition"], version=lake.version("frames"))
    assert {(one.run_id, int(frame)) for one in chosen for frame in one.frames} == {(r, f) for r, f, _ in wanted}
