"""Writes what comes with the code into the lake: measured properties and named recipes, as `schemas` has them.

Measurements that a person added lie in the same table and are left alone; they are `measurements`'.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial

from lake.delta import Lake
from lake.measurements import measurements_of, replace_measurements, source_id
from schemas.experiments import MEASUREMENTS, Measurement
from schemas.recipes import RECIPES, PaperResult, Recipe
from schemas.tables import TABLES

Row = dict[str, object]


def write_experiments(lake: Lake) -> int:
    """Put the shipped measurements into `experiments`; returns how many compositions changed, 0 when all were there."""
    shipped: dict[str, list[Row]] = defaultdict(list)
    for row in shipped_experiments():
        shipped[str(row["element_or_alloy"])].append(row)
    stored = measurements_of(lake, "experiments")
    # A row that no file was added for came with an older meltlake.
    outdated = {
        composition
        for composition in {*shipped, *stored}
        if [row for row in stored.get(composition, []) if row["added_from"] is None] != shipped.get(composition, [])
    }
    for composition in sorted(outdated):
        replace_measurements(lake, "experiments", composition, partial(_with_shipped, shipped.get(composition, [])))
    return len(outdated)


def shipped_experiments() -> list[Row]:
    """The measurements that come with meltlake, as rows of `experiments`."""
    return [_experiment_row(measurement) for measurement in MEASUREMENTS]


def _with_shipped(shipped: Sequence[Row], stored: Sequence[Row]) -> list[Row]:
    return [*shipped, *(row for row in stored if row["added_from"] is not None)]


def write_recipes(lake: Lake) -> int:
    """Put the named recipes into `recipes`, those of Table 1 with its printed results; returns how many changed."""
    return _write_changed(lake, "recipes", {recipe.name: [recipe_row(recipe)] for recipe in RECIPES.values()})


def recipe_row(recipe: Recipe) -> Row:
    """A recipe as a row of the `recipes` table."""
    said = recipe.model_dump(exclude={"name", "loss_prefactors", "paper"})
    printed = recipe.paper.model_dump() if recipe.paper else dict.fromkeys(PaperResult.model_fields)
    return {
        "recipe": recipe.name,
        "recipe_id": recipe.recipe_id,
        **{key: list(value) if isinstance(value, tuple) else value for key, value in said.items()},
        **{key.replace("_", "_pref_"): weight for key, weight in recipe.loss_prefactors.model_dump().items()},
        **{f"paper_{key}": value for key, value in printed.items()},
    }


def _experiment_row(measurement: Measurement) -> Row:
    said = asdict(measurement)
    first_k, last_k = said.pop("range_k")
    return {
        "element_or_alloy": said.pop("composition"),
        "quantity": said.pop("quantity"),
        "element": said.pop("element"),
        "temperature_k": float(said.pop("temperature_k")),
        "temperature_min_k": float(first_k),
        "temperature_max_k": float(last_k),
        **said,
        "source_id": source_id(measurement.citation),
        "added_from": None,
        "added_at": None,
    }


def _write_changed(lake: Lake, table: str, rows: Mapping[str, Sequence[Row]]) -> int:
    # Writing the same rows again would make a new version, and the published warehouse stale for nothing.
    key = TABLES[table].key
    stored: dict[str, list[Row]] = defaultdict(list)
    for row in lake.rows(table).to_pylist():
        stored[row[key]].append(row)
    changed = {name: wanted for name, wanted in rows.items() if stored.get(name) != list(wanted)}
    for name, wanted in changed.items():
        lake.replace(table, name, wanted)
    return len(changed)
