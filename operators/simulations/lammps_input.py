"""The text of `in.lammps`: pair style, guards, thermostat, what is written when. Running it is `simulate`'s.

One input serves a fresh start and every restart: steps are counted from the start frame on, and each `run ... upto`
that lies behind a restart is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Self

import numpy as np

from lake.readers.lammps import DUMP_COLUMNS, THERMO_COLUMNS, THERMO_TABLE, TRAJECTORY
from schemas.elements import atomic_number
from schemas.gate import shortest_trainable_pairs_angstrom
from schemas.simulation import SimulationPlan
from schemas.units import BAR_PER_GPA, FS_PER_PS

START = "start.lmp"
RESTART = "restart."
"""Start of the names of restart files; LAMMPS appends the step."""

_STEPS_PER_RESTART = 100
_STEPS_PER_CHECK = 10
_STEPS_PER_CHECK_WHEN_TIMED = 100
_THERMOSTAT_PS = 0.1
_BAROSTAT_PS = 1.0
_LARGEST_VOLUME_CHANGE = 0.15


@dataclass(frozen=True, slots=True)
class PairStyle:
    """How LAMMPS is told of a potential, and how far that potential can be trusted."""

    lines: tuple[str, ...]
    r_cut_angstrom: float = 0.0
    neighbour_slots: Mapping[str, int] = field(default_factory=dict)
    """Neighbours of each element that the potential has room for; empty when it takes any number."""

    @classmethod
    def deepmd(
        cls, model: str, type_map: Sequence[str], *, r_cut_angstrom: float, neighbour_slots: Mapping[str, int]
    ) -> Self:
        """A DeePMD model; LAMMPS types are numbered in the order of its type map."""
        lines = (f"pair_style      deepmd {model}", f"pair_coeff      * * {' '.join(type_map)}")
        return cls(lines, r_cut_angstrom, neighbour_slots)

    @classmethod
    def eam_alloy(cls, table: str, type_map: Sequence[str]) -> Self:
        """A tabulated embedded-atom potential in LAMMPS's `setfl` format, for reference runs."""
        return cls(("pair_style      eam/alloy", f"pair_coeff      * * {table} {' '.join(type_map)}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A condition that no melt meets; a simulation that meets it is stopped and called unphysical."""

    name: str
    """Also the id of its `fix halt`, which LAMMPS prints when the condition is met."""
    definition: str
    """A LAMMPS equal-style formula."""
    condition: str
    reason: str
    commands: tuple[str, ...] = ()
    """What the formula needs beforehand."""


def guards(plan: SimulationPlan, pair: PairStyle, *, counts: Mapping[str, int], volume_angstrom3: float) -> list[Guard]:
    """The guards of a simulation.

    Parameters
    ----------
    plan
        What is simulated.
    pair
        With what.
    counts
        Atoms of each element, copies included.
    volume_angstrom3
        Volume of the start frame, copies included.
    """
    found = [_distance_guard(counts), _temperature_guard(plan, n_atoms=sum(counts.values()))]
    found += [
        _crowding_guard(element, slots, number, r_cut_angstrom=pair.r_cut_angstrom)
        for number, (element, slots) in enumerate(pair.neighbour_slots.items(), start=1)
        if element in counts
    ]
    if plan.ensemble == "npt":
        found.append(_volume_guard(volume_angstrom3))
    return found


def lammps_input(
    plan: SimulationPlan, pair: PairStyle, *, guarded_by: Sequence[Guard], restart_step: int | None = None
) -> str:
    """The input of a simulation.

    Parameters
    ----------
    plan
        What is simulated.
    pair
        With what.
    guarded_by
        Conditions that stop it.
    restart_step
        Step of the restart file to go on from; None starts from the start frame.
    """
    lines = [
        f"# {plan.protocol} of {plan.composition} at {plan.temperature_k:g} K",
        "units           metal",
        "boundary        p p p",
        "atom_style      atomic",
        *_atoms(plan, restart_step, pair),
        "neighbor        1.0 bin",
        "neigh_modify    every 1 delay 0 check yes",
        f"timestep        {plan.time_step_fs / FS_PER_PS:.12g}",
        "",
        *_guard_lines(plan, guarded_by),
        "",
        _motion(plan),
        *_thermo(plan),
        f"restart         {_STEPS_PER_RESTART} {RESTART}*",
        "",
        *_runs(plan, restart_step or 0),
    ]
    return "\n".join([*lines, ""])


def _atoms(plan: SimulationPlan, restart_step: int | None, pair: PairStyle) -> list[str]:
    if restart_step is not None:
        return [f"read_restart    {RESTART}{restart_step}", *pair.lines]
    copies = plan.replicate
    return [
        f"read_data       {START}",
        *([f"replicate       {copies} {copies} {copies}"] if copies > 1 else []),
        *pair.lines,
        # After replicate, which would copy the velocities too: the copies must not move as one.
        f"velocity        all create {plan.temperature_k:.12g} {plan.seed} mom yes rot no dist gaussian",
    ]


def _guard_lines(plan: SimulationPlan, guarded_by: Sequence[Guard]) -> Iterator[str]:
    every = _STEPS_PER_CHECK if plan.keeps_frames else _STEPS_PER_CHECK_WHEN_TIMED
    for guard in guarded_by:
        yield from guard.commands
        yield f"variable        {guard.name} equal {guard.definition}"
        # soft: the run ends in order and those after it are skipped; what was written so far is kept.
        yield f"fix             {guard.name} all halt {every} v_{guard.name} {guard.condition} error soft message yes"


def _motion(plan: SimulationPlan) -> str:
    temperature = f"temp {plan.temperature_k:.12g} {plan.temperature_k:.12g} {_THERMOSTAT_PS}"
    if plan.ensemble == "nvt":
        return f"fix             motion all nvt {temperature}"
    pressure_bar = plan.pressure_gpa * BAR_PER_GPA
    return f"fix             motion all npt {temperature} iso {pressure_bar:.12g} {pressure_bar:.12g} {_BAROSTAT_PS}"


def _thermo(plan: SimulationPlan) -> list[str]:
    formulas = ("step", "temp", "pe", *(f"c_virial[{component}]" for component in range(1, 7)))
    names = [f"out_{column}" for column in THERMO_COLUMNS]
    values = ",".join(f"${{{name}}}" for name in names)
    # A timed run writes its first and last row only, so that writing is not what is timed.
    every_row = plan.steps_per_frame if plan.keeps_frames else plan.n_steps
    every_line = max(1, min(1000, plan.n_steps // 20)) if plan.keeps_frames else 1000
    into_table = f'append {THERMO_TABLE} screen no title "{",".join(THERMO_COLUMNS)}"'
    return [
        "compute         virial all pressure NULL virial",
        *(f"variable        {name} equal {formula}" for name, formula in zip(names, formulas, strict=True)),
        f'fix             table all print {every_row} "{values}" {into_table}',
        "thermo_style    custom step time temp pe ke etotal press pxx pyy pzz pxy pxz pyz vol density",
        "thermo_modify   lost error flush yes",
        f"thermo          {every_line}",
    ]


def _runs(plan: SimulationPlan, first_step: int) -> Iterator[str]:
    if first_step < plan.n_equilibration_steps:
        yield f"run             {plan.n_equilibration_steps} upto"
    if plan.keeps_frames:
        yield f"dump            frames all custom {plan.steps_per_frame} {TRAJECTORY} {DUMP_COLUMNS}"
        yield "dump_modify     frames sort id append yes format float %.10g"
    yield f"run             {plan.n_steps} upto"


def _distance_guard(counts: Mapping[str, int]) -> Guard:
    numbers = np.array([atomic_number(element) for element in counts])
    shortest = float(shortest_trainable_pairs_angstrom(numbers).min())
    return Guard(
        name="guard_distance",
        commands=(
            "compute         pairs all pair/local dist",
            "compute         closest all reduce min c_pairs inputs local",
        ),
        definition="c_closest",
        condition=f"< {shortest:.6g}",
        reason=f"two atoms came closer than {shortest:.3g} Angstrom",
    )


def _temperature_guard(plan: SimulationPlan, *, n_atoms: int) -> Guard:
    # Twice the target is far outside the canonical spread of a melt, but not of a handful of atoms.
    spread = sqrt(2 / (3 * n_atoms))
    hottest = plan.temperature_k * max(2.0, 1.0 + 8.0 * spread)
    return Guard(
        name="guard_temperature",
        definition="temp",
        condition=f"> {hottest:.8g}",
        reason=f"the temperature rose above {hottest:.0f} K at a target of {plan.temperature_k:g} K",
    )


def _crowding_guard(element: str, slots: int, type_number: int, *, r_cut_angstrom: float) -> Guard:
    # Neighbours beyond the slots are left out by the model, and the energy is no longer conserved.
    neighbours, most = f"neighbours_{element}", f"most_{element}"
    return Guard(
        name=f"guard_crowding_{element}",
        commands=(
            f"compute         {neighbours} all coord/atom cutoff {r_cut_angstrom:.6g} {type_number}",
            f"compute         {most} all reduce max c_{neighbours}",
        ),
        definition=f"c_{most}",
        condition=f"> {slots}",
        reason=f"an atom had more than the {slots} neighbours of {element} that the potential has slots for",
    )


def _volume_guard(volume_angstrom3: float) -> Guard:
    return Guard(
        name="guard_volume",
        definition=f'"abs(vol / {volume_angstrom3:.12g} - 1.0)"',
        condition=f"> {_LARGEST_VOLUME_CHANGE}",
        reason=f"the volume went more than {_LARGEST_VOLUME_CHANGE:.0%} away from that of the start frame",
    )
