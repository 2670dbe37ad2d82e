"""Synthetic VASP output of the paper's size: Al-Cu-Ni melts of 512 atoms, other numbers in every frame.

No public output of this size was found. Atoms swing about a lattice, labels are random: good for timing, no physics.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from lake.writers.facts import Floats, FrameFacts, RunFacts, Species
from lake.writers.outcar import outcar_pieces
from lake.writers.vasprun import vasprun_pieces
from schemas.composition import nearest_counts
from schemas.units import BOLTZMANN_EV_PER_K
from tests.benchmarks.surroundings import surroundings

COMPOSITIONS = (
    "Al60Cu20Ni20", "Al20Cu60Ni20", "Al20Cu20Ni60", "Al33Cu33Ni33", "Al40Cu40Ni20",
    "Al40Cu20Ni40", "Al20Cu40Ni40", "Al50Cu25Ni25", "Al70Cu20Ni10", "Al80Cu10Ni10",
)  # fmt: skip
PAPER_FRAMES = 30_424
N_ATOMS = 512

_VALENCES = {"Al": 3.0, "Cu": 11.0, "Ni": 10.0}
_ANGSTROM_PER_SITE = 15.2 ** (1 / 3)
_SWING_ANGSTROM = 0.17
"""Of two oscillations per coordinate; keeps every pair above 1.5 Angstrom, so that the gate accepts every frame."""
_N_VARIANTS = 16


@dataclass(frozen=True)
class Melt:
    """One synthetic run; equal arguments make equal files."""

    composition: str
    n_frames: int
    seed: int = 1

    @cached_property
    def run(self) -> RunFacts:
        counts = sorted(nearest_counts(self.composition, N_ATOMS).items())
        return RunFacts(
            title=f"synthetic {self.composition} for timing",
            species=tuple(Species(symbol, number, _VALENCES[symbol]) for symbol, number in counts),
            n_ionic_steps=self.n_frames,
            time_step_fs=1.0,
            temperature_k=1673.0,
        )

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, COMPOSITIONS.index(self.composition)])

    def frames(self) -> Iterator[FrameFacts]:
        """Every frame, made as it is asked for."""
        rng, n_atoms = self.rng, self.run.n_atoms
        cell, sites = self._lattice
        phases, radians_per_step = _oscillations(rng, n_atoms)
        for step in range(self.n_frames):
            swings = np.sin(phases + step * radians_per_step).sum(axis=0)
            yield _frame(rng, cell, sites + _SWING_ANGSTROM * swings, is_first=step == 0)

    def swings(self, n_at_once: int) -> Iterator[tuple[int, Floats, Floats, Floats]]:
        """Without labels and many at a time: the first frame's number, cell, sites, and ways from them, Angstrom."""
        phases, radians_per_step = _oscillations(self.rng, self.run.n_atoms)
        for start in range(0, self.n_frames, n_at_once):
            steps = np.arange(start, min(start + n_at_once, self.n_frames))[:, None, None]
            pairs = zip(phases, radians_per_step, strict=True)
            yield start, *self._lattice, _SWING_ANGSTROM * sum(np.sin(phase + steps * speed) for phase, speed in pairs)

    @property
    def _lattice(self) -> tuple[Floats, Floats]:
        """Cell and sites."""
        edge = round(self.run.n_atoms ** (1 / 3))
        sites = np.argwhere(np.ones((edge, edge, edge))) * _ANGSTROM_PER_SITE + 1.0
        return _ANGSTROM_PER_SITE * edge * np.eye(3), sites


def _oscillations(rng: np.random.Generator, n_atoms: int) -> tuple[Floats, Floats]:
    """Phases, and radians per step, of two per coordinate."""
    return rng.uniform(0, 2 * np.pi, (2, n_atoms, 3)), rng.uniform(0.02, 0.1, (2, n_atoms, 3))


def _frame(rng: np.random.Generator, cell: Floats, positions: Floats, *, is_first: bool) -> FrameFacts:
    n_atoms = len(positions)
    forces = rng.normal(0, 1.1, (n_atoms, 3))
    stress = rng.normal(0, 15, (3, 3))
    energy_ev = n_atoms * rng.normal(-4.1, 0.01)
    entropy_ev = rng.uniform(0.1, 0.5)
    return FrameFacts(
        cell_angstrom=cell,
        positions_angstrom=positions,
        forces_ev_per_angstrom=forces - forces.mean(axis=0),
        energy_ev=energy_ev,
        energy_without_entropy_ev=energy_ev + entropy_ev,
        energy_sigma0_ev=energy_ev + entropy_ev / 2,
        stress_kbar=(stress + stress.T) / 2,
        kinetic_energy_ev=1.5 * (n_atoms - 1) * BOLTZMANN_EV_PER_K * rng.normal(1673, 50),
        scf_steps=18 if is_first else int(rng.integers(8, 14)),
        scf_last_change_ev=5e-7,
    )


