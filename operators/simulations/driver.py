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
from operators.potentials.coverage import cutoff_angstrom
from operators.potentials.model_file import model_file
from operators.potentials.named import potential_named
from operators.potentials.safe_distances import stored_safe_distances
from operators.simulations.pair_style import PairStyle
from schemas.errors import MeltlakeError
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
    committee = committee_of(lake, str(potential["potential_id"]))
    names = committee.potential_ids if committee else []
    return still_there(settings, lake, [name for name in names if name != potential["potential_id"]])


def still_there(settings: Settings, lake: Lake, potential_ids: Sequence[str]) -> tuple[str, ...]:
    """Those of which the lake has the row and the model file: a simulation goes on without the others."""
    found = []
    for name in potential_ids:
        try:
            model_file(settings, potential_named(lake, name))
        except MeltlakeError as reason:
            log.warning("simulate", potential_id=name, left_out=reason.problem)
        else:
            found.append(name)
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
    siblings = [potential_named(lake, potential_id) for potential_id in card.committee]
    models = [model, *(model_file(settings, row) for row in siblings)]
    names = ["potential", *(f"sibling_{number}" for number in range(1, len(models)))]
    links = [_linked(folder, f"{name}{path.suffix}", path) for name, path in zip(names, models, strict=True)]
    return replace(
        PairStyle.deepmd(links, card.type_map, steps_per_deviation=card.plan.steps_per_deviation),
        r_cut_angstrom=_r_cut_angstrom(lake, potential),
        # One that was trained elsewhere may not tell.
        neighbour_slots=dict(zip(card.type_map, cast("Sequence[int]", potential["sel"] or ()), strict=False)),
        safe_distances_angstrom=stored_safe_distances(lake, str(potential["training_set_id"])),
        precision=str(potential["precision"] or "float64"),
        force_rmse_ev_per_angstrom=_force_rmse_ev_per_angstrom(lake, potential),
        trained_on=_runs_trained_on(lake, potential),
    )


def _linked(folder: Path, name: str, model: Path) -> str:
    link = folder / name
    link.unlink(missing_ok=True)
    link.symlink_to(model)
    return name


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
    if (r_cut := cutoff_angstrom(lake, potential)) is None:
        raise MeltlakeError(
            f"The lake has no recipe {potential['recipe']}, which potential {potential['potential_id']} names.",
            "Run `meltlake train` with the same options again: it writes the recipe.",
        )
    return r_cut
