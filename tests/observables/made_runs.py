"""Runs of atoms that move as we say, put into a lake as ingest would; what observing must find is then known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lake.delta import Lake
from schemas.composition import chemical_system, composition, element_counts, formula
from schemas.frames import Floats
from schemas.settings import Settings
from schemas.tables import FRAMES

Row = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Motion:
    """What atoms did, frame by frame."""

    numbers: Sequence[int]
    positions: Floats
    """(n_frames, n_atoms, 3), Angstrom, anywhere in space."""
    edge: float | Floats
    """Of the cube; one, or (n_frames,), Angstrom."""
    step_fs: float | None = 4.0
    temperature_k: float = 1500.0
    virials_ev: Floats | None = None
    """(n_frames, 3, 3)."""
    velocities: Floats | None = None
    """(n_frames, n_atoms, 3), Angstrom/fs; None for a file that does not keep them."""
    energy_ev_per_atom: float = -4.0


def put(settings: Settings, run_id: str, motion: Motion, seed: int = 0, **columns: object) -> None:
    """Store a run whose energies and temperatures fluctuate without memory, so that its blocks are independent."""
    lake, rng = Lake(settings.lake), np.random.default_rng([seed, 1])
    n_frames, n_atoms = motion.positions.shape[:2]
    edges = np.broadcast_to(motion.edge, n_frames)
    cells = edges[:, None, None] * np.eye(3)
    wrapped = np.mod(motion.positions, edges[:, None, None])
    energies = n_atoms * motion.energy_ev_per_atom + rng.normal(0, 1e-3, n_frames)
    temperatures = rng.normal(motion.temperature_k, 20.0, n_frames)
    rows = [
        {
            "frame": frame,
            "time_fs": None if motion.step_fs is None else frame * motion.step_fs,
            "n_atoms": n_atoms,
            "atomic_numbers": list(motion.numbers),
            "cell_angstrom": cells[frame].ravel().tolist(),
            "positions_angstrom": wrapped[frame].ravel().tolist(),
            "velocities_angstrom_per_fs": None
            if motion.velocities is None
            else motion.velocities[frame].ravel().tolist(),
            "energy_ev": float(energies[frame]),
            "virial_ev": None if motion.virials_ev is None else motion.virials_ev[frame].ravel().tolist(),
            "temperature_k": None if motion.step_fs is None else float(temperatures[frame]),
            "label_source": "none" if columns.get("origin") == "dnnp" else "dft",
            "accepted": True,
        }
        for frame in range(n_frames)
    ]
    counts = element_counts(np.array(motion.numbers))
    run: Row = {
        "origin": "aimd",
        "composition": composition(counts),
        "formula": formula(counts),
        "chemical_system": chemical_system(counts),
        "n_atoms": n_atoms,
        "n_frames": n_frames,
        "ensemble": "nvt",
        "temperature_target_k": motion.temperature_k,
        "level_of_theory": "PBE ENCUT=300",
        "synthetic": False,
    }
    lake.replace("runs", run_id, [run | columns])
    table = pa.Table.from_pylist(rows, schema=FRAMES.file_schema)
    lake.replace_batches("frames", {"composition": str(run["composition"]), "run_id": run_id}, table.to_batches())


def langevin(
    n_frames: int, n_atoms: int, *, friction_per_fs: float, speed: float, step_fs: float, seed: int
) -> tuple[Floats, Floats]:
    """Positions and velocities of free Langevin particles by the exact propagator; D = speed^2 / friction."""
    rng = np.random.default_rng(seed)
    x = friction_per_fs * step_fs
    decay, reach = np.exp(-x), (1 - np.exp(-x)) / friction_per_fs
    var_v, var_r = speed**2 * (1 - decay**2), speed**2 / friction_per_fs**2 * (2 * x - 3 + 4 * decay - decay**2)
    covariance = speed**2 / friction_per_fs * (1 - decay) ** 2
    root = np.linalg.cholesky([[var_v, covariance], [covariance, var_r]])
    velocity, at = rng.normal(0, speed, (n_atoms, 3)), rng.uniform(0, 20, (n_atoms, 3))
    positions, velocities = np.empty((2, n_frames, n_atoms, 3))
    for frame in range(n_frames):
        positions[frame], velocities[frame] = at, velocity
        kick = np.tensordot(root, rng.normal(size=(2, n_atoms, 3)), 1)
        at = at + reach * velocity + kick[1]
        velocity = decay * velocity + kick[0]
    return positions, velocities


def maxwell_virials(n_frames: int, *, spread_ev: float, memory_fs: float, step_fs: float, seed: int) -> Floats:
    """Gaussian tensors with <W_xy(0) W_xy(t)> = spread^2 exp(-t / memory): (n_frames, 3, 3), eV."""
    from scipy.signal import lfilter

    decay = np.exp(-step_fs / memory_fs)
    kicks = np.random.default_rng(seed).normal(size=(n_frames, 3, 3)) * np.sqrt(1 - decay**2)
    kicks[0] /= np.sqrt(1 - decay**2)
    series = lfilter([1.0], [1.0, -decay], kicks, axis=0) * spread_ev * np.sqrt(2)
    symmetric: Floats = 0.5 * (series + np.swapaxes(series, 1, 2))
    return symmetric


def rows_of(settings: Settings, table: str, run_id: str) -> list[Row]:
    """Rows of a run."""
    rows: list[Row] = Lake(settings.lake).rows(table, key=run_id).to_pylist()
    return rows
