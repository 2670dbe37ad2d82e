"""DeePMD's input file from a recipe and a training set. The one place where DeePMD's own spellings are written."""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import MeltlakeError
from schemas.recipes import Recipe

INPUT = "input.json"
CHECKPOINT = "model.ckpt"
LEARNING_CURVE = "lcurve.out"

FEWEST_DECAYS = 40
"""A recipe's `decay_steps` shrinks so that the learning rate decays at least this often in a shortened training; the
paper's 400000 steps keep their 5000."""
POINTS_IN_CURVE = 25
LARGEST_DISPLAY_STEP = 1000
CHECKPOINTS = 20
LARGEST_CHECKPOINT_STEP = 1000
"""Bounds what a kill can cost, whatever the length of the training."""

_TEST_BATCHES = 4

_AUTO_PROB = {"by_frames": "prob_sys_size", "evenly": "prob_uniform"}
_KEY_OF_RECIPE = {
    "descriptor/neuron": "embedding_net",
    "fitting_net/neuron": "fitting_net",
    "axis_neuron": "axis_neuron",
    "rcut_smth": "r_smooth_angstrom",
    "rcut": "r_cut_angstrom",
    "descriptor/resnet_dt": "resnet_embedding",
    "fitting_net/resnet_dt": "resnet_fitting",
    "type_one_side": "type_one_side",
    "activation_function": "activation",
    "precision": "precision",
    "start_lr": "start_learning_rate",
    "stop_lr": "stop_learning_rate",
    "decay_steps": "decay_steps",
    "decay_rate": "decay_rate",
    "auto_prob": "sampling",
    "batch_size": "batch_size",
    "numb_steps": "n_steps",
}
"""What a recipe calls what DeePMD calls so; the folder before a name, where the name alone could mean two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What DeePMD must know about a training set."""

    type_map: tuple[str, ...]
    sel: tuple[int, ...]
    """Neighbour slots per element."""
    train: tuple[str, ...]
    """The deepmd_systems to train on, as paths seen from the folder that `dp` runs in."""
    test: tuple[str, ...]
    has_virials: bool
    """Whether any deepmd_system to train on has virials."""
    probabilities: tuple[float, ...] | None = None
    """How often each deepmd_system to train on is drawn from; None leaves that to the recipe."""


def deepmd_input(recipe: Recipe, data: TrainingData, *, seed: int) -> dict[str, Any]:
    """The complete input of `dp train`: seed s for the descriptor, s + 1 for the fitting net, s + 2 for the batches."""
    validation = {"systems": list(data.test), "batch_size": recipe.batch_size, "numb_btch": _TEST_BATCHES}
    return {
        "model": {
            "type_map": list(data.type_map),
            "descriptor": {
                "type": "se_e2_a",
                "sel": list(data.sel),
                "rcut_smth": recipe.r_smooth_angstrom,
                "rcut": recipe.r_cut_angstrom,
                "neuron": list(recipe.embedding_net),
                "axis_neuron": recipe.axis_neuron,
                "resnet_dt": recipe.resnet_embedding,
                "type_one_side": recipe.type_one_side,
                "activation_function": recipe.activation,
                "precision": recipe.precision,
                "seed": seed,
            },
            "fitting_net": {
                "neuron": list(recipe.fitting_net),
                "resnet_dt": recipe.resnet_fitting,
                "activation_function": recipe.activation,
                "precision": recipe.precision,
                "seed": seed + 1,
            },
        },
        "learning_rate": {
            "type": "exp",
            "start_lr": recipe.start_learning_rate,
            "stop_lr": recipe.stop_learning_rate,
            "decay_steps": decay_steps(recipe),
            **({} if recipe.decay_rate is None else {"decay_rate": recipe.decay_rate}),
        },
        "loss": _loss(recipe, has_virials=data.has_virials),
        "training": {
            "training_data": {
                "systems": list(data.train),
                "batch_size": recipe.batch_size,
                **_drawn_by(recipe, data),
            },
            **({"validation_data": validation} if data.test else {}),
            "numb_steps": recipe.n_steps,
            "seed": seed + 2,
            "disp_file": LEARNING_CURVE,
            "disp_freq": displayed_every(recipe),
            "save_freq": saved_every(recipe),
            "save_ckpt": CHECKPOINT,
        },
    }


