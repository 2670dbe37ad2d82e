"""Writes what comes with the code into the lake: measured properties and named recipes, as `schemas` has them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from lake.delta import Lake
from schemas.experiments import MEASUREMENTS, Measurement
from schemas.recipes import RECIPES, Recipe
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
    prefactors = recipe.loss_prefactors.model_dump()
    printed = recipe.paper.model_dump() if recipe.paper else {}
    return {
        "recipe": recipe.name,
        "embedding_net": list(recipe.embedding_net),
        "axis_neuron": recipe.axis_neuron,
        "fitting_net": list(recipe.fitting_net),
        "r_smooth_angstrom": recipe.r_smooth_angstrom,
        "r_cut_angstrom": recipe.r_cut_angstrom,
        **{name.replace("_", "_pref_"): weight for name, weight in prefactors.items()},
        "n_steps": recipe.n_steps,
        "batch_size": recipe.batch_size,
        **{
            f"paper_{name}": printed.get(name)
            for name in (
                "rmse_energy_mev_per_atom",
                "rmse_force_mev_per_angstrom",
                "rmse_virial_mev_per_atom",
                "ns_per_day",
            )
        },
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
