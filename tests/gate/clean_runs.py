"""Runs that faults are put into: toy melts that are made here, and files of the reference set.

The toy melts are LAMMPS runs in VASP's layouts, as `operators.toy_melt` makes them, and kinds that it does not make: a
cell that changes, a crystal, a thermostat that goes astray.
"""

import gzip
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from lake.writers.facts import FrameFacts, RunFacts, Species
from lake.writers.outcar import outcar_pieces
from lake.writers.vasprun import vasprun_pieces
from operators.physics import toy_potential
from operators.processes import run
from operators.simulations.lammps_program import lammps_command
from schemas.elements import atomic_number, masses_amu
from schemas.frames import Floats
from schemas.units import EV_PER_ANGSTROM3_PER_BAR, EV_PER_ANGSTROM3_PER_KBAR
from tests.gate.vasp_text import VaspText, energies, frame_numbers, with_energies

REFERENCE = Path(__file__).parents[2] / "../shared/vasp-reference"

_VALENCES = {"Al": 3.0, "Cu": 11.0, "Ni": 10.0}
_INPUT = """\
units           metal
atom_style      atomic
lattice         fcc {lattice}
region          box block 0 {n_cells} 0 {n_cells} 0 {n_cells}
create_box      {n_elements} box
create_atoms    1 box
{species}
{masses}
pair_style      eam/alloy
pair_coeff      * * MLK.eam.alloy {elements}
neighbor        1.0 bin
compute         virial all pressure NULL virial
variable        potential equal pe
variable        kinetic equal ke
minimize        0 0.5 200 2000
velocity        all create {start_k} 4711 mom yes rot no dist gaussian
timestep        0.001
fix             thermostat all nvt temp {start_k} {start_k} 0.1
run             {n_melting}
fix             thermostat all nvt temp {start_k} {target_k} 0.1
run             {n_settling}
fix             thermostat all nvt temp {target_k} {target_k} 0.1
run             {n_settling}
unfix           thermostat
reset_timestep  0
fix             thermostat all {dynamics}
dump            atoms all custom {every} atoms.dump id type x y z fx fy fz
dump_modify     atoms sort id format float %.12g
fix             frames all ave/time {every} 1 {every} v_potential v_kinetic f_thermostat &
                c_virial[*] file frames.txt format " %.14g"
run             {n_steps}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """One toy run: `fix` is LAMMPS's, what the file claims is `temperature_k`."""

    elements: tuple[str, ...] = ("Al", "Cu", "Ni")
    lattice_angstrom: float = 3.91
    n_cells: int = 3
    temperature_k: float = 1673.0
    start_k: float = 4000.0
    n_melting: int = 2000
    n_settling: int = 1500
    fix: str = "nvt temp 1673 1673 0.1"
    every: int = 5
    n_frames: int = 501
    isif: int = 2


TOYS = {
    "melt": Dynamics(),
    "breathing melt": Dynamics(fix="npt temp 1673 1673 0.1 iso 0 0 0.2", every=2, n_frames=201, isif=3),
    "crystal": Dynamics(
        elements=("Cu",),
        lattice_angstrom=3.64,
        temperature_k=300.0,
        start_k=300.0,
        n_melting=0,
        fix="nvt temp 300 300 0.1",
    ),
    "runaway": Dynamics(fix="nvt temp 1673 12000 0.1"),
}
"""Each is written as OUTCAR and as vasprun.xml, of 108 atoms."""

N_BRIEF = 120
DERIVED = {"brief melt": "the first frames of `melt`", "smeared melt": "the same with warm electrons"}


@cache
def clean_text(name: str) -> str:
    """Text of a clean file: `melt/OUTCAR`, or one of the reference set."""
    kind, _, file = name.partition("/")
    if kind == "brief melt":
        whole = VaspText.of(clean_text(f"melt/{file}"))
        return str(replace(whole, frames=whole.frames[:N_BRIEF]))
    if kind == "smeared melt":
        return smeared(clean_text(f"brief melt/{file}"))
    if kind in TOYS:
        return _toy_texts(kind)[file]
    content = (REFERENCE / name).read_bytes()
    return (gzip.decompress(content) if name.endswith(".gz") else content).decode("latin-1")


def is_here(name: str) -> bool:
    """Whether the clean file can be had on this machine."""
    kind = name.partition("/")[0]
    return kind in TOYS or kind in DERIVED or (REFERENCE / name).exists()


def smeared(text: str) -> str:
    """The same run with electrons that are warm: TS about 30 meV/atom, slowly changing, as metals have it."""

    def warmed(frame: int, piece: str) -> str:
        free = energies(piece)["free"]
        entropy_ev = 108 * (0.03 + 0.002 * np.sin(0.2 * frame) + 0.001 * np.sin(0.071 * frame))
        return with_energies(piece, {"without": free + entropy_ev, "sigma0": free + entropy_ev / 2})

    return str(frame_numbers(VaspText.of(text), warmed))


