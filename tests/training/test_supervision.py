"""What can go wrong while DeePMD trains is told with its cause, early, and nothing that was saved is lost."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lake.deepmd_npy import deepmd_systems
from lake.delta import Lake
from operators.materialize import materialize
from operators.physics.neighbours import require_room
from operators.potentials.deepmd_input import TrainingData, deepmd_input
from operators.potentials.deepmd_training import (
    Progress,
    checkpoints,
    freeze_and_compress,
    prepare,
    train_to_the_end,
)
from operators.potentials.freezing import NAMES
from operators.potentials.learning_curve import Diverged, learning_curve
from operators.potentials.resuming import GOES_ON, SAYS
from operators.potentials.sound_files import inspected
from operators.potentials.watching import Watcher
from operators.processes import ProgramFailed, program, run
from operators.train import train
from schemas.errors import MeltlakeError, StepFailed
from schemas.recipes import Recipe
from schemas.training import TrainingSetRequest
from tests.training.tiny import numbers_in, tiny_recipe

ROOT = Path(__file__).parents[2]
TINY = tiny_recipe(n_steps=50)
ON_A_SMALL_DISK = """
import json, subprocess, sys
from pathlib import Path
from operators.potentials.deepmd_training import checkpoints, prepare, train_to_the_end
from schemas.errors import MeltlakeError
folder, written = Path(sys.argv[1]), json.loads(sys.argv[2])
folder.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2600k", "tmpfs", folder], check=True)
prepare(folder, written)
told = []
for size in ("2600k", "40m"):
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
    try:
        train_to_the_end(folder, n_steps=50, reference_force_ev_per_angstrom=1.0, keep_points=[].append)
        told.append([0, checkpoints(folder), (folder / "train.log").read_text().count("goes on from step")])
    except MeltlakeError as error:
        told.append([error.exit_code, str(error), checkpoints(folder)])
