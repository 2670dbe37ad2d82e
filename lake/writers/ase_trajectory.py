"""Frames as an ASE trajectory (`.traj`), which `ase.io.read(path, ":")` reads. The one door to ASE's files."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from lake.writers.exported import ExportedFrames, exported_frames

# xx, yy, zz, yz, xz, xy: ASE's order, needed here and nowhere else.
_ASE_VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


class AseTrajectoryWriter:
    """Appends frames to one `.traj` file; memory holds a batch.

    Energies, forces, stress and magnetic moments are results of a SinglePointCalculator, the rest is in `info`.
    `energy` is the free energy, as `free_energy` is: the forces are its derivatives.
    """

    def __init__(self, path: Path) -> None:
        from ase.io.trajectory import TrajectoryWriter

        self._file = TrajectoryWriter(str(path), mode="w")

    def append(self, batch: pa.RecordBatch, run: Mapping[str, Any]) -> None:
        """Write a run's frames; `batch` has `EXPORTED_COLUMNS`."""
        for frames in exported_frames(batch, run):
            for number in range(frames.n_frames):
                self._file.write(_atoms(frames, number))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _atoms(frames: ExportedFrames, number: int) -> Any:  # ase.Atoms: ASE ships no types
    import ase
    import ase.units
    from ase.calculators.singlepoint import SinglePointCalculator

    energies = frames.energies[number]
    info = {name: value for name, value in energies.items() if name not in ("energy", "free_energy")}
    atoms = ase.Atoms(
        numbers=frames.atomic_numbers[number],
        positions=frames.positions_angstrom[number],
        cell=frames.cell_angstrom[number],
        pbc=True,
        info=info | frames.facts[number],
    )
    per_atom = {name: values[number] for name, values in frames.per_atom.items()}
    if (velocities := per_atom.get("velocities_angstrom_per_fs")) is not None:
        atoms.set_velocities(velocities / ase.units.fs)
    results: dict[str, object] = {name: energies[name] for name in ("energy", "free_energy") if name in energies}
    if (forces := per_atom.get("forces_ev_per_angstrom")) is not None:
        results["forces"] = forces
    if (moments := per_atom.get("magnetic_moments_mu_b")) is not None:
        results["magmoms"] = moments[:, 0] if moments.shape[1] == 1 else moments
    if np.isfinite(frames.virial_ev[number]).all():
        atoms.info["virial"] = frames.virial_ev[number].reshape(-1).tolist()
        results["stress"] = frames.stress_ev_per_angstrom3[number][_ASE_VOIGT]
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms
