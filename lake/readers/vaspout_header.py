"""The head of a vaspout.h5: settings, level of theory and atoms. Ionic steps do not belong here.

`input/incar` holds what the user wrote and no defaults, so the defaults that VASP documents stand here.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np
from numpy.typing import NDArray

from lake.readers.vasp_header import run_header
from lake.readers.vasp_settings import VaspSettings, is_true
from lake.readers.vasp_theory import listed_k_points, mesh_label
from lake.readers.vaspout_file import Hdf5File, Scalar
from schemas.composition import atomic_numbers_of
from schemas.elements import SYMBOLS
from schemas.errors import UnreadableFile
from schemas.frames import RunHeader

SOURCE_FORMAT = "vaspout_h5"

_INCAR = "input/incar"
_POTCAR = "input/potcar/content"
POSITIONS = "intermediate/ion_dynamics/position_ions"
_ATOMS = ("results/positions", "input/poscar")
_NAMED_BY = ("version", "input/incar", "input/poscar")
_TITEL = re.compile(r"^\s*TITEL\s*=\s*([^\s;][^\n;]*?)\s*(?:;|$)", re.MULTILINE)
_ENMAX = re.compile(r"ENMAX\s*=\s*(\d+\.?\d*)")
_K_POINT_MODES_WITH_A_MESH = "gma"
_PRECISIONS_WITH_ENMAX = "NAS"  # low, medium and high precision scale the cutoff
_FINEST_WEIGHT = 10_000
_NO_SCF_ALGORITHMS = ("none", "nothing")


def _text(value: Scalar) -> str:
    return str(value)


def _logical(value: Scalar) -> str:
    return ("T" if value else "F") if isinstance(value, int | float) else value


def _as_in_outcar(value: Scalar) -> float:
    return round(float(value), 1)


def _integer(value: Scalar) -> int:
    return int(value)


# Name of ours, tag of the INCAR, how it is read, and VASP's documented default (None: none, or it depends).
_SETTINGS: tuple[tuple[str, str, Callable[[Scalar], object], object], ...] = (
    ("system", "SYSTEM", _text, ""),
    ("encut", "ENCUT", _as_in_outcar, None),
    ("ediff", "EDIFF", float, 1.0e-4),
    ("precision", "PREC", _text, None),
    ("aspherical", "LASPH", _logical, None),
    ("noncollinear", "LNONCOLLINEAR", _logical, None),
    ("spin_orbit", "LSORBIT", _logical, None),
    ("dft_u", "LDAU", _logical, None),
    ("dft_u_type", "LDAUTYPE", _integer, None),
    ("ismear", "ISMEAR", _integer, 1),
    ("sigma", "SIGMA", float, 0.2),
    ("ispin", "ISPIN", _integer, 1),
    ("nelm", "NELM", _integer, 60),
    ("nsw", "NSW", _integer, 0),
    ("ibrion", "IBRION", _integer, None),
    ("mdalgo", "MDALGO", _integer, 0),
    ("isif", "ISIF", _integer, None),
    ("pstress", "PSTRESS", float, 0.0),
    ("potim", "POTIM", float, None),
    ("smass", "SMASS", float, -3.0),
    ("andersen_prob", "ANDERSEN_PROB", float, 0.0),
    ("tebeg", "TEBEG", _as_in_outcar, 0.0),
    ("teend", "TEEND", _as_in_outcar, None),
    ("gga", "GGA", _text, None),
    ("metagga", "METAGGA", _text, None),
    ("hybrid", "LHFCALC", _logical, None),
    ("exact_exchange", "AEXX", float, None),
    ("screening", "HFSCREEN", float, None),
    ("vdw_functional", "LUSE_VDW", _logical, None),
    ("ivdw", "IVDW", _integer, None),
    ("machine_learning", "ML_LMLFF", _logical, None),
    ("machine_learning_mode", "ML_MODE", _text, None),
    ("machine_learning_start", "ML_ISTART", _integer, None),
)
_LISTS = (("dft_u_l", "LDAUL"), ("dft_u_u", "LDAUU"), ("dft_u_j", "LDAUJ"))


@dataclass(frozen=True, slots=True)
class VaspoutHead:
    """What the file says apart from its ionic steps."""

    header: RunHeader
    settings: VaspSettings
    n_degrees_of_freedom: int
    """Of the ions; VASP's temperature is 2 Ekin / (n kB)."""
    machine_learned: str | None
    """How VASP's own force field took part; None without."""
    without_scf: bool
    """Whether no electronic step was asked for (ALGO = None)."""
    ml_outblock: int
    """Steps from one stored frame to the next, where a force field drove the run."""
    writes_dos_on_the_way: bool
    """Whether KBLOCK was set, so that densities of states do not mark the end of the run."""
    sha256: str
    """Of version, INCAR and POSCAR: what names the run."""


