"""Tables that a simulation writes beside its trajectory: thermodynamics, pressure, committee. Frames are `lammps`'s.

A restart writes some steps again: of two rows of one step the later counts.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.frames import Floats
from schemas.units import BAR_PER_GPA

THERMO_TABLE = "thermo.csv"
_TENSOR = ("xx", "yy", "zz", "xy", "xz", "yz")  # LAMMPS's order of a symmetric tensor
THERMO_COLUMNS = (
    "step",
    "temperature_k",
    "potential_energy_ev",
    "conserved_energy_ev",
    *(f"virial_pressure_{component}_bar" for component in _TENSOR),
)

PRESSURE_TABLE = "pressure.csv"
PRESSURE_COLUMNS = ("step", *(f"pressure_{component}_bar" for component in _TENSOR))
"""With the kinetic part, as a viscosity needs it."""

DEVIATION_TABLE = "model_devi.out"
"""DeePMD's: step; largest, smallest and mean deviation of the virial; the same of the forces, eV/angstrom."""
_N_DEVIATION_COLUMNS = 7


class Thermo:
    """The table with energy, temperature and virial pressure of each saved step."""

    def __init__(self, path: Path) -> None:
        rows = thermo_rows(path)
        self._values = rows
        self._row_of = {int(step): row for row, step in enumerate(rows[:, 0])}

    def at(self, steps: NDArray[np.integer]) -> Floats:
        """Rows of these steps: (n_steps, n_columns), columns `THERMO_COLUMNS`; NaN where there is none."""
        out = np.full((len(steps), len(THERMO_COLUMNS)), np.nan)
        for index, step in enumerate(steps):
            if (row := self._row_of.get(int(step))) is not None:
                out[index] = self._values[row]
        return out


def tensors(components: Floats) -> Floats:
    """Symmetric tensors (n, 3, 3) of six components (n, 6) in LAMMPS's order; any unit."""
    xx, yy, zz, xy, xz, yz = components.T
    matrices: Floats = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]).transpose(2, 0, 1)
    return matrices


def thermo_rows(path: Path) -> Floats:
    """Complete rows of the table, in the order they were written: (n_rows, n_columns), columns `THERMO_COLUMNS`.

    The title may stand between them: LAMMPS writes it again when it appends.
    """
    return _rows(path, len(THERMO_COLUMNS), separator=",")


def pressure_tensors(folder: Path) -> tuple[NDArray[np.int64], Floats]:
    """Steps (n_rows,), ascending, and pressure tensors (n_rows, 3, 3), GPa, kinetic part included."""
    rows = _last_of_each_step(_rows(folder / PRESSURE_TABLE, len(PRESSURE_COLUMNS), separator=","))
    return rows[:, 0].astype(np.int64), tensors(rows[:, 1:]) / BAR_PER_GPA


def force_deviations(folder: Path) -> tuple[NDArray[np.int64], Floats]:
    """Steps (n_rows,), ascending, and the largest, smallest and mean deviation of an atom's force (n_rows, 3), eV/A."""
    rows = _last_of_each_step(_rows(folder / DEVIATION_TABLE, _N_DEVIATION_COLUMNS, separator=None))
    return rows[:, 0].astype(np.int64), rows[:, 4:]


def _rows(path: Path, n_columns: int, *, separator: str | None) -> Floats:
    """Rows that are whole: a full disk leaves lines with numbers that are cut or not there."""
    lines = path.read_text(errors="replace").split("\n")[:-1] if path.is_file() else []
    found = [row for line in lines if line.lstrip()[:1].isdigit() and (row := _numbers(line.split(separator)))]
    whole = [row for row in found if len(row) == n_columns]
    return np.array(whole, dtype=np.float64).reshape(-1, n_columns)


def _numbers(words: list[str]) -> list[float]:
    """Empty where one of them is no number."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def _last_of_each_step(rows: Floats) -> Floats:
    _, first_from_behind = np.unique(rows[::-1, 0], return_index=True)
    last: Floats = rows[::-1][first_from_behind]
    return last
