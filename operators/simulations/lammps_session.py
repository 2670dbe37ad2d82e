"""One simulation folder brought to its end: LAMMPS run or resumed, the card filled in. Tables are `simulate`'s."""

import mmap
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lake.lammps_data import write_lammps_data
from lake.readers.lammps import FRAME_BEGINS, THERMO_TABLE, TRAJECTORY, thermo_rows
from lake.sources import SIMULATION_CARD
from operators.hardware import hardware
from operators.log import log
from operators.processes import ProgramFailed, run
from operators.simulations.lammps_input import RESTART, START, Guard, PairStyle, guards, lammps_input
from operators.simulations.lammps_log import (
    halt_by_collapse,
    halt_by_guard,
    lammps_version,
    last_timing,
    log_lines,
    thermo_step,
)
from operators.simulations.lammps_program import lammps_command
from operators.simulations.start_frame import Start
from schemas.elements import atomic_number, masses_amu
from schemas.errors import StoppedBySignal
from schemas.simulation import SimulationCard

INPUT = "in.lammps"
LOG = "log.lammps"
_RESTART_MARK = b"LammpS RestartT"
_RESTARTS_KEPT = 2
"""The newest may be cut by a kill; the one before it is whole."""
_SECONDS_PER_EVENT = 30.0


def simulated(folder: Path, card: SimulationCard, start: Start, pair: PairStyle) -> SimulationCard:
    """Run a simulation in its folder, or go on where an earlier session was cut; returns the filled card.

    Raises
    ------
    StoppedBySignal
        If SIGTERM came; the next call goes on from the last restart file.
    ProgramFailed
        If LAMMPS failed for another reason than atoms that fell together or flew apart.
    """
    restart_step = latest_restart_step(folder)
    if restart_step is None:
        _begin(folder, card, start)
    else:
        cut_trajectory(folder / TRAJECTORY, restart_step)
        _cut_to_whole_lines(folder / THERMO_TABLE)
        log.info("simulate", run_id=card.run_id, resumed_at_step=restart_step)
    copies = card.plan.replicate**3
    volume = abs(float(np.linalg.det(start.cell_angstrom))) * copies
    guarded_by = guards(card.plan, pair, counts=card.counts, volume_angstrom3=volume)
    (folder / INPUT).write_text(lammps_input(card.plan, pair, guarded_by=guarded_by, restart_step=restart_step))
    began = time.monotonic()
    try:
        command, environment = lammps_command(with_deepmd=True)
        run(
            [command, "-in", INPUT, "-log", "none"],
            cwd=folder,
            log_path=folder / LOG,
            on_line=_Progress(card, folder).heard,
            environment=environment,
        )
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
    _fill(card, folder, guarded_by)
    write_card(folder, card)
    for _, path in _restarts(folder):
        path.unlink()
    return card


def write_card(folder: Path, card: SimulationCard) -> None:
    """Replace the card in one step, so that it is never half-written."""
    unfinished = folder / f".{SIMULATION_CARD}.{os.getpid()}"
    unfinished.write_text(card.model_dump_json(indent=1))
    unfinished.replace(folder / SIMULATION_CARD)


def latest_restart_step(folder: Path) -> int | None:
    """Step of the newest whole restart file; None without one. LAMMPS may have been killed while it wrote."""
    return max((step for step, path in _restarts(folder) if _is_whole(path)), default=None)


def cut_trajectory(path: Path, step: int) -> None:
    """Take away the frames from `step` on, which a restart at that step writes again."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0) as content:
            keep = len(content)
            while (frame := content.rfind(FRAME_BEGINS, 0, keep)) >= 0:
                header = content[frame : frame + 64].split(b"\n")
                if len(header) > 2 and int(header[1]) < step:
                    break
                keep = frame
        file.truncate(max(keep, 0))


def _begin(folder: Path, card: SimulationCard, start: Start) -> None:
    leftovers = [folder / name for name in (TRAJECTORY, THERMO_TABLE, LOG)]
    for path in (*leftovers, *(path for _, path in _restarts(folder))):
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


def _fill(card: SimulationCard, folder: Path, guarded_by: list[Guard]) -> None:
    lines, rows = log_lines(folder / LOG), thermo_rows(folder / THERMO_TABLE)
    reasons: Mapping[str, str] = {guard.name: guard.reason for guard in guarded_by}
    halt, timing = halt_by_guard(lines, reasons), last_timing(lines, time_step_fs=card.plan.time_step_fs)
    if halt is not None:
        card.outcome, card.reason = "unphysical", halt.reason
    elif card.outcome == "running":
        card.outcome = "finished"
    card.n_steps_done = halt.step if halt and halt.step is not None else int(rows[-1, 0]) if len(rows) else 0
    card.start_energy_ev = float(rows[0, 2]) if len(rows) and np.isfinite(rows[0, 2]) else None
    card.ns_per_day, card.n_steps_timed = (timing.ns_per_day, timing.n_steps) if timing else (None, 0)
    card.lammps_version, card.hardware = lammps_version(lines), hardware()


class _Progress:
    """What is done at every line of the thermo table: old restart files go, and once in a while an event is logged."""

    def __init__(self, card: SimulationCard, folder: Path) -> None:
        self._card = card
        self._folder = folder
        self._told = time.monotonic()

    def heard(self, line: str) -> None:
        step = thermo_step(line)
        if step is None:
            return
        for _, path in _restarts(self._folder)[:-_RESTARTS_KEPT]:
            path.unlink()
        if time.monotonic() - self._told > _SECONDS_PER_EVENT:
            self._told = time.monotonic()
            log.info("simulate", run_id=self._card.run_id, step=step, of=self._card.plan.n_steps)


def _restarts(folder: Path) -> list[tuple[int, Path]]:
    """Steps and restart files, the oldest first."""
    files = folder.glob(f"{RESTART}[0-9]*")
    return sorted((int(path.name.removeprefix(RESTART)), path) for path in files)


def _is_whole(path: Path) -> bool:
    # LAMMPS writes the same words at the beginning and as the very last thing.
    with path.open("rb") as file:
        file.seek(max(len(_RESTART_MARK), path.stat().st_size - 2 * len(_RESTART_MARK)))
        return _RESTART_MARK in file.read()


def _cut_to_whole_lines(path: Path) -> None:
    if path.is_file():
        content = path.read_bytes()
        path.write_bytes(content[: content.rfind(b"\n") + 1])