print(json.dumps(told))
"""
LINES = (
    "[..] DEEPMD INFO    Batch {step:7d}: trn: rmse = {loss}, rmse_e = 6.58e-03, rmse_f = {force}, lr = 4.16e-04",
    "[..] DEEPMD INFO    Batch {step:7d}: total wall time = 3.31 s, eta = 0:00:46 at 2026-11-23 06:33",
)


@pytest.fixture
def training_set(melts, settings, labelled_by_emt) -> Path:
    for run_id, counts in (("a1", {"Al": 16, "Cu": 16}), ("b1", {"Al": 24, "Cu": 8})):
        melts.add(run_id, counts, labelled_by_emt(counts, 20))
    return Path(str(materialize(settings, TrainingSetRequest())["path"]))


def written_for(training_set: Path, recipe: Recipe = TINY) -> dict[str, object]:
    names = {split: tuple(map(str, deepmd_systems(training_set / split))) for split in ("train", "test")}
    return deepmd_input(recipe, TrainingData(type_map=("Al", "Cu"), sel=(40, 40), has_virials=True, **names), seed=1)


def trained(folder: Path) -> None:
    train_to_the_end(folder, n_steps=50, reference_force_ev_per_angstrom=1.0, keep_points=[].append)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def test_a_damaged_checkpoint_is_passed_over_and_the_potential_is_the_same_to_the_last_bit(training_set, tmp_path):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    prepare(whole, written_for(training_set))
    trained(whole)
    assert checkpoints(whole) == [50, 48, 46, 44, 42]

    shutil.copytree(whole, resumed)
    truncate(resumed / "model.ckpt-50.data-00000-of-00001")
    (resumed / "model.ckpt-48.meta").write_bytes(b"")
    (resumed / "model.ckpt-46.index").unlink()
    trained(resumed)

    said = (resumed / "train.log").read_text()
    assert "checkpoint 50 is damaged and not used" in said
    assert "checkpoint 48 is damaged and not used" in said
    assert "goes on from step 44" in said
    expected, found = numbers_in(whole / "model.ckpt-50"), numbers_in(resumed / "model.ckpt-50")
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    curves = [learning_curve((folder / "lcurve.out").read_text()) for folder in (whole, resumed)]
    assert curves[0] == curves[1]
    assert [row["step"] for row in curves[1]] == list(range(0, 51, 2))


@pytest.mark.parametrize(
    ("learning_rate", "said", "shown"),
    [
        (1e300, r"its loss is not a number at step 0", []),
        (1e30, r"at step 48 is .*e\+60 eV/atom in the energy", [0, 16, 32]),
    ],
)
def test_a_diverged_training_is_stopped_early(training_set, settings, learning_rate, said, shown):
    recipe = TINY.model_copy(update={"n_steps": 400, "start_learning_rate": learning_rate})
    with pytest.raises(Diverged, match=said) as caught:
        train(settings, training_set.name, recipe=recipe)
    (folder,) = (path for path in (settings.artifacts / "potentials").iterdir() if path.is_dir())
    lake = Lake(settings.lake)
    assert caught.value.exit_code == 65
    assert lake.rows("learning_curves", key=folder.name)["step"].to_pylist()[:3] == shown
    assert lake.rows("potentials").num_rows == 0
    assert all(step == 0 for step in checkpoints(folder))


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0,
    reason="a small disk of one's own needs a mount namespace",
)
def test_a_full_disk_is_told_and_the_checkpoint_before_is_used(training_set, tmp_path):
    words = [str(tmp_path / "small"), json.dumps(written_for(training_set))]
    command = ["unshare", "-rm", sys.executable, "-c", ON_A_SMALL_DISK, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-2000:]
    full, done = json.loads(answer.stdout.splitlines()[-1])
    assert full[0] == 75
    assert "disk full" in full[1] or "disk is full" in full[1]
    assert "Free space" in full[1]
    assert full[2]
    assert (done[0], done[1][0], done[2]) == (0, 50, 1)


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit bounds the memory of a program")
def test_deepmd_without_memory_is_told_as_such(training_set, tmp_path):
    prepare(tmp_path / "p", written_for(training_set))
    command = ["prlimit", "--as=1100000000", program("dp"), "--tf", "train", "input.json"]
    with pytest.raises(ProgramFailed, match=r"dp train ended with code 1 \(out of memory\)") as caught:
        run(command, cwd=tmp_path / "p", log_path=tmp_path / "p" / "train.log", called="dp train")
    assert caught.value.exit_code == 75


def test_damaged_input_is_told_and_not_overwritten(tmp_path):
    prepare(tmp_path / "p", {"training": {"numb_steps": 3}})
    truncate(tmp_path / "p" / "input.json")
    with pytest.raises(MeltlakeError, match=r"input.json: needed the JSON object .* Move the folder .* away"):
        prepare(tmp_path / "p", {"training": {"numb_steps": 3}})
    assert (tmp_path / "p" / "input.json").stat().st_size > 0


def test_a_folder_begun_otherwise_is_kept_aside(tmp_path):
    prepare(tmp_path / "p", {"training": {"numb_steps": 3, "save_freq": 1}})
    prepare(tmp_path / "p", {"training": {"numb_steps": 3, "save_freq": 2}})
    assert json.loads((tmp_path / "p" / "input.json").read_text())["training"]["save_freq"] == 1
    prepare(tmp_path / "p", {"training": {"numb_steps": 4}})
    assert json.loads((tmp_path / "p" / "input.json").read_text())["training"]["numb_steps"] == 4
    assert (tmp_path / ".p.other-input" / "input.json").exists()


def frozen_with(folder: Path, **changes: float) -> Path:
    """A folder in which freezing has been done, with these differences found."""
    for name in ("frozen.pb", "compressed.pb"):
        (folder / name).touch()
    (folder / "compression.json").write_text(json.dumps(dict.fromkeys(NAMES, 1e-12) | changes))
    return folder


def test_a_model_that_was_frozen_wrongly_is_refused_and_forgotten(tmp_path):
    frozen_with(tmp_path, freezing_force_ev_per_angstrom=5.1)
    with pytest.raises(MeltlakeError, match=r"needed the numbers of checkpoint 8 .*freezing_force_ev_per_angstrom 5.1"):
        freeze_and_compress(tmp_path, [], step=8)
    assert not list(tmp_path.glob("*.pb"))


def test_a_model_that_compression_changed_is_used_uncompressed(tmp_path):
    model, differences = freeze_and_compress(frozen_with(tmp_path, virial_ev_per_atom=0.2), [], step=8)
    assert (model.name, differences["virial_ev_per_atom"]) == ("frozen.pb", 1e-12)


def test_a_training_set_that_changed_since_the_beginning_is_refused(training_set, tmp_path):
    kept = tmp_path / "training_set.json"
    assert inspected(training_set, kept) == inspected(training_set, kept)
    with next(training_set.glob("train/*/set.000/force.npy")).open("r+b") as file:
        file.seek(-8, 2)
        file.write(np.float64(3.0).tobytes())
    with pytest.raises(MeltlakeError, match="needed the files that the training began with") as caught:
        inspected(training_set, kept)
    assert caught.value.exit_code == 65


def test_a_training_set_with_a_number_that_is_none_is_refused(training_set, tmp_path):
    force = np.load(path := next(training_set.glob("test/*/set.000/force.npy")))
    force[0, 3] = math.nan
    np.save(path, force)
    with pytest.raises(MeltlakeError, match="needed finite numbers, found others among forces_ev_per_angstrom"):
        inspected(training_set, tmp_path / "training_set.json")


def test_the_rms_force_is_of_the_frames_to_learn(training_set, tmp_path):
    forces = np.concatenate([np.load(path).ravel() for path in training_set.glob("train/*/set.000/force.npy")])
    found = inspected(training_set, tmp_path / "training_set.json").rms_force_ev_per_angstrom
    assert found == pytest.approx(np.sqrt(np.mean(forces**2)))


def test_too_few_slots_for_neighbours_are_told_before_training():
    with pytest.raises(MeltlakeError, match=r"found 40 for up to 41 Cu. Use at least 24, 48 for Al, Cu") as caught:
        require_room([24, 40], [20, 41], ["Al", "Cu"])
    assert caught.value.exit_code == 65
    require_room([24, 48], [20, 41], ["Al", "Cu"])


def watcher(folder: Path, points: list[object]) -> Watcher:
    return Watcher(
        folder,
        n_steps=100,
        reference_force_ev_per_angstrom=1.0,
        keep_points=points.append,
        note_progress=lambda: None,
    )


def show(watcher: Watcher, step: int, force: str, loss: str = "1.0e+01") -> None:
    for line in LINES:
        watcher.see(line.format(step=step, force=force, loss=loss))


def test_errors_beyond_all_bounds_end_a_training_and_one_odd_batch_does_not(tmp_path):
    watching = watcher(tmp_path, [])
    for step, force in enumerate(("1.0e+00", "5.0e+01", "6.0e+01", "2.0e+00", "5.0e+01", "6.0e+01")):
        show(watching, step, force)
    with pytest.raises(Diverged, match=r"at step 6 is 70 eV/A in the forces \(sound: 1\), .*; it was sound at step 3"):
        show(watching, 6, "7.0e+01")


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_a_loss_that_is_no_number_ends_a_training_at_once(tmp_path, loss):
    watching = watcher(tmp_path, [])
    show(watching, 0, "1.0e+00")
    with pytest.raises(Diverged, match="not a number at step 8; it was sound at step 0"):
        show(watching, 8, "nan", loss)


def test_what_a_training_went_on_from_counts_as_sound(tmp_path):
    watching = watcher(tmp_path, [])
    watching.see(f"{SAYS}{GOES_ON}300000")
    with pytest.raises(Diverged, match="it was sound at step 300000"):
        show(watching, 301000, "nan", "nan")


def test_a_kept_file_with_other_names_is_damaged(tmp_path):
    (tmp_path / "progress.json").write_text("{}")
    with pytest.raises(StepFailed, match=r"progress\.json: needed the JSON object .* found {}"):
        Progress.read(tmp_path)


def test_the_learning_curve_is_handed_over_in_batches_while_it_grows(tmp_path):
    points: list[list[dict[str, object]]] = []
    watching = watcher(tmp_path, points)
    for step in range(45):
        header = "" if step else "# step rmse_trn rmse_f_trn lr\n"
        with (tmp_path / "lcurve.out").open("a") as file:
            file.write(f"{header}{step} 1.0e+01 1.0e+00 1.0e-03\n")
        show(watching, step, "1.0e+00")
    assert [len(batch) for batch in points] == [20, 40]
    assert points[1][39]["rmse_force_train_mev_per_angstrom"] == 1000.0


def test_a_lake_that_is_busy_does_not_cost_a_training(tmp_path):
    def busy(_points: object) -> None:
        raise MeltlakeError("Busy.", "Wait.")

    (tmp_path / "lcurve.out").write_text("# step rmse_trn lr\n0 1.0 1.0\n")
    watching = Watcher(
        tmp_path, n_steps=100, reference_force_ev_per_angstrom=1.0, keep_points=busy, note_progress=lambda: None
    )
    for step in range(21):
        show(watching, step, "1.0e-01")
    assert watching.last_sound_step == 20
