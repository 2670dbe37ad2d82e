"""Tables of positions of an XDATCAR, collected until a batch is full. Where they begin and end is not decided here."""

from math import isnan

import numpy as np
from numpy.typing import NDArray

from lake.readers.batches import NAN, NO_TENSOR, FrameRecord, TableStore, batch_is_full, cartesian, cells_of
from lake.readers.columns import PADDING, NotPlainDecimals, RowLayout, decode_columns
from lake.readers.partial import partial_batch
from lake.readers.xdatcar_head import whole_row
from schemas.frames import FrameBatch

_N_COLUMNS = 3


class PositionCollector:
    """Collects configurations until a batch is full."""

    def __init__(self, n_atoms: int) -> None:
        self.row = b""
        """The row that the current layout was learned from."""
        self._store = TableStore(n_atoms, _N_COLUMNS)
        self._records: list[FrameRecord] = []
        self._matrices: list[tuple[float, ...]] = []
        self._batches: list[FrameBatch] = []

    @property
    def width(self) -> int:
        """Length of a row that is laid out as expected, with its newline; 0 before the first."""
        return 0 if self._store.layout is None else self._store.layout.width

    def learn_from(self, table: bytes) -> None:
        """Expect rows like those of a table, if they all are laid out alike."""
        rows = table.splitlines(keepends=True)
        if len({len(row) for row in rows}) != 1 or len(rows) != self._store.n_rows:
            return
        padded = b" " * PADDING + table + b" " * PADDING
        for row in dict.fromkeys(rows):
            if (layout := _layout_of(row)) is None:
                continue
            try:
                decode_columns(padded, layout, len(rows))
            except NotPlainDecimals:  # this row is damaged, or one of the others
                continue
            self.learn(row)
            return

    def learn(self, row: bytes) -> bool:
        """Expect rows like this one from now on, if its columns can be told."""
        layout = _layout_of(row)
        if layout is None:
            return False
        self.close_batch()  # tables of one batch are decoded together, so they must be laid out alike
        self.row, self._store.layout = row, layout
        return True

    def add(self, table: memoryview, record: FrameRecord, *, is_regular: bool, scale: tuple[float, ...] | None) -> None:
        """One configuration; with a `scale` its positions are Cartesian, else fractional."""
        if is_regular:
            self._store.add(table)
        else:
            self._store.add_lines([whole_row(line) for line in bytes(table).split(b"\n") if line.strip()])
        if isnan(sum(record.cell_angstrom)):
            record.faults.append("cell_missing")
        matrix = record.cell_angstrom
        if scale is not None:
            matrix = (scale[0], 0.0, 0.0, 0.0, scale[1], 0.0, 0.0, 0.0, scale[2])
        self._records.append(record)
        self._matrices.append(matrix)

    def full_batches(self) -> list[FrameBatch]:
        """The batches that are complete, once."""
        if batch_is_full(self._records, self._store):
            self.close_batch()
        batches, self._batches = self._batches, []
        return batches

    def close_batch(self) -> None:
        """Make a batch of the configurations at hand."""
        if not self._records:
            return
        records, matrices = self._records, np.array(self._matrices).reshape(-1, 3, 3)
        (fractional,) = self._store.vectors()
        batch = partial_batch(
            [record.ionic_step for record in records],
            [record.segment for record in records],
            cells=cells_of(records),
            positions=_whole_or_none(cartesian(fractional, matrices)),
            faults=[record.faults for record in records],
        )
        self._batches.append(batch)
        self._records, self._matrices = [], []


def _layout_of(row: bytes) -> RowLayout | None:
    """Columns of a row whose numbers have equally many decimals."""
    layout = RowLayout.learn(row, _N_COLUMNS, spare=int(row.rstrip()[-1:].isalpha()))
    return layout if layout is not None and len({field.decimals for field in layout.fields}) == 1 else None


def new_record(ionic_step: int, segment: int, cell: tuple[float, ...] | None) -> FrameRecord:
    """A configuration without labels; None stands for a cell that is not known."""
    return FrameRecord(
        ionic_step=ionic_step,
        segment=segment,
        cell_angstrom=NO_TENSOR if cell is None else cell,
        energy_ev=NAN,
        label_source="none",
    )


def _whole_or_none(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (n_frames, n_atoms, 3), A; all NaN in a frame where one is not a number."""
    positions[~np.isfinite(positions.sum(axis=(1, 2)))] = np.nan
    return positions
