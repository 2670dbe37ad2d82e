"""One simulation folder brought to its end: LAMMPS run or resumed, the card filled in. Tables are `simulate`'s."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lake.lammps_data import write_lammps_data
from lake.readers.lammps import TRAJECTORY
from lake.readers.lammps_tables import THERMO_TABLE, thermo_rows
from lake.sources import SIMULATION_CARD
from operators.hardware import hardware
from operators.log import log
from operators.processes import ProgramFailed, run
from operators.simulations.guards import Contents, Guard, fault_of_start, guards
from operators.simulations.lammps_input import START, START_FRAME, STOPPED_FRAME, lammps_input
from operators.simulations.lammps_log import (
    halt_by_collapse,
    halt_by_guard,
    lammps_version,
    last_timing,
    log_lines,
    start_labels,
)
from operators.simulations.lammps_program import lammps_command
from operators.simulations.pair_style import PairStyle
from operators.simulations.progress import Progress
from operators.simulations.restart_files import TABLES, go_back_to, latest_restart_step, restarts
from operators.simulations.start_frame import Start
from operators.simulations.start_test import Judged, judged_before, judged_in_lammps
from schemas.elements import atomic_number, masses_amu
from schemas.errors import StoppedBySignal
from schemas.simulation import SimulationCard, StartTest

INPUT = "in.lammps"
LOG = "log.lammps"
_RESTARTS_KEPT = 2
"""The newest may be cut by a kill; the one before it is whole."""
_RELAXED = "Exchanged atoms are moved apart first: they stand where those of other sizes stood."


class _Unphysical(Exception):
    """The start frame is not what LAMMPS was told it is: the simulation must not go on."""


def simulated(folder: Path, card: SimulationCard, start: Start, pair: PairStyle) -> SimulationCard:
    """Run a simulation in its folder, or go on where an earlier session was cut; returns the filled card.

    Raises
    ------
    StoppedBySignal
        If SIGTERM came; the next call goes on from the last restart file.
    ProgramFailed
        If LAMMPS failed for another reason than atoms that fell together or flew apart.
    """
    # A start frame that was never compared is compared now.
    restart_step = None if card.start_energy_ev is None else latest_restart_step(folder)
    before = None
    if restart_step is None:
        before = _begin(folder, card, start, pair)
        if before.fault is not None:
            return _ended(folder, card, before.fault)
    else:
        go_back_to(folder, restart_step)
        log.info("simulate", run_id=card.run_id, resumed_at_step=restart_step)
    guarded_by = guards(card.plan, pair, _contents(card, start))
    relaxed_first = _RELAXED if card.is_exchanged else ""
    (folder / INPUT).write_text(
        lammps_input(card.plan, pair, guarded_by=guarded_by, restart_step=restart_step, relaxed_first=relaxed_first)
    )
    _run_to_an_end(folder, card, _Listener(folder, card, start, pair, before))
    _fill(card, folder, guarded_by)
    if card.outcome == "unphysical":
        keep_some_frames(folder)
    write_card(folder, card)
    for _, path in restarts(folder):
        path.unlink()
    return card


def write_card(folder: Path, card: SimulationCard) -> None:
    """Replace the card in one step, so that it is never half-written."""
    unfinished = folder / f".{SIMULATION_CARD}.{os.getpid()}"
    unfinished.write_text(card.model_dump_json(indent=1))
    unfinished.replace(folder / SIMULATION_CARD)


def keep_some_frames(folder: Path) -> None:
    """A run that was stopped before it saved a frame is kept with those of its start and its end."""
    trajectory = folder / TRAJECTORY
    left = [folder / name for name in (START_FRAME, STOPPED_FRAME) if (folder / name).is_file()]
    if left and not (trajectory.is_file() and trajectory.stat().st_size):
        trajectory.write_bytes(b"".join(path.read_bytes() for path in left))


def _begin(folder: Path, card: SimulationCard, start: Start, pair: PairStyle) -> Judged:
    """Write what LAMMPS starts from, and look at it before LAMMPS does."""
    leftovers = [folder / name for name in (*TABLES, TRAJECTORY, START_FRAME, STOPPED_FRAME, LOG)]
    for path in (*leftovers, *(path for _, path in restarts(folder))):
        path.unlink(missing_ok=True)
    type_of = {atomic_number(symbol): number for number, symbol in enumerate(card.type_map, start=1)}
    write_lammps_data(
        folder / START,
        start.cell_angstrom,
        start.positions_angstrom,
        types=np.array([type_of[int(number)] for number in start.atomic_numbers]),
        masses_amu=masses_amu(np.array(list(type_of))).tolist(),
    )
    write_card(folder, card)
    fault = fault_of_start(
        pair,
        start.atomic_numbers,
        start.positions_angstrom,
        cell=start.cell_angstrom,
        is_exchanged=card.is_exchanged,
    )
    if fault is not None:
        return Judged(test=StartTest(), fault=fault)
    tested = judged_before(folder, card, start, pair)
    card.start_test = tested.test
    return tested


def _ended(folder: Path, card: SimulationCard, fault: str) -> SimulationCard:
    """The card of a simulation that cannot begin."""
    card.outcome, card.reason, card.is_refused = "unphysical", fault, True
    write_card(folder, card)
    return card


def _contents(card: SimulationCard, start: Start) -> Contents:
    volume = abs(float(np.linalg.det(start.cell_angstrom))) * card.plan.replicate**3
    plan = card.plan
    return Contents(
        counts=card.counts,
        volume_angstrom3=volume,
        is_exchanged=card.is_exchanged,
        warmed_k=plan.temperature_k - (start.temperature_k or plan.temperature_k),
        pressed_gpa=plan.pressure_gpa - (start.pressure_gpa or 0.0),
    )


def _run_to_an_end(folder: Path, card: SimulationCard, listener: "_Listener") -> None:
    began = time.monotonic()
    try:
        _run_lammps(folder, listener)
    except _Unphysical:
        pass  # the card says why
    except ProgramFailed as failure:
        collapse = halt_by_collapse(failure.last_lines)
        if collapse is None:
            raise
        card.outcome, card.reason = "unphysical", collapse.reason
    except StoppedBySignal:
        card.wall_seconds += time.monotonic() - began
        write_card(folder, card)
        raise
    card.wall_seconds += time.monotonic() - began


def _run_lammps(folder: Path, listener: "_Listener") -> None:
    command, environment = lammps_command(with_deepmd=True)
    run(
        [command, "-in", INPUT, "-log", "none"],
        cwd=folder,
        log_path=folder / LOG,
        on_line=listener.heard,
        environment=environment,
    )


def _fill(card: SimulationCard, folder: Path, guarded_by: list[Guard]) -> None:
    lines, rows = log_lines(folder / LOG), thermo_rows(folder / THERMO_TABLE)
    reasons: Mapping[str, str] = {guard.name: guard.reason for guard in guarded_by}
    halt = halt_by_guard(lines, reasons)
    plan = card.plan
    timing = last_timing(lines, time_step_fs=plan.time_step_fs, n_production_steps=plan.n_production_steps)
    if halt is not None and not card.is_refused:  # LAMMPS went on for some steps with a start that was refused
        card.outcome, card.reason = "unphysical", halt.reason
    elif card.outcome == "running":
        card.outcome = "finished"
    card.n_steps_done = halt.step if halt and halt.step is not None else int(rows[-1, 0]) if len(rows) else 0
    card.ns_per_day, card.n_steps_timed = (timing.ns_per_day, timing.n_steps) if timing else (None, 0)
    card.lammps_version, card.hardware = lammps_version(lines), hardware()


class _Listener:
    """What is done at the lines of the log: the start frame is compared, old restart files go, progress is told."""

    def __init__(
        self, folder: Path, card: SimulationCard, start: Start, pair: PairStyle, before: Judged | None
    ) -> None:
        self._folder, self._card, self._start, self._pair = folder, card, start, pair
        self._before = before
        self._progress = Progress(card)

    def heard(self, line: str) -> None:
        if self._progress.heard(line):
            for _, path in restarts(self._folder)[:-_RESTARTS_KEPT]:
                path.unlink()
        elif self._before is not None and (labels := start_labels(line)) is not None:
            tested = judged_in_lammps(self._folder, self._start, self._pair, before=self._before, numbers=labels)
            self._card.start_test, self._card.start_energy_ev = tested.test, labels[0]
            if tested.fault is not None:
                # Whole before it is written: a kill from here on loses nothing of the verdict.
                self._card.outcome, self._card.reason, self._card.is_refused = "unphysical", tested.fault, True
            write_card(self._folder, self._card)
            if tested.fault is not None:
                raise _Unphysical(tested.fault)
