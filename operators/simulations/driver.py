"""The potential as one simulation's LAMMPS sees it: links to its model and its siblings', what limits it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from statistics import median
from typing import cast

from lake.delta import Lake
from operators.log import log
from operators.potentials.committee import committee_of
from operators.potentials.model_file import model_file
from operators.simulations.pair_style import PairStyle
from schemas.errors import MeltlakeError, StepFailed
from schemas.settings import Settings
from schemas.simulation import SimulationCard
from schemas.units import MEV_PER_EV

Row = Mapping[str, object]

_EAM_ALLOY = ".eam.alloy"
_LAST_POINTS = 5
"""Of a learning curve: each is of a batch only."""


def siblings_of(settings: Settings, lake: Lake, potential: Row) -> tuple[str, ...]:
    """Potentials that differ in nothing but their seed and whose models are there; a table has none."""
    if str(potential["path"]).endswith(_EAM_ALLOY):
        return ()
    potential_id = str(potential["potential_id"])
    committee = committee_of(lake, potential_id)
    found = []
    for row in committee.potentials if committee else ():
        if row["potential_id"] != potential_id:
            try:
                model_file(settings, row)
            except StepFailed as reason:
                log.warning("simulate", potential_id=row["potential_id"], left_out=reason.problem)
            else:
                found.append(str(row["potential_id"]))
    return tuple(found)


def pair_style(settings: Settings, lake: Lake, folder: Path, potential: Row, card: SimulationCard) -> PairStyle:
    """The potential and its siblings through links in the simulation's folder, so that the input names no other path.

    Raises
    ------
    StepFailed
        If a model file is gone or was changed.
    MeltlakeError
        If the lake does not tell the potential's cutoff.
    """
    model = model_file(settings, potential)
    if model.name.endswith(_EAM_ALLOY):
        return PairStyle.eam_alloy(_linked(folder, f"potential{_EAM_ALLOY}", model), card.type_map)
    siblings = [_potential(lake, potential_id) for potential_id in card.committee]
    models = [model, *(model_file(settings, row) for row in siblings)]
    names = ["potential", *(f"sibling_{number}" for number in range(1, len(models)))]
    links = [_linked(folder, f"{name}{path.suffix}", path) for name, path in zip(names, models, strict=True)]
    return replace(
        PairStyle.deepmd(links, card.type_map, steps_per_deviation=card.plan.steps_per_deviation),
        r_cut_angstrom=_r_cut_angstrom(lake, potential),
        neighbour_slots=dict(zip(card.type_map, cast("Sequence[int]", potential["sel"]), strict=True)),
        safe_distances_angstrom=_safe_distances(lake, potential),
        precision=str(potential["precision"] or "float64"),
        force_rmse_ev_per_angstrom=_force_rmse_ev_per_angstrom(lake, potential),
        trained_on=_runs_trained_on(lake, potential),
    )


def _linked(folder: Path, name: str, model: Path) -> str:
    link = folder / name
    link.unlink(missing_ok=True)
    link.symlink_to(model)
    return name


def _potential(lake: Lake, potential_id: str) -> Row:
    [row] = lake.rows("potentials", key=potential_id).to_pylist()
    found: Row = row
    return found


def _safe_distances(lake: Lake, potential: Row) -> dict[str, float]:
    """As the model card tells them; empty for a potential from before there were cards."""
    rows = lake.rows("closest_pairs", key=str(potential["training_set_id"])).to_pylist()
    return {row["pair"]: row["min_distance_angstrom"] for row in rows}


def _force_rmse_ev_per_angstrom(lake: Lake, potential: Row) -> float | None:
    """As its training saw it: what is judged later is the file, which may be another one by then."""
    rows = lake.rows("learning_curves", key=str(potential["potential_id"])).to_pylist()
    last = sorted(rows, key=lambda row: row["step"])[-_LAST_POINTS:]
    names = ("rmse_force_mev_per_angstrom", "rmse_force_train_mev_per_angstrom")
    known = [value for row in last for name in names if (value := row[name]) is not None and isfinite(value)]
    return median(known) / MEV_PER_EV if known else None


def _runs_trained_on(lake: Lake, potential: Row) -> frozenset[str]:
    rows = lake.rows("training_set_runs", key=str(potential["training_set_id"])).to_pylist()
    return frozenset(row["run_id"] for row in rows if row["n_train"])


def _r_cut_angstrom(lake: Lake, potential: Row) -> float:
    if potential["r_cut_angstrom"] is not None:
        return float(str(potential["r_cut_angstrom"]))
    # A potential of an earlier version of the tables has its cutoff in its recipe only.
    recipe = lake.rows("recipes", key=str(potential["recipe"])).to_pylist()
    if not recipe:
        raise MeltlakeError(
            f"The lake has no recipe {potential['recipe']}, which potential {potential['potential_id']} names.",
            "Run `meltlake train` with the same options again: it writes the recipe.",
        )
    return float(recipe[0]["r_cut_angstrom"])
