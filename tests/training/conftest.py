"""A small lake of synthetic runs: displaced crystals with energies, forces and virials of ASE's EMT."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from lake.delta import Lake
from schemas.composition import atomic_numbers_of, chemical_system, composition, formula
from schemas.settings import Settings
from schemas.tables import FRAMES

TITLES = {"Al": "PAW_PBE Al 04Jan2001", "Cu": "PAW_PBE Cu 22Jun2005", "Ni": "PAW_PBE Ni 02Aug2007"}


@dataclass
class LakeMaker:
    """Writes runs into a lake, row by row, as `ingest` would."""

    settings: Settings
    lake: Lake = field(init=False)

    def __post_init__(self) -> None:
        self.lake = Lake(self.settings.lake)

    def add(self, run_id: str, counts: dict[str, int], frames: Sequence[dict[str, object]], **changes: object) -> str:
        """A run of those frames; `changes` overwrite columns of its row. Returns its composition."""
        row: dict[str, object] = {
            "run_id": run_id,
            "origin": "aimd",
            "composition": composition(counts),
            "formula": formula(counts),
            "chemical_system": chemical_system(counts),
            "n_atoms": sum(counts.values()),
            "n_frames": len(frames),
            "n_accepted": sum(bool(frame["accepted"]) for frame in frames),
            "n_rejected": sum(not frame["accepted"] for frame in frames),
            "level_of_theory": "functional=PBE ENCUT=300",
            "potcar_titles": [TITLES[element] for element in counts],
            "time_step_fs": 1.0,
            "synthetic": True,
        }
        self.lake.replace("runs", run_id, [row | changes])
        batch = pa.Table.from_pylist([dict(frame) for frame in frames], schema=FRAMES.file_schema)
        partition = {"composition": composition(counts), "run_id": run_id}
        self.lake.replace_batches("frames", partition, batch.to_batches(max_chunksize=7))
        return composition(counts)

    def frames(
        self, counts: dict[str, int], n_frames: int, *, step_fs: float | None = 100.0, seed: int = 0
    ) -> list[dict[str, object]]:
        """Frames with random numbers for labels: enough where nothing is trained."""
        rng = np.random.default_rng(seed)
        numbers = atomic_numbers_of([symbol for symbol, count in counts.items() for _ in range(count)])
        return [
            frame_row(
                frame,
                numbers=numbers,
                cell=np.diag([8.0, 8.0, 8.0]),
                positions=rng.uniform(0, 8, (len(numbers), 3)),
                forces=rng.normal(size=(len(numbers), 3)),
                energy=float(rng.normal()),
                virial=rng.normal(size=(3, 3)),
                time_fs=None if step_fs is None else step_fs * frame,
            )
            for frame in range(n_frames)
        ]


def frame_row(frame: int, *, numbers: np.ndarray, time_fs: float | None, **labels: object) -> dict[str, object]:
    return {
        "frame": frame,
        "ionic_step": frame + 1,
        "time_fs": time_fs,
        "n_atoms": len(numbers),
        "atomic_numbers": numbers.tolist(),
        "cell_angstrom": np.ravel(labels["cell"]).tolist(),
        "positions_angstrom": np.ravel(labels["positions"]).tolist(),
        "forces_ev_per_angstrom": np.ravel(labels["forces"]).tolist(),
        "energy_ev": labels["energy"],
        "virial_ev": None if labels["virial"] is None else np.ravel(labels["virial"]).tolist(),
        "label_source": "dft",
        "accepted": True,
        "rejection_reasons": [],
        "flags": [],
    }


def emt_frames(counts: dict[str, int], n_frames: int) -> list[dict[str, object]]:
    """32 atoms on a displaced fcc lattice: synthetic, but energies, forces and virials belong together."""
    rng = np.random.default_rng(1)
    crystal = bulk("Cu", "fcc", a=3.9, cubic=True).repeat((2, 2, 2))
    crystal.set_chemical_symbols([symbol for symbol, count in counts.items() for _ in range(count)])
    frames = []
    for frame in range(n_frames):
        atoms = crystal.copy()
        atoms.positions += rng.normal(0, 0.15, atoms.positions.shape)
        atoms.calc = EMT()
        labels = {
            "cell": atoms.cell.array,
            "positions": atoms.positions,
            "forces": atoms.get_forces(),
            "energy": float(atoms.get_potential_energy()),
            "virial": -atoms.get_stress(voigt=False) * atoms.get_volume(),
        }
        numbers = atoms.numbers.astype(np.int8)
        frames.append(frame_row(frame, numbers=numbers, time_fs=100.0 * frame, **labels))
    return frames


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"), landing=str(tmp_path / "landing"))


@pytest.fixture
def melts(settings: Settings) -> LakeMaker:
    return LakeMaker(settings)


@pytest.fixture
def three_melts(melts: LakeMaker) -> LakeMaker:
    """Al100, Cu100 and Al50Cu50, 40 frames each, 100 fs apart."""
    for seed, (run_id, counts) in enumerate((("a1", {"Al": 4}), ("b1", {"Cu": 4}), ("c1", {"Al": 2, "Cu": 2}))):
        melts.add(run_id, counts, melts.frames(counts, 40, seed=seed))
    return melts


@pytest.fixture
def labelled_by_emt() -> Callable[[dict[str, int], int], list[dict[str, object]]]:
    return emt_frames