def read_head(file: Hdf5File) -> VaspoutHead:
    """Settings and atoms.

    Raises
    ------
    UnreadableFile
        If the atoms are not there.
    """
    numbers = _atomic_numbers(file)
    settings = _settings(file)
    header = run_header(settings, SOURCE_FORMAT, numbers)
    learning = header.level_of_theory.machine_learned
    algorithm, outblock = file.scalar(f"{_INCAR}/ALGO"), file.scalar(f"{_INCAR}/ML_OUTBLOCK")
    return VaspoutHead(
        header=header,
        settings=settings,
        n_degrees_of_freedom=_free_coordinates(file) or 3 * (len(numbers) - 1),
        machine_learned=learning,
        without_scf=str(algorithm).lower() in _NO_SCF_ALGORITHMS and algorithm is not None,
        ml_outblock=max(int(outblock), 1) if isinstance(outblock, int) and learning == "run" else 1,
        writes_dos_on_the_way=f"{_INCAR}/KBLOCK" in file,
        sha256=_sha256(file),
    )


def _settings(file: Hdf5File) -> VaspSettings:
    settings = VaspSettings(version=_version(file), k_points=_k_points(file))
    settings.potcar_titles = tuple(title for text in file.values(_POTCAR) for title in _TITEL.findall(str(text)))
    settings.enmax = _largest_enmax(file, len(settings.potcar_titles))
    if not file.names_in(_INCAR):  # a file without its INCAR is not one whose user was content with every default
        return settings
    for name, tag, read, default in _SETTINGS:
        value = file.scalar(f"{_INCAR}/{tag}")
        try:
            setattr(settings, name, default if value is None else read(value))
        except (ValueError, OverflowError):
            setattr(settings, name, None)
    for name, tag in _LISTS:
        setattr(settings, name, tuple(value for value in file.values(f"{_INCAR}/{tag}") if not isinstance(value, str)))
    _add_projectors(settings, file.scalar(f"{_INCAR}/LREAL"))
    _add_dependent_defaults(settings)
    if settings.encut is None and (settings.precision or "N")[:1].upper() in _PRECISIONS_WITH_ENMAX:
        settings.encut = None if settings.enmax is None else _as_in_outcar(settings.enmax)
    return settings


def _add_projectors(settings: VaspSettings, real_space: Scalar | None) -> None:
    """LREAL as a logical, and the sign that ROPT has in the other files of the run for A(uto) and O(n)."""
    word = _logical(real_space).strip(". ").upper() if real_space is not None else "F"
    settings.projector_accuracy = {"A": (-1.0,), "O": (1.0,)}.get(word[:1], ())
    settings.real_space = "F" if word.startswith("F") else "T"


def _add_dependent_defaults(settings: VaspSettings) -> None:
    if settings.ibrion is None:
        settings.ibrion = 0 if settings.nsw is not None and settings.nsw > 0 else -1
    if settings.isif is None:
        settings.isif = 0 if settings.ibrion == 0 or is_true(settings.hybrid) else 2
    if settings.teend is None:
        settings.teend = settings.tebeg
    if is_true(settings.hybrid) and settings.exact_exchange is None:
        settings.exact_exchange = 0.25


def _largest_enmax(file: Hdf5File, n_entries: int) -> float | None:
    """The largest of the POTCAR entries, eV, which is the cutoff that VASP takes where the INCAR has none."""
    cutoffs = [float(value) for text in file.values(_POTCAR) for value in _ENMAX.findall(str(text))]
    return max(cutoffs) if len(cutoffs) >= max(n_entries, 1) else None


