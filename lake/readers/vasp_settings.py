"""What VASP's settings mean: ensemble, thermostat, convergence. Where they stand in a file is not here.

The level of theory is in `vasp_theory`.
"""

import re
from dataclasses import dataclass
from math import isnan

from schemas.elements import SYMBOLS
from schemas.frames import Ensemble, ScfVerdict

_MOLECULAR_DYNAMICS = 0
_RELAXATIONS = (1, 2, 3)
_LANGEVIN = 3
_ANDERSEN = 1
_NOSE_HOOVER = (None, 0, 2)
_OTHER_THERMOSTATS = (4, 5, 13)  # Nose-Hoover chains, CSVR, several Andersen baths
_NVE_SMASS = -3.0
_SAYS_WHEN_UNCONVERGED = (6, 2)
_VELOCITIES_KEPT_SMASS = -2.0


@dataclass(slots=True, kw_only=True)
class VaspSettings:
    """A run's settings as VASP used them; None where the file does not say."""

    version: str | None = None
    system: str = ""
    ibrion: int | None = None
    nsw: int | None = None
    isif: int | None = None
    mdalgo: int | None = None
    andersen_prob: float | None = None
    smass: float | None = None
    potim: float | None = None
    tebeg: float | None = None
    teend: float | None = None
    pstress: float | None = None
    nwrite: int | None = None
    nelm: int | None = None
    ediff: float | None = None
    encut: float | None = None
    enmax: float | None = None
    """The largest of the POTCAR entries, if the file has that of each."""
    ismear: int | None = None
    sigma: float | None = None
    ispin: int | None = None
    gga: str | None = None
    metagga: str | None = None
    hybrid: str | None = None
    """LHFCALC, as VASP prints a logical."""
    exact_exchange: float | None = None
    screening: float | None = None
    """HFSCREEN, 1/A."""
    precision: str | None = None
    """PREC, as long as VASP or the user wrote it."""
    real_space: str | None = None
    """LREAL, as VASP prints a logical; whether projectors were optimised is in `projector_accuracy`."""
    projector_accuracy: tuple[float, ...] = ()
    """ROPT: negative when LREAL = Auto, positive when LREAL = On, zero for the POTCAR's own projectors."""
    aspherical: str | None = None
    """LASPH, as VASP prints a logical."""
    noncollinear: str | None = None
    spin_orbit: str | None = None
    dft_u: str | None = None
    """LDAU, as VASP prints a logical."""
    dft_u_type: int | None = None
    dft_u_l: tuple[float, ...] = ()
    """LDAUL, one per POTCAR entry, as are U and J; -1 means that this entry has none."""
    dft_u_u: tuple[float, ...] = ()
    dft_u_j: tuple[float, ...] = ()
    ivdw: int | None = None
    vdw_functional: str | None = None
    """LUSE_VDW, as VASP prints a logical."""
    machine_learning: str | None = None
    """ML_LMLFF, as the user wrote it."""
    machine_learning_mode: str | None = None
    """ML_MODE, since VASP 6.4."""
    machine_learning_start: int | None = None
    """ML_ISTART, which ML_MODE replaces."""
    k_points: str | None = None
    potcar_titles: tuple[str, ...] = ()
    synthetic: bool = False

    @property
    def is_molecular_dynamics(self) -> bool:
        return self.ibrion == _MOLECULAR_DYNAMICS and self.nsw != 0


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
    if settings.mdalgo == _LANGEVIN or settings.mdalgo in _OTHER_THERMOSTATS:
        return "nvt"
    if settings.mdalgo == _ANDERSEN:  # its collision probability is 0 by default, which is no thermostat at all
        return "nvt" if settings.andersen_prob else "nve"
    if settings.mdalgo not in _NOSE_HOOVER or settings.smass in {None, _VELOCITIES_KEPT_SMASS}:
        return "unknown"
    return "nve" if settings.smass == _NVE_SMASS else "nvt"


def temperature_target_k(settings: VaspSettings, ensemble: Ensemble) -> float | None:
    """The one temperature that a thermostat holds, K; None without a thermostat, or where its target moves.

    Without a thermostat TEBEG is only the temperature of the first velocities.
    """
    return (
        settings.tebeg if _has_thermostat(settings, ensemble) and temperature_ramp(settings, ensemble) is None else None
    )


def temperature_ramp(settings: VaspSettings, ensemble: Ensemble) -> tuple[float, float] | None:
    """First and last temperature, K, of a run that is heated or cooled on purpose."""
    tebeg, teend = settings.tebeg, settings.teend
    moves = settings.is_molecular_dynamics and ensemble != "nve" and settings.smass != _VELOCITIES_KEPT_SMASS
    return (tebeg, teend) if moves and tebeg is not None and teend is not None and tebeg != teend else None


def conserves_energy(settings: VaspSettings) -> bool:
    """Whether the dynamics conserve the sum of energies that VASP prints.

    That is so without a thermostat and with Nose's, whose own energy is in the sum. Langevin's and Andersen's give and
    take energy that VASP does not add up, and so does a target that moves.
    """
    ensemble = ensemble_of(settings)
    if temperature_ramp(settings, ensemble) is not None:
        return False
    has_nose = settings.mdalgo in _NOSE_HOOVER and settings.smass is not None and settings.smass >= 0
    return ensemble == "nve" or (ensemble == "nvt" and has_nose)


def _has_thermostat(settings: VaspSettings, ensemble: Ensemble) -> bool:
    if not settings.is_molecular_dynamics or ensemble == "nve":
        return False
    if ensemble == "npt" or settings.mdalgo not in _NOSE_HOOVER:
        return True
    return settings.smass is not None and settings.smass >= 0  # -1 rescales velocities now and then


def scf_verdict(
    *,
    scf_steps: int,
    nelm: int | None,
    ediff: float | None,
    last_change_ev: float | None,
    told: str,
    version: str | None = None,
) -> ScfVerdict:
    """Whether a step's electronic loop converged.

    Before version 6.2 VASP says "EDIFF is reached" also when it ran into NELM, so at NELM only the last change of
    the energy tells.

    Parameters
    ----------
    told
        What the file says: `reached`, `not reached` or nothing.
    version
        VASP's, where `told` is what it wrote itself.
    """
    if told == "not reached":
        return "unconverged"
    if nelm is None or scf_steps < 1:
        return "unknown"
    if scf_steps < nelm:
        return "converged" if told == "reached" else "unknown"
    if told == "reached" and release_of(version) >= _SAYS_WHEN_UNCONVERGED:
        return "converged_at_nelm"
    if last_change_ev is None or ediff is None or isnan(last_change_ev):
        return "suspect"
    return "converged_at_nelm" if abs(last_change_ev) < ediff else "unconverged"


def release_of(version: str | None) -> tuple[int, ...]:
    """A version such as 6.3.0 as numbers that can be compared; none when it is not known."""
    return () if version is None else tuple(int(part) for part in version.split("."))


def element_of(title: str) -> str | None:
    """The element of a POTCAR title such as `PAW_PBE Cu_pv 06Sep2000`, `US H` or `PAW In_d_GW 15Mar2013`."""
    words = title.split()
    symbol = re.match(r"[A-Z][a-z]?", words[1] if len(words) > 1 else "".join(words))
    if symbol is None:
        return None
    return next((name for name in (symbol[0], symbol[0][0]) if name in SYMBOLS and name != "X"), None)


def is_true(logical: str | None) -> bool:
    """What a logical that VASP printed or a user wrote means: `T`, `.TRUE.`, `True`."""
    return logical is not None and logical.strip(". ").upper().startswith("T")
