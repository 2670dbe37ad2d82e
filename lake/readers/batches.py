"""Frames collected one by one and handed out as batches of arrays. Where their text stands does not belong here."""

from dataclasses import dataclass, field
from math import isnan

import numpy as np
from numpy.typing import NDArray

from lake.readers.columns import PADDING, NotPlainDecimals, RowLayout, decimal_rows, decode_columns, decode_into
from lake.readers.row_words import TILE_ROWS
from lake.readers.short_columns import Scratch
from schemas.frames import FrameBatch, LabelSource, ScfVerdict
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR

FRAMES_PER_BATCH = 128
_TABLE_BYTES_PER_BATCH = 8 * 1024 * 1024  # keeps memory flat for runs of many thousand atoms

NAN = float("nan")
NO_TENSOR: tuple[float, ...] = (NAN,) * 9

_TRACE_ONLY_ISIF = 1


@dataclass(slots=True, kw_only=True)
class FrameRecord:
    """Everything of a frame but its tables of positions and forces."""

    ionic_step: int
    segment: int
    cell_angstrom: tuple[float, ...]
    """Nine numbers, rows a, b, c."""
    energy_ev: float
    energy_sigma0_ev: float = NAN
    energy_without_entropy_ev: float = NAN
    stress_kbar: tuple[float, ...] = NO_TENSOR
    """Nine numbers, VASP's sign: positive when compressed."""
    trace_only: bool = False
    """Whether the single components of the stress mean nothing."""
    temperature_k: float = NAN
    conserved_energy_ev: float | None = None
    """None where the format has no place for it, as the pressure."""
    printed_pressure_kbar: float | None = None
    scf_steps: int = -1
    scf_verdict: ScfVerdict = "unknown"
    label_source: LabelSource = "dft"
    faults: list[str] = field(default_factory=list)

    def take_stress(self, stress_kbar: tuple[float, ...], isif: int | None) -> None:
        """Keep the stress that the file has, or flag that a number of it which means something is damaged."""
        self.trace_only = isif == _TRACE_ONLY_ISIF
        if isnan(sum(stress_kbar[::4] if self.trace_only else stress_kbar)):
            self.faults.append("stress_not_finite")
        else:
            self.stress_kbar = stress_kbar


