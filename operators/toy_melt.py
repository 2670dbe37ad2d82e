"""Synthetic AIMD of a toy melt: MLK liquid from LAMMPS, written in VASP's layouts. Nothing here is a calculation.

Every file says `synthetic` in its first lines and in its SYSTEM tag. The potential is `operators.physics`'s, the
layouts are `lake.writers`'s.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lake.writers import outcar, vasprun
from lake.writers.facts import FrameFacts, RunFacts, Species
from operators.physics import toy_potential
from operators.processes import run
from operators.simulations.lammps_program import lammps_command
from schemas.composition import nearest_counts, parse_composition
from schemas.elements import atomic_number, masses_amu
from schemas.errors import MeltlakeError
from schemas.units import EV_PER_ANGSTROM3_PER_BAR, EV_PER_ANGSTROM3_PER_KBAR, FS_PER_PS

_VALENCES = {"Al": 3.0, "Cu": 11.0, "Ni": 10.0}
_WRITERS = {
    "OUTCAR": (outcar.outcar_pieces, outcar.FORCE_TABLE),
    "vasprun.xml": (vasprun.vasprun_pieces, vasprun.FORCE_TABLE),
}
_FILE_NAMES = {"outcar": ("OUTCAR",), "vasprun": ("vasprun.xml",), "both": ("OUTCAR", "vasprun.xml")}

_LONGEST_TIME_STEP_FS = 1.0
_LAMMPS_INPUT = """\
units           metal
atom_style      atomic
read_data       start.lmp
pair_style      eam/alloy
pair_coeff      * * MLK.eam.alloy {elements}
neighbor        1.0 bin
compute         virial all pressure NULL virial
variable        potential equal pe
variable        kinetic equal ke

minimize        0 0.5 200 2000
velocity        all create 4000 {velocity_seed} mom yes rot no dist gaussian
timestep        0.002
fix             thermostat all nvt temp 4000 4000 0.1
run             1000
fix             thermostat all nvt temp 4000 {temperature_k} 0.1
run             1000
fix             thermostat all nvt temp {temperature_k} {temperature_k} 0.1
run             2000

reset_timestep  0
timestep        {time_step_ps}
dump            atoms all custom {every} atoms.dump id x y z fx fy fz
dump_modify     atoms sort id format float %.12g
fix             frames all ave/time {every} 1 {every} v_potential v_kinetic f_thermostat &
                c_virial[*] file frames.txt format " %.14g"
run             {n_steps}
"""


class Faults(BaseModel):
    """What goes wrong in a run that is made for testing. Frames are counted from 0, as in the lake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unconverged: tuple[int, ...] = ()
    """Frames whose electronic steps end at NELM, far from EDIFF."""
    killed_in_frame: int | None = None
    """Every file ends in the middle of this frame's force table."""


class ToyMeltRequest(BaseModel):
    """One synthetic run.

    The written POTIM is `sample_fs`: every saved frame is one ionic step of the file. LAMMPS takes shorter steps in
    between, so that 5 fs, which a velocity autocorrelation still bears, costs no accuracy of the motion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    composition: str = "Al33Cu33Ni33"
    n_atoms: int = Field(default=108, ge=8)
    temperature_k: float | None = Field(default=None, gt=0, le=5000)
    """None takes the temperature of the nearest composition that MLK is known to melt at."""
    n_frames: int = Field(default=200, ge=1)
    sample_fs: float = Field(default=5.0, gt=0)
    seed: int = Field(default=1, ge=0)
    source_format: Literal["vasprun", "outcar", "both"] = "vasprun"
    faults: Faults = Faults()

    @model_validator(mode="after")
    def _is_a_toy(self) -> Self:
        unknown = parse_composition(self.composition).keys() - toy_potential.ELEMENTS.keys()
        if unknown:
            raise ValueError(f"the toy potential knows Al, Cu and Ni, not {', '.join(sorted(unknown))}")
        faulty = {*self.faults.unconverged, self.faults.killed_in_frame} - {None}
        if faulty - set(range(self.n_frames)):
            raise ValueError(f"faults: frames run from 0 to {self.n_frames - 1}")
        return self

    @property
    def counts(self) -> dict[str, int]:
        return dict(sorted(nearest_counts(self.composition, self.n_atoms).items()))

    @property
    def target_temperature_k(self) -> float:
        return self.temperature_k or toy_potential.melt_temperature_k(self.composition)

    @property
    def box_angstrom(self) -> float:
        volume = toy_potential.liquid_volume_angstrom3_per_atom(self.counts, self.target_temperature_k)
        return float((self.n_atoms * volume) ** (1 / 3))

    @property
    def n_steps_per_frame(self) -> int:
        return ceil(self.sample_fs / _LONGEST_TIME_STEP_FS)


def generate(folder: Path, request: ToyMeltRequest) -> Path:
    """Simulate the toy melt and write `OUTCAR` and/or `vasprun.xml` into a new folder, which appears whole.

    The density is that of the liquid at zero pressure. A simple cubic lattice with random species is melted at
    4000 K (2 ps), cooled (2 ps) and equilibrated at the target (4 ps), all of which is left out of the files. The
    same request gives the same files, byte for byte, on one machine.

    Raises
    ------
    MeltlakeError
        If the folder exists, or if LAMMPS is missing.
    ProgramFailed
        If LAMMPS fails, for example because nothing is liquid at that temperature.
    """
    if folder.exists():
        raise MeltlakeError(f"{folder} exists already.", "Choose another name, or remove it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        simulation = Path(scratch)
        _run_lammps(simulation, request)
        whole = simulation / "run"
        whole.mkdir()
        for name in _FILE_NAMES[request.source_format]:
            _write(whole / name, simulation, request)
        whole.rename(folder)
    return folder


def _write(path: Path, simulation: Path, request: ToyMeltRequest) -> None:
    pieces_of, (opening, closing) = _WRITERS[path.name]
    facts = _run_facts(request)
    pieces = pieces_of(facts, _frames(simulation, request, facts))
    with path.open("w", encoding="ascii") as file:
        for frame, piece in enumerate(pieces, start=-1):
            if frame == request.faults.killed_in_frame:
                start = piece.index(opening)
                file.write(piece[: (start + piece.index(closing, start)) // 2])
                return
            file.write(piece)


def _run_facts(request: ToyMeltRequest) -> RunFacts:
    return RunFacts(
        title=f"synthetic toy melt MLK {request.composition}, one ionic step per {request.sample_fs:g} fs",
        species=tuple(Species(symbol, n, _VALENCES[symbol]) for symbol, n in request.counts.items()),
        n_ionic_steps=request.n_frames,
        time_step_fs=request.sample_fs,
        temperature_k=request.target_temperature_k,
    )


def _frames(simulation: Path, request: ToyMeltRequest, run: RunFacts) -> Iterator[FrameFacts]:
    cell_angstrom = request.box_angstrom * np.eye(3)
    scalars = np.loadtxt(simulation / "frames.txt", ndmin=2)
    atoms = _dumped_atoms(simulation / "atoms.dump", request.n_atoms)
    for frame, (row, table) in enumerate(zip(scalars, atoms, strict=True)):
        _, potential_ev, kinetic_ev, thermostat_ev, *virial_bar = row.tolist()
        scf = _Scf.of_frame(frame, request.faults, run)
        yield FrameFacts(
            cell_angstrom=cell_angstrom,
            positions_angstrom=table[:, 1:4] % request.box_angstrom,
            forces_ev_per_angstrom=table[:, 4:7],
            energy_ev=potential_ev,
            energy_without_entropy_ev=potential_ev,
            energy_sigma0_ev=potential_ev,
            stress_kbar=_stress_kbar(virial_bar),
            kinetic_energy_ev=kinetic_ev,
            thermostat_energy_ev=thermostat_ev,
            scf_steps=scf.n_steps,
            scf_last_change_ev=scf.last_change_ev,
        )


@dataclass(frozen=True, slots=True)
class _Scf:
    """Electronic steps that a VASP run of this length could have had; the toy has no electrons."""

    n_steps: int
    last_change_ev: float

    @classmethod
    def of_frame(cls, frame: int, faults: Faults, run: RunFacts) -> "_Scf":
        if frame in faults.unconverged:
            return cls(run.nelm, 1e4 * run.ediff_ev)
        return cls(14 if frame == 0 else 6 + frame % 3, 0.5 * run.ediff_ev)


def _stress_kbar(virial_bar: list[float]) -> NDArray[np.float64]:
    """(3, 3), kbar, VASP's sign, which is also LAMMPS's: positive when compressed."""
    xx, yy, zz, xy, xz, yz = virial_bar
    tensor_bar = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    kbar: NDArray[np.float64] = tensor_bar * (EV_PER_ANGSTROM3_PER_BAR / EV_PER_ANGSTROM3_PER_KBAR)
    return kbar


def _dumped_atoms(path: Path, n_atoms: int) -> Iterator[NDArray[np.float64]]:
    """(n_atoms, 7) of each frame: id, position (angstrom) and force (eV/angstrom)."""
    n_heading_lines = 9
    with path.open(encoding="ascii") as lines:
        while list(islice(lines, n_heading_lines)):
            yield np.loadtxt(islice(lines, n_atoms), ndmin=2)


def _run_lammps(simulation: Path, request: ToyMeltRequest) -> None:
    random = np.random.default_rng(request.seed)
    (simulation / "MLK.eam.alloy").write_text(toy_potential.setfl(), encoding="ascii")
    (simulation / "start.lmp").write_text(_start(request, random), encoding="ascii")
    lammps_input = _LAMMPS_INPUT.format(
        elements=" ".join(request.counts),
        velocity_seed=random.integers(1, 2**31 - 1),
        temperature_k=request.target_temperature_k,
        time_step_ps=request.sample_fs / request.n_steps_per_frame / FS_PER_PS,
        every=request.n_steps_per_frame,
        n_steps=request.n_steps_per_frame * (request.n_frames - 1),
    )
    (simulation / "in.lammps").write_text(lammps_input, encoding="ascii")
    command, environment = lammps_command(with_deepmd=False)
    run([command, "-in", "in.lammps"], cwd=simulation, log_path=simulation / "screen.log", environment=environment)


def _start(request: ToyMeltRequest, random: np.random.Generator) -> str:
    """LAMMPS data file: random sites of a simple cubic lattice, species by species."""
    n_per_edge = ceil(request.n_atoms ** (1 / 3) - 1e-9)
    sites = np.stack(np.meshgrid(*[np.arange(n_per_edge)] * 3), axis=-1).reshape(-1, 3)
    chosen = random.permutation(sites)[: request.n_atoms] * (request.box_angstrom / n_per_edge)
    types = np.repeat(np.arange(1, len(request.counts) + 1), list(request.counts.values()))
    masses = masses_amu(np.array([atomic_number(symbol) for symbol in request.counts]))
    edge = f"0.0 {request.box_angstrom!r}"
    return "\n".join(
        [
            "synthetic toy melt, written by meltlake\n",
            f"{request.n_atoms} atoms",
            f"{len(request.counts)} atom types",
            *(f"{edge} {axis}lo {axis}hi" for axis in "xyz"),
            "\nMasses\n",
            *(f"{number} {mass:.6f}" for number, mass in enumerate(masses, start=1)),
            "\nAtoms # atomic\n",
            *(
                f"{number} {kind} {x:.10f} {y:.10f} {z:.10f}"
                for number, (kind, (x, y, z)) in enumerate(zip(types, chosen, strict=True), start=1)
            ),
            "",
        ]
    )
