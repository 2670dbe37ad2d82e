"""The head of a vasprun.xml: settings and atoms. Ionic steps do not belong here.

VASP's XML is often not well formed (forbidden characters in the version, asterisks, NUL tails, a cut end), so it is
searched as text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.readers.fields import Field
from lake.readers.vasp_settings import VaspSettings, element_of, release_of
from lake.readers.vasp_theory import listed_k_points, mesh_label
from schemas.composition import atomic_numbers_of
from schemas.elements import SYMBOLS
from schemas.errors import UnreadableFile


@dataclass(frozen=True, slots=True)
class _Setting:
    """One setting: the tag VASP stores it under, how it is read, and whether the user's INCAR comes first."""

    name: str
    tag: bytes
    read: Callable[[bytes], object]
    incar_first: bool = False


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _as_in_outcar(value: bytes) -> float:
    """A cutoff or temperature with the one decimal that an OUTCAR prints, so that both files of a run agree."""
    return round(float(value), 1)


def _numbers(value: bytes) -> tuple[float, ...]:
    return tuple(float(word) for word in value.split())


# `<parameters>` holds the values VASP used. EDIFF is printed with 8 decimals, so 1E-9 becomes 0, which says nothing.
_SETTINGS = (
    _Setting("system", b"SYSTEM", _text),
    _Setting("encut", b"ENMAX", _as_in_outcar),
    _Setting("encut", b"ENCUT", _as_in_outcar, incar_first=True),
    _Setting("ediff", b"EDIFF", float, incar_first=True),
    _Setting("precision", b"PREC", _text),
    _Setting("real_space", b"LREAL", _text),
    _Setting("projector_accuracy", b"ROPT", _numbers),
    _Setting("aspherical", b"LASPH", _text),
    _Setting("noncollinear", b"LNONCOLLINEAR", _text),
    _Setting("spin_orbit", b"LSORBIT", _text),
    _Setting("dft_u", b"LDAU", _text),
    _Setting("dft_u_type", b"LDAUTYPE", int),
    _Setting("dft_u_l", b"LDAUL", _numbers),
    _Setting("dft_u_u", b"LDAUU", _numbers),
    _Setting("dft_u_j", b"LDAUJ", _numbers),
    _Setting("ismear", b"ISMEAR", int),
    _Setting("sigma", b"SIGMA", float),
    _Setting("ispin", b"ISPIN", int),
    _Setting("nelm", b"NELM", int),
    _Setting("nsw", b"NSW", int),
    _Setting("ibrion", b"IBRION", int),
    _Setting("mdalgo", b"MDALGO", int),
    _Setting("isif", b"ISIF", int),
    _Setting("pstress", b"PSTRESS", float),
    _Setting("potim", b"POTIM", float),
    _Setting("smass", b"SMASS", float),
    _Setting("andersen_prob", b"ANDERSEN_PROB", float),
    _Setting("tebeg", b"TEBEG", _as_in_outcar),
    _Setting("teend", b"TEEND", _as_in_outcar),
    _Setting("gga", b"GGA", _text),
    _Setting("metagga", b"METAGGA", _text),
    _Setting("hybrid", b"LHFCALC", _text),
    _Setting("exact_exchange", b"AEXX", float),
    _Setting("screening", b"HFSCREEN", float),
    _Setting("vdw_functional", b"LUSE_VDW", _text),
    _Setting("ivdw", b"IVDW", int, incar_first=True),
    _Setting("machine_learning", b"ML_LMLFF", _text, incar_first=True),
    _Setting("machine_learning_mode", b"ML_MODE", _text, incar_first=True),
    _Setting("machine_learning_start", b"ML_ISTART", int, incar_first=True),
)
SETTING_FIELDS = tuple(
    Field(setting.name, f"{'incar' if setting.incar_first else 'parameters'}/{_text(setting.tag)}")
    for setting in _SETTINGS
)
_RESPONSE = re.compile(rb'<separator name="response functions".*?</separator>', re.DOTALL)  # has a NELM of its own
_ROW = re.compile(rb"<rc>(.*?)</rc>", re.DOTALL)
_CELL = re.compile(rb"<c>(.*?)</c>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class VasprunHead:
    """What the text before the first ionic step says."""

    settings: VaspSettings
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    n_degrees_of_freedom: int
    """Of the ions; VASP's temperature is 2 Ekin / (n kB)."""

    @property
    def has_shifted_labels(self) -> bool:
        """Before version 6, `e_wo_entrp` of an ionic step holds E(sigma->0) and `e_0_energy` the entropy term."""
        return () < release_of(self.settings.version) < (6,)


def read_head(text: bytes, name: str) -> VasprunHead:
    """Settings and atoms from the text before the first ionic step.

    Raises
    ------
    UnreadableFile
        If the atoms are not there.
    """
    incar, parameters = _element(text, b"incar"), _RESPONSE.sub(b"", _element(text, b"parameters"))
    settings = VaspSettings()
    for setting in _SETTINGS:
        places = (incar, parameters) if setting.incar_first else (parameters, incar)
        found = (_value(place, setting.tag, setting.read) for place in places)
        value = next((value for value in found if value is not None), None)
        if value is not None:
            setattr(settings, setting.name, value)
    generator = _element(text, b"generator")
    version = re.search(rb'name="version"[^>]*>\s*(\d+\.\d+(?:\.\d+)?)([^<]*)', generator)
    settings.version = None if version is None else _text(version[1])
    settings.synthetic = version is not None and b" synthetic" in version[2]
    settings.k_points = _k_points(_element(text, b"kpoints"))
    kinds = _rows(text, b"atomtypes")
    settings.potcar_titles = tuple(_text(row[-1]).strip() for row in kinds)
    if b"\0" in text:  # NELM may stand where it means something else, and the words around it be lost
        settings.nelm = None
    if settings.ediff == 0:
        settings.ediff = None
    numbers = _atomic_numbers(text, settings.potcar_titles, name)
    return VasprunHead(
        settings=settings,
        atomic_numbers=numbers,
        n_degrees_of_freedom=_free_coordinates(text) or 3 * (len(numbers) - 1),
    )


def _free_coordinates(text: bytes) -> int:
    """Coordinates that selective dynamics leaves free; 0 where all are, since then the centre of mass is held."""
    start = text.rfind(b'name="selective"')
    flags = re.findall(rb"[ ]([TF])(?=[ ])", text[start : text.find(b"</varray>", start)]) if start >= 0 else []
    return flags.count(b"T") if b"F" in flags else 0


def _element(text: bytes, tag: bytes) -> bytes:
    start = text.find(b"<" + tag + b">")
    end = text.find(b"</" + tag + b">", start)
    return b"" if start < 0 else text[start : end if end >= 0 else len(text)]


def _value(text: bytes, tag: bytes, read: Callable[[bytes], object]) -> object | None:
    """The first value of a tag."""
    found = re.search(rb'name="' + tag + rb'"[^>]*>([^<]*)<', text)
    if found is None:
        return None
    try:
        return read(found[1].strip())
    except ValueError:
        return None


def _k_points(text: bytes) -> str | None:
    divisions = re.search(rb'name="divisions"[^>]*>\s*(\d+)\s+(\d+)\s+(\d+)', text)
    if divisions is not None:
        return mesh_label([_text(part) for part in divisions.groups()])
    listed = re.search(rb'name="kpointlist"[^>]*>(.*?)</varray>', text, re.DOTALL)
    points = re.findall(rb"<v>([^<]*)</v>", listed[1]) if listed is not None else []
    return listed_k_points([_numbers(point) for point in points]) if points else None


def _rows(text: bytes, name: bytes) -> list[list[bytes]]:
    """The rows of an `<array>`, each a list of its cells."""
    start = text.find(b'<array name="' + name + b'"')
    end = text.find(b"</array>", start)
    if start < 0 or end < 0:
        return []
    return [cells for row in _ROW.findall(text, start, end) if (cells := _CELL.findall(row))]


def _atomic_numbers(text: bytes, titles: tuple[str, ...], name: str) -> NDArray[np.int8]:
    atoms = _rows(text, b"atoms")
    if not atoms:
        raise UnreadableFile(
            f"{name}: the vasprun.xml ends before it names the atoms, so VASP stopped while it was starting.",
            "Run VASP again, or leave this file out.",
        )
    declared = re.search(rb"<atoms>\s*(\d+)\s*</atoms>", text)
    if declared is not None and int(declared[1]) != len(atoms):
        raise UnreadableFile(
            f"{name}: needed {int(declared[1])} atoms, as the vasprun.xml declares, found {len(atoms)} in its list.",
            "Its head is damaged: copy the file again, or ingest the OUTCAR of this run instead.",
        )
    symbols = []
    for row in atoms:
        symbol, kind = _text(row[0]).strip(), int(row[-1]) if row[-1].strip().isdigit() else 0
        # VASP has written "r" for Zr_sv; the POTCAR title of the type is right then.
        from_title = element_of(titles[kind - 1]) if 0 < kind <= len(titles) else None
        symbols.append(symbol if symbol in SYMBOLS and symbol != "X" else from_title or symbol)
    unknown = next((symbol for symbol in symbols if symbol not in SYMBOLS[1:]), None)
    if unknown is not None:
        raise UnreadableFile(
            f"{name}: needed an element in the list of atoms, found {unknown!r}.",
            "Its head is damaged: copy the file again, or ingest the OUTCAR of this run instead.",
        )
    return atomic_numbers_of(symbols)
