"""What a potential itself says of atoms, asked in a process of its own.

DeePMD's libraries take memory, and all of a GPU: they are gone again before LAMMPS is started.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from operators.processes import run
from schemas.elements import SYMBOLS
from schemas.frames import Floats

LOG = "own_labels.log"
_ATOMS, _LABELS, _TYPE_MAP = "own_labels_of.npz", "own_labels.npz", "own_type_map.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLabels:
    """Labels of frames of as many atoms each."""

    type_map: tuple[str, ...]
    """As the model file has it."""
    energy_ev: Floats
    """(n_frames,), eV; not a number where the model does not know an element."""
    forces_ev_per_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    virial_ev: Floats
    """(n_frames, 3, 3)."""


def own_labels(
    folder: Path, model: str, atomic_numbers: NDArray[np.integer], frames: tuple[Floats, Floats]
) -> OwnLabels:
    """Labels by a model file.

    Parameters
    ----------
    folder
        Where the process works and leaves its log.
    model
        The model file, as that folder names it.
    atomic_numbers
        (n_frames, n_atoms).
    frames
        Positions (n_frames, n_atoms, 3) and cells (n_frames, 3, 3), Angstrom.

    Raises
    ------
    ProgramFailed
        If the model file cannot be read.
    """
    np.savez(folder / _ATOMS, atomic_numbers=atomic_numbers, positions=frames[0], cells=frames[1])
    run(
        [sys.executable, "-m", __name__, model],
        cwd=folder,
        log_path=folder / LOG,
        environment={"CUDA_VISIBLE_DEVICES": ""},  # what a GPU computes is to be compared with this
        called=f"Reading the model of {folder.name}",
    )
    with np.load(folder / _LABELS) as labels:
        found = OwnLabels(
            type_map=tuple(json.loads((folder / _TYPE_MAP).read_text())),
            energy_ev=labels["energy"],
            forces_ev_per_angstrom=labels["forces"],
            virial_ev=labels["virial"],
        )
    for name in (_ATOMS, _LABELS, _TYPE_MAP):
        (folder / name).unlink()
    return found


def main(model: str) -> None:
    """Label the atoms that lie in the working folder."""
    from lake.deep_potential import DeepPotential

    potential = DeepPotential(model)
    Path(_TYPE_MAP).write_text(json.dumps(potential.type_map))
    with np.load(_ATOMS) as atoms:
        numbers, positions, cells = atoms["atomic_numbers"], atoms["positions"], atoms["cells"]
    energy = np.full(len(numbers), np.nan)
    forces, virial = np.full_like(positions, np.nan), np.full_like(cells, np.nan)
    for frame, kinds in enumerate(numbers):
        if {SYMBOLS[kind] for kind in kinds} <= set(potential.type_map):
            one = slice(frame, frame + 1)
            energy[one], forces[one], virial[one] = potential.predict(kinds, positions[one], cells=cells[one])
    np.savez(_LABELS, energy=energy, forces=forces, virial=virial)


if __name__ == "__main__":
    main(*sys.argv[1:])