@cache
def _toy_texts(kind: str) -> dict[str, str]:
    dynamics = TOYS[kind]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _simulate(folder, dynamics)
        facts, frames = _run_facts(dynamics, folder), list(_frames(folder))
    texts = {
        "OUTCAR": "".join(outcar_pieces(facts, frames)),
        "vasprun.xml": "".join(vasprun_pieces(facts, frames)),
    }
    if dynamics.isif != 2:
        texts = {name: _with_changing_cell(text) for name, text in texts.items()}
    return texts


def _with_changing_cell(text: str) -> str:
    for before, after in (
        ("ISIF   =      2", "ISIF   =      3"),
        ('name="ISIF">     2<', 'name="ISIF">     3<'),
        ("ISIF = 2", "ISIF = 3"),
        ("MDALGO = 2", "MDALGO = 3"),
        ('name="MDALGO">     2<', 'name="MDALGO">     3<'),
    ):
        text = text.replace(before, after)
    return text


def _simulate(folder: Path, dynamics: Dynamics) -> None:
    (folder / "MLK.eam.alloy").write_text(toy_potential.setfl())
    elements = dynamics.elements
    n_atoms = 4 * dynamics.n_cells**3
    share = n_atoms // len(elements)
    species = [
        f"set atom {1 + i * share}*{(i + 1) * share if i + 1 < len(elements) else n_atoms} type {i + 1}"
        for i in range(len(elements))
    ]
    masses = [f"mass {i + 1} {_mass_amu(symbol)}" for i, symbol in enumerate(elements)]
    settings = {name: getattr(dynamics, name) for name in ("n_cells", "start_k", "n_melting", "n_settling", "every")}
    commands = _INPUT.format(
        **settings,
        lattice=dynamics.lattice_angstrom,
        n_elements=len(elements),
        elements=" ".join(elements),
        species="\n".join(species),
        masses="\n".join(masses),
        target_k=dynamics.temperature_k,
        dynamics=dynamics.fix,
        n_steps=dynamics.every * (dynamics.n_frames - 1),
    )
    (folder / "in.lammps").write_text(commands)
    command, environment = lammps_command(with_deepmd=False)
    run([command, "-in", "in.lammps"], cwd=folder, log_path=folder / "screen.log", environment=environment)


def _mass_amu(symbol: str) -> float:
    return float(masses_amu(np.array([atomic_number(symbol)]))[0])


def _run_facts(dynamics: Dynamics, folder: Path) -> RunFacts:
    types = next(_dumped(folder / "atoms.dump"))[1][:, 1].astype(int)
    counts = np.bincount(types)[1:]
    return RunFacts(
        title="synthetic toy melt MLK for tests of the gate",
        species=tuple(
            Species(symbol, int(count), _VALENCES[symbol])
            for symbol, count in zip(dynamics.elements, counts, strict=True)
        ),
        n_ionic_steps=dynamics.n_frames,
        time_step_fs=float(dynamics.every),
        temperature_k=dynamics.temperature_k,
    )


def _frames(folder: Path) -> Iterator[FrameFacts]:
    scalars = np.loadtxt(folder / "frames.txt", ndmin=2)
    for row, (cell, atoms) in zip(scalars.tolist(), _dumped(folder / "atoms.dump"), strict=True):
        _, potential, kinetic, thermostat, *virial = row
        yield FrameFacts(
            cell_angstrom=cell,
            positions_angstrom=atoms[:, 2:5] % np.diag(cell),
            forces_ev_per_angstrom=atoms[:, 5:8],
            energy_ev=potential,
            energy_without_entropy_ev=potential,
            energy_sigma0_ev=potential,
            stress_kbar=_tensor(virial) * (EV_PER_ANGSTROM3_PER_BAR / EV_PER_ANGSTROM3_PER_KBAR),
            kinetic_energy_ev=kinetic,
            thermostat_energy_ev=thermostat,
            scf_steps=7,
            scf_last_change_ev=5e-7,
        )


def _tensor(virial: list[float]) -> Floats:
    xx, yy, zz, xy, xz, yz = virial
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _dumped(path: Path) -> Iterator[tuple[Floats, Floats]]:
    """Cell (3, 3) and rows (n_atoms, 8) of each frame; positions count from the cell's corner."""
    with path.open(encoding="ascii") as lines:
        while heading := list(islice(lines, 9)):
            bounds = np.array([line.split() for line in heading[5:8]], dtype=float)
            atoms = np.loadtxt(islice(lines, int(heading[3])), ndmin=2)
            atoms[:, 2:5] -= bounds[:, 0]
            yield np.diag(bounds[:, 1] - bounds[:, 0]), atoms
