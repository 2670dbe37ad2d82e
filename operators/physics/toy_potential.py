"""MLK, the toy potential behind the synthetic melts: an EAM of Al, Cu and Ni, its setfl file and its liquid's volume.

The elements are those of Zhou, Johnson and Wadley, Phys. Rev. B 69, 144113 (2004). Their unlike pairs repel, while
real Al-Ni melts order; MLK adds a short-ranged attraction to each unlike pair, so that the toy melt orders as well.
It is a test fixture with a known truth, not a model of Al-Cu-Ni. Running LAMMPS with it is `operators.toy_melt`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.composition import half_l1_at_percent
from schemas.elements import atomic_number, masses_amu

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZhouElement:
    """Parameters of one element, in the letters of the paper; lengths in angstrom, energies in eV."""

    r_e: float
    f_e: float
    rho_e: float
    rho_s: float
    alpha: float
    beta: float
    a: float
    b: float
    kappa: float
    lambda_: float
    f_n: tuple[float, float, float, float]
    f_0: tuple[float, float, float, float]
    eta: float
    f_big: float


# fmt: off
ELEMENTS: dict[str, ZhouElement] = {
    "Al": ZhouElement(
        r_e=2.863924, f_e=1.403115, rho_e=20.418205, rho_s=23.195740, alpha=6.613165, beta=3.527021,
        a=0.314873, b=0.365551, kappa=0.379846, lambda_=0.759692,
        f_n=(-2.807602, -0.301435, 1.258562, -1.247604), f_0=(-2.83, 0.0, 0.622245, -2.488244),
        eta=0.785902, f_big=-2.824528,
    ),
    "Cu": ZhouElement(
        r_e=2.556162, f_e=1.554485, rho_e=21.175871, rho_s=21.175395, alpha=8.127620, beta=4.334731,
        a=0.396620, b=0.548085, kappa=0.308782, lambda_=0.756515,
        f_n=(-2.170269, -0.263788, 1.088878, -0.817603), f_0=(-2.19, 0.0, 0.561830, -2.100595),
        eta=0.310490, f_big=-2.186568,
    ),
    "Ni": ZhouElement(
        r_e=2.488746, f_e=2.007018, rho_e=27.562015, rho_s=27.562031, alpha=8.383453, beta=4.471175,
        a=0.429046, b=0.633531, kappa=0.443599, lambda_=0.820658,
        f_n=(-2.693513, -0.076445, 0.241442, -2.375626), f_0=(-2.70, 0.0, 0.265390, -0.152856),
        eta=0.445470, f_big=-2.7,
    ),
}
# fmt: on

ATTRACTIONS: dict[frozenset[str], tuple[float, float, float]] = {
    frozenset(("Al", "Ni")): (0.18, 2.45, 0.45),
    frozenset(("Al", "Cu")): (0.05, 2.50, 0.45),
    frozenset(("Cu", "Ni")): (0.005, 2.50, 0.45),
}
"""Depth (eV), centre and width (angstrom) of the attraction that MLK adds to an unlike pair."""

CUTOFF_ANGSTROM = 6.8
_SWITCH_ANGSTROM = (4.5, 5.5)
_CLOSEST_TABULATED_ANGSTROM = 0.5
_LARGEST_TABULATED_DENSITY = 200.0
_TABLE_LENGTH = 3000


def electron_density(symbol: str, distance_angstrom: ArrayLike) -> Floats:
    """Density f(r) that an atom of `symbol` puts where a neighbour sits, in the publication's arbitrary unit."""
    element = ELEMENTS[symbol]
    return _decaying(distance_angstrom, element, element.f_e, element.beta, element.lambda_)


def pair_energy(one: str, other: str, distance_angstrom: ArrayLike) -> Floats:
    """Pair energy phi(r) of two atoms, in eV; unlike pairs mix the elements' (eq. 5 of the paper) and attract."""
    if one == other:
        return _like_pair(ELEMENTS[one], distance_angstrom)
    f_one, f_other = (electron_density(symbol, distance_angstrom) for symbol in (one, other))
    phi_one, phi_other = (_like_pair(ELEMENTS[symbol], distance_angstrom) for symbol in (one, other))
    mixed: Floats = 0.5 * (f_other / f_one * phi_one + f_one / f_other * phi_other)
    return mixed - _attraction(one, other, distance_angstrom)


def embedding_energy(symbol: str, density: ArrayLike) -> Floats:
    """Energy F(rho) of putting an atom of `symbol` into the density of its neighbours, in eV."""
    element = ELEMENTS[symbol]
    rho = np.asarray(density, dtype=float)
    dilute = np.polynomial.polynomial.polyval(rho / (0.85 * element.rho_e) - 1, element.f_n)
    middle = np.polynomial.polynomial.polyval(rho / element.rho_e - 1, element.f_0)
    # The floor keeps the logarithm finite where another branch is taken anyway.
    power = np.maximum(rho / element.rho_s, 0.1) ** element.eta
    dense = element.f_big * (1 - np.log(power)) * power
    energy: Floats = np.select([rho < 0.85 * element.rho_e, rho < 1.15 * element.rho_e], [dilute, middle], dense)
    return energy


