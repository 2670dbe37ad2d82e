"""What a writer needs to know: the facts of a run, and of each of its frames. Text layouts belong to the writers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.elements import atomic_number, masses_amu
from schemas.units import BOLTZMANN_EV_PER_K

Floats = NDArray[np.float64]

SYNTHETIC = "synthetic"
"""The word by which our readers, and people, tell a written file from one that VASP wrote."""

_FIRST_SCF_CHANGE_EV = 10.0


@dataclass(frozen=True, slots=True)
class Species:
    """Neighbouring atoms of one element, in the order of the file; `valence` is what a POTCAR calls ZVAL."""

    symbol: str
    count: int
    valence: float

    @property
    def mass_amu(self) -> float:
        return float(masses_amu(np.array([atomic_number(self.symbol)]))[0])

    @property
    def potcar_title(self) -> str:
        return f"PAW_PBE {self.symbol} {SYNTHETIC}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run says about itself before its first ionic step; unsaid settings are VASP's usual ones.

    `version` also chooses the wording: before 6.2 VASP calls every electronic step converged, and before 6 the
    energies of an ionic step in vasprun.xml carry shifted labels.
    """

    title: str
    """VASP's SYSTEM tag; begins with `synthetic`, so that no written file passes for a calculation."""
    species: tuple[Species, ...]
    n_ionic_steps: int
    time_step_fs: float
    temperature_k: float
    version: str = "6.4.2"
    nelm: int = 60
    ediff_ev: float = 1e-6
    encut_ev: float = 300.0
    ismear: int = 0
    sigma_ev: float = 0.01

    def __post_init__(self) -> None:
        if not self.title.startswith(SYNTHETIC):
            raise ValueError(f"RunFacts.title: needed to begin with {SYNTHETIC!r}, found {self.title!r}")

    @property
    def n_atoms(self) -> int:
        return sum(species.count for species in self.species)

    @property
    def n_electrons(self) -> float:
        return sum(species.count * species.valence for species in self.species)

    @property
    def n_bands(self) -> int:
        return int(0.6 * self.n_electrons) + 8

    @property
    def release(self) -> tuple[int, int]:
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    @property
    def incar(self) -> dict[str, str | int | float]:
        """The INCAR tags that a person would have set; a float is always a float in the XML too."""
        return {
            "SYSTEM": self.title,
            "PREC": "Normal",
            "ALGO": "Fast",
            "ENCUT": self.encut_ev,
            "EDIFF": self.ediff_ev,
            "NELM": self.nelm,
            "ISMEAR": self.ismear,
            "SIGMA": self.sigma_ev,
            "ISYM": 0,
            "IBRION": 0,
            "MDALGO": 2,
            "SMASS": 0.0,
            "ISIF": 2,
            "NSW": self.n_ionic_steps,
            "POTIM": self.time_step_fs,
            "TEBEG": self.temperature_k,
            "TEEND": self.temperature_k,
            "NWRITE": 1,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """One ionic step."""

    cell_angstrom: Floats
    """(3, 3), rows a, b, c."""
    positions_angstrom: Floats
    """(n_atoms, 3), Cartesian, in the order of the run's species."""
    forces_ev_per_angstrom: Floats
    """(n_atoms, 3)."""
    energy_ev: float
    """Free energy, conjugate to the forces."""
    energy_without_entropy_ev: float
    energy_sigma0_ev: float
    stress_kbar: Floats
    """(3, 3), VASP's sign: positive when compressed; no ionic kinetic part."""
    kinetic_energy_ev: float
    thermostat_energy_ev: float = 0.0
    """Energy held by the thermostat, so that the sum of all energies is conserved."""
    scf_steps: int
    scf_last_change_ev: float
    """Energy change of the last electronic step; below EDIFF when it converged."""

    @property
    def volume_angstrom3(self) -> float:
        return float(abs(np.linalg.det(self.cell_angstrom)))

    @property
    def reciprocal_cell_per_angstrom(self) -> Floats:
        """(3, 3), rows are the reciprocal vectors without 2 pi, as VASP prints them."""
        return np.asarray(np.linalg.inv(self.cell_angstrom).T, dtype=np.float64)

    @property
    def fractional_positions(self) -> Floats:
        """(n_atoms, 3), dimensionless."""
        return np.asarray(self.positions_angstrom @ np.linalg.inv(self.cell_angstrom), dtype=np.float64)

    @property
    def temperature_k(self) -> float:
        """Instantaneous temperature; the centre of mass is at rest."""
        degrees_of_freedom = 3 * max(len(self.positions_angstrom) - 1, 1)
        return 2 * self.kinetic_energy_ev / (degrees_of_freedom * BOLTZMANN_EV_PER_K)

    @property
    def conserved_energy_ev(self) -> float:
        return self.energy_ev + self.kinetic_energy_ev + self.thermostat_energy_ev

    def scf_offsets_ev(self) -> Floats:
        """(scf_steps,), eV: how far the energy of each electronic step is from the last one's; shrinks steadily."""
        backwards = np.geomspace(self.scf_last_change_ev, _FIRST_SCF_CHANGE_EV, self.scf_steps - 1)
        return np.array([*backwards.tolist()[::-1], 0.0])

    def scf_converged(self, ediff_ev: float) -> bool:
        return abs(self.scf_last_change_ev) < ediff_ev
