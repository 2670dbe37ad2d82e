"""Potentials judged for real: errors and their worst frames, committees, model cards, and the folder for others."""

import hashlib
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.spatial.transform import Rotation

from lake.deep_potential import DeepPotential
from lake.deepmd_npy import deepmd_systems, read_deepmd_system
from lake.delta import Lake
from lake.warehouse import query
from operators.materialize import materialize
from operators.observe import observe_potential
from operators.potential_export import potential_export
from operators.potentials.card import store_card, trained_card
from operators.potentials.committee import committees, stale_committees
from operators.potentials.deepmd_input import TrainingData, deepmd_input
from operators.potentials.model_file import model_file
from operators.simulations.lammps_program import lammps_command
from operators.status import stale
from schemas.composition import atomic_numbers_of
from schemas.errors import MeltlakeError
from schemas.model_card import ModelCard
from schemas.recipes import Recipe
from schemas.settings import Settings
from schemas.training import TrainingSetRequest
from tests.training.conftest import LakeMaker, emt_frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a busy machine takes minutes to import what trains

RECIPE = Recipe(
    name="tiny", embedding_net=(4, 8), axis_neuron=2, fitting_net=(8,), r_smooth_angstrom=3.0, r_cut_angstrom=3.8,
    n_steps=60, batch_size=1, start_learning_rate=1e-2, stop_learning_rate=1e-4,
)  # fmt: skip
SEEDS = (1, 2, 3)
MELTS = {"a1": {"Al": 16, "Cu": 16}, "b1": {"Al": 32}, "c1": {"Cu": 32}}
ONE_PROCESS = """
import json, os, sys
from pathlib import Path
import tensorflow as tf
from deepmd.main import main as dp
for folder in map(Path, sys.argv[1:]):
    os.chdir(folder)
    for words in (["train", "input.json", "--skip-neighbor-stat"], ["freeze", "-o", "frozen.pb"]):
        tf.compat.v1.reset_default_graph()
        dp(["--tf", *words])
"""
THREADS = {
    "OMP_NUM_THREADS": "1", "DP_INTRA_OP_PARALLELISM_THREADS": "1", "DP_INTER_OP_PARALLELISM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}  # fmt: skip


@dataclass
class Judged:
    """A lake with a training set and three potentials of other seeds, the third of which came later."""

    settings: Settings
    lake: Lake
    training_set: Path
    answers: list[dict[str, object]]
    """Of `observe`: of the first alone, of the second, of the first again, of the third."""

    def rows(self, table: str, key: str | None = None) -> list[dict[str, object]]:
        return self.lake.rows(table, key=key).to_pylist()

    def model(self, seed: int) -> Path:
        return model_file(self.settings, self.rows("potentials", f"seed{seed}")[0])

    def card(self, seed: int) -> ModelCard:
        return ModelCard.model_validate_json(str(self.rows("model_cards", f"seed{seed}")[0]["card"]))


def python(*words: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Another Python that does not find our packages."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | THREADS
    command = [sys.executable, "-P", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def train_at_once(settings: Settings, training_set: Path) -> None:
    folders = []
    systems = {split: deepmd_systems(training_set / split) for split in ("train", "test")}
    for seed in SEEDS:
        folder = settings.artifacts / "potentials" / f"seed{seed}"
        folder.mkdir(parents=True)
        data = TrainingData(
            type_map=("Al", "Cu"), sel=(44, 44), train=tuple(map(str, systems["train"])), test=(), has_virials=True
        )
        (folder / "input.json").write_text(json.dumps(deepmd_input(RECIPE, data, seed=10 * seed)))
        folders.append(folder)
    done = python("-c", ONE_PROCESS, *folders, cwd=training_set)
    assert done.returncode == 0, done.stderr[-3000:]


def add_potential(settings: Settings, training_set_id: str, seed: int) -> None:
    name = f"seed{seed}"
    model = (settings.artifacts / "potentials" / name / "frozen.pb").absolute()
    row: dict[str, object] = {
        "potential_id": name, "recipe": "tiny", "training_set_id": training_set_id, "seed": seed, "n_steps": 60,
        "backend": "tensorflow", "compressed": False, "type_map": ["Al", "Cu"], "sel": [44, 44],
        "max_neighbours": [38, 38], "r_cut_angstrom": 3.8,
        "path": str(model), "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "deepmd_version": "3.2.0", "hardware": "a laptop", "wall_seconds": 3.5, "n_restarts": 0, "created_at": None,
    }  # fmt: skip
    card = trained_card(settings, row, recipe=RECIPE.model_dump(mode="json"), trained_with={"deepmd-kit": "3.2.0"})
    assert not card.observed
    store_card(settings, card)
    Lake(settings.lake).replace("potentials", name, [row])


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    home = tmp_path_factory.mktemp("judged")
    settings = Settings.from_mapping({}, lake=str(home / "lake"))
    melts = LakeMaker(settings)
    for run_id, counts in MELTS.items():
        frames = [row | {"temperature_k": 1000.0 + row["frame"] % 3} for row in emt_frames(counts, 16)]
        if run_id == "b1":
            frames = [row | {"virial_ev": None} for row in frames]
        melts.add(run_id, counts, frames, source_sha256=f"sha of {run_id}")
    made = materialize(settings, TrainingSetRequest(hold_out=("Cu100",)))
    training_set, training_set_id = Path(str(made["path"])), str(made["training_set_id"])
    train_at_once(settings, training_set)
    add_potential(settings, training_set_id, 1)
    answers = [observe_potential(settings, "seed1")]
    add_potential(settings, training_set_id, 2)
    answers += [observe_potential(settings, name) for name in ("seed2", "seed1")]
    add_potential(settings, training_set_id, 3)
    assert [item.command for item in stale(settings) if "seed" in item.command and "observe" in item.command] == [
        "meltlake observe --potential seed3"
    ]
    answers.append(observe_potential(settings, "seed3"))
    return Judged(settings, melts.lake, training_set, answers)


def test_held_out_frames_are_judged_apart_and_never_trained_on(judged: Judged) -> None:
    found = {(row["composition"], row["split"]): row["n_frames"] for row in judged.rows("rmse", "seed1")}
    assert {name for name, split in found if split == "held_out"} == {"Cu100", "all"}
    assert {name for name, split in found if split != "held_out"} == {"Al50Cu50", "Al100", "all"}
    listed = [row["run_id"] for row in judged.rows("training_set_frames") if row["split"] == "held_out"]
    assert (set(listed), found["Cu100", "held_out"], found["all", "held_out"]) == ({"c1"}, len(listed), len(listed))


def test_errors_of_a_potential_are_those_of_dp_test(judged: Judged) -> None:
    rows = {(row["composition"], row["split"]): row for row in judged.rows("rmse", "seed1")}
    assert rows["Al100", "train"]["rmse_virial_mev_per_atom"] is None
    words = ["-m", "deepmd", "--tf", "test", "-m", judged.model(1), "-s", judged.training_set / "train", "-n", "0"]
    printed = python(*words, cwd=judged.training_set).stderr
    for label, column in (
        ("Energy RMSE/Natoms", "rmse_energy_mev_per_atom"),
        ("Force  RMSE", "rmse_force_mev_per_angstrom"),
        ("Virial RMSE/Natoms", "rmse_virial_mev_per_atom"),
    ):
        value = float(re.findall(rf"{label}\s*:\s*(\S+)", printed)[-1])
        assert rows["all", "train"][column] == pytest.approx(1000 * value, rel=1e-6)


@pytest.mark.parametrize("tilt", [0.0, 0.25], ids=["cubic", "triclinic"])
def test_forces_and_virial_of_a_potential_are_derivatives_of_its_energy(judged: Judged, tilt: float) -> None:
    model, numbers, positions, cell = DeepPotential(judged.model(1)), *shaken_crystal(tilt)
    _, forces, virial = model.predict(numbers, positions[None], cells=cell[None])
    eps = 1e-4
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5
        strain[b, a] += 0.5
        strained = [np.eye(3) + sign * eps * strain for sign in (1, -1)]
        up, down = model.predict(
            numbers, np.array([positions @ one for one in strained]), cells=np.array([cell @ one for one in strained])
        )[0]
        assert -(up - down) / (2 * eps) == pytest.approx(0.5 * (virial[0, a, b] + virial[0, b, a]), abs=1e-4)
    moved = np.tile(positions, (2, 1, 1))
    moved[:, 5, 1] += [eps, -eps]
    up, down = model.predict(numbers, moved, cells=np.tile(cell, (2, 1, 1)))[0]
    assert -(up - down) / (2 * eps) == pytest.approx(forces[0, 5, 1], abs=1e-5)
    assert np.abs(forces).max() > 0.01
    np.testing.assert_allclose(forces[0].sum(axis=0), 0.0, atol=1e-8)


@pytest.mark.parametrize("tilt", [0.0, 0.25], ids=["cubic", "triclinic"])
def test_the_energy_of_a_potential_does_not_depend_on_the_frame_of_reference(judged: Judged, tilt: float) -> None:
    model, numbers, positions, cell = DeepPotential(judged.model(1)), *shaken_crystal(tilt)
    rng = np.random.default_rng(6)
    turn, order = Rotation.random(rng=rng).as_matrix(), rng.permutation(len(numbers))
    copies = np.array(list(product((0, 1), repeat=3))) @ cell
    [energy] = model.predict(numbers, positions[None], cells=cell[None])[0]
    for n_cells, labels, places, box in (
        (1, numbers, positions @ turn, cell @ turn),
        (1, numbers, positions + np.array([1.0, -2.0, 0.3]), cell),
        (1, numbers, positions + rng.integers(-2, 3, positions.shape) @ cell, cell),
        (1, numbers[order], positions[order], cell),
        (8, np.tile(numbers, 8), (positions + copies[:, None]).reshape(-1, 3), 2 * cell),
    ):
        [same] = model.predict(labels, places[None], cells=box[None])[0]
        assert same == pytest.approx(n_cells * energy, abs=1e-8 * n_cells * abs(energy))


def shaken_crystal(tilt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms of two elements near the sites of a crystal: their numbers, positions, and a cell that may be tilted."""
    corners = np.array(list(product(range(2), repeat=3)))
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cell = 8.0 * np.array([[1.0, 0, 0], [tilt, 1.0, 0], [-tilt, tilt / 2, 1.0]])
    sites = ((corners[:, None] + basis) / 2).reshape(-1, 3) @ cell
    return np.tile([13, 29], 16), sites + np.random.default_rng(5).normal(0, 0.1, sites.shape), cell


def test_elements_that_a_potential_does_not_know_are_refused(judged: Judged) -> None:
    with pytest.raises(MeltlakeError, match="needed elements among Al, Cu, found Ni"):
        DeepPotential(judged.model(1)).predict(np.array([28]), np.zeros((1, 1, 3)), cells=np.eye(3)[None] * 9)


def test_the_worst_frame_is_the_one_that_has_the_largest_error(judged: Judged) -> None:
    potential, rows = DeepPotential(judged.model(1)), judged.rows("rmse", "seed1")
    frames = {row["frame"]: row for row in judged.lake.rows("frames", key="c1").to_pylist()}
    [worst] = [row for row in rows if (row["composition"], row["split"]) == ("Cu100", "held_out")]
    errors = {}
    for frame, row in frames.items():
        positions, cell = (np.reshape(row[name], (1, -1, 3)) for name in ("positions_angstrom", "cell_angstrom"))
        energy, forces, virial = potential.predict(np.array(row["atomic_numbers"]), positions, cells=cell)
        errors["energy", frame] = 1000 * abs(energy[0] - row["energy_ev"]) / 32
        errors["force", frame] = 1000 * np.abs(forces.ravel() - row["forces_ev_per_angstrom"]).max()
        errors["virial", frame] = 1000 * np.abs(virial.ravel() - row["virial_ev"]).max() / 32
    for quantity, unit in (("energy", "mev_per_atom"), ("force", "mev_per_angstrom"), ("virial", "mev_per_atom")):
        most = max(value for (what, _), value in errors.items() if what == quantity)
        assert worst[f"max_{quantity}_{unit}"] == pytest.approx(most, rel=1e-9)
        assert errors[quantity, worst[f"max_{quantity}_frame"]] == most
        assert worst[f"max_{quantity}_run_id"] == "c1"


def test_a_pool_has_the_worst_frame_of_its_parts(judged: Judged) -> None:
    rows = [row for row in judged.rows("rmse", "seed1") if row["split"] == "train"]
    [pool] = [row for row in rows if row["composition"] == "all"]
    worst = max((row for row in rows if row is not pool), key=lambda row: row["max_force_mev_per_angstrom"])
    names = ("max_force_mev_per_angstrom", "max_force_run_id", "max_force_frame")
    assert [pool[name] for name in names] == [worst[name] for name in names]


def test_disagreement_and_error_are_those_of_dp_model_devi(judged: Judged, tmp_path: Path) -> None:
    from deepmd.common import expand_sys_str
    from deepmd.infer.model_devi import make_model_devi

    names = {(row["split"], row["run_id"], row["frame"]): row for row in judged.rows("committee_frames")}
    folders = [Path(folder) for folder in expand_sys_str(str(judged.training_set))]
    assert len(folders) == 5
    whole = {"models": [str(judged.model(seed)) for seed in SEEDS], "system": str(judged.training_set), "frequency": 1}
    for real_error, kind in ((False, "deviation"), (True, "error")):
        said = make_model_devi(**whole, output=str(tmp_path / kind), real_error=real_error)
        for folder, columns in zip(folders, said, strict=True):
            of_folder = (folder.parent.name, folder.name.partition(".")[2])
            ours = [names[key] for key in sorted(names) if key[:2] == of_folder]
            for place, name in (
                (3, f"{kind}_virial_mev_per_atom"), (4, f"max_{kind}_force_mev_per_angstrom"),
                (6, f"mean_{kind}_force_mev_per_angstrom"), (7, f"{kind}_energy_mev_per_atom"),
            ):  # fmt: skip
                found = [row[name] for row in ours]
                if (of_folder[1], name) == ("b1", "error_virial_mev_per_atom"):
                    assert found == [None] * len(found)  # where there is no label, theirs is 0
                    continue
                np.testing.assert_allclose(found, 1000 * columns[:, place], rtol=1e-9, err_msg=name)


def test_a_committee_is_the_same_in_whatever_order_its_seeds_come(judged: Judged, tmp_path: Path) -> None:
    other = copied(judged, tmp_path)
    for table in ("committees", "committee_frames", "rmse", "model_cards", "potentials"):
        for key in other.keys(table):
            other.remove(table, key)
    settings = Settings.from_mapping({}, lake=other.root)
    for seed in (3, 1, 2):
        row = judged.rows("potentials", f"seed{seed}")[0]
        other.replace("potentials", f"seed{seed}", [row])
        observe_potential(settings, f"seed{seed}")
    for table in ("committees", "committee_frames"):
        assert_equal_rows(other.rows(table).to_pylist(), judged.rows(table))
    cards = [row["card"] for row in other.rows("model_cards").to_pylist()]
    calibrations = [ModelCard.model_validate_json(card).committee.model_dump()["calibration"] for card in cards]
    assert len(calibrations) == len(SEEDS)
    for calibration in calibrations:
        assert_equal_rows(calibration, judged.card(1).committee.model_dump()["calibration"])


def assert_equal_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Numbers within the rounding of TensorFlow, which sums in no fixed order; all else exactly."""
    assert len(found) == len(expected) > 0
    for row, other in zip(found, expected, strict=True):
        assert row == {
            name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value for name, value in other.items()
        }


def test_recipes_of_one_name_and_other_content_are_no_committee(judged: Judged) -> None:
    rows = judged.rows("potentials")
    assert [one.potential_ids for one in committees(rows)] == [["seed1", "seed2", "seed3"]]
    edited = [row | {"recipe_id": "edited" if row["seed"] == 3 else "first"} for row in rows]
    assert [one.potential_ids for one in committees(edited)] == [["seed1", "seed2"]]


def copied(judged: Judged, to: Path) -> Lake:
    copytree(judged.settings.home, to, dirs_exist_ok=True)
    return Lake(str(to / Path(judged.settings.lake).name))


def test_a_committee_grows_with_its_seeds_and_rests_otherwise(judged: Judged) -> None:
    alone, second, again, third = judged.answers
    assert [one["committee"] for one in (alone, second, again, third)] == [
        [], ["seed1", "seed2"], ["seed1", "seed2"], ["seed1", "seed2", "seed3"],
    ]  # fmt: skip
    assert [one["changed"] for one in judged.answers] == [True, True, False, True]
    assert not [item for item in stale(judged.settings) if "observe --potential" in item.command]


def test_a_committee_that_another_process_judges_is_left_to_it(judged: Judged, tmp_path: Path) -> None:
    lake = copied(judged, tmp_path)
    settings = Settings.from_mapping({}, lake=lake.root)
    [committee_id] = lake.keys("committees")
    lake.remove("committees", committee_id)
    with lake.writing(committee_id, doing="testing"):
        observe_potential(settings, "seed1")
    assert lake.keys("committees") == []
    assert any(f"committee {committee_id}" in item.what for item in stale(settings))
    observe_potential(settings, "seed2")
    assert_equal_rows(lake.rows("committees").to_pylist(), judged.rows("committees"))


def without_unused_summaries(lake: Lake) -> str:
    """What a kill leaves between the frames of a committee and its summaries."""
    [committee_id] = lake.keys("committees")
    rows = lake.rows("committees", key=committee_id).to_pylist()
    lake.replace("committees", committee_id, [row for row in rows if row["split"] != "unused"])
    return committee_id


def test_summaries_that_a_kill_left_out_are_written_by_the_next_look(judged: Judged, tmp_path: Path) -> None:
    lake = copied(judged, tmp_path)
    without_unused_summaries(lake)
    assert observe_potential(Settings.from_mapping({}, lake=lake.root), "seed1")["changed"] is True
    assert_equal_rows(lake.rows("committees").to_pylist(), judged.rows("committees"))


def test_new_frames_are_judged_by_one_process_at_a_time(judged: Judged, tmp_path: Path) -> None:
    lake = copied(judged, tmp_path)
    committee_id = without_unused_summaries(lake)
    before = lake.version("committees")
    with lake.writing(committee_id, doing="testing"):
        observe_potential(Settings.from_mapping({}, lake=lake.root), "seed2")
    assert lake.version("committees") == before


def test_rows_of_two_model_files_side_by_side_are_stale(judged: Judged, tmp_path: Path) -> None:
    lake = copied(judged, tmp_path)
    [committee_id], potentials = lake.keys("committees"), judged.rows("potentials")
    assert stale_committees(lake, potentials) == []
    first, *rest = lake.rows("committees", key=committee_id).to_pylist()
    lake.replace("committees", committee_id, [first | {"model_sha256s": first["model_sha256s"][:2]}, *rest])
    assert [one.committee_id for one in stale_committees(lake, potentials)] == [committee_id]


def test_no_error_is_smaller_than_its_deviation(judged: Judged) -> None:
    rows = judged.rows("committee_frames")
    in_set = {(row["run_id"], row["frame"]) for row in judged.rows("training_set_frames")}
    outside = {(row["run_id"], row["frame"]) for row in rows if row["split"] == "unused"}
    assert {(row["run_id"], row["frame"]) for row in rows} - outside == in_set
    assert outside == {(name, frame) for name in MELTS for frame in range(16)} - in_set
    for row in rows:
        assert 0 < row["deviation_force_mev_per_angstrom"] < row["error_force_mev_per_angstrom"]
        assert 0 < row["deviation_energy_mev_per_atom"] < row["error_energy_mev_per_atom"]


def test_the_error_of_a_committee_is_the_pool_of_its_potentials(judged: Judged) -> None:
    single = {(r["potential_id"], r["composition"], r["split"]): r for r in judged.rows("rmse")}
    for row in [row for row in judged.rows("committees") if row["split"] != "unused"]:
        for column in ("force_mev_per_angstrom", "energy_mev_per_atom", "virial_mev_per_atom"):
            of_each = [single[f"seed{seed}", row["composition"], row["split"]][f"rmse_{column}"] for seed in SEEDS]
            if None in of_each:
                assert (column, row["composition"], row[f"error_{column}"]) == ("virial_mev_per_atom", "Al100", None)
                continue
            assert row[f"error_{column}"] == pytest.approx(np.sqrt(np.mean(np.square(of_each))), rel=1e-9)


def test_transferability_has_the_committee_beside_the_error(judged: Judged) -> None:
    rows = query(judged.settings, "select * from transferability where potential_id = 'seed2' and split = 'held_out'")
    assert [(row["composition"], row["distance_at_percent"], row["nearest_composition"]) for row in rows] == [
        ("Cu100", 50.0, "Al50Cu50")
    ]
    of_it = {(row["composition"], row["split"]): row for row in judged.rows("committees")}
    summary = of_it["Cu100", "held_out"]
    assert rows[0]["coverage_frac"] == 0.0
    for name in ("deviation_force_mev_per_angstrom", "force_error_over_deviation"):
        assert rows[0][name] == summary[name]


def test_every_frame_is_a_point_of_error_against_deviation(judged: Judged) -> None:
    rows = query(judged.settings, "select * from error_against_deviation order by run_id, frame")
    of_frames = sorted(judged.rows("committee_frames"), key=lambda row: (row["run_id"], row["frame"]))
    assert len(rows) == len(of_frames) > 30
    for row, frame in zip(rows, of_frames, strict=True):
        ratio = frame["error_force_mev_per_angstrom"] / frame["deviation_force_mev_per_angstrom"]
        assert row["force_error_over_deviation"] == pytest.approx(ratio)
        assert (row["n_seeds"], row["chemical_system"], row["synthetic"]) == (3, "Al-Cu", True)


def test_closest_pairs_are_those_of_the_frames_trained_on(judged: Judged) -> None:
    shortest: dict[str, float] = {}
    for folder in deepmd_systems(judged.training_set / "train"):
        read = read_deepmd_system(folder)
        symbols = [read.type_map[kind] for kind in read.types]
        for positions, cell in zip(read.frames.positions_angstrom, read.frames.cell_angstrom, strict=True):
            i, j, distance = neighbor_list("ijd", Atoms(symbols, positions=positions, cell=cell, pbc=True), 3.5)
            for a, b, r in zip(i, j, distance, strict=True):
                pair = "-".join(sorted((symbols[a], symbols[b])))
                shortest[pair] = min(r, shortest.get(pair, np.inf))
    stored = {row["pair"]: row["min_distance_angstrom"] for row in judged.rows("closest_pairs")}
    assert sorted(stored) == ["Al-Al", "Al-Cu", "Cu-Cu"]
    assert stored == pytest.approx(shortest, rel=1e-12)


def test_the_card_says_where_a_potential_comes_from_and_how_good_it_is(judged: Judged) -> None:
    card = judged.card(3)
    assert (card.synthetic, card.observed, card.model.sha256) == (
        True,
        True,
        judged.rows("potentials", "seed3")[0]["sha256"],
    )
    assert (card.data.compositions, card.data.held_out) == (["Al100", "Al50Cu50"], ["Cu100"])
    assert card.data.level_of_theory == "functional=PBE ENCUT=300"
    assert [(run.run_id, run.source_sha256, run.n_train > 0) for run in card.data.runs] == [
        ("a1", "sha of a1", True), ("b1", "sha of b1", True), ("c1", "sha of c1", False),
    ]  # fmt: skip
    lowest, highest = card.data.temperature_range_k
    assert 1000 < lowest <= highest < 1002
    assert [one.model_dump() for one in card.accuracy] == [
        {name: row[name] for name in type(card.accuracy[0]).model_fields} for row in judged.rows("rmse", "seed3")
    ]
    assert {one.pair: one.min_distance_angstrom for one in card.safe_distances} == {
        row["pair"]: row["min_distance_angstrom"] for row in judged.rows("closest_pairs")
    }
    beside = judged.settings.artifacts / "potentials" / "seed3" / "model_card.json"
    assert ModelCard.model_validate_json(beside.read_text()) == card


def test_the_card_can_be_asked_in_sql(judged: Judged) -> None:
    sql = """select potential_id, card->>'$.data.level_of_theory' as theory,
    (card->>'$.neighbours.sel_margin[0]')::double as margin from model_cards order by 1"""
    rows = query(judged.settings, sql)
    assert [row["potential_id"] for row in rows] == ["seed1", "seed2", "seed3"]
    assert (rows[0]["theory"], rows[0]["margin"]) == ("functional=PBE ENCUT=300", pytest.approx(44 / 38))


def test_another_model_file_is_judged_anew(judged: Judged, tmp_path: Path) -> None:
    lake = copied(judged, tmp_path)
    settings = Settings.from_mapping({}, lake=lake.root)
    [row], [other] = judged.rows("potentials", "seed1"), judged.rows("potentials", "seed2")
    copyfile(judged.model(2), settings.artifacts / "potentials" / "seed1" / "frozen.pb")
    lake.replace("potentials", "seed1", [row | {"sha256": other["sha256"]}])
    assert observe_potential(settings, "seed1")["changed"] is True
    force = "rmse_force_mev_per_angstrom"
    assert lake.rows("rmse", key="seed1")[force].to_pylist() == lake.rows("rmse", key="seed2")[force].to_pylist()
    [card] = lake.rows("model_cards", key="seed1").to_pylist()
    assert ModelCard.model_validate_json(card["card"]).model.sha256 == other["sha256"]


@pytest.fixture(scope="module")
def exported(judged: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "seed1"
    potential_export(judged.settings, "seed1", str(folder))
    return folder


def test_an_exported_potential_verifies_itself_without_us(exported: Path) -> None:
    done = python("verify.py", cwd=exported)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0, "OK: this deepmd-kit reproduces the stored predictions.",
    ), done.stderr[-2000:]  # fmt: skip
    assert len(re.findall("^same ", done.stdout, re.MULTILINE)) == 3
    assert not re.search(
        r"^\s*(from|import) (meltlake|operators|lake|schemas)", (exported / "verify.py").read_text(), re.MULTILINE
    )


def run_here(script: Path) -> str | int | None:
    """Run a script in this process, which has DeePMD loaded; its exit code."""
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    return end.value.code


def test_verify_fails_for_a_changed_file_and_for_another_potential(
    exported: Path, judged: Judged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "changed"
    copytree(exported, folder)
    copyfile(judged.model(2), folder / "potential.pb")
    assert run_here(folder / "verify.py") == 1
    assert "missing or changed: potential.pb" in capsys.readouterr().out
    sums = (folder / "SHA256SUMS").read_text().replace(*(row_sha(judged, seed) for seed in (1, 2)))
    (folder / "SHA256SUMS").write_text(sums)
    assert run_here(folder / "verify.py") == 1
    assert capsys.readouterr().out.count("DIFFERS") == 3


def row_sha(judged: Judged, seed: int) -> str:
    return str(judged.rows("potentials", f"seed{seed}")[0]["sha256"])


def test_lammps_gives_the_energy_of_deep_pot(exported: Path, judged: Judged, tmp_path: Path) -> None:
    folder = tmp_path / "lammps"
    copytree(exported, folder)
    program, environment = lammps_command(with_deepmd=True)
    words: Sequence[str] = [program, "-in", "in.lammps", "-log", "none", "-var", "steps", "20"]
    done = subprocess.run(
        words, cwd=folder, env=os.environ | THREADS | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    _, _, energy, *_, closest = next(line.split() for line in done.stdout.splitlines() if re.match(r"\s+0 ", line))
    with np.load(folder / "reference.npz") as reference:
        first = str(reference["frames"][0])
        positions, cell = reference[f"{first}/positions"][None], reference[f"{first}/cell"][None]
        numbers = atomic_numbers_of(np.array(["Al", "Cu"])[reference[f"{first}/types"]].tolist())
    [said], _, _ = DeepPotential(judged.model(1)).predict(numbers, positions, cells=cell)
    assert first.startswith("Al50Cu50-a1-")
    assert float(energy) == pytest.approx(said, abs=1e-6)
    distances = neighbor_list("d", Atoms(numbers, positions=positions[0], cell=cell[0], pbc=True), 3.5)
    assert float(closest) == pytest.approx(distances.min(), abs=1e-6)
    assert re.search(r"^energy -?\d+\.\d+ eV$", done.stdout, re.MULTILINE)


def test_ase_gives_the_stored_energy(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(exported / "ase_example.py"), run_name="__main__")
    computed, stored = re.findall(r"(-?\d+\.\d{9}) eV", capsys.readouterr().out)
    assert float(computed) == pytest.approx(float(stored), abs=1e-6)


def test_the_exported_page_warns_of_synthetic_frames_and_has_the_errors(exported: Path, judged: Judged) -> None:
    page = (exported / "README.md").read_text()
    assert "Not for science" in page
    [pool] = [r for r in judged.rows("rmse", "seed1") if (r["composition"], r["split"]) == ("all", "held_out")]
    assert f"| all | held_out | {pool['n_frames']} | {pool['rmse_energy_mev_per_atom']:.4g} (" in page
    assert all(
        f"| {row['pair']} | {row['min_distance_angstrom']:.3f} |" in page for row in judged.rows("closest_pairs")
    )
    card = ModelCard.model_validate_json((exported / "model_card.json").read_text())
    assert (card.model.name, card.observed) == ("potential.pb", True)


def test_an_export_replaces_only_what_it_made(exported: Path, judged: Judged, tmp_path: Path) -> None:
    with pytest.raises(MeltlakeError, match="exists"):
        potential_export(judged.settings, "seed1", str(exported))
    (tmp_path / "mine").mkdir()
    with pytest.raises(MeltlakeError, match=r"found no model_card\.json in it"):
        potential_export(judged.settings, "seed1", str(tmp_path / "mine"), overwrite=True)
    with pytest.raises(MeltlakeError, match="no potential 'seed9'"):
        potential_export(judged.settings, "seed9", str(tmp_path / "other"))


def test_a_potential_is_judged_though_the_model_of_another_seed_is_gone(judged: Judged, tmp_path: Path) -> None:
    lake = copied(judged, tmp_path)
    settings = Settings.from_mapping({}, lake=lake.root)
    for table in ("rmse", "committees"):
        lake.remove(table, lake.keys(table)[0])
    lost = settings.artifacts / "potentials" / "seed3" / "frozen.pb"
    lost.unlink()
    row = judged.rows("potentials", "seed3")[0]
    lake.replace("potentials", "seed3", [row | {"path": str(lost)}])
    answer = observe_potential(settings, "seed1")
    assert (answer["rows"]["rmse"], answer["committee"], answer["changed"]) == (8, [], True)
    assert "model file of potential seed3 is missing" in answer["skipped"][0]


def test_a_training_set_that_lost_frames_is_not_judged_on(judged: Judged, tmp_path: Path) -> None:
    lake = copied(judged, tmp_path)
    key = lake.keys("training_set_frames")[0]
    lake.replace("training_set_frames", key, [r for r in judged.rows("training_set_frames") if r["frame"] != 3])
    lake.remove("rmse", "seed1")
    with pytest.raises(MeltlakeError, match=r"frames that the lake lists of run"):
        observe_potential(Settings.from_mapping({}, lake=lake.root), "seed1")
