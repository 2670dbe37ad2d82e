"""Frames collected one by one and handed out as batches of arrays. Where their text stands does not belong here."""

from dataclasses import dataclass, field
from math import isnan

import numpy as np
from numpy.typing import NDArray

from lake.readers.columns import PADDING, NotPlainDecimals, RowLayout, decimal_rows, decode_columns, decode_into
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
    """The text of one table per frame, decoded together. A frame that cannot be decoded becomes NaN."""

    def __init__(self, n_rows: int, n_fields: int) -> None:
        self.n_rows = n_rows
        self.n_fields = n_fields
        self.layout: RowLayout | None = None
        self.all_finite = False
        """Whether the strict decoder took every number of the last tables, so that none can be a NaN."""
        # Kept from batch to batch: fresh memory costs more than the copying.
        self._text = np.empty(2 * PADDING, np.uint8)
        self._scratch: dict[int, Scratch] = {}
        self._clear()

    def _clear(self) -> None:
        self.n_bytes = 0
        self._regular: list[int] = []
        self._irregular: dict[int, list[bytes]] = {}
        self._n_frames = 0

    @property
    def layout_memory(self) -> list[object] | None:
        """The layout in JSON's types."""
        return None if self.layout is None else [self.layout.sample.decode("latin-1"), self.layout.spare]

    @layout_memory.setter
    def layout_memory(self, memory: list[object] | None) -> None:
        if memory is not None:
            sample, spare = memory
            self.layout = RowLayout.learn(str(sample).encode("latin-1"), self.n_fields, spare=int(str(spare)))

    @property
    def table_bytes(self) -> int:
        """Size of a table of the current layout; 0 while none is known."""
        return 0 if self.layout is None else self.n_rows * self.layout.width

    def takes(self, n_bytes: int) -> bool:
        """Whether a table of that size can be laid out like the others."""
        return 0 < n_bytes == self.table_bytes

    def add(self, rows: bytes | bytearray | memoryview) -> None:
        """Rows of the current layout's width, one per atom."""
        self._regular.append(self._n_frames)
        self._n_frames += 1
        first = PADDING + self.n_bytes
        self.n_bytes += len(rows)
        if len(self._text) < self.n_bytes + 2 * PADDING:
            self._grow(FRAMES_PER_BATCH * len(rows))
        self._text[first : first + len(rows)] = np.frombuffer(rows, np.uint8)

    def _grow(self, batch_bytes: int) -> None:
        n_bytes = max(min(batch_bytes, _TABLE_BYTES_PER_BATCH), 2 * self.n_bytes)
        text = np.empty(n_bytes + 2 * PADDING, np.uint8)
        text[: len(self._text)] = self._text
        self._text = text

    def add_lines(self, lines: list[bytes]) -> None:
        """Rows of any other shape or number, without their newlines."""
        self._irregular[self._n_frames] = lines
        self._n_frames += 1

    def decode(self) -> NDArray[np.float64]:
        """All collected tables: (n_frames, n_rows, n_fields); the store is empty afterwards."""
        values = self.vectors()
        return values[0] if len(values) == 1 else np.concatenate(values, axis=2)

    def vectors(self) -> NDArray[np.float64]:
        """All collected tables, as one array (n_frames, n_rows, 3) for every three fields; the store is empty then."""
        shape = (self.n_fields // 3, self._n_frames, self.n_rows, 3)
        self.all_finite = not self._irregular and self.layout is not None
        if self._irregular:
            values = np.full(shape, np.nan)
            values[:, self._regular] = self._regular_vectors()
            for index, lines in self._irregular.items():
                if len(lines) == self.n_rows:
                    self._put(decimal_rows(lines, self.n_fields, self.layout), values[:, index])
        else:
            values = self._regular_vectors()
        self._clear()
        return values

    def _regular_vectors(self) -> NDArray[np.float64]:
        values = np.empty((self.n_fields // 3, len(self._regular), self.n_rows, 3))
        if self.layout is None or not self._regular:
            return values
        rows = values.reshape(len(values), -1, 3)
        columns = [rows[index // 3, :, index % 3] for index in range(self.n_fields)]
        try:
            decode_into(columns, self._text, self.layout, rows.shape[1], self._scratch)
        except NotPlainDecimals:
            self.all_finite = False
            for index in range(len(self._regular)):
                self._put(self._decode_one(index, self.layout), values[:, index])
        return values

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
    )


def _spoiled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """One number per frame that is finite if all its vectors are; the vectors of the other frames become NaN."""
    sums: NDArray[np.float64] = vectors.sum(axis=(1, 2))
    vectors[~np.isfinite(sums)] = np.nan
    return sums


def _flag(records: list[FrameRecord], wrong: NDArray[np.bool_], fault: str) -> None:
    for index in np.flatnonzero(wrong):
        records[index].faults.append(fault)
