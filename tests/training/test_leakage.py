"""What a random split hides is shown: side by side in a view, and on a toy melt where it is known to hide something."""

import json
from pathlib import Path

import pytest

from lake.deepmd_npy import deepmd_systems
from lake.delta import Lake
from lake.warehouse import query
from operators.ingest import ingest
from operators.materialize import materialize
from operators.observe import observe_potential
from operators.potentials.deepmd_input import TrainingData, checked_by_deepmd, deepmd_input
from operators.potentials.neighbour_maxima import neighbour_maxima
from operators.potentials.sampling import equal_compositions
from operators.toy_melt import ToyMeltRequest, generate
from operators.train import train
from schemas.recipes import recipe_named
from schemas.training import TrainingSetRequest

AL, ALCU = {"Al": 4}, {"Al": 2, "Cu": 2}
ROLES = (("all", "test"), ("Al100", "test"), ("all", "held_out"), ("all", "train"))


def trained(lake: Lake, name: str, training_set_id: object, *, force: float, seed: int = 1) -> None:
    row = {"potential_id": name, "recipe": "DP-2", "training_set_id": training_set_id, "seed": seed, "n_steps": 100}
    lake.replace("potentials", name, [row | {"backend": "tensorflow"}])
    errors = {"potential_id": name, "rmse_energy_mev_per_atom": 1.0, "n_frames": 5}
    rows = [errors | {"composition": of, "split": part} for of, part in ROLES]
    for row in rows:
        row["rmse_force_mev_per_angstrom"] = 50.0 if row["split"] == "train" else force
    lake.replace("rmse", name, rows)


def test_potentials_on_two_splits_of_the_same_frames_stand_side_by_side(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 40))
    melts.add("c1", ALCU, melts.frames(ALCU, 40, seed=1))
    melts.add("c2", {"Al": 3, "Cu": 1}, melts.frames({"Al": 3, "Cu": 1}, 40, seed=2))
    for split, force in (("blocks", 90.0), ("random", 60.0)):
        wish = {"split": split, "hold_out": ("Al50Cu50",)}
        trained(melts.lake, split, materialize(settings, TrainingSetRequest(**wish))["training_set_id"], force=force)
        trained(melts.lake, f"{split}-2", melts.lake.keys("training_sets")[0], force=1.0, seed=7)
    fewer = materialize(settings, TrainingSetRequest(split="random", compositions=("Al75Cu25",)))
    trained(melts.lake, "other-frames", fewer["training_set_id"], force=1.0)
    rows = [row for row in query(settings, "select * from leakage") if row["seed"] == 1]
    assert [(row["composition"], row["split"]) for row in rows] == list(ROLES)
    assert {(row["potential_id_blocks"], row["potential_id_random"]) for row in rows} == {("blocks", "random")}
    assert [row["force_over_train_blocks"] for row in rows] == [1.8, 1.8, 1.8, 1.0]
    assert [row["force_over_train_random"] for row in rows] == [1.2, 1.2, 1.2, 1.0]
    assert (rows[0]["min_gap_fs_blocks"], rows[0]["min_gap_fs_random"]) == (500.0, 100.0)


def test_neighbours_are_counted_once_per_training_set_and_cutoff(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 40))
    made = materialize(settings, TrainingSetRequest())
    name, folder = made["training_set_id"], Path(made["path"])
    near, far = (neighbour_maxima(melts.lake, name, folder, r_cut_angstrom=r_cut) for r_cut in (3.0, 6.0))
    assert near.most < far.most
    for part in ("train", "test"):
        (folder / part).rename(folder / f"no-{part}")
    assert neighbour_maxima(melts.lake, name, folder, r_cut_angstrom=3.0) == near
    rows = sorted(melts.lake.rows("neighbour_maxima", key=name).to_pylist(), key=lambda row: row["r_cut_angstrom"])
    assert [(row["r_cut_angstrom"], row["margin"]) for row in rows] == [(3.0, 1.15), (6.0, 1.15)]
    assert [tuple(row["sel"]) for row in rows] == [near.sel, far.sel]


def test_deepmd_is_told_to_draw_compositions_alike(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 40))
    melts.add("c1", ALCU, melts.frames(ALCU, 10, seed=1))
    made = materialize(settings, TrainingSetRequest(balance="compositions"))
    systems = deepmd_systems(Path(made["path"]) / "train")
    data = TrainingData(
        type_map=("Al", "Cu"),
        sel=(4, 4),
        train=tuple(map(str, systems)),
        test=(),
        has_virials=True,
        probabilities=equal_compositions(systems),
    )
    written = deepmd_input(recipe_named("DP-small"), data, seed=1)
    checked_by_deepmd(written, "DP-small")
    assert written["training"]["training_data"]["sys_probs"] == pytest.approx([0.5, 0.5])
    assert "auto_prob" not in written["training"]["training_data"]


def test_dp_trains_on_hdf5_and_draws_compositions_alike(melts, settings, labelled_by_emt) -> None:
    for run_id, counts, n_frames in (("a1", {"Al": 32}, 12), ("c1", {"Al": 16, "Cu": 16}, 8)):
        melts.add(run_id, counts, labelled_by_emt(counts, n_frames))
    made = materialize(settings, TrainingSetRequest(format="hdf5", balance="compositions"))
    recipe = recipe_named("DP-small").model_copy(update={"n_steps": 20})
    potential = train(settings, str(made["training_set_id"]), recipe=recipe)
    observe_potential(settings, str(potential["potential_id"]))
    rows = melts.lake.rows("rmse", key=potential["potential_id"]).to_pylist()
    n_frames = {row["split"]: row["n_frames"] for row in rows if row["composition"] == "all"}
    assert n_frames == {"train": made["n_train"], "test": made["n_test"]}
    told = json.loads((Path(potential["path"]).parent / "input.json").read_text())["training"]["training_data"]
    assert [".hdf5#/" in name for name in told["systems"]] == [True, True]
    assert told["sys_probs"] == pytest.approx([0.5, 0.5])


@pytest.mark.physical_validation
@pytest.mark.timeout(3600)
def test_a_random_split_of_a_toy_melt_hides_what_blocks_show(settings, capsys) -> None:
    for seed, composition in enumerate(("Al33Cu33Ni33", "Al50Cu25Ni25")):
        request = ToyMeltRequest(composition=composition, n_atoms=32, n_frames=80, seed=seed, source_format="outcar")
        generate(settings.home / "landing" / composition, request)
    ingest(settings, [str(settings.home / "landing")], workers=1)
    recipe = recipe_named("DP-small").model_copy(update={"n_steps": 3000})
    for split in ("blocks", "random"):
        made = materialize(settings, TrainingSetRequest(split=split, hold_out=("Al50Cu25Ni25",)))
        potential = train(settings, str(made["training_set_id"]), recipe=recipe)
        observe_potential(settings, str(potential["potential_id"]))
    rows = {row["split"]: row for row in query(settings, "select * from leakage where composition = 'all'")}
    with capsys.disabled():
        for row in rows.values():
            print("\n".join(f"{name}: {value}" for name, value in row.items()), end="\n\n")
    assert rows["test"]["force_over_train_random"] < 1.1 < rows["test"]["force_over_train_blocks"]
    assert rows["test"]["min_gap_fs_random"] < rows["test"]["correlation_time_fs"]
    assert rows["held_out"]["rmse_force_mev_per_angstrom_blocks"] > rows["test"]["rmse_force_mev_per_angstrom_blocks"]
