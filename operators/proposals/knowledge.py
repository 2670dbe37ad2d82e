"""What is known of the melts around a potential: where it was trained, what was computed, where its committee differs.

Ranking candidates by it belongs in `ranking`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lake.delta import Lake
from lake.warehouse import query
from operators.physics.cells import volumes_angstrom3
from operators.physics.local_composition import KnownRegion, known_region
from operators.potentials.committee import Committee, committee_of
from operators.potentials.comparable import comparable_groups
from operators.potentials.coverage import cutoff_angstrom, training_environments
from operators.potentials.stored_frames import Geometry, geometries, sound_frames
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.units import G_PER_CM3_PER_AMU_PER_ANGSTROM3

Row = Mapping[str, Any]

_FRAMES_PERCENT = 99.0
"""Of the frames of a melt, so many deviate less than what counts as its deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Melt:
    """A composition that was computed, by runs whose energies compare with those trained on."""

    composition: str
    runs: Sequence[Row]
    """Rows of `runs`, the one with the most accepted frames first."""
    last: Geometry
    """The last accepted frame of that run."""
    volume_per_atom_angstrom3: float

    @property
    def n_accepted(self) -> int:
        return sum(run["n_accepted"] for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """All that a proposal goes by."""

    potential: Row
    training_set: Row
    r_cut_angstrom: float
    committee: Committee | None
    taught: Sequence[str]
    """Compositions trained on."""
    region: KnownRegion
    """Where the environments of the training frames are dense."""
    melts: Mapping[str, Melt]
    """By composition, those trained on included."""
    deviations_mev_per_angstrom: Mapping[str, float]
    """By composition: 99 of 100 frames, of simulations or not trained on, have no atom whose force is disputed more."""

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(sorted(self.training_set["type_map"]))


def knowledge(settings: Settings, lake: Lake, potential_id: str | None) -> Knowledge:
    """What is known around a potential, or around the newest one that leaves no composition out.

    Raises
    ------
    MeltlakeError
        If the lake does not have it, or not what it was trained on.
    """
    potential = _potential(settings, lake, potential_id)
    made = _training_set(lake, potential)
    r_cut = cutoff_angstrom(lake, potential)
    if r_cut is None:
        raise MeltlakeError(
            f"The cutoff of potential {potential['potential_id']} is not known.",
            "Run `meltlake train` with the same options again: it writes the recipe.",
        )
    taught = training_environments(lake, made, r_cut_angstrom=r_cut)
    if not taught:
        raise MeltlakeError(
            f"Training set {made['training_set_id']} has no training frame with an atom's neighbours in it.",
            "Run `meltlake materialize` again.",
        )
    committee = committee_of(lake, str(potential["potential_id"]))
    if not (melts := _melts(lake, made)):
        raise MeltlakeError(
            f"The lake has no accepted AIMD frame of {'-'.join(sorted(made['type_map']))} to start from.",
            "Ingest the runs again that the potential was trained on.",
        )
    return Knowledge(
        potential=potential,
        training_set=made,
        r_cut_angstrom=r_cut,
        committee=committee,
        taught=sorted(taught),
        region=known_region(list(taught.values())),
        melts=melts,
        deviations_mev_per_angstrom=_deviations(lake, committee),
    )


def _potential(settings: Settings, lake: Lake, potential_id: str | None) -> Row:
    rows: list[Row] = lake.rows("potentials").to_pylist()
    if potential_id is not None:
        if not (found := [row for row in rows if row["potential_id"] == potential_id]):
            raise MeltlakeError(
                f"The lake has no potential {potential_id}.", "`meltlake sql 'from potentials'` lists them."
            )
        return found[0]
    if not rows:
        raise MeltlakeError(
            "The lake has no potential; what to compute next is told from what one does not know.",
            "Train one: `meltlake materialize`, then `meltlake train TRAINING_SET --recipe DP-2`.",
        )
    sql = "select training_set_id from leave_one_out_sets where base_training_set_id is not null"
    tables = ("training_sets", "training_set_requests")
    apart = {row["training_set_id"] for row in query(settings, sql, tables=tables)}
    whole = [row for row in rows if row["training_set_id"] not in apart] or rows
    return max(whole, key=lambda row: (row["created_at"] is not None, str(row["created_at"]), row["potential_id"]))


def _training_set(lake: Lake, potential: Row) -> dict[str, Any]:
    found: list[dict[str, Any]] = lake.rows("training_sets", key=str(potential["training_set_id"])).to_pylist()
    if not found:
        raise MeltlakeError(
            f"The lake has no training set {potential['training_set_id']}, which potential "
            f"{potential['potential_id']} was trained on.",
            "Choose another potential with --potential.",
        )
    return found[0]


def _melts(lake: Lake, training_set: Row) -> dict[str, Melt]:
    """Every composition of the training set's elements with comparable AIMD."""
    runs: list[Row] = lake.rows("runs").to_pylist()
    name, elements = str(training_set["training_set_id"]), set(training_set["type_map"])
    used = {row["run_id"] for row in lake.rows("training_set_runs", key=name, columns=["run_id"]).to_pylist()}
    taught = [run for run in runs if run["run_id"] in used]
    n_groups = max(1, len(comparable_groups(taught)))
    by_composition: dict[str, list[Row]] = defaultdict(list)
    for run in runs:
        is_ours = run["origin"] == "aimd" and run["n_accepted"] and set(run["chemical_system"].split("-")) <= elements
        if is_ours and len(comparable_groups([*taught, run])) <= n_groups:
            by_composition[run["composition"]].append(run)
    densities = {
        row["run_id"]: row["density_g_per_cm3"]
        for row in lake.rows("thermodynamics", columns=["run_id", "density_g_per_cm3"]).to_pylist()
    }
    return {
        composition: _melt(lake, composition, alike, densities) for composition, alike in sorted(by_composition.items())
    }


def _melt(lake: Lake, composition: str, runs: Sequence[Row], densities: Mapping[str, float | None]) -> Melt:
    ordered = sorted(runs, key=lambda run: (-run["n_accepted"], run["run_id"]))
    longest = ordered[0]["run_id"]
    [last] = geometries(lake, longest, sound_frames(lake, longest)[-1:])
    return Melt(
        composition=composition,
        runs=ordered,
        last=last,
        volume_per_atom_angstrom3=volume_per_atom_angstrom3(last, densities.get(longest)),
    )


def volume_per_atom_angstrom3(frame: Geometry, density_g_per_cm3: float | None) -> float:
    """Of the mean density of its run where that is known, else of the frame itself."""
    if density_g_per_cm3:
        mass_amu = float(masses_amu(frame.atomic_numbers).mean())
        return mass_amu * G_PER_CM3_PER_AMU_PER_ANGSTROM3 / density_g_per_cm3
    return float(volumes_angstrom3(frame.cell_angstrom[None])[0]) / len(frame.atomic_numbers)


def _deviations(lake: Lake, committee: Committee | None) -> dict[str, float]:
    """Of frames that were not trained on, and of simulations; nothing where all are trained on, which tells nothing."""
    if committee is None:
        return {}
    columns = ["composition", "split", "max_deviation_force_mev_per_angstrom"]
    found: dict[str, list[float]] = defaultdict(list)
    for row in lake.rows("committee_frames", key=committee.committee_id, columns=columns).to_pylist():
        if row["split"] != "train":
            found[row["composition"]].append(row["max_deviation_force_mev_per_angstrom"])
    for run in lake.rows("performance").to_pylist():
        if run["outcome"] == "finished" and run["potential_id"] in committee.potential_ids:
            for row in lake.rows(
                "model_deviations", key=run["run_id"], columns=["composition", *columns[2:]]
            ).to_pylist():
                found[row["composition"]].append(row["max_deviation_force_mev_per_angstrom"])
    return {
        composition: float(np.percentile(values, _FRAMES_PERCENT, method="inverted_cdf"))
        for composition, values in sorted(found.items())
    }