def write_outcar(path: Path, melt: Melt, *, nwrite: int = 1) -> None:
    """68 kB per frame with NWRITE = 1, about 210 kB with VASP's default of 2."""
    rng = np.random.default_rng(melt.seed)
    variants = [surroundings(melt.run, rng, nwrite=nwrite) for _ in range(_N_VARIANTS)]
    with path.open("w", encoding="ascii") as file:
        for number, piece in enumerate(outcar_pieces(melt.run, melt.frames())):
            file.write(variants[number % _N_VARIANTS].around(piece))


def write_vasprun(path: Path, melt: Melt) -> None:
    """71 kB per frame."""
    with path.open("w", encoding="latin-1") as file:
        file.writelines(vasprun_pieces(melt.run, melt.frames()))


def write_xdatcar(path: Path, melt: Melt) -> None:
    """Fractional positions only, 19 kB per frame."""
    symbols = "".join(f"{species.symbol:>5s}" for species in melt.run.species)
    counts = "".join(f"{species.count:5d}" for species in melt.run.species)
    rows_of_table = "  %11.8f %11.8f %11.8f\n" * N_ATOMS
    with path.open("w", encoding="ascii") as file:
        for number, frame in enumerate(melt.frames(), start=1):
            if number == 1:
                cell = "".join(f"{x:12.6f}{y:12.6f}{z:12.6f}\n" for x, y, z in frame.cell_angstrom)
                file.write(f"{melt.run.title}\n           1\n{cell}{symbols}\n{counts}\n")
            table = rows_of_table % tuple(frame.fractional_positions.ravel().tolist())
            file.write(f"Direct configuration={number:6d}\n{table}")


def write_vaspout(path: Path, melt: Melt) -> None:
    """VASP's own HDF5 layout, one chunk per frame as VASP appends them."""
    frames = list(melt.frames())
    steps = "intermediate/ion_dynamics"
    tags = ("ion-electron   TOTEN", "kinetic energy EKIN", "kin. lattice  EKIN_LAT", "temperature    TEIN",
            "nose potential ES", "nose kinetic   EPS", "total energy   ETOTAL")  # fmt: skip
    energies = [
        (f.energy_ev, f.kinetic_energy_ev, 0.0, f.temperature_k, 0.0, 0.0, f.conserved_energy_ev) for f in frames
    ]
    per_frame = {
        "position_ions": [f.fractional_positions for f in frames],
        "forces": [f.forces_ev_per_angstrom for f in frames],
        "stress": [f.stress_kbar for f in frames],
        "lattice_vectors": [f.cell_angstrom for f in frames],
        "energies": energies,
    }
    with h5py.File(path, "w") as file:
        for name, values in per_frame.items():
            stacked = np.array(values)
            file.create_dataset(f"{steps}/{name}", data=stacked, chunks=(1, *stacked.shape[1:]))
        file[f"{steps}/energies_tags"] = np.array(tags, dtype="S24")
        file[f"{steps}/scale"] = 1.0
        for place in ("input/poscar", "results/positions"):
            _write_poscar(file.create_group(place), melt.run, frames[0])
        for tag in ("IBRION", "ISIF", "MDALGO", "NELM", "NSW"):
            file[f"input/incar/{tag}"] = melt.run.incar[tag]
        file["input/incar/SYSTEM"] = np.bytes_(melt.run.title)
        for part, number in zip(("major", "minor", "patch"), melt.run.version.split("."), strict=True):
            file[f"version/{part}"] = int(number)


def _write_poscar(group: h5py.Group, run: RunFacts, frame: FrameFacts) -> None:
    group["system"] = np.bytes_(run.title)
    group["scale"] = 1.0
    group["direct_coordinates"], group["selective_dynamics"] = 1, 0
    group["ion_types"] = np.array([species.symbol for species in run.species], dtype="S2")
    group["number_ion_types"] = np.array([species.count for species in run.species], dtype=np.int32)
    group["lattice_vectors"], group["position_ions"] = frame.cell_angstrom, frame.fractional_positions


