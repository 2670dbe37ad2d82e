"""The blocks of one ionic step of an OUTCAR, found in text that is wholly in memory. Counters are not here."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from lake.readers.batches import NAN
from lake.readers.columns import RowLayout, decimal, fixed_decimals, glued_decimals
from lake.readers.outcar_fields import (
    CONSERVED_ENERGY,
    ENERGY,
    ENERGY_CHANGE,
    ITERATION_END,
    LATTICE,
    MACHINE_LEARNED,
    ML_ENERGY,
    PRESSURE,
    PULLAY_STRESS,
    SCF_END,
    SIGMA0,
    STRESS,
    TABLE,
    THERMOSTAT,
    WITHOUT_ENTROPY,
)

N_COLUMNS = 6

_SPARE_COLUMNS_OF_VDW = 3  # "FORCE-w/o vdW" repeats the forces without the dispersion correction
_DASHES = b" ----"
_CELL_DECIMALS = 9
_CELL_ROW = re.compile(rb"[^\n]*\n([^\n]{42})[^\n]*\n([^\n]{42})[^\n]*\n([^\n]{42})[^\n]*\n")
_ENERGY_VALUE = re.compile(rb"[ ]*(\S{1,40})[ ]+eV")
# Every length is bounded: damage leaves lines of megabytes, on which two open ends would take hours.
_OTHER_ENERGIES = re.compile(
    rb"[^\n]{0,80}\s{1,80}(?:ML )?%s[ ]*(\S{1,40})[^\n]{0,80}%s[ ]*(\S{1,40})\s"
    % (re.escape(WITHOUT_ENTROPY), re.escape(SIGMA0))
)
# As VASP prints the three energies, the stress and the thermostat, unless something is wrong with them.
_PLAIN_ENERGIES = re.compile(
    rb" {1,20}(-?\d{1,8}\.(\d{1,8})) {1,4}eV\s{1,8}(?:ML )?%s {0,20}(-?\d{1,8}\.(\d{1,8})) {1,20}"
    rb"%s {0,20}(-?\d{1,8}\.(\d{1,8}))\s" % (re.escape(WITHOUT_ENTROPY), re.escape(SIGMA0))
)
_PRESSURE_LINE = rb" {0,20}%s {0,20}(-?\d{1,12}\.\d\d) kB {1,20}%s {0,20}(-?\d{1,12}\.\d\d) kB" % (
    re.escape(PRESSURE),
    re.escape(PULLAY_STRESS),
)
_TOTAL_ENERGY_LINE = rb" {0,20}%s {0,20}(-?\d{1,12}\.\d{1,12}) eV" % re.escape(CONSERVED_ENERGY)
_PLAIN_STRESS = re.compile(rb"((?: {1,12}-?\d{1,8}\.\d{5}){6}) *\r?\n%s" % _PRESSURE_LINE)
_PLAIN_THERMOSTAT = re.compile(
    rb"%s {0,20}\d{1,12}\.\d{1,12} {1,20}\(temperature {0,20}(\d{1,12}\.\d\d) K\)"
    rb"[^\n]{0,80}\n[^\n]{0,80}\n[^\n]{0,80}\n[^\n]{0,80}\n%s" % (re.escape(THERMOSTAT), _TOTAL_ENERGY_LINE)
)
_PRESSURE = re.compile(_PRESSURE_LINE)
_TOTAL_ENERGY = re.compile(_TOTAL_ENERGY_LINE)
_THERMOSTAT_BYTES = 500  # from its temperature to its end
_TEMPERATURE = re.compile(rb"[^\n]*\(temperature[ ]*([^\s)]+)[ ]*K\)")
_ENERGY_CHANGE = re.compile(re.escape(ENERGY_CHANGE) + rb"[ ]*(\S+?)[ ]*\(")


class Table(NamedTuple):
    """Where a table of positions and forces stands."""

    title: int
    first_row: int
    end: int
    """Behind its last row."""
    machine_learned: bool
    n_spare: int


class Lattice(NamedTuple):
    """Where lattice vectors stand, and their three rows of three columns."""

    at: int
    rows: bytes


class Energies(NamedTuple):
    """The three energies of a step, eV, and where their text ends."""

    free: float
    without_entropy: float
    sigma0: float
    end: int


@dataclass(slots=True)
class UsualStep:
    """Lengths of text that are the same in every step of a run: what stands where it stood needs no search.

    Text between such places (potentials, eigenvalues, parts of the forces) is most of the file.
    """

    gap_bytes: int = 0
    """From the end of the electronic loop to the title of the table behind it; 0 while that is not known."""
    lattice_bytes: int = 0
    """From the lattice vectors to that title; 0 while that is not known."""
    lattice_text: bytes = LATTICE
    """Them as they were last read, with their title."""
    lattice_rows: bytes = b""
    """What `Lattice` has of them."""
    table_bytes: int = 0
    """Size of the rows of a table; 0 while that is not known."""
    table_head: bytes = b""
    """The two lines above them."""
    n_spare: int = 0
    machine_learned: bool = False

    def learn(self, text: bytearray, table: Table) -> None:
        """Note how a table looks whose rows are all as long as they should be."""
        self.table_bytes, self.table_head = table.end - table.first_row, bytes(text[table.title : table.first_row])
        self.n_spare, self.machine_learned = table.n_spare, table.machine_learned

    def table_at(self, text: bytearray, title: int, end: int) -> Table | None:
        """The table whose title is at `title` if it looks like the last one and its closing dashes are in place."""
        first_row = title + len(self.table_head)
        close = first_row + self.table_bytes
        if not self.table_bytes or close >= end or not text.startswith(_DASHES, close):
            return None
        if not text.startswith(self.table_head, title):
            return None
        return Table(title, first_row, close, self.machine_learned, self.n_spare)

    def table_after(self, text: bytearray, loop_end: int, end: int) -> Table | None:
        """The table that stands where it usually does behind an electronic loop that ends at `loop_end`."""
        return self.table_at(text, loop_end + self.gap_bytes, end) if self.gap_bytes else None


def titles_between(text: bytearray, start: int, end: int, usual: UsualStep) -> list[int]:
    """Where titles of tables stand in `[start, end)`; rows of a usual table are not searched."""
    titles = []
    after_loop = loop_end(text, start, end)
    table = None if after_loop is None else usual.table_after(text, after_loop, end)
    at = text.find(TABLE, start, end) if table is None else table.title
    while at >= 0:
        titles.append(at)
        table = table or usual.table_at(text, at, end)
        at = text.find(TABLE, at + len(TABLE) if table is None else table.end, end)
        table = None
    return titles


def table_at(text: bytearray, title: int, end: int, usual: UsualStep) -> Table | None:
    """The table whose title is at `title`; None when the text stops inside it."""
    table = usual.table_at(text, title, end) or _searched_table(text, title, end)
    return None if table is None or text.find(b"\n", table.end, end) < 0 else table


def _searched_table(text: bytearray, title: int, end: int) -> Table | None:
    line_end = text.find(b"\n", title, end)
    first_row = text.find(b"\n", line_end + 1, end) + 1 if line_end >= 0 else 0
    close = text.find(b"\n" + _DASHES, first_row - 1, end) + 1 if first_row else 0
    if close == 0:
        return None
    after_title = bytes(text[title + len(TABLE) : line_end])
    n_spare = _SPARE_COLUMNS_OF_VDW if after_title.startswith(b",") else 0
    return Table(title, first_row, close, after_title.startswith(MACHINE_LEARNED), n_spare)


def layout_of(text: bytearray, table: Table, n_atoms: int) -> RowLayout | None:
    """The layout of a table whose rows are all as long as its first sound one."""
    for line in bytes(text[table.first_row : table.end]).splitlines(keepends=True):
        layout = RowLayout.learn(line, N_COLUMNS, spare=table.n_spare)
        if layout is not None:
            return layout if table.end - table.first_row == n_atoms * layout.width else None
    return None


def is_machine_learned(text: bytearray, title: int) -> bool:
    return text.startswith(MACHINE_LEARNED, title + len(TABLE))


def lattice_before(text: bytearray, start: int, end: int, usual: UsualStep) -> Lattice | None:
    """The last lattice vectors in `[start, end)`."""
    at = end - usual.lattice_bytes
    if at < start or not text.startswith(LATTICE, at):
        at = text.rfind(LATTICE, start, end)
    elif text.startswith(usual.lattice_text, at):
        return Lattice(at, usual.lattice_rows)
    rows = _CELL_ROW.match(text, at, end) if at >= 0 else None
    if rows is None:
        return None
    usual.lattice_text, usual.lattice_rows = rows[0], b"".join(rows.groups())
    return Lattice(at, usual.lattice_rows)


def cell_of(rows: bytes) -> tuple[float, ...]:
    """Nine numbers, A, from three rows of 3 + 3 columns (13 wide behind three blanks, so they may touch)."""
    places = (at + first for at in (0, 42, 84) for first in (3, 16, 29))
    return tuple(fixed_decimals(rows[place : place + 13], _CELL_DECIMALS) for place in places)


def stress_before(text: bytearray, start: int, end: int) -> tuple[tuple[float, ...], float] | None:
    """Nine numbers, kbar, from the last stress line in `[start, end)`, and the pressure of the next; None without one.

    VASP's order is XX YY ZZ XY YZ ZX. Numbers that cannot be read are NaN. PSTRESS, which VASP takes off the pressure
    and prints beside it, is added back.
    """
    at = text.rfind(STRESS, start, end)
    plain = _PLAIN_STRESS.match(text, at + len(STRESS), end) if at >= 0 else None
    if plain is not None:
        row, pressure, pullay = plain.groups()
        xx, yy, zz, xy, yz, zx = map(float, row.split())
        return (xx, xy, zx, xy, yy, yz, zx, yz, zz), float(pressure) + float(pullay)
    line_end = text.find(b"\n", at, end)
    if at < 0 or line_end < 0:
        return None
    xx, yy, zz, xy, yz, zx = glued_decimals(bytes(text[at + len(STRESS) : line_end]), 6)
    found = _PRESSURE.match(text, line_end + 1, end)
    return (xx, xy, zx, xy, yy, yz, zx, yz, zz), NAN if found is None else float(found[1]) + float(found[2])


def has_pressure(text: bytearray, start: int, end: int) -> bool:
    """Whether the line that follows every stress is in `[start, end)`."""
    return text.rfind(PRESSURE, start, end) >= 0


def energies_between(text: bytearray, start: int, end: int, *, machine_learned: bool) -> Energies | None:
    """The ionic step's energies if they were written in `[start, end)`."""
    token = ML_ENERGY if machine_learned else ENERGY
    at = text.find(token, start, end)
    plain = _PLAIN_ENERGIES.match(text, at + len(token), end) if at >= 0 else None
    if plain is not None:
        first, decimals, second, second_decimals, third, third_decimals = plain.groups()
        if len(decimals) == len(second_decimals) == len(third_decimals):
            return Energies(float(first), float(second), float(third), plain.end())
    free = _ENERGY_VALUE.match(text, at + len(token), end) if at >= 0 else None
    if free is None:
        return None
    others = _OTHER_ENERGIES.match(text, free.end(), end)
    if others is None:
        return Energies(decimal(free[1]), NAN, NAN, free.end())
    decimals = len(free[1].partition(b".")[2])
    without_entropy, sigma0 = (fixed_decimals(text, decimals) for text in others.groups())
    return Energies(decimal(free[1]), without_entropy, sigma0, others.end())


