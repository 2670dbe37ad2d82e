"""Element symbols, atomic numbers, standard atomic masses (IUPAC 2016), covalent radii and volumes of an atom.

Radii: Cordero et al., Dalton Trans. 2832 (2008); its table ends at curium, later elements get 2.0.
Volumes: of metals as crystals at room temperature, rounded from the molar volumes of pymatgen's table; the lattice
constants that ASE has give the same within 3 %, of alkali metals (cold ones there) 7 %; those of Pd and Tm are ASE's.
"""

import numpy as np
from numpy.typing import NDArray

from schemas.errors import MeltlakeError

# fmt: off
_TABLE: tuple[tuple[str, float, float], ...] = (
    ("H", 1.008, 0.31), ("He", 4.002602, 0.28), ("Li", 6.94, 1.28), ("Be", 9.012183, 0.96), ("B", 10.81, 0.84),
    ("C", 12.011, 0.76), ("N", 14.007, 0.71), ("O", 15.999, 0.66), ("F", 18.998403, 0.57), ("Ne", 20.1797, 0.58),
    ("Na", 22.989769, 1.66), ("Mg", 24.305, 1.41), ("Al", 26.981538, 1.21), ("Si", 28.085, 1.11), ("P", 30.973762, 1.07),
    ("S", 32.06, 1.05), ("Cl", 35.45, 1.02), ("Ar", 39.948, 1.06), ("K", 39.0983, 2.03), ("Ca", 40.078, 1.76),
    ("Sc", 44.955908, 1.7), ("Ti", 47.867, 1.6), ("V", 50.9415, 1.53), ("Cr", 51.9961, 1.39), ("Mn", 54.938044, 1.39),
    ("Fe", 55.845, 1.32), ("Co", 58.933194, 1.26), ("Ni", 58.6934, 1.24), ("Cu", 63.546, 1.32), ("Zn", 65.38, 1.22),
    ("Ga", 69.723, 1.22), ("Ge", 72.63, 1.2), ("As", 74.921595, 1.19), ("Se", 78.971, 1.2), ("Br", 79.904, 1.2),
    ("Kr", 83.798, 1.16), ("Rb", 85.4678, 2.2), ("Sr", 87.62, 1.95), ("Y", 88.90584, 1.9), ("Zr", 91.224, 1.75),
    ("Nb", 92.90637, 1.64), ("Mo", 95.95, 1.54), ("Tc", 97.90721, 1.47), ("Ru", 101.07, 1.46), ("Rh", 102.9055, 1.42),
    ("Pd", 106.42, 1.39), ("Ag", 107.8682, 1.45), ("Cd", 112.414, 1.44), ("In", 114.818, 1.42), ("Sn", 118.71, 1.39),
    ("Sb", 121.76, 1.39), ("Te", 127.6, 1.38), ("I", 126.90447, 1.39), ("Xe", 131.293, 1.4), ("Cs", 132.905452, 2.44),
    ("Ba", 137.327, 2.15), ("La", 138.90547, 2.07), ("Ce", 140.116, 2.04), ("Pr", 140.90766, 2.03), ("Nd", 144.242, 2.01),
    ("Pm", 144.91276, 1.99), ("Sm", 150.36, 1.98), ("Eu", 151.964, 1.98), ("Gd", 157.25, 1.96), ("Tb", 158.92535, 1.94),
    ("Dy", 162.5, 1.92), ("Ho", 164.93033, 1.92), ("Er", 167.259, 1.89), ("Tm", 168.93422, 1.9), ("Yb", 173.054, 1.87),
    ("Lu", 174.9668, 1.87), ("Hf", 178.49, 1.75), ("Ta", 180.94788, 1.7), ("W", 183.84, 1.62), ("Re", 186.207, 1.51),
    ("Os", 190.23, 1.44), ("Ir", 192.217, 1.41), ("Pt", 195.084, 1.36), ("Au", 196.966569, 1.36), ("Hg", 200.592, 1.32),
    ("Tl", 204.38, 1.45), ("Pb", 207.2, 1.46), ("Bi", 208.9804, 1.48), ("Po", 208.98243, 1.4), ("At", 209.98715, 1.5),
    ("Rn", 222.01758, 1.5), ("Fr", 223.01974, 2.6), ("Ra", 226.02541, 2.21), ("Ac", 227.02775, 2.15), ("Th", 232.0377, 2.06),
    ("Pa", 231.03588, 2.0), ("U", 238.02891, 1.96), ("Np", 237.04817, 1.9), ("Pu", 244.06421, 1.87), ("Am", 243.06138, 1.8),
    ("Cm", 247.07035, 1.69), ("Bk", 247.07031, 2.0), ("Cf", 251.07959, 2.0), ("Es", 252.083, 2.0), ("Fm", 257.09511, 2.0),
    ("Md", 258.09843, 2.0), ("No", 259.101, 2.0), ("Lr", 262.11, 2.0),
)
# fmt: on