def checked_by_deepmd(written: dict[str, Any], recipe: str) -> dict[str, Any]:
    """The input completed by DeePMD's own rules.

    Raises
    ------
    MeltlakeError
        If DeePMD does not accept what was made of the recipe of that name.
    """
    from dargs.dargs import ArgumentError  # type: ignore[import-not-found,unused-ignore]
    from deepmd.utils.argcheck import normalize

    try:
        completed: dict[str, Any] = normalize(copy.deepcopy(written))
    except (ArgumentError, ValueError) as error:
        key = _key_of_recipe(f"{getattr(error, 'path', '')} {error}")
        raise MeltlakeError(
            f"Recipe {recipe}: DeePMD refuses {key}: {str(error).rstrip('.')}.", "Change the recipe."
        ) from error
    return completed


def _key_of_recipe(said: str) -> str:
    """The recipe's key that DeePMD's words are about."""
    for spelled, key in _KEY_OF_RECIPE.items():
        folder, _, name = spelled.rpartition("/")
        if folder in said and re.search(rf"\b{name}\b", said):
            return key
    return "the input made of it"


def nets(written: Mapping[str, Any]) -> dict[str, object]:
    """What an input says of the nets, as a recipe calls it: where it differs, weights mean something else."""
    descriptor, fitting = written["model"]["descriptor"], written["model"]["fitting_net"]
    return {
        "embedding_net": descriptor["neuron"],
        "axis_neuron": descriptor["axis_neuron"],
        "fitting_net": fitting["neuron"],
        "r_smooth_angstrom": descriptor["rcut_smth"],
        "r_cut_angstrom": descriptor["rcut"],
        "type_one_side": descriptor["type_one_side"],
        "activation": descriptor["activation_function"],
        "resnet_embedding": descriptor["resnet_dt"],
        "resnet_fitting": fitting["resnet_dt"],
        "precision": descriptor["precision"],
    }


def decay_steps(recipe: Recipe) -> int:
    """Steps between two decays of the learning rate: the recipe's, or less in a training too short for it."""
    return max(1, min(recipe.decay_steps, recipe.n_steps // FEWEST_DECAYS))


def _drawn_by(recipe: Recipe, data: TrainingData) -> dict[str, Any]:
    """A training set that is balanced by composition says more than a recipe, which knows no compositions."""
    if data.probabilities is not None:
        return {"sys_probs": list(data.probabilities)}
    return {"auto_prob": _AUTO_PROB[recipe.sampling]}


def displayed_every(recipe: Recipe) -> int:
    """Steps between two points of the learning curve."""
    return _share(recipe.n_steps, POINTS_IN_CURVE, LARGEST_DISPLAY_STEP)


def saved_every(recipe: Recipe) -> int:
    """Steps between two checkpoints: DeePMD saves only at steps that it displays, too."""
    displayed = displayed_every(recipe)
    return max(1, _share(recipe.n_steps, CHECKPOINTS, LARGEST_CHECKPOINT_STEP) // displayed) * displayed


def _loss(recipe: Recipe, *, has_virials: bool) -> dict[str, Any]:
    weights = recipe.loss_prefactors
    # Without a single label a prefactor would only add NaN columns to the learning curve.
    start_virial, limit_virial = (weights.start_virial, weights.limit_virial) if has_virials else (0.0, 0.0)
    return {
        "type": "ener",
        "start_pref_e": weights.start_energy,
        "limit_pref_e": weights.limit_energy,
        "start_pref_f": weights.start_force,
        "limit_pref_f": weights.limit_force,
        "start_pref_v": start_virial,
        "limit_pref_v": limit_virial,
    }


def _share(n_steps: int, parts: int, largest: int) -> int:
    return max(1, min(largest, n_steps // parts))
