"""A potential comes out of a training set once, whatever is killed on the way."""

import json
import os
import subprocess
import sys
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from lake.deep_potential import DeepPotential
from lake.deepmd_npy import deepmd_systems
from lake.delta import Lake
from lake.locks import exclusive
from operators.materialize import materialize
from operators.potentials.deepmd_input import TrainingData, checked_by_deepmd, decay_steps, deepmd_input
from operators.potentials.deepmd_training import checkpoints, last_checkpoint
from operators.potentials.freezing import LARGEST_BY_FREEZING, is_equal, largest_differences, unfrozen
from operators.potentials.learning_curve import Diverged, learning_curve, sound_part
from operators.train import train
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.model_card import FILE_NAME, ModelCard
from schemas.recipes import RECIPES, Recipe, recipe_named
from schemas.training import TrainingSetRequest
from tests.training.tiny import tiny_recipe, wait_until

ROOT = Path(__file__).parents[2]
TINY = tiny_recipe(n_steps=200)
DATA = TrainingData(type_map=("Al", "Cu"), sel=(68, 88), train=("train/a",), test=("test/a",), has_virials=True)
CURVE = """\
# step       rmse_val    rmse_trn    rmse_e_val  rmse_e_trn    rmse_f_val  rmse_f_trn   lr
# If there is no available reference data, rmse_*_{val,trn} will print nan
      0      3.04e+01    2.74e+01      6.00e-01    5.84e-01      nan  8.65e-01   5.0e-03
      3      2.65e+01    3.79e+01      5.29e-01    5.95e-01      9.29e-01    1.33e+00   4.1e-03
      6      2.65e+01    3.79e+0# step rmse_val rmse_trn rmse_e_val rmse_e_trn rmse_f_val rmse_f_trn lr
      3      2.65e+01    3.79e+01      5.00e-01    5.95e-01      9.29e-01    1.33e+00   4.1e-03
      6      2.11e+01    1.87e+01      3.95e-01    4.03e-01      9.07e-01    8.04e-01   2.7e-03
"""
CALLER = """
import json, sys
from operators.train import train
from schemas.errors import StoppedBySignal
from schemas.recipes import Recipe
from schemas.settings import Settings
settings, training_set_id, recipe = json.loads(sys.argv[1])
try:
    train(Settings(**settings), training_set_id, recipe=Recipe(**recipe))
except StoppedBySignal as error:
    print(error.problem, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def start_training(settings, training_set_id: str) -> "subprocess.Popen[str]":
    words = json.dumps([settings.model_dump(), training_set_id, TINY.model_dump(mode="json")])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", CALLER, words], env=environment, stderr=subprocess.PIPE, text=True)


def processes_in(folder: Path) -> list[str]:
    """Command lines of live processes that run in a folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").resolve() == folder.resolve():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.timeout(240)
def test_training_survives_kill_and_sigterm_and_is_done_once(melts, settings, labelled_by_emt) -> None:
    melts.add("a1", {"Al": 16, "Cu": 16}, labelled_by_emt({"Al": 16, "Cu": 16}, 20))
    training_set_id = str(materialize(settings, TrainingSetRequest())["training_set_id"])
    potentials = settings.artifacts / "potentials"

    with start_training(settings, training_set_id) as caller:
        wait_until(lambda: list(potentials.glob("*/model.ckpt-*.meta")))
        caller.kill()
    (folder,) = (path for path in potentials.iterdir() if path.is_dir())
    wait_until(lambda: not processes_in(folder), 15)

    with start_training(settings, training_set_id) as caller:
        wait_until(lambda: "goes on from step" in (folder / "train.log").read_text())
        caller.terminate()
        _, said = caller.communicate(timeout=30)
    assert "was stopped by SIGTERM" in said
    assert (caller.returncode, processes_in(folder)) == (143, [])

    reached = last_checkpoint(folder)
    made = train(settings, training_set_id, recipe=TINY)
    check_potential(melts.lake, made, folder=folder)
    check_that_another_checkpoint_would_be_noticed(folder, settings.artifacts / "training_sets" / training_set_id)
    check_no_step_was_trained_twice_before(reached, (folder / "lcurve.out").read_text())

    before = (folder / "train.log").read_bytes()
    again = train(settings, training_set_id, recipe=TINY)
    assert (made["changed"], again["changed"], again["path"]) == (True, False, made["path"])
    assert (folder / "train.log").read_bytes() == before


