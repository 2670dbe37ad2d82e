"""The verb `simulate`: a potential drives LAMMPS from a frame of the lake; what it makes comes back as a run.

A simulation is named by potential, plan and start frame. It is found when its row in `performance`, which is written
last, is there; a folder that a kill left behind is finished from its restart file. Where LAMMPS and the potential did
not agree it is asked again: other versions of them may.
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
from operators.potentials.named import potential_named
from operators.simulations.driver import pair_style, siblings_of, still_there
from operators.simulations.lammps_session import keep_some_frames, simulated
from operators.simulations.plan import resolved
from operators.simulations.results import deviation_rows, performance_row, pressure_rows
from operators.simulations.start_frame import Start, start_frame
from operators.simulations.start_test import is_of_programs
from schemas.composition import element_counts
from schemas.errors import EXIT_TRY_AGAIN, MeltlakeError, StepFailed, TryAgainLater
from schemas.settings import Settings
from schemas.simulation import SimulationCard, SimulationRequest

Row = Mapping[str, object]


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
    potential = potential_named(lake, potential_id)
    model_file(settings, potential)  # a model that is gone or was changed is said before anything is begun
    start = start_frame(lake, request, synthetic=_is_synthetic(lake, potential))
    planned = _card(request, start, potential)
    folder = (settings.artifacts / "simulations" / planned.run_id).absolute()
    with exclusive(folder.with_name(f".{planned.run_id}.lock"), doing=f"simulating {planned.run_id}"):
        found = lake.rows("performance", key=planned.run_id).to_pylist()
        if found and not is_of_programs(found[0]["outcome"]):
            log.info("simulate", run_id=planned.run_id, found=True, outcome=found[0]["outcome"])
            return _answer(planned, found[0], changed=False)
        folder.mkdir(parents=True, exist_ok=True)
        card = _card_to_go_on_with(settings, lake, folder) or planned
        if card is planned and card.plan.keeps_frames:
            card.committee = siblings_of(settings, lake, potential)
        if card.outcome == "running":
            card = simulated(folder, card, start, pair_style(settings, lake, folder, potential, card))
        if card.outcome == "unphysical":
            keep_some_frames(folder)
        _bring_back(settings, folder)
        row = _store_results(lake, folder, card, potential)
    log.info("simulate", run_id=card.run_id, outcome=row["outcome"], ns_per_day=card.ns_per_day)
    return _answer(card, row, changed=True)


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
        n_exchanged=start.n_exchanged,
        synthetic=bool(start.parent["synthetic"]),
    )


def _card_to_go_on_with(settings: Settings, lake: Lake, folder: Path) -> SimulationCard | None:
    """That of an earlier session, without siblings that are gone since; None where it is to begin, or begin again."""
    card = read_card(folder) if (folder / SIMULATION_CARD).is_file() else None
    if card is None or is_of_programs(card.told_outcome):
        return None
    if card.outcome == "running" and card.committee:
        left = still_there(settings, lake, card.committee)
        gone = [name for name in card.committee if name not in left]
        card.committee, card.committee_left_out = left, (*card.committee_left_out, *gone)
    return card


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


def _store_results(lake: Lake, folder: Path, card: SimulationCard, potential: Row) -> Row:
    of_run = {"composition": card.composition}
    deviations = [of_run | row for row in deviation_rows(folder, card)]
    pressures = [of_run | row for row in pressure_rows(folder, card)]
    for table, rows in (("model_deviations", deviations), ("pressure_tensors", pressures)):
        if rows or lake.n_rows(table, card.run_id):
            lake.replace(table, card.run_id, rows)
    row = performance_row(folder, card, potential)
    lake.replace("performance", card.run_id, [row])  # last: it says that nothing is missing
    return row


def _is_synthetic(lake: Lake, potential: Row) -> bool | None:
    """Whether a potential learnt from synthetic frames; None where the lake does not have its training set."""
    rows = lake.rows("training_sets", key=str(potential["training_set_id"])).to_pylist()
    return bool(rows[0]["synthetic"]) if rows else None


def _answer(card: SimulationCard, row: Row, *, changed: bool) -> dict[str, object]:
    outcome, _, reason = str(row["outcome"]).partition(": ")
    return {
        "run_id": card.run_id,
        "ns_per_day": row["ns_per_day"],
        "outcome": outcome,
        "reason": reason or None,
        "changed": changed,
        "composition": card.composition,
        "protocol": card.plan.protocol,
        "temperature_k": card.plan.temperature_k,
        "n_atoms": card.n_atoms,
        "potential_id": card.potential_id,
        "parent_run_id": card.start.parent_run_id,
    }
