"""The text of `in.lammps`: start frame, thermostat, what is written when. Running it is `lammps_session`'s.

One input serves a fresh start and every restart: steps are counted from the start frame on, and each `run ... upto`
that lies behind a restart is left out.
"""

from collections.abc import Iterator, Mapping, Sequence

from lake.readers.lammps import DUMP_COLUMNS, TRAJECTORY
from lake.readers.lammps_tables import PRESSURE_COLUMNS, PRESSURE_TABLE, THERMO_COLUMNS, THERMO_TABLE
from operators.simulations.guards import Guard, guard_lines
from operators.simulations.pair_style import PairStyle
from schemas.simulation import SimulationPlan
from schemas.units import BAR_PER_GPA, FS_PER_PS

START = "start.lmp"
START_FRAME = "start.lammpstrj"
STOPPED_FRAME = "stopped.lammpstrj"
RESTART = "restart."
"""Start of the names of restart files; LAMMPS appends the step."""
START_LABELS = "Start frame:"
"""Begins the line of the log with energy, eV, and virial pressure, bar, of the start frame."""

_STEPS_PER_RESTART = 100
_STEPS_PER_LINE = 10
_STEPS_PER_LINE_WHEN_TIMED = 100
_THERMOSTAT_PS = 0.1
_BAROSTAT_PS = 1.0
_ENOUGH_RELAXED = "0 0.5 100 1000"
"""No energy tolerance; 0.5 eV/Angstrom is less than forces in a melt; steps and evaluations at most."""
_VIRIAL = tuple(f"c_virial[{component}]" for component in range(1, 7))
_PRESSURE = tuple(f"p{component}" for component in ("xx", "yy", "zz", "xy", "xz", "yz"))


def lammps_input(
    plan: SimulationPlan,
    pair: PairStyle,
    *,
    guarded_by: Sequence[Guard],
    restart_step: int | None = None,
    relaxed_first: str = "",
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
    relaxed_first
        Why atoms are moved apart before they are given velocities; empty where they are not.
    """
    lines = [
        f"# {plan.protocol} of {plan.composition} at {plan.temperature_k:g} K",
        "units           metal",
        "boundary        p p p",
        "atom_style      atomic",
        *_atoms(plan, restart_step, pair),
        "neighbor        1.0 bin",
        "neigh_modify    every 1 delay 0 check yes",
        "compute         virial all pressure NULL virial",
        *(_start(plan, relaxed_first) if restart_step is None else ()),
        f"timestep        {plan.time_step_fs / FS_PER_PS:.12g}",
        "",
        *guard_lines(plan, guarded_by),
        "",
        *_thermo(plan),
        f"restart         {_STEPS_PER_RESTART} {RESTART}*",
        "",
        *_runs(plan, restart_step or 0),
        # A run that a guard stopped may have saved no frame yet.
        f'if "$(step) < {plan.n_steps}" then "write_dump all custom {STOPPED_FRAME} {DUMP_COLUMNS} modify sort id"',
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
    ]


def _start(plan: SimulationPlan, relaxed_first: str) -> Iterator[str]:
    yield f"thermo_style    custom step pe {' '.join(_VIRIAL)}"
    yield "thermo_modify   flush yes"
    yield "run             0"
    # After replicate, which would copy the velocities too: the copies must not move as one.
    yield f"velocity        all create {plan.temperature_k:.12g} {plan.seed} mom yes rot no dist gaussian"
    yield f"write_dump      all custom {START_FRAME} {DUMP_COLUMNS} modify sort id format float %.15g"
    labels = " ".join(f"$({formula}:%.15g)" for formula in ("pe", *_VIRIAL))
    yield f'print           "{START_LABELS} {labels}"'
    if relaxed_first:
        yield f"# {relaxed_first}"
        yield f"minimize        {_ENOUGH_RELAXED}"
        yield "reset_timestep  0"


def _thermostat(plan: SimulationPlan) -> str:
    temperature = f"temp {plan.temperature_k:.12g} {plan.temperature_k:.12g} {_THERMOSTAT_PS}"
    if plan.ensemble != "npt":
        return f"fix             motion all nvt {temperature}"
    pressure_bar = plan.pressure_gpa * BAR_PER_GPA
    return f"fix             motion all npt {temperature} iso {pressure_bar:.12g} {pressure_bar:.12g} {_BAROSTAT_PS}"


def _thermo(plan: SimulationPlan) -> list[str]:
    formulas = dict(zip(THERMO_COLUMNS, ("step", "temp", "pe", "econserve", *_VIRIAL), strict=True))
    # A timed run writes its first and last row only, so that writing is not what is timed.
    every_row = plan.steps_per_frame if plan.keeps_frames else plan.n_steps
    every_line = _STEPS_PER_LINE if plan.keeps_frames else _STEPS_PER_LINE_WHEN_TIMED
    return [
        *_table("table", formulas, every=every_row, path=THERMO_TABLE),
        "thermo_style    custom step time temp pe ke etotal press pxx pyy pzz pxy pxz pyz vol density",
        "thermo_modify   lost error flush yes",
        f"thermo          {every_line}",
    ]


def _table(name: str, formulas: Mapping[str, str], *, every: int, path: str) -> Iterator[str]:
    """Commands that append a row of numbers every so many steps."""
    for column, formula in formulas.items():
        yield f"variable        {name}_{column} equal {formula}"
    values = ",".join(f"${{{name}_{column}}}" for column in formulas)
    yield f'fix             {name} all print {every} "{values}" append {path} screen no title "{",".join(formulas)}"'


def _runs(plan: SimulationPlan, first_step: int) -> Iterator[str]:
    if first_step < plan.n_equilibration_steps:
        yield _thermostat(plan)
        yield f"run             {plan.n_equilibration_steps} upto"
        if plan.protocol == "nve":
            yield "unfix           motion"
            yield "fix             motion all nve"
    else:
        yield "fix             motion all nve" if plan.protocol == "nve" else _thermostat(plan)
    if plan.keeps_frames:
        yield f"dump            frames all custom {plan.steps_per_frame} {TRAJECTORY} {DUMP_COLUMNS}"
        yield "dump_modify     frames sort id append yes format float %.10g"
    if plan.steps_per_pressure is not None:
        formulas = dict(zip(PRESSURE_COLUMNS, ("step", *_PRESSURE), strict=True))
        yield from _table("stress", formulas, every=plan.steps_per_pressure, path=PRESSURE_TABLE)
    yield f"run             {plan.n_steps} upto"