def check_potential(lake: Lake, made: dict[str, object], *, folder: Path) -> None:
    curve = lake.rows("learning_curves", key=str(made["potential_id"])).to_pydict()
    assert sorted(curve["step"]) == list(range(0, 201, 8))
    assert curve["rmse_virial_mev_per_atom"].count(None) == 0
    assert is_equal(json.loads((folder / "compression.json").read_text()))
    (row,) = lake.rows("potentials", key=str(made["potential_id"])).to_pylist()
    assert (row["compressed"], row["n_steps"], row["n_restarts"], row["type_map"]) == (True, 200, 2, ["Al", "Cu"])
    card = ModelCard.model_validate_json((folder / FILE_NAME).read_text())
    assert (card.observed, card.model.sha256, card.neighbours.sel) == (False, row["sha256"], row["sel"])
    assert card.training.software["deepmd-kit"] == row["deepmd_version"]
    assert card.model.compression_differences is not None
    assert [one.pair for one in card.safe_distances] == ["Al-Al", "Al-Cu", "Cu-Cu"]
    assert all(slots >= 1.15 * count for slots, count in zip(row["sel"], row["max_neighbours"], strict=True))


def check_that_another_checkpoint_would_be_noticed(folder: Path, training_set: Path) -> None:
    frozen, oldest = folder / "frozen.pb", checkpoints(folder)[-1]
    models = [unfrozen(f"{folder}/model.ckpt-{step}", frozen) for step in (200, oldest)]
    right, wrong = largest_differences([DeepPotential(frozen), *models], deepmd_systems(training_set / "test"))
    assert max(right.values()) < 1e-12
    assert min(wrong.values()) > LARGEST_BY_FREEZING


def check_no_step_was_trained_twice_before(checkpoint: int | None, text: str) -> None:
    *_, after_restart = text.split("# step")
    steps = [int(line.split()[0]) for line in after_restart.splitlines() if line[:1] == " " and "rmse" not in line]
    assert checkpoint is not None
    assert steps[0] >= checkpoint > 0


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_deepmd_accepts_every_recipe(recipe: Recipe) -> None:
    completed = checked_by_deepmd(deepmd_input(recipe, DATA, seed=1), recipe.name)
    assert completed["training"]["numb_steps"] == recipe.n_steps
    assert completed["loss"]["intensive_ener_virial"] is False


def test_dp_2_is_the_papers_main_recipe() -> None:
    written = deepmd_input(recipe_named("DP-2"), DATA, seed=1)
    assert written["model"]["descriptor"]["neuron"] == [50, 100]
    assert written["model"]["fitting_net"]["neuron"] == [240, 240, 240]
    assert written["learning_rate"] == {"type": "exp", "start_lr": 1e-3, "stop_lr": 3.51e-8, "decay_steps": 5000}
    assert [written["model"][net]["seed"] for net in ("descriptor", "fitting_net")] == [1, 2]
    assert (written["training"]["seed"], written["training"]["save_freq"]) == (3, 1000)


def test_a_shortened_training_still_decays_its_learning_rate() -> None:
    assert decay_steps(recipe_named("DP-2")) == 5000
    assert decay_steps(recipe_named("DP-2").model_copy(update={"n_steps": 4000})) == 100
    assert decay_steps(recipe_named("DP-small")) == 50
    assert decay_steps(TINY.model_copy(update={"n_steps": 10})) == 1


@pytest.mark.parametrize("n_steps", [60, 2000, 400_000])
def test_every_length_of_training_shows_at_least_twenty_points(n_steps: int) -> None:
    written = deepmd_input(TINY.model_copy(update={"n_steps": n_steps}), DATA, seed=1)["training"]
    assert n_steps / written["disp_freq"] >= 20
    assert n_steps / written["save_freq"] >= 20


def test_without_virials_the_virial_has_no_weight() -> None:
    data = TrainingData(type_map=("Al",), sel=(68,), train=("a",), test=(), has_virials=False)
    written = deepmd_input(recipe_named("DP-2"), data, seed=1)
    assert (written["loss"]["start_pref_v"], written["loss"]["limit_pref_v"]) == (0.0, 0.0)
    assert "validation_data" not in written["training"]


def test_a_recipe_that_deepmd_refuses_is_told() -> None:
    written = deepmd_input(TINY, DATA, seed=1)
    written["training"]["numb_stepz"] = 3
    with pytest.raises(MeltlakeError, match=r"Recipe tiny: DeePMD refuses .*numb_stepz"):
        checked_by_deepmd(written, "tiny")