def n_ml_energies(text: bytearray, start: int, end: int) -> int:
    """How many steps of a force field have an energy in `[start, end)`."""
    return text.count(ML_ENERGY, start, end)


def thermostat_between(text: bytearray, start: int, end: int) -> tuple[float, float]:
    """Temperature of the ions, K, and the sum of all energies, eV; NaN for what is not there, or is asterisks."""
    at = text.find(THERMOSTAT, start, end)
    plain = _PLAIN_THERMOSTAT.match(text, at, end) if at >= 0 else None
    if plain is not None:
        return float(plain[1]), float(plain[2])
    if at < 0:
        return NAN, NAN
    temperature = _TEMPERATURE.match(text, at, end)
    energy = _TOTAL_ENERGY.search(text, at, min(at + _THERMOSTAT_BYTES, end))
    return (
        NAN if temperature is None else decimal(temperature[1]),
        NAN if energy is None else float(energy[1]),
    )


def loop_end(text: bytearray, start: int, end: int) -> int | None:
    """Behind the first words in `[start, end)` that tell that the electronic loop ends."""
    at = text.find(SCF_END, start, end)
    return None if at < 0 else at + len(SCF_END)


def scf_end_told(text: bytearray, start: int, end: int) -> str:
    """What VASP says about the end of the electronic loop: `reached`, `not reached` or nothing."""
    at = text.find(SCF_END, start, end)
    line = bytes(text[at : at + 80]) if at >= 0 else b""
    if b"not reached" in line:
        return "not reached"
    return "reached" if b"EDIFF is reached" in line else ""


def n_iterations(text: bytearray, start: int, end: int) -> int:
    """How many electronic iterations end in `[start, end)`."""
    return text.count(ITERATION_END, start, end)


def last_energy_change(text: bytearray, start: int, end: int) -> float | None:
    """The change of the energy in the electronic iteration that begins at `start`, eV."""
    found = _ENERGY_CHANGE.search(text, start, end)
    return None if found is None else decimal(found[1])