class TableStore:
    """Numbers of one table per frame, decoded a few tables at a time. A frame that cannot be decoded becomes NaN."""

    def __init__(self, n_rows: int, n_fields: int) -> None:
        self.n_rows = n_rows
        self.n_fields = n_fields
        self.all_finite = False
        """Whether the strict decoder took every number of the last tables, so that none can be a NaN."""
        self.table_bytes = 0
        """Size of a table of the current layout; 0 while none is known."""
        self._layout: RowLayout | None = None
        # Text waits until there is enough of it to be decoded quickly, and no longer: then it is still in the cache.
        self._text = np.empty(0, np.uint8)
        self._memory = self._text.data
        self._n_per_tile = max(1, TILE_ROWS // max(n_rows, 1))
        self._scratch: dict[int, Scratch] = {}
        self._clear()

    def _clear(self) -> None:
        self.n_bytes = 0
        self._n_frames = self._n_waiting = 0
        self._values = np.empty((self.n_fields // 3, 0, self.n_rows, 3))
        self._are_plain = True

    @property
    def layout(self) -> RowLayout | None:
        """How the rows of sound tables are laid out; None while that is not known."""
        return self._layout

    @layout.setter
    def layout(self, layout: RowLayout | None) -> None:
        self._decode_waiting()
        self._layout = layout
        self.table_bytes = 0 if layout is None else self.n_rows * layout.width
        self._text = np.empty(self._n_per_tile * self.table_bytes + 2 * PADDING, np.uint8)
        self._memory = self._text.data

    @property
    def layout_memory(self) -> list[object] | None:
        """The layout in JSON's types."""
        return None if self.layout is None else [self.layout.sample.decode("latin-1"), self.layout.spare]

    @layout_memory.setter
    def layout_memory(self, memory: list[object] | None) -> None:
        if memory is not None:
            sample, spare = memory
            self.layout = RowLayout.learn(str(sample).encode("latin-1"), self.n_fields, spare=int(str(spare)))

    def takes(self, n_bytes: int) -> bool:
        """Whether a table of that size can be laid out like the others."""
        return 0 < n_bytes == self.table_bytes

    def add(self, rows: bytes | bytearray | memoryview) -> None:
        """Rows of the current layout's width, one per atom."""
        first = PADDING + self._n_waiting * len(rows)
        self._memory[first : first + len(rows)] = rows
        self.n_bytes += len(rows)
        self._n_frames += 1
        self._n_waiting += 1
        if self._n_waiting == self._n_per_tile:
            self._decode_waiting()

    def add_lines(self, lines: list[bytes]) -> None:
        """Rows of any other shape or number, without their newlines."""
        self._decode_waiting()
        self._n_frames += 1
        self._are_plain = False
        table = self._room_for(1)
        table[...] = np.nan
        if len(lines) == self.n_rows:
            self._put(decimal_rows(lines, self.n_fields, self.layout), table[:, 0])

    def vectors(self) -> NDArray[np.float64]:
        """All collected tables, as one array (n_frames, n_rows, 3) for every three fields; the store is empty then."""
        self._decode_waiting()
        values = self._values[:, : self._n_frames]
        self.all_finite = self._are_plain
        self._clear()
        return values

    def _room_for(self, n_frames: int) -> NDArray[np.float64]:
        """Where the numbers of the last `n_frames` go: (n_fields / 3, n_frames, n_rows, 3)."""
        if self._values.shape[1] < self._n_frames:
            usual = min(FRAMES_PER_BATCH, 1 + _TABLE_BYTES_PER_BATCH // max(self.table_bytes, 1))
            values = np.empty((len(self._values), max(usual, 2 * self._n_frames), self.n_rows, 3))
            values[:, : self._values.shape[1]] = self._values
            self._values = values
        return self._values[:, self._n_frames - n_frames : self._n_frames]

    def _decode_waiting(self) -> None:
        n_frames, self._n_waiting = self._n_waiting, 0
        if not n_frames or self.layout is None:
            return
        values = self._room_for(n_frames)
        rows = values.reshape(len(values), -1, 3)
        columns = [rows[index // 3, :, index % 3] for index in range(self.n_fields)]
        try:
            decode_into(columns, self._text, self.layout, rows.shape[1], self._scratch)
        except NotPlainDecimals:
            self._are_plain = False
            for index in range(n_frames):
                self._put(self._decode_one(index, self.layout), values[:, index])

    def _put(self, table: NDArray[np.float64], vectors: NDArray[np.float64]) -> None:
        for index in range(self.n_fields):
            vectors[index // 3, :, index % 3] = table[:, index]

    def _decode_one(self, index: int, layout: RowLayout) -> NDArray[np.float64]:
        n_bytes = self.n_rows * layout.width
        first = PADDING + index * n_bytes
        text = self._text[first - PADDING : first + n_bytes + PADDING]
        try:
            return decode_columns(text, layout, self.n_rows)
        except NotPlainDecimals:
            rows = bytes(text[PADDING:-PADDING])
            lines = [rows[at : at + layout.width - 1] for at in range(0, n_bytes, layout.width)]
            return decimal_rows(lines, self.n_fields, layout)


def batch_is_full(records: list[FrameRecord], *stores: TableStore) -> bool:
    return len(records) >= FRAMES_PER_BATCH or sum(store.n_bytes for store in stores) >= _TABLE_BYTES_PER_BATCH


def cells_of(records: list[FrameRecord]) -> NDArray[np.float64]:
    """Cells: (n_frames, 3, 3), A."""
    return np.array([record.cell_angstrom for record in records]).reshape(-1, 3, 3)


def cartesian(fractional: NDArray[np.float64], cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cartesian positions, A: (n_frames, n_atoms, 3), from fractional ones and cells (n_frames, 3, 3), A.

    The sum has one order, so that no BLAS decides the last digit; one component at a time keeps the inner loop long.
    """
    positions = np.empty_like(fractional)
    product = np.empty(fractional.shape[:2])
    for axis in range(3):
        component = positions[:, :, axis]
        np.multiply(fractional[:, :, 0], cells[:, None, 0, axis], out=component)
        for vector in (1, 2):
            np.multiply(fractional[:, :, vector], cells[:, None, vector, axis], out=product)
            component += product
    return positions


@np.errstate(over="ignore", invalid="ignore")  # damaged numbers overflow; they are found and flagged
def batch_of(
    records: list[FrameRecord],
    positions: NDArray[np.float64],
    forces: NDArray[np.float64],
    *,
    all_finite: bool = False,
) -> FrameBatch:
    """One batch; what is not finite is flagged here.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), A, Cartesian.
    forces
        (n_frames, n_atoms, 3), eV/A.
    all_finite
        Whether that is known of both, so that they need not be searched.
    """
    cells = cells_of(records)
    stress = np.array([record.stress_kbar for record in records]).reshape(-1, 3, 3)
    volume = np.abs((cells[:, 0] * np.cross(cells[:, 1], cells[:, 2])).sum(axis=1))
    virial = stress * (volume * EV_PER_ANGSTROM3_PER_KBAR)[:, None, None]
    trace = np.trace(virial, axis1=1, axis2=2)
    virial[[record.trace_only for record in records]] = np.nan
    energy = np.array([record.energy_ev for record in records])
    if not all_finite:
        _flag(records, ~np.isfinite(_spoiled(positions)), "positions_not_finite")
        _flag(records, ~np.isfinite(_spoiled(forces)), "forces_not_finite")
    if not energy.all():
        _flag(records, (energy == 0.0) & ~forces.any(axis=(1, 2)), "energy_and_forces_zero")
    return FrameBatch(
        ionic_step=np.array([record.ionic_step for record in records], dtype=np.int32),
        segment=np.array([record.segment for record in records], dtype=np.int32),
        cell_angstrom=cells,
        positions_angstrom=positions,
        forces_ev_per_angstrom=forces,
        energy_ev=energy,
        energy_sigma0_ev=np.array([record.energy_sigma0_ev for record in records]),
        energy_without_entropy_ev=np.array([record.energy_without_entropy_ev for record in records]),
        virial_ev=virial,
        virial_trace_ev=trace,
        temperature_k=np.array([record.temperature_k for record in records]),
        scf_steps=np.array([record.scf_steps for record in records], dtype=np.int32),
        scf_verdict=np.array([record.scf_verdict for record in records], dtype=np.str_),
        label_source=np.array([record.label_source for record in records], dtype=np.str_),
        faults=tuple(tuple(dict.fromkeys(record.faults)) for record in records),
        conserved_energy_ev=_numbers([record.conserved_energy_ev for record in records]),
        printed_pressure_kbar=_numbers([record.printed_pressure_kbar for record in records]),
    )


def _numbers(values: list[float | None]) -> NDArray[np.float64] | None:
    """None where the format of the frames has no place for them."""
    return None if None in values else np.array(values, dtype=np.float64)


def _spoiled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """One number per frame that is finite if all its vectors are; the vectors of the other frames become NaN."""
    sums: NDArray[np.float64] = vectors.sum(axis=(1, 2))
    vectors[~np.isfinite(sums)] = np.nan
    return sums


def _flag(records: list[FrameRecord], wrong: NDArray[np.bool_], fault: str) -> None:
    for index in np.flatnonzero(wrong):
        records[index].faults.append(fault)
