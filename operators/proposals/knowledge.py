"""What is known of the melts around a potential: where it was trained, what was computed, where its committee differs.

Ranking candidates by it belongs in `ranking`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from lake.delta import Lake
from lake.warehouse import query
from operators.log import log
from operators.physics.cells import volumes_angstrom3
from operators.physics.local_composition import KnownRegion, known_region
from operators.potentials.committee import Committee, committee_of
from operators.potentials.coverage import cutoff_angstrom, training_environments
from operators.potentials.melt_runs import nearest_in_temperature, solid_runs, temperature_of_run_k
from operators.potentials.named import potential_named, require_trained_here
from operators.potentials.stored_frames import Geometry, geometries, sound_frames
from operators.potentials.unused_frames import comparable_runs
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.rows import text
from schemas.settings import Settings
from schemas.units import G_PER_CM3_PER_AMU_PER_ANGSTROM3

Row = Mapping[str, Any]

_DEVIATION = "max_deviation_force_mev_per_angstrom"
_FRAMES_PERCENT = 99.0
"""Of the frames of a melt, so many deviate less than what counts as its deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Melt:
    """A composition that was computed, by runs whose energies compare with those trained on."""

    composition: str
    runs: Sequence[Row]
    """Rows of `runs`: melts before solids, the nearest to the wanted temperature first, then the longest."""
    last: Geometry
    """The last accepted frame of the first of them."""
    volume_per_atom_angstrom3: float
    """Of that run, as the next two."""
    temperature_k: float | None
    pressure_gpa: float | None
    """Mean, virial and kinetic part; None where it was not observed."""

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


def knowledge(
    settings: Settings, lake: Lake, potential_id: str | None, *, temperature_k: float | None = None
) -> Knowledge:
    """What is known around a potential, or around the newest one that leaves no composition out.

    Of several runs of a composition the one nearest to a temperature stands for it; without one, the longest melt.

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
    if not (melts := _melts(lake, made, wanted_k=temperature_k)):
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
    if potential_id is not None:
        named = potential_named(lake, potential_id)
        require_trained_here(named, "a proposal")
        return named
    rows: list[Row] = [row for row in lake.rows("potentials").to_pylist() if row["trained_elsewhere"] is None]
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


def _melts(lake: Lake, training_set: Row, *, wanted_k: float | None) -> dict[str, Melt]:
    """Every composition of the training set's elements with comparable AIMD."""
    name = str(training_set["training_set_id"])
    used = {row["run_id"] for row in lake.rows("training_set_runs", key=name, columns=["run_id"]).to_pylist()}
    by_composition: dict[str, list[Row]] = defaultdict(list)
    for run in comparable_runs(lake, training_set, used):
        by_composition[text(run, "composition")].append(run)
    columns = ["run_id", "density_g_per_cm3", "pressure_gpa"]
    means = {row["run_id"]: row for row in lake.rows("thermodynamics", columns=columns).to_pylist()}
    solids = solid_runs(lake)
    return {
        composition: _melt(lake, composition, _ordered(lake, alike, solids, wanted_k=wanted_k), means)
        for composition, alike in sorted(by_composition.items())
    }


def _ordered(lake: Lake, runs: Sequence[Row], solids: Collection[str], *, wanted_k: float | None) -> list[Row]:
    """Melts first, then by temperature where one is wanted, then by accepted frames."""
    if wanted_k is None:
        found = sorted(runs, key=lambda run: (-run["n_accepted"], run["run_id"]))
    else:
        found = [run for run, _ in nearest_in_temperature(lake, runs, wanted_k)]
    return sorted(found, key=lambda run: run["run_id"] in solids)


def _melt(lake: Lake, composition: str, ordered: Sequence[Row], means: Mapping[str, Row]) -> Melt:
    first = ordered[0]
    mean = means.get(first["run_id"], {})
    [last] = geometries(lake, first["run_id"], sound_frames(lake, first["run_id"])[-1:])
    return Melt(
        composition=composition,
        runs=ordered,
        last=last,
        volume_per_atom_angstrom3=volume_per_atom_angstrom3(last, mean.get("density_g_per_cm3")),
        temperature_k=temperature_of_run_k(lake, first),
        pressure_gpa=mean.get("pressure_gpa"),
    )


def volume_per_atom_angstrom3(frame: Geometry, density_g_per_cm3: float | None) -> float:
    """Of the mean density of its run where that is known, else of the frame itself."""
    if density_g_per_cm3:
        mass_amu = float(masses_amu(frame.atomic_numbers).mean())
        return mass_amu * G_PER_CM3_PER_AMU_PER_ANGSTROM3 / density_g_per_cm3
    return float(volumes_angstrom3(frame.cell_angstrom[None])[0]) / len(frame.atomic_numbers)


def _deviations(lake: Lake, committee: Committee | None) -> dict[str, float]:
    """Of frames that were not trained on, and of simulations; nothing where all are trained on, which tells nothing.

    Frames on which a potential of the committee said what is no number have no deviation; they are told, not counted.
    """
    if committee is None:
        return {}
    found: dict[str, list[float]] = defaultdict(list)
    untold: Counter[str] = Counter()
    for row in _judged(lake, committee):
        if (value := row[_DEVIATION]) is None or not isfinite(value):
            untold[row["composition"]] += 1
        else:
            found[row["composition"]].append(value)
    if untold:
        told = ", ".join(f"{n} of {composition}" for composition, n in sorted(untold.items()))
        log.warning("propose", note=f"frames on which a potential of the committee gave no number: {told}")
    return {
        composition: float(np.percentile(values, _FRAMES_PERCENT, method="inverted_cdf"))
        for composition, values in sorted(found.items())
    }


def _judged(lake: Lake, committee: Committee) -> Iterator[Row]:
    columns = ["composition", _DEVIATION]
    for row in lake.rows("committee_frames", key=committee.committee_id, columns=[*columns, "split"]).to_pylist():
        if row["split"] != "train":
            yield row
    for run in lake.rows("performance").to_pylist():
        if run["outcome"] == "finished" and run["potential_id"] in committee.potential_ids:
            yield from lake.rows("model_deviations", key=run["run_id"], columns=columns).to_pylist()