def write_ase_extxyz(path: Path, melt: Melt) -> None:
    """Extended XYZ as ASE writes it, in columns of fixed width, 55 kB per frame."""
    _write_extxyz(path, melt, lambda symbol, row: f"{symbol:<2s}" + "".join(f" {number:16.8f}" for number in row))


def write_shortest_extxyz(path: Path, melt: Melt) -> None:
    """Extended XYZ with the shortest text of each float64, as we export it, 60 kB per frame."""
    _write_extxyz(path, melt, lambda symbol, row: " ".join([symbol, *map(repr, row)]))


def _write_extxyz(path: Path, melt: Melt, line: Callable[[str, list[float]], str]) -> None:
    symbols = [species.symbol for species in melt.run.species for _ in range(species.count)]
    with path.open("w", encoding="ascii") as file:
        for frame in melt.frames():
            cell = " ".join(map(repr, frame.cell_angstrom.ravel().tolist()))
            rows = np.hstack([frame.positions_angstrom, frame.forces_ev_per_angstrom]).tolist()
            file.write(
                f'{N_ATOMS}\nLattice="{cell}" Properties=species:S:1:pos:R:3:forces:R:3 energy={frame.energy_ev!r} '
                'pbc="T T T"\n'
            )
            file.writelines(f"{line(symbol, row)}\n" for symbol, row in zip(symbols, rows, strict=True))


def write_many_formulas(path: Path, n_formulas: int, *, n_frames: int = 4) -> None:
    """Extended XYZ of cells of 100 atoms, another formula in each frame, as data sets for large potentials are."""
    rng = np.random.default_rng(n_formulas)
    with path.open("w", encoding="ascii") as file:
        for formula in list(range(n_formulas)) * n_frames:
            kinds = ["Al"] * (formula % 100) + ["Cu"] * (100 - formula % 100) + ["Ni"] * (1 + formula // 100)
            rows = rng.normal(0, 5, (len(kinds), 6)).tolist()
            file.write(
                f'{len(kinds)}\nLattice="12.0 0.0 0.0 0.0 12.0 0.0 0.0 0.0 12.0" '
                f'Properties=species:S:1:pos:R:3:forces:R:3 energy={-3.0 * len(kinds)} pbc="T T T"\n'
            )
            file.writelines(f"{symbol} {' '.join(map(repr, row))}\n" for symbol, row in zip(kinds, rows, strict=True))


def write_dump(path: Path, melt: Melt, *, n_digits: int = 6) -> None:
    """A text dump of LAMMPS with its default of six digits, 43 kB per frame; atoms are in no order."""
    symbols = [species.symbol for species in melt.run.species for _ in range(species.count)]
    row_of_table = "%d %d %s" + f" %.{n_digits}g" * 9 + "\n"
    types = {species.symbol: number for number, species in enumerate(melt.run.species, start=1)}
    rng = melt.rng
    with path.open("w", encoding="ascii") as file:
        for step, frame in enumerate(melt.frames()):
            bounds = "".join(f"0.0 {length!r}\n" for length in np.diag(frame.cell_angstrom).tolist())
            file.write(
                f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{N_ATOMS}\nITEM: BOX BOUNDS pp pp pp\n{bounds}"
                "ITEM: ATOMS id type element xu yu zu vx vy vz fx fy fz\n"
            )
            velocities = rng.normal(0, 5, (N_ATOMS, 3))
            rows = np.hstack([frame.positions_angstrom, velocities, frame.forces_ev_per_angstrom]).tolist()
            for atom in rng.permutation(N_ATOMS):
                file.write(row_of_table % (atom + 1, types[symbols[atom]], symbols[atom], *rows[atom]))


WRITERS: dict[str, Callable[[Path, Melt], None]] = {
    "OUTCAR": write_outcar,
    "vasprun.xml": write_vasprun,
    "XDATCAR": write_xdatcar,
    "vaspout.h5": write_vaspout,
}


def paper_melts(n_frames: int = PAPER_FRAMES) -> list[Melt]:
    """Ten runs of one length, or nearly: `n_frames` together."""
    each, more = divmod(n_frames, len(COMPOSITIONS))
    return [Melt(name, each + (number < more)) for number, name in enumerate(COMPOSITIONS)]


def write_landing(folder: Path, melts: list[Melt]) -> list[Path]:
    """One folder with an OUTCAR per run; as many at a time as there are cores."""
    paths = [folder / melt.composition / "OUTCAR" for melt in melts]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(write_outcar, paths, melts))
    return paths
