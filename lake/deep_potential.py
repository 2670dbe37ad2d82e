"""The one door to DeePMD's `DeepPot`: labels of frames from a frozen potential. Training is not here."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.frames import Floats

_ATOMS_AT_ONCE = 4096
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "DP_INTRA_OP_PARALLELISM_THREADS": "1",
    "DP_INTER_OP_PARALLELISM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class DeepPotential:
    """A frozen potential, loaded once.

    Parameters
    ----------
    path
        The model file, compressed or not.

    Raises
    ------
    MeltlakeError
        If there is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise MeltlakeError(f"There is no potential at {path}.", "Train it again, or correct the path.")
        for name, value in _ONE_THREAD.items():  # read once, when the backend is imported
            os.environ.setdefault(name, value)
        from deepmd.infer import DeepPot

        self.path = Path(path)
        self._model = DeepPot(str(path), auto_batch_size=False)
        self.type_map: tuple[str, ...] = tuple(self._model.get_type_map())

    @property
    def r_cut_angstrom(self) -> float:
        """Where its cutoff function ends."""
        return float(self._model.get_rcut())

    @property
    def neighbour_slots(self) -> list[int] | None:
        """Of each element, as its file tells them; None where it has one number for all, or does not tell."""
        sel = self._definition.get("descriptor", {}).get("sel")
        return list(sel) if isinstance(sel, list) else None

    @property
    def precisions(self) -> list[str]:
        """Of its nets, as its file tells them."""
        parts = (self._definition.get(name, {}) for name in ("descriptor", "fitting_net"))
        return [str(part.get("precision", "float64")) for part in parts]

    @property
    def _definition(self) -> dict[str, Any]:
        """What it was made from; empty where its file does not have that."""
        try:
            found: dict[str, Any] = self._model.get_model_def_script()
        except (KeyError, ValueError, NotImplementedError):
            return {}
        return found

    def predict(
        self, atomic_numbers: NDArray[np.integer], positions: Floats, *, cells: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Labels of frames of the same atoms, a few frames at a time.

        Parameters
        ----------
        atomic_numbers
            (n_atoms,), dimensionless.
        positions
            (n_frames, n_atoms, 3), Angstrom, Cartesian.
        cells
            (n_frames, 3, 3), Angstrom, rows a, b, c.

        Returns
        -------
        tuple of Floats
            Energies (n_frames,), eV; forces (n_frames, n_atoms, 3), eV/Angstrom; virials (n_frames, 3, 3), eV.

        Raises
        ------
        MeltlakeError
            If an element is outside the potential's type map.
        """
        types = self._types(atomic_numbers)
        n_frames, n_atoms = positions.shape[:2]
        energies, forces, virials = np.empty(n_frames), np.empty((n_frames, n_atoms, 3)), np.empty((n_frames, 3, 3))
        frames_at_once = max(1, _ATOMS_AT_ONCE // n_atoms)
        for start in range(0, n_frames, frames_at_once):
            some = slice(start, start + frames_at_once)
            coordinates, boxes = positions[some].reshape(-1, 3 * n_atoms), cells[some].reshape(-1, 9)
            energy, force, virial = self._model.eval(coordinates, boxes, types)[:3]
            energies[some], forces[some], virials[some] = energy[:, 0], force, virial.reshape(-1, 3, 3)
        return energies, forces, virials

    def _types(self, atomic_numbers: NDArray[np.integer]) -> list[int]:
        symbols = [SYMBOLS[number] for number in atomic_numbers]
        if unknown := sorted(set(symbols) - set(self.type_map)):
            raise MeltlakeError(
                f"Potential {self.path}: needed elements among {', '.join(self.type_map)}, found {', '.join(unknown)}.",
                "Use a potential that was trained on these elements.",
            )
        return [self.type_map.index(symbol) for symbol in symbols]