def setfl() -> str:
    """MLK as a file for LAMMPS's `pair_style eam/alloy`: F and f of each element, then r*phi of each pair.

    The pairs end at the cutoff without a shift; what is cut off is 2e-7 eV for Al-Al, and less for the others.
    """
    density = np.linspace(0, _LARGEST_TABULATED_DENSITY, _TABLE_LENGTH)
    distance = np.linspace(0, CUTOFF_ANGSTROM, _TABLE_LENGTH)
    # Nothing comes this close; the formulas would overflow at the origin.
    kept_apart = np.maximum(distance, _CLOSEST_TABULATED_ANGSTROM)
    lines = [
        "MLK: synthetic toy potential of Al, Cu and Ni, written by meltlake",
        "Zhou, Johnson, Wadley, Phys. Rev. B 69, 144113 (2004), plus an attraction between unlike atoms",
        "for tests and demonstrations, not for materials science",
        f"{len(ELEMENTS)} {' '.join(ELEMENTS)}",
        f"{_TABLE_LENGTH} {density[1]:.16e} {_TABLE_LENGTH} {distance[1]:.16e} {CUTOFF_ANGSTROM:.16e}",
    ]
    for symbol, element in ELEMENTS.items():
        number = atomic_number(symbol)
        lattice_angstrom = element.r_e * np.sqrt(2)
        lines.append(f"{number} {masses_amu(np.array([number]))[0]:.6f} {lattice_angstrom:.6f} fcc")
        lines += _rows(embedding_energy(symbol, density)) + _rows(electron_density(symbol, kept_apart))
    symbols = list(ELEMENTS)
    for i, one in enumerate(symbols):
        for other in symbols[: i + 1]:
            lines += _rows(distance * pair_energy(one, other, kept_apart))
    return "\n".join(lines) + "\n"


def _decaying(distance_angstrom: ArrayLike, element: ZhouElement, height: float, decay: float, shift: float) -> Floats:
    x = np.asarray(distance_angstrom, dtype=float) / element.r_e
    values: Floats = height * np.exp(-decay * (x - 1)) / (1 + (x - shift) ** 20)
    return values


def _like_pair(element: ZhouElement, distance_angstrom: ArrayLike) -> Floats:
    repulsion = _decaying(distance_angstrom, element, element.a, element.alpha, element.kappa)
    return repulsion - _decaying(distance_angstrom, element, element.b, element.beta, element.lambda_)


def _attraction(one: str, other: str, distance_angstrom: ArrayLike) -> Floats:
    depth_ev, centre_angstrom, width_angstrom = ATTRACTIONS[frozenset((one, other))]
    r = np.asarray(distance_angstrom, dtype=float)
    start, end = _SWITCH_ANGSTROM
    y = np.clip((r - start) / (end - start), 0, 1)
    switch = 1 - y**3 * (10 - 15 * y + 6 * y**2)
    values: Floats = depth_ev * np.exp(-(((r - centre_angstrom) / width_angstrom) ** 2)) * switch
    return values


def _rows(table: Floats) -> list[str]:
    return [" ".join(f"{value:.16e}" for value in row) for row in table.reshape(-1, 5)]


MELT_TEMPERATURES_K: dict[str, float] = {
    "Al100": 983.0,
    "Cu100": 1423.0,
    "Ni100": 1773.0,
    "Al50Cu50": 1373.0,
    "Al50Ni50": 1963.0,
    "Cu50Ni50": 1673.0,
    "Al60Cu20Ni20": 1400.0,
    "Al20Cu60Ni20": 1450.0,
    "Al20Cu20Ni60": 1673.0,
    "Al33Cu33Ni33": 1673.0,
    "Al50Cu25Ni25": 1400.0,
    "Al70Cu20Ni10": 1300.0,
}
"""Temperatures at which MLK was run as a liquid at zero pressure, by composition."""

_ELEMENT_VOLUMES_ANGSTROM3 = {"Al": (19.351, 983.0), "Cu": (13.770, 1423.0), "Ni": (12.944, 1773.0)}
_EXCESS_VOLUMES_ANGSTROM3 = {("Al", "Cu"): -3.61, ("Al", "Ni"): -6.61, ("Cu", "Ni"): 0.42}
_EXPANSION_PER_K = 6.9e-5


def melt_temperature_k(composition: str) -> float:
    """Temperature of the tabulated liquid whose composition is nearest."""
    nearest = min(MELT_TEMPERATURES_K, key=lambda known: half_l1_at_percent(composition, known))
    return MELT_TEMPERATURES_K[nearest]


def liquid_volume_angstrom3_per_atom(counts: Mapping[str, int], temperature_k: float) -> float:
    """Volume per atom at which liquid MLK has about zero pressure.

    The elements' volumes, expanded to `temperature_k`, mix ideally, plus a term x_i x_j for each pair. The
    expansion and the pairs' coefficients were fitted to the volumes of the twelve tabulated liquids, which come
    back within 0.3 %.
    """
    total = sum(counts.values())
    fractions = {symbol: count / total for symbol, count in sorted(counts.items())}
    ideal = sum(
        fraction * volume * np.exp(_EXPANSION_PER_K * (temperature_k - measured_at_k))
        for symbol, fraction in fractions.items()
        for volume, measured_at_k in [_ELEMENT_VOLUMES_ANGSTROM3[symbol]]
    )
    excess = sum(
        fractions[one] * fractions[other] * _EXCESS_VOLUMES_ANGSTROM3[one, other]
        for one, other in combinations(fractions, 2)
    )
    return float(ideal + excess)
