"""Transferability as the warehouse tells it: distances, coverage, one composition left out at a time, free frames."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.warehouse import query, session
from operators.choice import choice
from operators.report.leave_one_out import leave_one_out_section, line_through
from operators.report.page import Group
from schemas.settings import Settings
from schemas.tables import FRAMES

JANUARY = datetime(2026, 1, 1)  # noqa: DTZ001 - as the lake stores times
MELTS = ("Al100", "Al50Cu50", "Cu100")
ERRORS = ("rmse_energy_mev_per_atom", "rmse_force_mev_per_angstrom", "rmse_virial_mev_per_atom")


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


def freeze(settings, name, held_out=(), *, melts=MELTS, day=0, **wish):
    """A training set of these melts but for those held out."""
    row = {"training_set_id": name, "compositions": [one for one in melts if one not in held_out]}
    row |= {"held_out": list(held_out), "type_map": ["Al", "Cu"], "synthetic": False, "split_rule": "blocks"}
    row |= {"test_fraction": 0.25, "lake_version": day, "created_at": JANUARY + timedelta(days=day)}
    Lake(settings.lake).replace("training_sets", name, [row | wish])
    return name


def train(settings, training_set, errors, *, seed=1, **columns):
    """A potential with its force errors by composition and split."""
    lake, name = Lake(settings.lake), f"{training_set}.{seed}"
    row = {"potential_id": name, "recipe": "DP-2", "training_set_id": training_set, "seed": seed, "n_steps": 100}
    row |= {"backend": "tensorflow", "r_cut_angstrom": 6.0, "created_at": JANUARY + timedelta(days=seed)}
    lake.replace("potentials", name, [row | columns])
    rows = [
        {"composition": melt, "split": split, "n_frames": 10, **dict.fromkeys(ERRORS, force)}
        for (melt, split), force in errors.items()
    ]
    lake.replace("rmse", name, [{"potential_id": name} | row for row in rows])
    return name


@pytest.fixture
def series(settings):
    """All melts trained on, and one left out at a time."""
    freeze(settings, "all", day=9)
    train(settings, "all", {(melt, "test"): 50.0 for melt in MELTS})
    for melt, force in zip(MELTS, (150.0, 80.0, 140.0), strict=True):
        freeze(settings, f"no-{melt}", (melt,))
        train(
            settings, f"no-{melt}", {(melt, "held_out"): force, ("all", "held_out"): force, ("Al50Cu50", "test"): 55.0}
        )
    return settings


def test_what_is_left_out_is_told_with_its_distance_and_the_error_when_it_is_trained_on(series):
    rows = query(series, "select * from leave_one_out order by composition")
    assert [(row["composition"], row["distance_at_percent"], row["nearest_composition"]) for row in rows] == [
        ("Al100", 50.0, "Al50Cu50"),
        ("Al50Cu50", 50.0, "Al100"),
        ("Cu100", 50.0, "Al50Cu50"),
    ]
    assert [row["rmse_force_mev_per_angstrom"] for row in rows] == [150.0, 80.0, 140.0]
    assert {row["trained_rmse_force_mev_per_angstrom"] for row in rows} == {50.0}
    assert rows[0]["times_the_force_error"] == 3.0
    assert {(row["recipe"], row["n_seeds"], row["base_training_set_id"]) for row in rows} == {("DP-2", 1, "all")}


def test_sets_that_leave_one_out_beside_compositions_held_out_anyway_are_known(settings):
    freeze(settings, "all", ("Al80Cu20",), melts=(*MELTS, "Al80Cu20"))
    for melt in MELTS:
        freeze(settings, f"no-{melt}", ("Al80Cu20", melt), melts=(*MELTS, "Al80Cu20"))
    rows = query(settings, "select * from leave_one_out_sets")
    assert {(row["training_set_id"], row["left_out"]) for row in rows} == {(f"no-{melt}", melt) for melt in MELTS}
    assert {row["base_training_set_id"] for row in rows} == {"all"}


def test_one_held_out_composition_is_no_series_and_other_wishes_are_another(settings):
    freeze(settings, "all")
    freeze(settings, "no-Al100", ("Al100",))
    freeze(settings, "thinned", ("Cu100",), every_fs=50.0)
    freeze(settings, "two", ("Al100", "Cu100"))
    assert query(settings, "select * from leave_one_out_sets") == []
    freeze(settings, "no-Cu100", ("Cu100",))
    names = {row["training_set_id"] for row in query(settings, "select * from leave_one_out_sets")}
    assert names == {"no-Al100", "no-Cu100"}


def test_of_sets_that_were_made_again_the_last_counts(settings):
    for day, version in enumerate(("old", "new")):
        for melt in MELTS:
            freeze(settings, f"{version}-{melt}", (melt,), day=day)
    rows = query(settings, "select * from leave_one_out_sets")
    assert [(row["training_set_id"], row["base_training_set_id"]) for row in rows] == [
        (f"new-{melt}", None) for melt in MELTS
    ]


def test_sets_that_leave_one_out_do_not_take_the_place_of_the_set_to_choose_on(series):
    freeze(series, "no-Al100", ("Al100",), day=99)
    lake = Lake(series.lake)
    for name in ("all", *(f"no-{melt}" for melt in MELTS)):
        [made] = lake.rows("training_sets", key=name).to_pylist()
        lake.replace("training_sets", name, [made | {"level_of_theory": "PBE"}])
        errors = {("all", "test"): 50.0}
        train(series, name, errors)
    assert {row["training_set_id"] for row in choice(series)} == {"all"}


def test_the_role_on_the_map_is_that_in_the_set_that_was_asked_for_last(settings):
    lake = Lake(settings.lake)
    run = {"run_id": "al", "origin": "aimd", "composition": "Al100", "chemical_system": "Al", "synthetic": False}
    lake.replace("runs", "al", [run | {"n_frames": 9, "n_accepted": 9}])
    for day, (name, split) in enumerate((("with", "train"), ("without", "held_out"))):
        freeze(settings, name, ("Al100",) if split == "held_out" else (), day=day)
        frames = [{"training_set_id": name, "run_id": "al", "frame": 0, "split": split}]
        lake.replace("training_set_frames", name, frames)
    sql = "select split_role, training_set_id from composition_map"
    assert query(settings, sql) == [{"split_role": "held_out", "training_set_id": "without"}]
    asked = {"training_set_id": "with", "lake_version": 7, "created_at": JANUARY}
    lake.replace("training_set_requests", "again", [{"request_id": "again", **asked}])
    assert query(settings, sql) == [{"split_role": "train", "training_set_id": "with"}]


def test_coverage_and_agreement_stand_beside_the_error(series):
    lake = Lake(series.lake)
    row = {"training_set_id": "no-Al100", "composition": "Al100", "split": "held_out", "r_cut_angstrom": 6.0}
    lake.replace("coverage", "no-Al100", [row | {"coverage_frac": 0.25}, row | {"r_cut_angstrom": 7.0}])
    judged = {"run_id": "twin", "potential_id": "no-Al100.1", "composition": "Al100"}
    curves = [("rdf all", 2.0, "good"), ("vacf Al", 7.0, "disagrees"), ("rdf Al-Al", 99.0, "undecided")]
    lake.replace("agreement", "twin", [judged | {"observable": of, "z": z, "verdict": told} for of, z, told in curves])
    [row] = query(series, "select * from transferability where split = 'held_out' and composition = 'Al100'")
    assert (row["coverage_frac"], row["n_curves"], row["n_curves_agree"], row["largest_z"]) == (0.25, 2, 1, 7.0)
    [row] = query(series, "select * from leave_one_out where composition = 'Al100'")
    assert (row["coverage_frac"], row["n_curves"], row["n_curves_agree"]) == (0.25, 2, 1)


def judge(settings, frames, *, correlation_time_fs=None):
    """Committee frames of one run, (frame, time_fs, split, deviation) each."""
    lake = Lake(settings.lake)
    freeze(settings, "all")
    lake.replace("committees", "c", [{"committee_id": "c", "training_set_id": "all", "recipe": "DP-2"}])
    names = ("frame", "split", "max_deviation_force_mev_per_angstrom")
    rows = [dict(zip(names, (frame, split, deviation), strict=True)) for frame, _, split, deviation in frames]
    lake.replace(
        "committee_frames", "c", [{"committee_id": "c", "run_id": "r", "composition": "Al100"} | r for r in rows]
    )
    stored = [{"frame": frame, "time_fs": time_fs, "accepted": True} for frame, time_fs, _, _ in frames]
    batches = pa.Table.from_pylist(stored, schema=FRAMES.file_schema).to_batches()
    lake.replace_batches("frames", {"composition": "Al100", "run_id": "r"}, batches)
    told = {"training_set_id": "all", "run_id": "r", "correlation_time_fs": correlation_time_fs}
    lake.replace("training_set_runs", "all", [told])
    return query(settings, "select * from untrained_frames")


@pytest.mark.rows_by_hand
def test_free_frames_are_those_that_deviate_most_one_per_correlation_time(settings):
    frames = [
        (0, 0.0, "test", 90.0),
        (1, 20.0, "unused", 120.0),
        (2, 40.0, "train", 999.0),
        (3, 60.0, "held_out", 50.0),
    ]
    assert [(row["frame"], row["split"]) for row in judge(settings, frames)] == [(1, "unused")]
    rows = judge(settings, frames, correlation_time_fs=50.0)
    assert [row["frame"] for row in rows] == [1, 3]


@pytest.mark.rows_by_hand
def test_frames_without_a_time_are_not_taken_for_neighbours(settings):
    frames = [(0, None, "unused", 90.0), (1, None, "unused", 120.0)]
    assert [row["frame"] for row in judge(settings, frames)] == [1, 0]


def test_a_line_is_drawn_through_three_distances_or_none():
    line = line_through([0.0, 10.0, 20.0], [50.0, 70.0, 90.0])
    assert (line.slope, line.intercept) == pytest.approx((2.0, 50.0))
    assert (line.scatter, line.slope_error) == pytest.approx((0.0, 0.0), abs=1e-9)
    scattered = line_through([0.0, 10.0, 20.0], [50.0, 73.0, 90.0])
    assert scattered.scatter == pytest.approx(3 * (2 / 3) ** 0.5)
    assert scattered.slope_error == pytest.approx(scattered.scatter / 200**0.5)
    assert line_through([10.0, 10.0, 10.0], [1.0, 2.0, 3.0]) is None
    assert line_through([10.0, 20.0], [1.0, 2.0]) is None


def test_report_shows_what_was_left_out(series):
    with session(series) as run:
        section = leave_one_out_section(Group("Al-Cu", synthetic=False), lambda sql: run(sql).to_pylist())
    assert [row[0] for row in section.grids[0].rows] == ["Al100", "Al50Cu50", "Cu100"]
    assert section.figures[0].below == "DP-2: no line through fewer than three distances"


def test_what_docs_tell_of_transferability_can_be_typed(series):
    told = (Path(__file__).parents[1] / "docs" / "transferability.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", told, re.DOTALL)
    answers = [query(series, sql) for sql in queries]
    assert len(queries) >= 4
    assert [row["composition"] for row in answers[0]] != []