# fmt: off
_CRYSTAL_VOLUME_ANGSTROM3 = {
    "Li": 21.6, "Be": 8.1, "Na": 39.5, "Mg": 23.2, "Al": 16.6, "K": 76.3, "Ca": 43.5,
    "Sc": 24.9, "Ti": 17.7, "V": 13.8, "Cr": 12.0, "Mn": 12.2, "Fe": 11.8, "Co": 11.1, "Ni": 10.9, "Cu": 11.8,
    "Zn": 15.2, "Ga": 19.6, "Rb": 92.6, "Sr": 56.4, "Y": 33.0, "Zr": 23.3,
    "Nb": 18.0, "Mo": 15.6, "Tc": 14.3, "Ru": 13.6, "Rh": 13.7, "Pd": 14.7, "Ag": 17.1, "Cd": 21.6, "In": 26.2,
    "Sn": 27.1, "Sb": 30.2, "Cs": 117.8, "Ba": 63.4, "La": 37.2, "Ce": 34.4, "Pr": 34.5, "Nd": 34.2,
    "Pm": 33.6, "Sm": 33.2, "Eu": 48.1, "Gd": 33.0, "Tb": 32.0, "Dy": 31.6, "Ho": 31.1, "Er": 30.7, "Tm": 30.1,
    "Yb": 41.2, "Lu": 29.5, "Hf": 22.3, "Ta": 18.0, "W": 15.7, "Re": 14.7, "Os": 14.0, "Ir": 14.1, "Pt": 15.1,
    "Au": 17.0, "Hg": 23.4, "Tl": 28.6, "Pb": 30.3, "Bi": 35.4, "Po": 38.1, "Ra": 68.2, "Ac": 37.4, "Th": 32.9,
    "Pa": 25.2, "U": 20.7, "Np": 19.2, "Pu": 20.4, "Am": 29.3, "Cm": 30.0, "Bk": 28.0, "Cf": 27.4,
}
# fmt: on

_NOT_METALS = frozenset(
    [
        "H",
        "He",
        "B",
        "C",
        "N",
        "O",
        "F",
        "Ne",
        "Si",
        "P",
        "S",
        "Cl",
        "Ar",
        "Ge",
        "As",
        "Se",
        "Br",
        "Kr",
        "Te",
        "I",
        "Xe",
        "At",
        "Rn",
    ]
)

SYMBOLS: tuple[str, ...] = ("X", *(symbol for symbol, _, _ in _TABLE))
_MASS_AMU = np.array([np.nan, *(mass for _, mass, _ in _TABLE)])
_COVALENT_RADIUS_ANGSTROM = np.array([np.nan, *(radius for _, _, radius in _TABLE)])
_VOLUME_ANGSTROM3 = np.array([_CRYSTAL_VOLUME_ANGSTROM3.get(symbol, np.nan) for symbol in SYMBOLS])
_ATOMIC_NUMBER = {symbol: number for number, symbol in enumerate(SYMBOLS)}


def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol such as `"Cu"`.

    Raises
    ------
    MeltlakeError
        If the symbol is not an element.
    """
    if symbol not in _ATOMIC_NUMBER or symbol == "X":
        raise MeltlakeError(
            f"{symbol!r} is not an element symbol.", "Check the species names in the file or the option."
        )
    return _ATOMIC_NUMBER[symbol]


def symbols(atomic_numbers: NDArray[np.integer]) -> list[str]:
    """Symbols of the elements among these, each once, in the order of their numbers."""
    return [SYMBOLS[number] for number in np.unique(atomic_numbers)]


def is_metal(symbol: str) -> bool:
    """Whether the element is a metal in its melt; metalloids are not counted."""
    return symbol not in _NOT_METALS


def masses_amu(atomic_numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Atomic masses.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.

    Returns
    -------
    NDArray
        (n_atoms,), amu.
    """
    masses: NDArray[np.float64] = _MASS_AMU[np.asarray(atomic_numbers)]
    return masses


def covalent_radii_angstrom(atomic_numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Covalent radii.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.

    Returns
    -------
    NDArray
        (n_atoms,), Angstrom.
    """
    radii: NDArray[np.float64] = _COVALENT_RADIUS_ANGSTROM[np.asarray(atomic_numbers)]
    return radii


def crystal_volumes_angstrom3(atomic_numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Volumes of an atom in a metal's crystal at room temperature; NaN of what is no metal.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.

    Returns
    -------
    NDArray
        (n_atoms,), Angstrom^3.
    """
    volumes: NDArray[np.float64] = _VOLUME_ANGSTROM3[np.asarray(atomic_numbers)]
    return volumes