def _version(file: Hdf5File) -> str | None:
    parts = [file.scalar(f"version/{part}") for part in ("major", "minor", "patch")]
    return ".".join(str(part) for part in parts if part is not None) or None


def _atomic_numbers(file: Hdf5File) -> NDArray[np.int8]:
    for place in _ATOMS:
        names, counts = file.values(f"{place}/ion_types"), file.values(f"{place}/number_ion_types")
        n_each = [count for count in counts if isinstance(count, int) and count > 0]
        if not names or not len(names) == len(counts) == len(n_each):
            continue
        elements = [_element(str(name)) for name in names]
        symbols = [element for element in elements if element is not None]
        if len(symbols) != len(names):
            raise UnreadableFile(
                f"{file.name}: needed element symbols in {place}/ion_types, found {', '.join(map(str, names))}.",
                "Write the elements' names into the POSCAR and run VASP again, or leave this file out.",
            )
        shape = file.shape(POSITIONS)
        if shape is not None and shape[1:2] != (sum(n_each),):
            raise UnreadableFile(
                f"{file.name}: needed positions of {sum(n_each)} atoms in {POSITIONS}, found a table of shape {shape}.",
                "Give the vaspout.h5 as VASP wrote it, or leave this file out.",
            )
        return np.repeat(atomic_numbers_of(symbols), n_each)
    what = "VASP stopped while it was starting" if "version" in file else "it was not written by VASP"
    raise UnreadableFile(
        f"{file.name}: the HDF5 file names no atoms ({_ATOMS[0]}), so {what}.",
        "Give the vaspout.h5 of a finished run, or leave this file out.",
    )


def _element(name: str) -> str | None:
    """The element of a species name such as `Si`, `Zr_sv` or `H.75`."""
    found = re.match(r"[A-Z][a-z]?", name)
    return found[0] if found is not None and found[0] in SYMBOLS and found[0] != "X" else None


def _free_coordinates(file: Hdf5File) -> int:
    """Coordinates that selective dynamics leaves free; 0 where all are, since then the centre of mass is held."""
    flags = [bool(flag) for flag in file.values("input/poscar/selective_dynamics_ions")]
    return sum(flags) if flags and not all(flags) else 0


def _k_points(file: Hdf5File) -> str | None:
    mode = str(file.scalar("input/kpoints/mode") or "").strip().lower()
    divisions = [file.scalar(f"input/kpoints/nkp{axis}") for axis in "xyz"]
    if mode[:1] in _K_POINT_MODES_WITH_A_MESH and all(isinstance(n, int) and n > 0 for n in divisions):
        return mesh_label([str(n) for n in divisions])
    place = "results/electron_eigenvalues"
    shape = file.shape(f"{place}/kpoint_coords")
    if shape is None or len(shape) != 2:
        return None
    points = file.rows(f"{place}/kpoint_coords", 0, shape[0]).tolist()
    weights = [value for value in file.values(f"{place}/kpoints_symmetry_weight") if isinstance(value, int | float)]
    if not np.isfinite(points).all() or not np.isfinite(weights).all():
        return None
    in_list = listed_k_points(points)
    if mode[:1] not in _K_POINT_MODES_WITH_A_MESH:
        return in_list
    labels = (listed_k_points(points, n_points) for n_points in _mesh_sizes(weights))
    return next((label for label in labels if not label.endswith("list")), in_list)


def _mesh_sizes(weights: list[int | float]) -> list[int]:
    """Numbers of points that a whole mesh may have, from the weights of its irreducible points.

    Weights are multiples of 1/n; without the origin all multiples may be even.
    """
    total = float(sum(weights))
    if total <= 0:
        return []
    size = lcm(*(Fraction(weight / total).limit_denominator(_FINEST_WEIGHT).denominator for weight in weights))
    return [size * times for times in (1, 2, 4, 8)]


def _sha256(file: Hdf5File) -> str:
    """Of the values, not of their bytes: a file that was repacked with wider integers is the same run."""
    said = {
        f"{folder}/{name}": file.values(f"{folder}/{name}") for folder in _NAMED_BY for name in file.names_in(folder)
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
