"""The verb `train`: a training set and a recipe become a potential, found when it exists, resumed when it was begun."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from lake.deepmd_npy import deepmd_systems, read_deepmd_system
from lake.delta import Lake
from lake.experiments import recipe_row
from lake.locks import exclusive
from operators.campaign import campaign_of
from operators.hardware import hardware
from operators.log import log
from operators.physics.neighbours import require_room
from operators.potentials.backends import BACKENDS, Backend
from operators.potentials.card import software, store_card, trained_card
from operators.potentials.chosen_run import SPLITS
from operators.potentials.deepmd_input import TrainingData, checked_by_deepmd, deepmd_input
from operators.potentials.deepmd_training import (
    forget_model,
    freeze_and_compress,
    learning_curve_text,
    prepare,
    train_to_the_end,
)
from operators.potentials.identity import name_of_potential
from operators.potentials.learning_curve import learning_curve
from operators.potentials.model_file import file_sha256
from operators.potentials.neighbour_maxima import neighbour_maxima
from operators.potentials.parent import Parent, n_test_frames_known
from operators.potentials.sampling import equal_compositions
from operators.potentials.sound_files import inspected
from operators.potentials.training_set_files import is_whole
from operators.potentials.watching import KeepPoints
from schemas.errors import MeltlakeError, StepFailed
from schemas.recipes import Recipe
from schemas.settings import Settings

_INSPECTION = "training_set.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """How a potential is to come out of a training set."""

    recipe: Recipe
    seed: int
    backend: Backend
    parent: Parent | None


def train(
    settings: Settings,
    training_set_id: str,
    *,
    recipe: Recipe,
    seed: int = 1,
    backend: str = "tensorflow",
    init_from: str | None = None,
) -> dict[str, object]:
    """Train a recipe on a training set, or find the potential that came of it before.

    Safe to kill at any moment: the next call goes on from the last checkpoint.

    Parameters
    ----------
    settings
        Where the lake is.
    training_set_id
        What to train on.
    recipe
        What to train.
    seed
        Of descriptor, fitting and batches.
    backend
        What DeePMD computes with: tensorflow or pytorch.
    init_from
        Potential whose weights are those of the first step; by default they are random.

    Raises
    ------
    MeltlakeError
        If the training set is not there, the training cannot be done, or `init_from` does not fit.
    TryAgainLater
        If another process is training the same potential, or memory ran out.
    StoppedBySignal
        If SIGTERM came.
    """
    usual = campaign_of(settings).all_recipes.get(recipe.name, recipe)
    _require_sound(recipe, seed, usual=usual)
    lake = Lake(settings.lake)
    potential_id = name_of_potential(recipe, training_set_id, seed, backend=backend, init_from=init_from)
    folder = (settings.artifacts / "potentials" / potential_id).absolute()
    with exclusive(folder.with_name(f".{potential_id}.lock"), doing=f"training potential {potential_id}"):
        rows = lake.rows("potentials", key=potential_id).to_pylist()
        if rows and _is_intact(folder, rows[0]):
            log.info("train", potential_id=potential_id, found=True)
            return _answer(rows[0], folder, changed=False)
        training_set = _training_set(lake, settings, training_set_id)
        engine = BACKENDS[backend]
        engine.require_installed()
        parent = None if init_from is None else Parent.of(lake, settings, init_from, backend=engine)
        wanted = _Wanted(recipe=recipe, seed=seed, backend=engine, parent=parent)

        def keep_points(points: Sequence[Mapping[str, object]]) -> None:
            lake.replace("learning_curves", potential_id, [{"potential_id": potential_id, **point} for point in points])

        row = _trained(lake, folder, training_set, wanted, keep_points=keep_points)
        row |= {"potential_id": potential_id, **_told_of_parent(lake, training_set_id, parent)}
        # A shortened training does not change what the recipe of that name is.
        lake.replace("recipes", recipe.name, [recipe_row(usual)])
        keep_points(learning_curve(learning_curve_text(folder)))
        hyperparameters = recipe.model_dump(mode="json", exclude={"paper"})
        store_card(settings, trained_card(settings, row, recipe=hyperparameters, trained_with=software()))
        lake.replace("potentials", potential_id, [row])
    log.info("train", potential_id=potential_id, n_steps=row["n_steps"], n_restarts=row["n_restarts"])
    return _answer(row, folder, changed=True)


def _require_sound(recipe: Recipe, seed: int, *, usual: Recipe) -> None:
    if recipe.n_steps < 1 or seed < 0:
        raise MeltlakeError(
            f"Needed at least one step and a seed of 0 or more, found {recipe.n_steps} and {seed}.", "Change them."
        )
    if recipe.model_copy(update={"n_steps": usual.n_steps}) != usual:
        raise MeltlakeError(
            f"Recipe {recipe.name} differs from the one of that name in more than n_steps.", "Give it another name."
        )


def _training_set(lake: Lake, settings: Settings, training_set_id: str) -> dict[str, object]:
    rows = lake.rows("training_sets", key=training_set_id).to_pylist()
    if not rows:
        known = ", ".join(lake.keys("training_sets")) or "none"
        raise MeltlakeError(
            f"There is no training set {training_set_id!r}.", f"Make one with `meltlake materialize`; it has: {known}."
        )
    folder = (settings.artifacts / "training_sets" / training_set_id).absolute()
    if not is_whole(folder):
        raise StepFailed(
            f"The files of training set {training_set_id} in {folder} are not whole.",
            "Run `meltlake materialize` with the same options again: it rebuilds them.",
        )
    return {**rows[0], "path": folder}


def _trained(
    lake: Lake, folder: Path, training_set: Mapping[str, object], wanted: _Wanted, *, keep_points: KeepPoints
) -> dict[str, object]:
    """The row of the potential, but for its name."""
    path, recipe, parent = Path(str(training_set["path"])), wanted.recipe, wanted.parent
    files = inspected(path, folder / _INSPECTION)
    data, most = _training_data(lake, training_set, folder, recipe)
    if parent is not None:
        parent.require_same_nets(deepmd_input(recipe, data, seed=wanted.seed), recipe.name)
        data = parent.given_room(data, most)
    require_room(data.sel, most, data.type_map)
    written = deepmd_input(recipe, data, seed=wanted.seed)
    checked_by_deepmd(written, recipe.name)
    if not data.has_virials and recipe.loss_prefactors.start_virial:
        log.info("train", potential_id=folder.name, note="no training frame has a virial: its prefactors are 0")
    prepare(folder, written)
    progress = train_to_the_end(
        folder,
        n_steps=recipe.n_steps,
        reference_force_ev_per_angstrom=files.rms_force_ev_per_angstrom,
        keep_points=keep_points,
        backend=wanted.backend,
        beginning=[] if parent is None else parent.beginning(folder),
    )
    systems = [folder for split in SPLITS for folder in deepmd_systems(path / split)]
    model, differences = freeze_and_compress(folder, systems, step=recipe.n_steps, backend=wanted.backend)
    return {
        "recipe": recipe.name,
        "recipe_id": recipe.recipe_id,
        "training_set_id": training_set["training_set_id"],
        "seed": wanted.seed,
        "backend": wanted.backend.name,
        "precision": recipe.precision,
        "r_cut_angstrom": recipe.r_cut_angstrom,
        "n_steps": recipe.n_steps,
        "compressed": model.name == wanted.backend.compressed,
        "deepmd_version": version("deepmd-kit"),
        "hardware": hardware(),
        "wall_seconds": progress.wall_seconds,
        "n_restarts": progress.n_restarts,
        "sel": list(data.sel),
        "max_neighbours": most,
        **{f"conversion_{name}": value for name, value in differences.items()},
        "type_map": list(data.type_map),
        "path": str(model),
        "sha256": file_sha256(model),
        "created_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _told_of_parent(lake: Lake, training_set_id: str, parent: Parent | None) -> dict[str, object]:
    if parent is None:
        return {}
    n_known = n_test_frames_known(lake, training_set_id, parent.potential_id)
    if n_known:
        log.warning("train", init_from=parent.potential_id, note=f"it was trained on {n_known} frames that are to test")
    return {"init_from": parent.potential_id, "n_test_frames_known": n_known}


def _training_data(
    lake: Lake, training_set: Mapping[str, object], folder: Path, recipe: Recipe
) -> tuple[TrainingData, list[int]]:
    """What DeePMD is told of the training set, and the neighbour counts behind its `sel`."""
    path, name = Path(str(training_set["path"])), str(training_set["training_set_id"])
    neighbours = neighbour_maxima(lake, name, path, r_cut_angstrom=recipe.r_cut_angstrom)
    systems = {split: deepmd_systems(path / split) for split in SPLITS}
    names = {split: tuple(os.path.relpath(system, folder) for system in systems[split]) for split in SPLITS}
    data = TrainingData(
        type_map=read_deepmd_system(systems["train"][0]).type_map,
        sel=neighbours.sel,
        train=names["train"],
        test=names["test"],
        has_virials=any(read_deepmd_system(system).frames.virial_ev is not None for system in systems["train"]),
        probabilities=equal_compositions(systems["train"]) if training_set["balance"] == "compositions" else None,
    )
    return data, list(neighbours.most)


def _is_intact(folder: Path, row: Mapping[str, object]) -> bool:
    model = folder / Path(str(row["path"])).name
    if model.exists() and file_sha256(model) == row["sha256"]:
        return True
    log.info("train", potential_id=folder.name, model_file="missing or changed: made again from its checkpoint")
    forget_model(folder)
    return False


def _answer(row: Mapping[str, object], folder: Path, *, changed: bool) -> dict[str, object]:
    names = ("potential_id", "recipe", "training_set_id", "init_from", "seed", "backend", "n_steps", "compressed",
             "wall_seconds", "n_restarts")  # fmt: skip
    model = folder / Path(str(row["path"])).name
    return {name: row.get(name) for name in names} | {"path": str(model), "changed": changed}
