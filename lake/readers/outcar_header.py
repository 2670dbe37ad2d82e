"""The head of an OUTCAR: settings and atoms. Ionic steps do not belong here."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.readers.fields import Field
from lake.readers.outcar_fields import ENMAX, TYPES_LINE, VERSION_LINE
from lake.readers.vasp_settings import VaspSettings, element_of
from lake.readers.vasp_theory import listed_k_points, mesh_label
from schemas.composition import atomic_numbers_of
from schemas.errors import UnreadableFile

_EFFECTIVE_SETTINGS = b"Startparameter for this run:"
_LEXCH = {2: "CA", 7: "91", 8: "PE", 14: "PS"}
_FOUR_NUMBERS = rb"((?:(?:[ ]*-?\d+\.\d+){4}[ \r]*\n)+)"
_ENMAX = re.compile(rb"\n[ ]{0,8}%s[ ]*(\d+\.?\d*);[ ]*ENMIN" % re.escape(ENMAX))
_NUMBER = re.compile(rb"-?\d+\.?\d*")  # columns may touch
# Only a mesh that VASP made comes with integer weights.
_MESH_POINTS = re.compile(rb"Following reciprocal coordinates:[^\n]*\n[^\n]*\n" + _FOUR_NUMBERS)
_ALL_POINTS = re.compile(rb"k-points in reciprocal lattice and weights:[^\n]*\n" + _FOUR_NUMBERS)
_WIDTHS_OF_COUNTS = (6, 4)  # columns of `ions per type`, which touch each other from 1000 atoms on


@dataclass(frozen=True, slots=True)
class _Setting:
    """One setting: where its value begins, and how it is read."""

    name: str
    before: bytes
    read: Callable[[bytes], object]
    echo: bool = False
    """Printed among the settings as the user wrote them, or before the ones VASP uses."""
    whole_line: bool = False
    """One value per POTCAR entry."""


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _numbers(line: bytes) -> tuple[float, ...]:
    return tuple(float(number) for number in _NUMBER.findall(line))


THERMOSTAT_SETTINGS = (
    _Setting("mdalgo", b"MDALGO =", int, echo=True),
    _Setting("andersen_prob", b"ANDERSEN_PROB =", float, echo=True),
)
# VASP prints every setting once with the value it uses, below "Startparameter"; version 6 also repeats the INCAR.
_SETTINGS = (
    _Setting("nwrite", b"NWRITE =", int),
    _Setting("precision", b"PREC   =", _text),
    _Setting("ispin", b"ISPIN  =", int),
    _Setting("noncollinear", b"LNONCOLLINEAR =", _text),
    _Setting("spin_orbit", b"LSORBIT =", _text),
    _Setting("aspherical", b"LASPH  =", _text),
    _Setting("metagga", b"METAGGA=", _text),
    _Setting("encut", b"ENCUT  =", float),
    _Setting("real_space", b"LREAL  =", _text),
    _Setting("projector_accuracy", b"ROPT   =", _numbers, whole_line=True),
    _Setting("nelm", b"NELM   =", int),
    _Setting("ediff", b"EDIFF  =", float),
    _Setting("nsw", b"NSW    =", int),
    _Setting("ibrion", b"IBRION =", int),
    _Setting("isif", b"ISIF   =", int),
    _Setting("potim", b"POTIM  =", float),
    _Setting("tebeg", b"TEBEG  =", float),
    _Setting("teend", b"TEEND  =", float),
    _Setting("smass", b"SMASS  =", float),
    _Setting("pstress", b"PSTRESS=", float),
    _Setting("ismear", b"ISMEAR =", int),
    _Setting("sigma", b"SIGMA  =", float),
    _Setting("gga", b"GGA     =", _text),
    _Setting("hybrid", b"LHFCALC =", _text),
    _Setting("exact_exchange", b"AEXX    =", float),
    _Setting("screening", b"HFSCREEN=", float),
    _Setting("vdw_functional", b"LUSE_VDW   =", _text),
    _Setting("dft_u_type", b"type is set to LDAUTYPE =", int),
    _Setting("dft_u_l", b"LDAUL =", _numbers, whole_line=True),
    _Setting("dft_u_u", b"LDAUU =", _numbers, whole_line=True),
    _Setting("dft_u_j", b"LDAUJ =", _numbers, whole_line=True),
    *THERMOSTAT_SETTINGS,
    _Setting("ivdw", b"IVDW =", int, echo=True),
    _Setting("metagga", b"METAGGA =", _text, echo=True),
    _Setting("vdw_functional", b"LUSE_VDW =", _text, echo=True),
    _Setting("machine_learning", b"ML_LMLFF =", _text, echo=True),
    _Setting("machine_learning_mode", b"ML_MODE =", _text, echo=True),
    _Setting("machine_learning_start", b"ML_ISTART =", int, echo=True),
)
SETTING_FIELDS = tuple(
    Field(setting.name, _text(setting.before), note="as the user wrote it" if setting.echo else "")
    for setting in _SETTINGS
)


@dataclass(frozen=True, slots=True)
class OutcarHead:
    """What the text before the first ionic step says."""

    settings: VaspSettings
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""


def read_head(text: bytes, name: str) -> OutcarHead:
    """Settings and atoms from the text before the first ionic step.

    Raises
    ------
    UnreadableFile
        If the number of atoms or their elements are not there or contradict each other.
    """
    text = text[_last_version_line(text) :]
    settings = VaspSettings(potcar_titles=_potcar_titles(text))
    effective = max(text.find(_EFFECTIVE_SETTINGS), 0)
    for setting in _SETTINGS:
        _take(settings, setting, text, 0 if setting.echo else effective)
    settings.dft_u = None if settings.dft_u_type is None else "T"
    if settings.gga is None or not settings.gga.strip("-"):
        lexch = _value(text, _Setting("gga", b"LEXCH   =", int), effective)
        settings.gga = _LEXCH.get(lexch) if isinstance(lexch, int) else None
    first_line = text[: max(text.find(b"\n"), 0)]
    version = re.match(rb" vasp\.(\d+\.\d+(?:\.\d+)?)", first_line)
    settings.version = None if version is None else _text(version[1])
    settings.synthetic = b" synthetic" in first_line
    settings.system = _line_after(text, b"\n SYSTEM =") or _line_after(text, b"SYSTEM =")
    settings.k_points = _k_points(text)
    cutoffs = _ENMAX.findall(text)
    if len(cutoffs) >= max(len(settings.potcar_titles), 1):
        settings.enmax = max(map(float, cutoffs))
    return OutcarHead(settings, _atomic_numbers(text, settings, name))


def take_thermostat(settings: VaspSettings, text: bytes) -> None:
    """Complete the settings from the text of an ionic step: VASP 5 names its algorithm not before the first one."""
    for setting in THERMOSTAT_SETTINGS:
        _take(settings, setting, text, 0)


def _take(settings: VaspSettings, setting: _Setting, text: bytes, start: int) -> None:
    value = _value(text, setting, start)
    if value is not None and not (setting.echo and getattr(settings, setting.name) not in {None, "F"}):
        setattr(settings, setting.name, value)


def _last_version_line(text: bytes) -> int:
    """Where the last head begins: a run that died at once may be followed by another in the same file."""
    return text.rfind(b"\n" + VERSION_LINE) + 1


def _value(text: bytes, setting: _Setting, start: int) -> object | None:
    at = text.find(setting.before, start)
    pattern = rb"([^\r\n]*)" if setting.whole_line else rb"[ \t]*([^\s;]+)"
    found = None if at < 0 else re.compile(pattern).match(text, at + len(setting.before))
    if found is None:
        return None
    try:
        return setting.read(found[1])
    except ValueError:
        return None


def _line_after(text: bytes, before: bytes) -> str:
    at = text.find(before)
    return "" if at < 0 else _text(text[at + len(before) :].split(b"\n", 1)[0]).strip()


def _k_points(text: bytes) -> str | None:
    generated = re.search(rb"generate k-points for:[ ]*(\d+)[ ]+(\d+)[ ]+(\d+)", text)
    if generated is not None:
        return mesh_label([_text(part) for part in generated.groups()])
    for title in (_MESH_POINTS, _ALL_POINTS):
        found = title.search(text)
        if found is not None:
            rows = [[float(number) for number in _NUMBER.findall(row)] for row in found[1].splitlines()]
            n_mesh_points = round(sum(row[3] for row in rows)) if title is _MESH_POINTS else None
            return listed_k_points([row[:3] for row in rows], n_mesh_points)
    number = re.search(rb"NKPTS =[ ]*(\d+)", text)
    return None if number is None else f"{_text(number[1])} in list"


def _potcar_titles(text: bytes) -> tuple[str, ...]:
    """One title per POTCAR entry, in the order of the file, repeated elements included."""
    titles = [_text(title).strip() for title in re.findall(rb"\n *TITEL  =([^\r\n]*)", text)]
    if titles:
        return tuple(titles)
    # VASP 6 may leave TITEL out. It names all entries in one list first, then each again where it is read.
    names = [_text(title).strip() for title in re.findall(rb"\n POTCAR:([^\r\n]*)", text)]
    return tuple(names[: (len(names) + 1) // 2])


def _atomic_numbers(text: bytes, settings: VaspSettings, name: str) -> NDArray[np.int8]:
    number = re.search(rb"NIONS =[ ]*(\d+)", text)
    line = _line_after(text, TYPES_LINE)
    if number is None or not line:
        raise UnreadableFile(
            f"{name}: the head of the OUTCAR ends before it names the atoms, so VASP stopped while it was starting.",
            "Run VASP again, or leave this file out.",
        )
    n_atoms = int(number[1])
    counts = _counts(line, n_atoms)
    if sum(counts) != n_atoms:
        raise UnreadableFile(
            f"{name}: needed counts of ions per type that sum to NIONS = {n_atoms}, found {line!r}.",
            "VASP 6.3.0 prints only the first ten types; ingest the vasprun.xml of this run instead.",
        )
    symbols = _symbols(text, settings.potcar_titles, len(counts))
    if symbols is None:
        raise UnreadableFile(
            f"{name}: needed one element for each of {len(counts)} types of ions, found the POTCAR entries "
            f"{', '.join(settings.potcar_titles) or 'none'}.",
            "Ingest the vasprun.xml of this run instead.",
        )
    return atomic_numbers_of([symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)])


def _counts(line: str, n_atoms: int) -> list[int]:
    counts = [int(word) for word in line.split() if word.isdigit()]
    for width in _WIDTHS_OF_COUNTS:
        if sum(counts) == n_atoms:
            break
        padded = line.rjust(-(-len(line) // width) * width)
        cells = [padded[at : at + width].strip() for at in range(0, len(padded), width)]
        if all(cell.isdigit() for cell in cells) and sum(map(int, cells)) == n_atoms:
            counts = [int(cell) for cell in cells]
    return counts


def _symbols(text: bytes, titles: tuple[str, ...], n_types: int) -> list[str] | None:
    """Elements by the titles and by the valence lines, which do not contradict each other in a sound file."""
    valence_lines = [_text(part) for part in re.findall(rb"\n   VRHFIN =([^:\r\n]*)", text)]
    by_both = ([element_of(title) for title in titles], [element_of(part.strip()) for part in valence_lines])
    whole = [names for names in by_both if len(names) == n_types and None not in names]
    if not whole or whole[0] != whole[-1]:
        return None
    return [symbol for symbol in whole[0] if symbol is not None]
