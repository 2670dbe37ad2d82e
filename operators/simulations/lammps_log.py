"""What a LAMMPS log tells of a simulation: version, speed, why it was halted. The trajectory is read in `lake`."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operators.simulations.lammps_input import START_LABELS
from schemas.units import NS_PER_DAY_PER_FS_PER_S

_VERSION = re.compile(r"LAMMPS \((.+)\)")
_LOOP = re.compile(r"Loop time of (\S+) on \d+ procs for (\d+) steps with \d+ atoms")
_OF_A_MINIMISATION = "Minimization stats:"
"""Follows the loop time of atoms that were moved apart."""
_HALT = re.compile(
    r"Fix halt condition for fix-id (\S+) met on step (\d+) with value ([-+]?(?:nan|inf|\d+\.?\d*(?:[eE][-+]?\d+)?))"
)
_THERMO_LINE = re.compile(r"\s+(\d+)\s+[-+.\deE]+\s+([-+.\deE]+)\s")

# Errors that LAMMPS ends with when the atoms, not the input, are at fault.
_COLLAPSES = {
    re.compile(r"Lost atoms.*"): "atoms were lost",
    re.compile(r"Non-numeric .*"): "a position, pressure or box became not a number",
    re.compile(r"Out of range atoms.*"): "atoms flew out of the box",
    re.compile(
        r"(Neighbor list overflow|Too many neighbor bins|Too many atom sorting bins).*"
    ): "atoms collapsed or flew apart",
    re.compile(r"Simulation box .*|.*[Bb]ox bounds.*"): "the box collapsed or blew up",
}


@dataclass(frozen=True, slots=True)
class Timing:
    """The last run of a simulation."""

    ns_per_day: float
    n_steps: int


@dataclass(frozen=True, slots=True)
class Halt:
    """Why and where a simulation was stopped."""

    reason: str
    step: int | None
    """None when LAMMPS does not tell."""


def lammps_version(lines: Sequence[str]) -> str | None:
    """`22 Jul 2025 - Update 2`."""
    return next((match[1] for line in lines if (match := _VERSION.match(line))), None)


def last_timing(lines: Sequence[str], *, time_step_fs: float, n_production_steps: int | None = None) -> Timing | None:
    """Speed of the last run that did a step in the last session; None when none came to its end.

    A session that began behind the last step has the speed of the one before, if that came to its end: a run of so many
    production steps. LAMMPS prints the same figure with three decimals, too few for slow potentials.
    """
    begins = [place for place, line in enumerate(lines) if _VERSION.match(line)][-1:]
    last = begins[0] if begins else 0
    found = [loop for loop in _loops(lines[last:]) if loop[1] > 0]
    found = found or [loop for loop in _loops(lines[:last]) if loop[1] == n_production_steps]
    seconds, n_steps = next((loop for loop in reversed(found) if loop[0] > 0), (0.0, 0))
    return Timing(n_steps * time_step_fs / seconds * NS_PER_DAY_PER_FS_PER_S, n_steps) if n_steps else None


def _loops(lines: Sequence[str]) -> list[tuple[float, int]]:
    """Seconds and steps of each run; those of a minimisation, which have no length in time, are left out."""
    loops: list[tuple[float, int]] = []
    for line in lines:
        if match := _LOOP.match(line):
            loops.append((float(match[1]), int(match[2])))
        elif line.startswith(_OF_A_MINIMISATION) and loops:
            loops.pop()
    return loops


def halt_by_guard(lines: Sequence[str], reasons: Mapping[str, str]) -> Halt | None:
    """The guard that stopped a run, if one did; of several that met at one step, the first.

    Parameters
    ----------
    lines
        Lines of the log.
    reasons
        What each guard's name means.
    """
    met = [match for line in lines if (match := _HALT.search(line)) and match[1] in reasons]
    at_last = [match for match in met if match[2] == met[-1][2]]
    if not at_last:
        return None
    step = int(at_last[0][2])
    if any(math.isnan(float(match[3])) for match in at_last):
        return Halt(f"energy, forces or positions were not a number at step {step}", step)
    value = float(at_last[0][3])
    return Halt(f"{reasons[at_last[0][1]]} at step {step} (value {value:.4g})", step)


def halt_by_collapse(last_lines: Sequence[str]) -> Halt | None:
    """Why LAMMPS gave up, when atoms that flew apart or fell together are why."""
    for line in last_lines:
        for pattern, reason in _COLLAPSES.items():
            if "ERROR" in line and (match := pattern.search(line)):
                return Halt(f"{reason} (LAMMPS: {match[0].split(' (src')[0]})", None)
    return None


def thermo_step(line: str) -> tuple[int, float] | None:
    """Step and temperature, K, of a line of the thermo table; None for any other line."""
    match = _THERMO_LINE.match(line)
    return (int(match[1]), float(match[2])) if match else None


def start_labels(line: str) -> tuple[float, ...] | None:
    """Energy, eV, and six components of the virial pressure, bar, of the start frame; None for any other line."""
    if not line.startswith(START_LABELS):
        return None
    return tuple(float(number) for number in line.removeprefix(START_LABELS).split())


def log_lines(path: Path) -> list[str]:
    """Lines of a log, over all its sessions; none before the first."""
    return path.read_text(errors="replace").splitlines() if path.is_file() else []
