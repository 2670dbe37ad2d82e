"""Rows of a lake, written by hand: what plans are made of, without files."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lake.delta import Lake
from operators.potentials.identity import name_of_potential
from schemas.recipes import Recipe

EARLY, LATE = datetime(2026, 1, 1), datetime(2026, 6, 1)  # noqa: DTZ001 - as the lake stores times


def run(composition: str, chemical_system: str, **changes: Any) -> dict[str, Any]:
    name = f"{composition}{changes.get('level_of_theory', '')}".lower()
    row: dict[str, Any] = {
        "run_id": name,
        "composition": composition,
        "chemical_system": chemical_system,
        "origin": "aimd",
    }
    row |= {"n_frames": 9, "n_accepted": 9, "level_of_theory": "PBE", "synthetic": False, "ingested_at": EARLY}
    row |= {"formula": composition, "potcar_titles": None, "time_step_fs": 1.0}
    return row | {"source_uri": f"/nowhere/{name}/OUTCAR"} | changes


def ingest(lake: Lake, *runs: dict[str, Any]) -> None:
    for run in runs:
        lake.replace("runs", run["run_id"], [run])


def freeze(lake: Lake, name: str, *, runs: Iterable[str] = (), **columns: Any) -> None:
    row = {"training_set_id": name, "lake_version": 1, "split_rule": "blocks", "test_fraction": 0.25}
    row |= {"level_of_theory": "PBE", "synthetic": False, "created_at": EARLY, "held_out": []}
    lake.replace("training_sets", name, [row | columns])
    lake.replace("training_set_runs", name, [{"training_set_id": name, "run_id": run_id} for run_id in runs])


def trained(lake: Lake, training_set_id: str, recipe: Recipe, seed: int = 1) -> str:
    """The row that a training would leave behind, without its files."""
    name = name_of_potential(recipe, training_set_id, seed)
    row = {"potential_id": name, "recipe": recipe.name, "training_set_id": training_set_id, "seed": seed}
    lake.replace("potentials", name, [row | {"n_steps": recipe.n_steps, "path": f"/nowhere/{name}/frozen.pb"}])
    return name
