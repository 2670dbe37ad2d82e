"""Frames as other programs are told of them: arrays, energies, facts under names for outside. Layouts are writers'."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.frames import vectors
from schemas.frames import Floats

Fact = str | int | float | bool

_ENERGIES = {
    "energy_ev": ("energy", "free_energy"),
    "energy_sigma0_ev": ("energy_sigma0",),
    "energy_without_entropy_ev": ("energy_without_entropy",),
}
"""Our columns, and what they are called outside. `energy` is the one that the forces are derivatives of."""
_FACTS = ("run_id", "frame", "ionic_step", "time_fs", "temperature_k", "label_source", "accepted")
_FACTS_OF_RUN = ("level_of_theory", "synthetic")
_PER_ATOM = ("forces_ev_per_angstrom", "magnetic_moments_mu_b", "velocities_angstrom_per_fs")
_MOST_FRAMES = 64

EXPORTED_COLUMNS = (
    *("atomic_numbers", "cell_angstrom", "positions_angstrom", "virial_ev"),
    *(*_PER_ATOM, *_ENERGIES, *(name for name in _FACTS if name != "run_id"), "rejection_reasons"),
)
"""Columns of `frames` that an export needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFrames:
    """Consecutive frames of one run that have the same arrays."""

    atomic_numbers: NDArray[np.int8]
    """(n_frames, n_atoms)."""
    cell_angstrom: Floats
    """(n_frames, 3, 3)."""
    positions_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    virial_ev: Floats
    """(n_frames, 3, 3); NaN where there is none."""
    per_atom: dict[str, Floats]
    """(n_frames, n_atoms, 1 or 3) of those of forces, magnetic moments and velocities that the frames have."""
    energies: tuple[dict[str, float], ...]
    """By their names outside; what a frame lacks is left out."""
    facts: tuple[dict[str, Fact], ...]
    """What else is known of each frame."""

    @property
    def n_frames(self) -> int:
        return len(self.energies)

    @property
    def stress_ev_per_angstrom3(self) -> Floats:
        """(n_frames, 3, 3), ASE's sign: negative when the melt pushes outward."""
        volumes = np.abs(np.linalg.det(self.cell_angstrom))[:, None, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            stress: Floats = -self.virial_ev / volumes
        return stress


def exported_frames(batch: pa.RecordBatch, run: Mapping[str, Any]) -> Iterator[ExportedFrames]:
    """Rows of a run with `EXPORTED_COLUMNS`, cut where a frame has other arrays than the one before."""
    present = np.stack([batch.column(name).is_valid().to_numpy(zero_copy_only=False) for name in _PER_ATOM], axis=1)
    start = 0
    for which, alike in groupby(map(tuple, present)):
        end = start + len(list(alike))
        names = [name for name, is_there in zip(_PER_ATOM, which, strict=True) if is_there]
        for first in range(start, end, _MOST_FRAMES):
            yield _exported(batch.slice(first, min(_MOST_FRAMES, end - first)), run, names)
        start = end


def _exported(batch: pa.RecordBatch, run: Mapping[str, Any], per_atom: list[str]) -> ExportedFrames:
    n_atoms = int(run["n_atoms"])
    rows = batch.select([*_ENERGIES, *(name for name in _FACTS if name != "run_id"), "rejection_reasons"]).to_pylist()
    return ExportedFrames(
        atomic_numbers=batch.column("atomic_numbers").flatten().to_numpy().reshape(-1, n_atoms),
        cell_angstrom=vectors(batch.column("cell_angstrom"), 3),
        positions_angstrom=vectors(batch.column("positions_angstrom"), n_atoms),
        virial_ev=vectors(batch.column("virial_ev"), 3),
        per_atom={
            name: batch.column(name).flatten().to_numpy().reshape(batch.num_rows, n_atoms, -1) for name in per_atom
        },
        energies=tuple(_energies(row) for row in rows),
        facts=tuple(_facts(row, run) for row in rows),
    )


def _energies(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: row[column] for column, names in _ENERGIES.items() if row[column] is not None for name in names}


def _facts(row: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Fact]:
    known = {**row, **{name: run[name] for name in ("run_id", *_FACTS_OF_RUN)}}
    facts = {name: known[name] for name in (*_FACTS, *_FACTS_OF_RUN) if known[name] is not None}
    if row["rejection_reasons"]:
        facts["rejection_reasons"] = " ".join(row["rejection_reasons"])
    return facts
