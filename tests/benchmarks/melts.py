"""Large melts that observables are raced over: molecular dynamics of no potential, which moves like one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.delta import Lake
from lake.frames import staged_rows
from schemas.composition import composition, element_counts
from schemas.frames import Floats, FrameBatch, RunHeader
from schemas.tables import FRAMES

N_LARGE = 4096
NUMBERS = np.repeat([13, 29, 28], [1366, 1365, 1365])
EDGE_ANGSTROM = 39.6
_SPACING = 16
_DECAY = 0.95
_SPEED_ANGSTROM_PER_FS = 0.006


def large_melt(n_frames: int, *, step_fs: float = 5.0, n_at_once: int = 64) -> Iterator[tuple[Floats, Floats]]:
    """Positions (Angstrom, wrapped) and velocities (Angstrom/fs) of Langevin particles, some frames at a time."""
    rng = np.random.default_rng(7)
    grid = np.stack(np.meshgrid(*[np.arange(_SPACING)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    place = (grid + 0.5 + rng.normal(0, 0.1, grid.shape)) * EDGE_ANGSTROM / _SPACING
    speed = rng.normal(0, _SPEED_ANGSTROM_PER_FS, place.shape)
    kick = _SPEED_ANGSTROM_PER_FS * np.sqrt(1 - _DECAY**2)
    for first in range(0, n_frames, n_at_once):
        n_some = min(n_at_once, n_frames - first)
        velocities = rng.normal(0, kick, (n_some, *place.shape))
        positions = np.empty_like(velocities)
        for frame in range(n_some):
            velocities[frame] += _DECAY * speed
            positions[frame] = place + step_fs * velocities[frame]
            place, speed = positions[frame], velocities[frame]
        yield np.mod(positions, EDGE_ANGSTROM), velocities


@dataclass(frozen=True)
class FileVectors:
    """Vectors of every atom and frame in a plain file of float64, of which a few frames at a time are in memory."""

    path: Path
    n_atoms: int = N_LARGE

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), self.n_atoms, 3)

    def __len__(self) -> int:
        return self.path.stat().st_size // (24 * self.n_atoms)

    def batches(self) -> Iterator[Floats]:
        with self.path.open("rb") as file:
            while len(some := np.fromfile(file, count=64 * 3 * self.n_atoms)):
                yield some.reshape(-1, self.n_atoms, 3)


def store_large_run(folder: Path, n_frames: int, *, step_fs: float) -> None:
    """A simulation of that melt in a lake below the folder, with velocities, unjudged, and no AIMD to compare with."""
    header = RunHeader(source_format="synthetic", atomic_numbers=NUMBERS.astype(np.int8), time_step_fs=step_fs)
    label = composition(element_counts(NUMBERS))
    lake = Lake(str(folder / "lake"))

    def rows() -> Iterator[pa.RecordBatch]:
        first = 0
        for positions, velocities in large_melt(n_frames, step_fs=step_fs, n_at_once=256):
            batch = _frame_batch(first, positions, velocities)
            time_fs = step_fs * np.arange(first, first + len(positions))
            columns = staged_rows(batch, header, first_frame=first, time_fs=time_fs)
            columns["accepted"] = pa.array(np.ones(len(positions), dtype=bool))
            schema = FRAMES.file_schema
            arrays = [columns.get(field.name, pa.nulls(len(positions), field.type)) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            first += len(positions)

    run = {"origin": "dnnp", "composition": label, "n_frames": n_frames, "protocol": "nve"}
    lake.replace("runs", "large", [run])
    lake.replace_batches("frames", {"composition": label, "run_id": "large"}, rows())


def _frame_batch(first: int, positions: Floats, velocities: Floats) -> FrameBatch:
    n_frames = len(positions)
    rng = np.random.default_rng(first)
    steps, unknown = np.arange(first + 1, first + n_frames + 1, dtype=np.int32), np.full(n_frames, np.nan)
    virials = np.eye(3) * rng.normal(5, 1, (n_frames, 1, 1))
    return FrameBatch(
        ionic_step=steps,
        segment=np.zeros(n_frames, dtype=np.int32),
        cell_angstrom=np.tile(np.eye(3) * EDGE_ANGSTROM, (n_frames, 1, 1)),
        positions_angstrom=positions,
        velocities_angstrom_per_fs=velocities,
        forces_ev_per_angstrom=rng.normal(size=positions.shape),
        energy_ev=rng.normal(-4.0 * N_LARGE, 1.0, n_frames),
        energy_sigma0_ev=unknown,
        energy_without_entropy_ev=unknown,
        virial_ev=virials,
        virial_trace_ev=np.trace(virials, axis1=1, axis2=2),
        temperature_k=rng.normal(1600, 20, n_frames),
        scf_steps=np.full(n_frames, -1, dtype=np.int32),
        scf_verdict=np.full(n_frames, "unknown"),
        label_source=np.full(n_frames, "none"),
        faults=((),) * n_frames,
    )
