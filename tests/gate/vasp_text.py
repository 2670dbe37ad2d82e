"""Changes numbers in the text of an OUTCAR or a vasprun.xml, frame by frame, and leaves every other byte alone."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from schemas.frames import Floats

Change = Callable[[str], str]
"""Of the text of one frame."""
OfTable = Callable[[Floats], Floats]

_FIRST_ELECTRONIC_STEP = re.compile(r"(?m)^-+ Iteration +\d+\( +1\) +-+$")
_CALCULATION = re.compile(r"(?m)^ *<calculation>")
_OUTCAR_TABLE = re.compile(r"(TOTAL-FORCE \(eV/Angst\)\n -+\n)(.*?)(\n -+\n)", re.DOTALL)
_IN_KBAR = re.compile(r"(?m)^(  in kB  )(.*)$")
_PRESSURE = re.compile(r"(external pressure =)( +\S+)( kB)")
_OUTCAR_ENERGIES = {
    "free": re.compile(r"(free  energy   TOTEN  =)( +\S+)( eV\n)"),
    "without": re.compile(r"(energy  without entropy=)( +\S+)(  energy\(sigma)"),
    "sigma0": re.compile(r"(energy\(sigma->0\) =)( +\S+)(\s*\n)"),
}
_XML_ENERGIES = {"free": "e_fr_energy", "without": "e_wo_entrp", "sigma0": "e_0_energy"}


@dataclass(frozen=True, slots=True)
class VaspText:
    """A file, cut before the first electronic step of every ionic step."""

    head: str
    frames: tuple[str, ...]
    end: str = ""

    @classmethod
    def of(cls, text: str) -> Self:
        is_xml = "<modeling" in text
        starts = [found.start() for found in (_CALCULATION if is_xml else _FIRST_ELECTRONIC_STEP).finditer(text)]
        frames = [text[start:stop] for start, stop in zip(starts, [*starts[1:], len(text)], strict=True)]
        mark = "</calculation>\n" if is_xml else " General timing"
        cut = frames[-1].rfind(mark)
        cut = len(frames[-1]) if cut < 0 else cut + (len(mark) if is_xml else 0)
        return cls(text[: starts[0]], (*frames[:-1], frames[-1][:cut]), frames[-1][cut:])

    def __str__(self) -> str:
        return "".join([self.head, *self.frames, self.end])

    def changed(self, at: Iterable[int], change: Change) -> Self:
        """The same change in these frames."""
        chosen = {range(len(self.frames))[frame] for frame in at}
        return replace(self, frames=tuple(change(text) if i in chosen else text for i, text in enumerate(self.frames)))

    def replaced(self, at: Iterable[int], others: Iterable[str]) -> Self:
        """Other texts in place of these frames."""
        frames = list(self.frames)
        for frame, text in zip(at, others, strict=True):
            frames[frame] = text
        return replace(self, frames=tuple(frames))


def positions(change: OfTable) -> Change:
    """(n_atoms, 3): Cartesian in an OUTCAR, fractional in a vasprun.xml."""
    return lambda text: (
        _with_xml_table(text, "positions", change)
        if "<calculation>" in text
        else _with_outcar_columns(text, slice(0, 3), change)
    )


def forces(change: OfTable) -> Change:
    """(n_atoms, 3), eV/angstrom; the line `total drift` stays."""
    return lambda text: (
        _with_xml_table(text, "forces", change)
        if "<calculation>" in text
        else _with_outcar_columns(text, slice(3, 6), change)
    )


def stress(change: OfTable) -> Change:
    """(6,) or (3, 3), kbar; the line `external pressure` stays."""

    def in_outcar(found: re.Match[str]) -> str:
        return found[1] + "".join(f"{value:14.5f}" for value in change(_numbers(found[2])))

    return lambda text: (
        _with_xml_table(text, "stress", change) if "<calculation>" in text else _IN_KBAR.sub(in_outcar, text)
    )


def printed_pressure(factor: float) -> Change:
    return lambda text: _PRESSURE.sub(lambda found: f"{found[1]}{float(found[2]) * factor:12.2f}{found[3]}", text)


def energy(change: Callable[[float], float], kind: str = "free") -> Change:
    """One of the three energies of an ionic step; those of electronic steps stay."""
    return lambda text: with_energies(text, {kind: change(energies(text)[kind])})


def energies(text: str) -> dict[str, float]:
    """`free`, `without` entropy, and extrapolated to `sigma0`, eV."""
    if "<calculation>" in text:
        return {kind: float(_last(text, _xml_energy(name))[2]) for kind, name in _XML_ENERGIES.items()}
    return {kind: float(_last(text, pattern)[2]) for kind, pattern in _OUTCAR_ENERGIES.items()}


def with_energies(text: str, values: dict[str, float]) -> str:
    """The frame with other energies."""
    for kind, value in values.items():
        xml = "<calculation>" in text
        found = _last(text, _xml_energy(_XML_ENERGIES[kind]) if xml else _OUTCAR_ENERGIES[kind])
        text = f"{text[: found.start(2)]}{value:18.8f}{text[found.end(2) :]}"
    return text


def number_after(label: str, change: Callable[[float], float]) -> Change:
    """The number behind a label, such as `ETOTAL =`; its width stays."""
    pattern = re.compile(re.escape(label) + r"( *)(-?[\d.]+)")

    def renewed(found: re.Match[str]) -> str:
        digits = len(found[2].rpartition(".")[2])
        return f"{label}{change(float(found[2])):{len(found[1]) + len(found[2])}.{digits}f}"

    return lambda text: pattern.sub(renewed, text)


def frame_numbers(text: VaspText, change: Callable[[int, str], str]) -> VaspText:
    """Change every frame, knowing its place."""
    return replace(text, frames=tuple(change(i, frame) for i, frame in enumerate(text.frames)))


def table(text: str, name: str) -> Floats:
    """(n_atoms, 3), `positions` or `forces` of a frame."""
    seen: list[Floats] = []

    def look(values: Floats) -> Floats:
        seen.append(values)
        return values

    (positions if name == "positions" else forces)(look)(text)
    return seen[-1]


def _with_outcar_columns(text: str, columns: slice, change: OfTable) -> str:
    def renewed(found: re.Match[str]) -> str:
        rows = _numbers(found[2]).reshape(-1, 6)
        rows[:, columns] = change(rows[:, columns].copy())
        return found[1] + "\n".join(_outcar_rows(rows)) + found[3]

    return _OUTCAR_TABLE.sub(renewed, text)


def _outcar_rows(rows: Floats) -> Iterator[str]:
    for row in rows.tolist():
        yield "".join(f"{value:13.5f}" for value in row[:3]) + "    " + "".join(f"{value:14.6f}" for value in row[3:])


def _with_xml_table(text: str, name: str, change: OfTable) -> str:
    def renewed(found: re.Match[str]) -> str:
        values = change(_numbers(re.sub(r"</?v>", " ", found[2])).reshape(-1, 3))
        rows = "".join(f"   <v> {x:16.8f} {y:16.8f} {z:16.8f} </v>\n" for x, y, z in values.tolist())
        return f"{found[1]}{rows}{found[3]}"

    return re.sub(rf'(?s)(<varray name="{name}" >\n)(.*?)( *</varray>)', renewed, text)


def _xml_energy(name: str) -> re.Pattern[str]:
    return re.compile(rf'(<i name="{name}">)( *\S+)( </i>)')


def _last(text: str, pattern: re.Pattern[str]) -> re.Match[str]:
    *_, last = pattern.finditer(text)
    return last


def _numbers(text: str) -> Floats:
    return np.array(text.split(), dtype=np.float64)