@pytest.mark.parametrize(
    ("part", "name", "key"),
    [
        (("model", "fitting_net"), "neuron", "fitting_net"),
        (("model", "descriptor"), "neuron", "embedding_net"),
        (("learning_rate",), "decay_rate", "decay_rate"),
        (("training", "training_data"), "auto_prob", "sampling"),
    ],
)
def test_what_deepmd_refuses_is_told_as_the_recipe_calls_it(part, name, key) -> None:
    written = deepmd_input(TINY, DATA, seed=1)
    reduce(getitem, part, written)[name] = 3
    with pytest.raises(MeltlakeError, match=f"Recipe tiny: DeePMD refuses {key}: "):
        checked_by_deepmd(written, "tiny")


def test_what_the_paper_leaves_open_reaches_deepmd() -> None:
    chosen = {"activation": "gelu", "type_one_side": True, "resnet_embedding": True, "precision": "float32"}
    changed = TINY.model_copy(update={**chosen, "sampling": "evenly", "decay_rate": 0.95})
    written = checked_by_deepmd(deepmd_input(changed, DATA, seed=1), "tiny")
    descriptor = written["model"]["descriptor"]
    keys = ("activation_function", "type_one_side", "resnet_dt", "precision")
    assert [descriptor[key] for key in keys] == list(chosen.values())
    assert written["learning_rate"]["decay_rate"] == 0.95
    assert written["training"]["training_data"]["auto_prob"] == "prob_uniform"


def test_the_last_row_of_a_repeated_step_counts() -> None:
    rows = learning_curve(CURVE)
    assert [row["step"] for row in rows] == [0, 3, 6]
    assert [row["rmse_energy_mev_per_atom"] for row in rows] == [600.0, 500.0, 395.0]
    assert rows[0]["rmse_force_mev_per_angstrom"] is None
    assert rows[0]["rmse_virial_mev_per_atom"] is None


def test_of_the_checkpoint_itself_the_first_row_counts() -> None:
    *_, last = CURVE.splitlines()
    again = last.replace("4.03e-01", "9.99e-01")
    rows = learning_curve(f"{CURVE}{CURVE.splitlines()[0]}\n{again}\n")
    assert rows[-1]["rmse_energy_train_mev_per_atom"] == 403.0


def test_a_diverged_training_is_told() -> None:
    diverged = CURVE.replace("1.33e+00", "nan")
    with pytest.raises(Diverged, match="not a number at step 3"):
        learning_curve(diverged)
    assert [row["step"] for row in sound_part(diverged)] == [0]


@pytest.mark.parametrize(
    ("energy", "force", "virial"), [(2e-4, 0, 0), (0, 2e-3, 0), (0, 0, 2e-4), (float("nan"), 0, 0)]
)
def test_a_compressed_model_that_differs_is_not_equal(energy: float, force: float, virial: float) -> None:
    same = {"energy_ev_per_atom": 1e-9, "force_ev_per_angstrom": 1e-9, "virial_ev_per_atom": 1e-9}
    other = {"energy_ev_per_atom": energy, "force_ev_per_angstrom": force, "virial_ev_per_atom": virial}
    assert (is_equal(same), is_equal(other)) == (True, False)


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for name in ("-30.data-00000-of-00001", "-30.index", "-30.meta", "-60.data-00000-of-00001", "-60.index"):
        (tmp_path / f"model.ckpt{name}").touch()
    assert last_checkpoint(tmp_path) == 30


def test_two_processes_do_not_train_one_potential(three_melts, settings) -> None:
    with pytest.raises(MeltlakeError, match="no training set"):
        train(settings, "nowhere", recipe=TINY)
    (lock,) = (settings.artifacts / "potentials").glob(".*.lock")
    with exclusive(lock, doing="testing"), pytest.raises(TryAgainLater, match="training potential"):
        train(settings, "nowhere", recipe=TINY)


def test_a_changed_recipe_needs_its_own_name(settings) -> None:
    changed = recipe_named("DP-2").model_copy(update={"batch_size": 3})
    with pytest.raises(MeltlakeError, match="DP-2 differs from the one of that name"):
        train(settings, "nowhere", recipe=changed)


def test_a_training_set_that_is_not_there_is_told(three_melts, settings) -> None:
    known = materialize(settings, TrainingSetRequest())["training_set_id"]
    with pytest.raises(MeltlakeError, match=rf"no training set 'nowhere'.*{known}"):
        train(settings, "nowhere", recipe=TINY)


def test_a_damaged_training_set_is_not_trained_on(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    (deepmd_systems(Path(made["path"]) / "train")[0] / "type.raw").unlink()
    with pytest.raises(MeltlakeError, match="are not whole"):
        train(settings, str(made["training_set_id"]), recipe=TINY)
