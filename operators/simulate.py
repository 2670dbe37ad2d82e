"""The verb `simulate`: a potential drives LAMMPS from a frame of the lake; what it makes comes back as a run.

A simulation is named by potential, plan and start frame. It is found when its row in `performance`, which is written
last, is there; a folder that a kill left behind is finished from its restart file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lake.delta import Lake
from lake.locks import exclusive
from lake.readers.lammps import TRAJECTORY, read_card
from lake.sources import SIMULATION_CARD
from operators.log import log
from operators.potentials.model_file import model_file
from operators.simulations.lammps_input import PairStyle
from operators.simulations.lammps_session import simulated
from operators.simulations.start_frame import Start, resolved, start_frame
from schemas.composition import element_counts
from schemas.errors import EXIT_TRY_AGAIN, MeltlakeError, StepFailed, TryAgainLater
from schemas.settings import Settings
from schemas.simulation import SimulationCard, SimulationRequest

Row = Mapping[str, object]

_EAM_ALLOY = ".eam.alloy"


def simulate(settings: Settings, potential_id: str, request: SimulationRequest) -> dict[str, object]:
    """Run a potential by a protocol, or find the simulation that was run before; bring its frames into the lake.

    A melt that collapses is a result: its `outcome` is `unphysical`, with the reason, and its frames are kept.

    Raises
    ------
    MeltlakeError
        If there is no such potential, it does not know an element, or the lake has no frame to start from.
    TryAgainLater
        If another process runs the same simulation.
    StoppedBySignal
        If SIGTERM came.
    """
    lake = Lake(settings.lake)
    potential = _potential(lake, potential_id)
    model = model_file(settings, potential)
    start = start_frame(lake, request)
    planned = _card(request, start, potential)
    folder = (settings.artifacts / "simulations" / planned.run_id).absolute()
    with exclusive(folder.with_name(f".{planned.run_id}.lock"), doing=f"simulating {planned.run_id}"):
        found = lake.rows("performance", key=planned.run_id).to_pylist()
        if found:
            log.info("simulate", run_id=planned.run_id, found=True, outcome=found[0]["outcome"])
            return _answer(planned, found[0], changed=False)
        folder.mkdir(parents=True, exist_ok=True)
        card = _card_on_disk(folder) or planned
        if card.outcome == "running":
            pair = _pair_style(lake, folder, potential, model)
            card = simulated(folder, card, start, pair)
        _bring_back(settings, folder)
        row = _performance(card, potential)
        lake.replace("performance", card.run_id, [row])
    log.info("simulate", run_id=card.run_id, outcome=row["outcome"], ns_per_day=card.ns_per_day)
    return _answer(card, row, changed=True)


def _potential(lake: Lake, potential_id: str) -> Row:
    rows: list[Row] = lake.rows("potentials", key=potential_id).to_pylist()
    if not rows:
        known = ", ".join(lake.keys("potentials")) or "none"
        raise MeltlakeError(f"There is no potential {potential_id!r}.", f"Train one, or choose one of: {known}.")
    return rows[0]


def _card(request: SimulationRequest, start: Start, potential: Row) -> SimulationCard:
    type_map = tuple(cast("list[str]", potential["type_map"]))
    counts = element_counts(start.atomic_numbers)
    if unknown := sorted(set(counts) - set(type_map)):
        raise MeltlakeError(
            f"Potential {potential['potential_id']} knows {', '.join(type_map)}; "
            f"{request.composition} has {', '.join(unknown)}.",
            "Use a potential that was trained on these elements.",
        )
    plan = resolved(request, start)
    copies = plan.replicate**3
    return SimulationCard.new(
        plan,
        start.origin,
        potential_id=str(potential["potential_id"]),
        potential_sha256=str(potential["sha256"]),
        type_map=type_map,
        counts={element: n * copies for element, n in counts.items()},
        n_atoms=len(start.atomic_numbers) * copies,
        synthetic=bool(start.parent["synthetic"]),
    )


def _card_on_disk(folder: Path) -> SimulationCard | None:
    return read_card(folder) if (folder / SIMULATION_CARD).is_file() else None


def _pair_style(lake: Lake, folder: Path, potential: Row, model: Path) -> PairStyle:
    """The potential as this folder's LAMMPS sees it: through a link, so that the input names no path of a machine."""
    type_map = cast("list[str]", potential["type_map"])
    is_table = model.name.endswith(_EAM_ALLOY)
    link = folder / ("potential" + (_EAM_ALLOY if is_table else model.suffix))
    link.unlink(missing_ok=True)
    link.symlink_to(model)
    if is_table:
        return PairStyle.eam_alloy(link.name, type_map)
    slots = dict(zip(type_map, cast("list[int]", potential["sel"]), strict=True))
    cutoff = _r_cut_angstrom(lake, potential)
    return PairStyle.deepmd(link.name, type_map, r_cut_angstrom=cutoff, neighbour_slots=slots)


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


def _bring_back(settings: Settings, folder: Path) -> None:
    from operators.ingest import ingest

    trajectory = folder / TRAJECTORY
    if not trajectory.is_file() or trajectory.stat().st_size == 0:
        return  # timed only, or collapsed before its first frame: the row in `performance` tells
    (entry,) = cast("list[Row]", ingest(settings, [str(folder)])["runs"])
    if entry.get("exit_code") == EXIT_TRY_AGAIN:
        raise TryAgainLater(str(entry["reason"]), str(entry["remedy"]))
    if entry["run_id"] is None:
        raise StepFailed(
            f"{folder}: {entry['reason']}", str(entry.get("remedy") or "Remove the folder and simulate again.")
        )


def _performance(card: SimulationCard, potential: Row) -> dict[str, object]:
    return {
        "run_id": card.run_id,
        "potential_id": card.potential_id,
        "composition": card.plan.composition,
        "protocol": card.plan.protocol,
        "ns_per_day": card.ns_per_day,
        "n_atoms": card.n_atoms,
        "hardware": card.hardware,
        "backend": potential["backend"],
        "precision": potential["precision"],
        "compressed": potential["compressed"],
        "lammps_version": card.lammps_version,
        "time_step_fs": card.plan.time_step_fs,
        "n_steps": card.n_steps_timed,
        "outcome": card.outcome if card.reason is None else f"{card.outcome}: {card.reason}",
    }


def _answer(card: SimulationCard, row: Row, *, changed: bool) -> dict[str, object]:
    outcome, _, reason = str(row["outcome"]).partition(": ")
    return {
        "run_id": card.run_id,
        "ns_per_day": row["ns_per_day"],
        "outcome": outcome,
        "reason": reason or None,
        "changed": changed,
        "composition": card.plan.composition,
        "protocol": card.plan.protocol,
        "temperature_k": card.plan.temperature_k,
        "n_atoms": card.n_atoms,
        "potential_id": card.potential_id,
        "parent_run_id": card.start.parent_run_id,
    }
