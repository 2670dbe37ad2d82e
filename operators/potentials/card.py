"""The model card filled in: from the lake's rows when a potential was trained, completed when it was observed.

What its fields mean is told in `schemas.model_card`. The file beside the model is a copy of the lake's.
"""

import json
import math
import platform
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from lake.delta import Lake
from operators.potentials.committee import Committee
from operators.potentials.freezing import DIFFERENCES
from operators.potentials.kept_files import write_whole
from operators.potentials.safe_distances import closest_pairs
from operators.potentials.unused_frames import UNUSED
from schemas.errors import MeltlakeError
from schemas.model_card import CARD_VERSION, FILE_NAME, ModelCard
from schemas.settings import Settings

_PACKAGES = ("meltlake", "deepmd-kit", "tensorflow", "tensorflow-cpu", "torch", "jax", "numpy")

Row = Mapping[str, Any]


def software() -> dict[str, str]:
    """Versions of what trains here."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def trained_card(
    settings: Settings, potential: Row, *, recipe: Mapping[str, object], trained_with: Mapping[str, str]
) -> ModelCard:
    """The card of a potential whose errors are not known yet.

    Parameters
    ----------
    settings
        Where things are.
    potential
        Its row of `potentials`; the lake need not have it yet.
    recipe
        Its hyperparameters.
    trained_with
        Versions of the software, from `software`.

    Raises
    ------
    MeltlakeError
        If the lake does not have its training set, or the training set's folder is not whole.
    """
    lake, training_set_id = Lake(settings.lake), str(potential["training_set_id"])
    rows = lake.rows("training_sets", key=training_set_id).to_pylist()
    if not rows:
        raise MeltlakeError(
            f"The lake has no training set {training_set_id}, which potential {potential['potential_id']} names.",
            "Run `meltlake materialize` again.",
        )
    folder = settings.artifacts / "training_sets" / training_set_id
    parts = {
        "card_version": CARD_VERSION,
        "potential_id": potential["potential_id"],
        "synthetic": bool(rows[0]["synthetic"]),
        "model": _model(settings, potential),
        "data": _data(lake, rows[0]),
        "training": _training(potential, recipe, trained_with),
        "neighbours": _neighbours(potential, recipe),
        "safe_distances": closest_pairs(lake, training_set_id, folder),
        "accuracy": [],
        "committee": None,
    }
    return ModelCard.model_validate(parts)


def completed_card(settings: Settings, potential: Row, *, committee: Committee | None) -> ModelCard:
    """The card of a potential with all that the lake knows of its errors now.

    Raises
    ------
    MeltlakeError
        As for `trained_card`, where the lake has no card yet.
    """
    lake, potential_id = Lake(settings.lake), str(potential["potential_id"])
    card = stored_card(lake, potential_id)
    if card is None or card.model.sha256 != potential["sha256"]:
        # Of a potential from before there were cards; what trained it is known in part.
        recipe = lake.rows("recipes", key=str(potential["recipe"])).to_pylist()
        known = {"deepmd-kit": str(potential["deepmd_version"])} if potential["deepmd_version"] else {}
        card = trained_card(settings, potential, recipe=_hyperparameters(recipe), trained_with=known)
    found = card.model_dump() | {
        "accuracy": lake.rows("rmse", key=potential_id).to_pylist(),
        "committee": _committee(lake, committee),
    }
    # Through JSON and back, so that it can be compared with a stored one.
    return ModelCard.model_validate_json(card_text(ModelCard.model_validate(found)))


def bring_card_up_to_date(settings: Settings, potential: Row, *, committee: Committee | None) -> ModelCard:
    """Store the card of a potential with all that the lake knows of its errors now.

    Raises
    ------
    MeltlakeError
        As for `completed_card`.
    """
    lake = Lake(settings.lake)
    # Potentials of one committee write each other's cards: who wrote last has seen what all have found.
    while (card := completed_card(settings, potential, committee=committee)) != stored_card(lake, card.potential_id):
        store_card(settings, card)
    return card


def stored_card(lake: Lake, potential_id: str) -> ModelCard | None:
    """The card that the lake has; None without one, or where its fields are of another version."""
    rows = lake.rows("model_cards", key=potential_id).to_pylist()
    return ModelCard.model_validate_json(rows[0]["card"]) if rows and rows[0]["card_version"] == CARD_VERSION else None


def store_card(settings: Settings, card: ModelCard) -> None:
    """Into the lake, and beside the model where that is."""
    text = card_text(card)
    row = {"card_version": card.card_version, "observed": card.observed, "card": text}
    Lake(settings.lake).replace("model_cards", card.potential_id, [row])
    folder = settings.artifacts / "potentials" / card.potential_id
    if folder.is_dir():
        write_whole(folder / FILE_NAME, text)


def card_text(card: ModelCard) -> str:
    """The card as JSON."""
    return card.model_dump_json(indent=1) + "\n"


def _model(settings: Settings, potential: Row) -> Row:
    path = Path(str(potential["path"]))
    path_of_differences = settings.artifacts / "potentials" / str(potential["potential_id"]) / DIFFERENCES
    differences = json.loads(path_of_differences.read_text()) if path_of_differences.is_file() else None
    if differences is not None:  # infinite where a model cannot be compressed, for which JSON has no number
        differences = {name: value for name, value in differences.items() if math.isfinite(value)}
    return {
        "name": path.name,
        "sha256": potential["sha256"],
        "backend": potential["backend"],
        "compressed": bool(potential["compressed"]),
        "compression_differences": differences,
    }


def _data(lake: Lake, training_set: Row) -> Row:
    runs = _runs(lake, training_set)
    temperatures = [run["temperature_k"] for run in runs if run["n_train"] and run["temperature_k"] is not None]
    return {
        **training_set,
        "temperature_range_k": (min(temperatures), max(temperatures)) if temperatures else None,
        "runs": runs,
    }


def _runs(lake: Lake, training_set: Row) -> list[dict[str, Any]]:
    used: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in lake.rows("training_set_frames", key=training_set["training_set_id"]).to_pylist():
        used[row["run_id"]][row["split"]].append(row["frame"])
    rows = {row["run_id"]: row for row in lake.rows("runs").to_pylist()}
    return [
        {
            "run_id": run_id,
            "composition": rows.get(run_id, {}).get("composition") or "unknown",
            "source_sha256": rows.get(run_id, {}).get("source_sha256"),
            "temperature_k": _mean_temperature_k(lake, run_id, splits, version=training_set["lake_version"]),
            **{f"n_{split}": len(splits[split]) for split in ("train", "test", "held_out")},
        }
        for run_id, splits in sorted(used.items())
    ]


def _mean_temperature_k(
    lake: Lake, run_id: str, splits: Mapping[str, Sequence[int]], *, version: int | None
) -> float | None:
    batches = lake.frame_batches(run_id, ("temperature_k",), version=version)
    columns = [batch.column("temperature_k").to_numpy(zero_copy_only=False).astype(np.float64) for batch in batches]
    temperatures = np.concatenate([np.zeros(0), *columns])
    frames = [frame for of_split in splits.values() for frame in of_split if frame < len(temperatures)]
    known = temperatures[frames][~np.isnan(temperatures[frames])]
    return float(known.mean()) if known.size else None


def _training(potential: Row, recipe: Mapping[str, object], trained_with: Mapping[str, str]) -> Row:
    names = ("seed", "n_steps", "wall_seconds", "n_restarts", "hardware")
    return {
        **{name: potential[name] for name in names},
        "recipe": recipe,
        "init_from": potential.get("init_from"),
        "software": trained_with,
        "created_at": None if potential["created_at"] is None else str(potential["created_at"]),
    }


def _neighbours(potential: Row, recipe: Mapping[str, object]) -> Row:
    most, slots = list(potential["max_neighbours"] or ()), list(potential["sel"] or ())
    return {
        "type_map": potential["type_map"],
        "r_cut_angstrom": recipe.get("r_cut_angstrom"),
        "max_neighbours": most,
        "sel": slots,
        "sel_margin": [one / count if count else None for one, count in zip(slots, most, strict=False)],
    }


def _committee(lake: Lake, committee: Committee | None) -> Row | None:
    if committee is None:
        return None
    found = lake.rows("committees", key=committee.committee_id).to_pylist()
    # Which frames of the lake are in no training set changes with every run that comes; a card stays as it is.
    rows = [row for row in found if row["split"] != UNUSED]
    return {**rows[0], "calibration": rows} if rows else None


def _hyperparameters(rows: Sequence[Row]) -> Row:
    """What the lake's table says of a recipe, without the paper's results."""
    return {name: value for name, value in (rows[0] if rows else {}).items() if not name.startswith("paper_")}
