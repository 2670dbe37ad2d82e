"""The level of theory that VASP's settings make: what must be equal for two energies to be comparable.

An OUTCAR and a vasprun.xml of one run give the same. What is at its default is None, so that labels stay short.
Where settings stand in a file does not belong here.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import lcm, prod

from lake.readers.vasp_settings import VaspSettings, element_of, is_true
from schemas.frames import LevelOfTheory

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
# VASP goes by the first letter, and prints five or six of them.
_PRECISIONS = {"L": "low", "M": "medium", "H": "high", "A": "accurate", "S": "single"}
_ORBITALS = "spdf"
_ML_MODES = {"TRAIN": "on the fly", "SELECT": "select", "REFIT": "refit", "REFITBAYESIAN": "refit", "RUN": "run"}
_ML_STARTS = {0: "on the fly", 1: "on the fly", 2: "run", 3: "select", 4: "refit"}
_DEFAULT_DFT_U_TYPE = 2
_FINEST_MESH = 64
_SAME_COORDINATE = 2.0e-6  # an OUTCAR prints six decimals


def level_of_theory(settings: VaspSettings) -> LevelOfTheory:
    """What a run's energies depend on, apart from its atoms."""
    return LevelOfTheory(
        functional=_functional(settings),
        encut_ev=settings.encut,
        ismear=settings.ismear,
        sigma_ev=settings.sigma,
        ispin=settings.ispin,
        k_points=settings.k_points,
        vdw=_vdw(settings),
        dft_u=_dft_u(settings),
        spin_orbit=_spin_orbit(settings),
        precision=_PRECISIONS.get((settings.precision or "").strip()[:1].upper()),
        real_space=_real_space(settings),
        aspherical=is_true(settings.aspherical) or None,
        machine_learned=_machine_learned(settings),
        potcar_titles=settings.potcar_titles,
    )


def mesh_label(divisions: Sequence[str]) -> str:
    """The label of a mesh such as 4x3x1."""
    return "x".join(divisions)


def listed_k_points(points: Sequence[Sequence[float]], n_mesh_points: int | None = None) -> str:
    """The label of k-points that are known as a list only: the mesh they come from where that can be told.

    VASP 5 prints no divisions in its OUTCAR, but the irreducible points and their weights, which sum to the
    number of points of the whole mesh. (The number of irreducible points says nothing: it depends on symmetry.)

    Parameters
    ----------
    points
        (n_points, 3), in units of the reciprocal lattice vectors.
    n_mesh_points
        Sum of the integer weights; None for points that the user listed.
    """
    if [list(map(abs, point)) for point in points] == [[0.0, 0.0, 0.0]]:
        return "1x1x1"
    if n_mesh_points is not None:
        divisions = [_divisions(axis) for axis in zip(*points, strict=True)]
        if prod(divisions) == n_mesh_points:
            return mesh_label([str(n) for n in divisions])
    return f"{len(points)} in list"


def _divisions(coordinates: Sequence[float]) -> int:
    """Into how many points one axis is divided; 0 when these coordinates are on no regular mesh.

    A mesh of n points through the origin has multiples of 1/n, a shifted one has odd multiples of 1/(2n).
    """
    distinct = set(coordinates)
    fractions = [Fraction(value).limit_denominator(_FINEST_MESH) for value in distinct]
    if any(abs(fraction - value) > _SAME_COORDINATE for fraction, value in zip(fractions, distinct, strict=True)):
        return 0
    denominator = lcm(*(fraction.denominator for fraction in fractions))
    shifted = denominator % 2 == 0 and all((fraction * denominator).numerator % 2 for fraction in fractions)
    return denominator // 2 if shifted else denominator


def _functional(settings: VaspSettings) -> str | None:
    family = next(iter(" ".join(settings.potcar_titles[:1]).split()), "")
    gga = (settings.gga or "").strip()
    name = _GGA.get(gga.upper()) or (gga if gga.strip("-") else None) or _POTCAR_FAMILY.get(family)
    metagga = (settings.metagga or "").strip().upper()
    if metagga.strip("-") not in {"", "F", "NONE"}:
        name = metagga
    if is_true(settings.hybrid) and name:
        name += f"+HF{settings.exact_exchange or 0:g}"
        name += f"/{settings.screening:g}" if settings.screening else ""
    return name


def _vdw(settings: VaspSettings) -> str | None:
    parts = [f"IVDW={settings.ivdw}"] if settings.ivdw else []
    return "+".join([*parts, *(["LUSE_VDW"] if is_true(settings.vdw_functional) else [])]) or None


def _dft_u(settings: VaspSettings) -> str | None:
    """Type of DFT+U, and orbital, U and J of each element that has it, whatever the order of the POTCAR entries."""
    if not is_true(settings.dft_u):
        return None
    kind = settings.dft_u_type or _DEFAULT_DFT_U_TYPE
    lists = (settings.potcar_titles, settings.dft_u_l, settings.dft_u_u, settings.dft_u_j)
    if len({len(one) for one in lists}) != 1:
        return f"{kind}:unknown"
    corrected = {
        f"{element_of(title) or title}({_orbital(l_number)},U={u:g},J={j:g})"
        for title, l_number, u, j in zip(*lists, strict=True)
        if l_number >= 0 and (u or j)
    }
    return f"{kind}:" + "+".join(sorted(corrected)) if corrected else None


def _orbital(l_number: float) -> str:
    return _ORBITALS[int(l_number)] if 0 <= l_number < len(_ORBITALS) else f"{l_number:g}"


def _spin_orbit(settings: VaspSettings) -> str | None:
    if is_true(settings.spin_orbit):
        return "LSORBIT"
    return "LNONCOLLINEAR" if is_true(settings.noncollinear) else None


def _machine_learned(settings: VaspSettings) -> str | None:
    """How VASP's own force field took part; ML_ISTART says it where there is no ML_MODE, and trains by default."""
    if not is_true(settings.machine_learning):
        return None
    mode = (settings.machine_learning_mode or "").strip("'\" ").upper()
    return _ML_MODES.get(mode) or _ML_STARTS.get(settings.machine_learning_start or 0, "unknown")


def _real_space(settings: VaspSettings) -> str | None:
    """How the projectors were brought to real space; VASP prints T for all three ways, but another ROPT."""
    if not is_true(settings.real_space):
        return None
    accuracy = min(settings.projector_accuracy, default=0.0), max(settings.projector_accuracy, default=0.0)
    return "auto" if accuracy[0] < 0 else "on" if accuracy[1] > 0 else "T"
