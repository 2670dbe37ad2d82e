"""What VASP's settings mean: ensemble, level of theory, elements. Where they stand in a file is not here."""

import re
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from schemas.elements import SYMBOLS
from schemas.frames import Ensemble, LevelOfTheory, RunHeader, ScfVerdict

_MOLECULAR_DYNAMICS = 0
_RELAXATIONS = (1, 2, 3)
_LANGEVIN = 3
_THERMOSTATS = (1, 2, 4, 5, 13)  # Andersen, Nose-Hoover, Nose-Hoover chains, CSVR, several Andersen baths
_NVE_SMASS = -3.0
_VELOCITIES_KEPT_SMASS = -2.0

_GGA = {
    "PE": "PBE",
    "PS": "PBEsol",
    "RP": "RPBE",
    "RE": "revPBE",
    "91": "PW91",
    "CA": "LDA",
    "AM": "AM05",
    "B3": "B3LYP",
    "BF": "BEEF-vdW",
    "OR": "optPBE",
    "BO": "optB88",
    "MK": "optB86b",
}
_POTCAR_FAMILY = {"PAW_PBE": "PBE", "PAW_GGA": "PW91", "PAW_LDA": "LDA", "PAW": "LDA", "US": "LDA"}


@dataclass(slots=True, kw_only=True)
class VaspSettings:
    """A run's settings as VASP used them; None where the file does not say."""

    version: str | None = None
    system: str = ""
    ibrion: int | None = None
    nsw: int | None = None
    isif: int | None = None
    mdalgo: int | None = None
    smass: float | None = None
    potim: float | None = None
    tebeg: float | None = None
    pstress: float | None = None
    nwrite: int | None = None
    nelm: int | None = None
    ediff: float | None = None
    encut: float | None = None
    ismear: int | None = None
    sigma: float | None = None
    ispin: int | None = None
    gga: str | None = None
    metagga: str | None = None
    hybrid: str | None = None
    """LHFCALC, as VASP prints a logical."""
    exact_exchange: float | None = None
    ivdw: int | None = None
    vdw_functional: str | None = None
    """LUSE_VDW, as VASP prints a logical."""
    k_points: str | None = None
    potcar_titles: tuple[str, ...] = ()
    synthetic: bool = False

    @property
    def has_vdw(self) -> bool:
        return bool(self.ivdw) or _is_true(self.vdw_functional)

    def header(self, source_format: str, atomic_numbers: NDArray[np.int8]) -> RunHeader:
        """The run's header in our terms.

        Parameters
        ----------
        source_format
            `outcar` or `vasprun`.
        atomic_numbers
            (n_atoms,), dimensionless.
        """
        is_md = self.ibrion == _MOLECULAR_DYNAMICS and self.nsw != 0
        return RunHeader(
            source_format=source_format,
            atomic_numbers=atomic_numbers,
            ensemble=ensemble_of(self),
            code_version=self.version,
            time_step_fs=self.potim if is_md else None,
            temperature_target_k=self.tebeg if is_md else None,
            external_pressure_target_kbar=self.pstress or 0.0,
            nelm=self.nelm,
            ediff_ev=self.ediff,
            isif=self.isif,
            level_of_theory=LevelOfTheory(
                functional=_functional(self),
                encut_ev=self.encut,
                ismear=self.ismear,
                sigma_ev=self.sigma,
                ispin=self.ispin,
                k_points=self.k_points,
                vdw=_vdw(self),
                potcar_titles=self.potcar_titles,
            ),
            synthetic=self.synthetic or self.system.strip().lower().split(" ")[0] == "synthetic",
        )


def ensemble_of(settings: VaspSettings) -> Ensemble:
    """The ensemble that the settings ask for; `unknown` where they leave it open.

    ISIF = 3 without a known MDALGO is such a case: the cell moves with a Langevin barostat only, and files of
    VASP 5.4.1 do not name the algorithm.
    """
    if settings.nsw == 0 or settings.ibrion == -1:
        return "static"
    if settings.ibrion in _RELAXATIONS:
        return "relaxation"
    if settings.ibrion != _MOLECULAR_DYNAMICS:
        return "unknown"
    if settings.isif is not None and settings.isif >= 3 and settings.mdalgo in {None, 0, _LANGEVIN}:
        return "npt" if settings.mdalgo == _LANGEVIN else "unknown"
    return fixed_cell_ensemble(settings)


def fixed_cell_ensemble(settings: VaspSettings) -> Ensemble:
    """The ensemble of a molecular-dynamics run whose cell does not move."""
    if settings.mdalgo == _LANGEVIN or settings.mdalgo in _THERMOSTATS:
        return "nvt"
    if settings.smass is None or settings.smass == _VELOCITIES_KEPT_SMASS:
        return "unknown"
    return "nve" if settings.smass == _NVE_SMASS else "nvt"


def scf_verdict(
    *, scf_steps: int, nelm: int | None, ediff: float | None, last_change_ev: float | None, told: str
) -> ScfVerdict:
    """Whether a step's electronic loop converged.

    Before version 6.2 VASP says "EDIFF is reached" also when it ran into NELM, so at NELM only the last change of
    the energy tells.

    Parameters
    ----------
    told
        What the file says: `reached`, `not reached` or nothing.
    """
    if told == "not reached":
        return "unconverged"
    if nelm is None or scf_steps < 1:
        return "unknown"
    if scf_steps < nelm:
        return "converged" if told == "reached" else "unknown"
    if last_change_ev is None or ediff is None or isnan(last_change_ev):
        return "suspect"
    return "converged" if abs(last_change_ev) < ediff else "unconverged"


def element_of(title: str) -> str | None:
    """The element of a POTCAR title such as `PAW_PBE Cu_pv 06Sep2000`, `US H` or `PAW In_d_GW 15Mar2013`."""
    words = title.split()
    symbol = re.match(r"[A-Z][a-z]?", words[1] if len(words) > 1 else "".join(words))
    if symbol is None:
        return None
    return next((name for name in (symbol[0], symbol[0][0]) if name in SYMBOLS and name != "X"), None)


def listed_k_points(number: int, first: tuple[bytes, ...]) -> str:
    """The label of a mesh that is only known as a list; the zone centre alone is the mesh 1x1x1."""
    at_centre = number == 1 and bool(first) and not any(b.strip(b"-0.") for b in first)
    return "1x1x1" if at_centre else f"{number} in list"


def _functional(settings: VaspSettings) -> str | None:
    family = settings.potcar_titles[0].split()[0] if settings.potcar_titles else ""
    gga = (settings.gga or "").strip()
    name = _GGA.get(gga.upper()) or (gga if gga.strip("-") else None) or _POTCAR_FAMILY.get(family)
    metagga = (settings.metagga or "").strip().upper()
    if metagga.strip("-") not in {"", "F", "NONE"}:
        name = metagga
    if _is_true(settings.hybrid) and name:
        return f"{name}+HF{settings.exact_exchange or 0:g}"
    return name


def _vdw(settings: VaspSettings) -> str | None:
    parts = [f"IVDW={settings.ivdw}"] if settings.ivdw else []
    return "+".join([*parts, *(["LUSE_VDW"] if _is_true(settings.vdw_functional) else [])]) or None


def _is_true(logical: str | None) -> bool:
    return logical is not None and logical.strip(". ").upper().startswith("T")
