"""Writes what comes with the code into the lake: measured properties and named recipes, as `schemas` has them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from lake.delta import Lake
from schemas.experiments import MEASUREMENTS, Measurement
from schemas.recipes import RECIPES, PaperResult, Recipe
from schemas.tables import TABLES

Row = dict[str, object]


def write_experiments(lake: Lake) -> int:
    """Put the shipped measurements into `experiments`; returns how many compositions changed, 0 when all were there."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for measurement in MEASUREMENTS:
        rows[measurement.composition].append(_experiment_row(measurement))
    return _write_changed(lake, "experiments", rows)


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
    return {
        "element_or_alloy": measurement.composition,
        "quantity": measurement.quantity,
        "temperature_k": float(measurement.temperature_k),
        "value": measurement.value,
        "slope_per_k": measurement.slope_per_k,
        "temperature_min_k": float(measurement.range_k[0]),
        "temperature_max_k": float(measurement.range_k[1]),
        "uncertainty": measurement.uncertainty,
        "citation": measurement.citation,
        "confidence": measurement.confidence,
        "preferred": measurement.preferred,
        "note": measurement.note,
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
