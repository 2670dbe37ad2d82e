"""From DeePMD's last checkpoint to a compressed model that says the same. Run as a program in a potential's folder.

One process for all of it, because importing TensorFlow takes ten times longer than freezing, and a program of its own,
because TensorFlow keeps its memory and reads its thread settings only once.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lake.deep_potential import DeepPotential
from lake.deepmd_npy import LabelledFrames, read_deepmd_system
from schemas.composition import atomic_numbers_of

FROZEN, COMPRESSED, DIFFERENCES = "frozen.pb", "compressed.pb", "compression.json"
"""Files that `main` leaves; the last is written last."""

LARGEST_FORCE_DIFFERENCE_EV_PER_ANGSTROM = 1e-3
LARGEST_ENERGY_DIFFERENCE_EV_PER_ATOM = 1e-4
"""A tenth of a meV per atom: far below the error of any recipe."""

_FRAMES_PER_SYSTEM = 3
_COMPRESSION_FOLDER = "model-compression"


def is_equal(differences: dict[str, float]) -> bool:
    """Whether the differences are small enough to use the compressed model."""
    return (
        differences["energy_ev_per_atom"] < LARGEST_ENERGY_DIFFERENCE_EV_PER_ATOM
        and differences["force_ev_per_angstrom"] < LARGEST_FORCE_DIFFERENCE_EV_PER_ANGSTROM
    )


def largest_differences(frozen: Path, compressed: Path, folders: Sequence[Path]) -> dict[str, float]:
    """Largest difference of energy (eV/atom) and of any force component (eV/A) between two models.

    Parameters
    ----------
    frozen, compressed
        Model files.
    folders
        The deepmd_systems to compare on; three frames of each, spread over its time.
    """
    models = [DeepPotential(path) for path in (frozen, compressed)]
    energy = force = 0.0
    for folder in folders:
        atomic_numbers, frames = _sample(folder)
        (e0, f0, _), (e1, f1, _) = (
            model.predict(atomic_numbers, frames.positions_angstrom, cells=frames.cell_angstrom) for model in models
        )
        # A NaN compares as neither larger nor smaller, so it must not go through max().
        energy = float(np.maximum(energy, np.max(np.abs(e1 - e0)) / len(atomic_numbers)))
        force = float(np.maximum(force, np.max(np.abs(f1 - f0))))
    return {"energy_ev_per_atom": energy, "force_ev_per_angstrom": force}


def _sample(folder: Path) -> tuple[NDArray[np.int8], LabelledFrames]:
    read = read_deepmd_system(folder)
    chosen = np.zeros(read.frames.n_frames, dtype=np.bool_)
    chosen[np.linspace(0, len(chosen) - 1, _FRAMES_PER_SYSTEM).astype(int)] = True
    return atomic_numbers_of([read.type_map[kind] for kind in read.types]), read.frames.chosen(chosen)


def main(folders: Sequence[str]) -> None:
    """Freeze and compress the checkpoint of the working folder; compare on these deepmd_systems."""
    from deepmd.main import main as dp

    unfinished = [f"unfinished-{name}" for name in (FROZEN, COMPRESSED)]
    dp(["--tf", "freeze", "-o", unfinished[0]])
    dp(["--tf", "compress", "-i", unfinished[0], "-o", unfinished[1]])
    differences = largest_differences(Path(unfinished[0]), Path(unfinished[1]), [Path(folder) for folder in folders])
    for name, final in zip(unfinished, (FROZEN, COMPRESSED), strict=True):
        Path(name).replace(final)
    shutil.rmtree(_COMPRESSION_FOLDER, ignore_errors=True)
    Path(DIFFERENCES).write_text(json.dumps(differences))


if __name__ == "__main__":
    main(sys.argv[1:])
