"""Reads the text of `dump custom`, whoever ran LAMMPS. Our own simulations, with card and table, are `lammps`' work."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lake.readers.batches import FRAMES_PER_BATCH
from lake.readers.containers import SourceStream, open_source
from lake.readers.fields import Field
from lake.readers.lammps_dump_columns import NAME_ELEMENTS, UNITS, DumpColumns, UnusableColumns
from lake.readers.lammps_dump_frames import DumpFrame, DumpFrames
from lake.readers.lines import LineReader
from lake.readers.partial import partial_batch
from lake.readers.source_reader import SourceReader
from lake.readers.window import CHUNK_BYTES, LOST_TEXT
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, Floats, FrameBatch, ReadingOutcome, RunHeader

FIELDS = (
    Field("atomic_numbers", "ITEM: ATOMS, column element", "-", "atoms are sorted by their id"),
    Field("cell_angstrom", "ITEM: BOX BOUNDS", "-", "upright, tilted (xy xz yz) and general (abc origin)"),
    Field(
        "positions_angstrom", "xu yu zu, xsu ysu zsu, x y z, xs ys zs", "-", "the first of them; unwrapped by ix iy iz"
    ),
    Field("velocities_angstrom_per_fs", "vx vy vz", "-"),
    Field("forces_ev_per_angstrom", "fx fy fz", "-", "of the potential that drove the run: not a label"),
    Field("ionic_step", "ITEM: TIMESTEP", "-", "plus 1, since LAMMPS counts from 0"),
    Field("time_step_fs", "ITEM: TIME of the first two frames", "-", "with `dump_modify time yes`, per LAMMPS step"),
    Field("units", "ITEM: UNITS", "-", "metal or real, with `dump_modify units yes`; metal where it is missing"),
)

_ROWS_PER_BATCH = 16384  # atoms times frames
_LAST_STEP = 2**31 - 2
_CARBON = 6


class LammpsDumpReader(SourceReader):
    """Frames of a text dump, plain or compressed. A classical run has no labels of DFT: `label_source` is `none`.

    Raises
    ------
    UnreadableFile
        If the columns do not tell elements, ids and positions, the units are others, or no frame is whole.
    """

    header: RunHeader
    outcome: ReadingOutcome

    def __init__(self, source: SourceStream | str | Path, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.source = open_source(source) if isinstance(source, str | Path) else source
        self.outcome = ReadingOutcome()
        self._lines = LineReader(self.source, chunk_bytes)
        self._all_frames = DumpFrames(self._lines)
        frames = iter(self._all_frames)
        ahead = list(_until_sound(frames))
        if not ahead or ahead[-1].table is None:
            raise self._refused("it holds no complete frame", "Run the simulation again, or leave this file out.")
        first = ahead[-1]
        self._columns = self._columns_of(first)
        self._ids, atomic_numbers = self._atoms(ahead[-1].table)
        self._step, self._segment = -1, 0
        if (second := next(frames, None)) is not None:
            ahead.append(second)
        self._frames = chain(ahead, frames)
        self._head_sha256 = hashlib.sha256(b"".join(ahead[0].head)).hexdigest()
        self.header = RunHeader(
            source_format="lammps_dump",
            atomic_numbers=atomic_numbers,
            time_step_fs=None if second is None else self._time_step_fs(first, second),
            origin="dnnp",
        )

    def head_sha256(self) -> str:
        """Of the lines before the first frame's atoms."""
        return self._head_sha256

    def bookmark(self) -> Bookmark | None:
        """None: a dump is read whole."""
        return None

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in file order.

        Raises
        ------
        UnreadableFile
            If the number of atoms changes.
        """
        per_batch = max(1, min(FRAMES_PER_BATCH, _ROWS_PER_BATCH // self.header.n_atoms))
        some: list[DumpFrame] = []
        for frame in self._frames:
            if frame.table is not None and frame.n_atoms != self.header.n_atoms:
                raise self._refused(
                    f"the number of atoms changes from {self.header.n_atoms} to {frame.n_atoms} at step {frame.step}",
                    "Dump a group whose atoms stay, or split the file where it changes.",
                )
            some.append(frame)
            if len(some) == per_batch:
                yield self._batch(some)
                some = []
        if some:
            yield self._batch(some)
        self._finish()

    def _refused(self, problem: str, remedy: str) -> UnreadableFile:
        return UnreadableFile(f"{self.source.name}: this LAMMPS dump cannot be used: {problem}.", remedy)

    def _columns_of(self, frame: DumpFrame) -> DumpColumns:
        units = self._all_frames.units or "metal"
        if units not in UNITS:
            raise self._refused(
                f"its units are `{units}`, and only metal and real are read",
                "Convert it, or run LAMMPS in metal units.",
            )
        try:
            return DumpColumns(frame.columns, UNITS[units])
        except UnusableColumns as error:
            raise self._refused(*error.args) from error

    def _atoms(self, table: Floats) -> tuple[Floats, NDArray[np.int8]]:
        """Ids, sorted, and the elements in that order."""
        ids = self._columns.ids(table)
        order = np.argsort(ids, kind="stable")
        numbers = self._columns.atomic_numbers(table)[order]
        decoder = self._all_frames.decoder
        if decoder is not None and not (numbers > 0).all():
            unknown = decoder.unknown[-1 - int(numbers[np.argmax(numbers < 0)])].decode("ascii", "replace")
            raise self._refused(
                f"{unknown!r} in its column `element` is no element",
                f"{NAME_ELEMENTS[0].upper()}{NAME_ELEMENTS[1:]}.",
            )
        if len(np.unique(ids)) != len(ids):
            raise self._refused("several atoms of a frame have one id", "Give atoms ids (`atom_modify id yes`).")
        return ids[order], numbers.astype(np.int8)

    def _time_step_fs(self, one: DumpFrame, other: DumpFrame) -> float | None:
        if one.time is None or other.time is None or one.step is None or other.step is None or other.step <= one.step:
            return None
        return float(f"{(other.time - one.time) / (other.step - one.step) * self._columns.units.time:.9g}")

    def _batch(self, frames: Sequence[DumpFrame]) -> FrameBatch:
        shape = (len(frames), self.header.n_atoms, 3)
        cells, origins = np.full((len(frames), 3, 3), np.nan), np.full((len(frames), 3), np.nan)
        for row, frame in enumerate(frames):
            if frame.box is not None:
                cells[row], origins[row] = frame.box.cell, frame.box.origin
        faults = [self._faults(frame) for frame in frames]
        whole = [row for row, frame in enumerate(frames) if frame.table is not None]
        rows, tables = self._sorted_tables(frames, whole, faults)
        positions = _at(rows, self._columns.positions(tables, cells[rows], origins[rows]), shape)
        velocities = _at(rows, self._columns.velocities(tables), shape)
        forces = _at(rows, self._columns.forces(tables), shape)
        if self._columns.has_velocities:
            _spoil(velocities, "velocities_not_finite", rows, faults)
        if self._columns.has_forces:
            _spoil(forces, "forces_not_finite", rows, faults)
        return partial_batch(
            *self._places(frames),
            cells=cells,
            positions=positions,
            faults=faults,
            known={
                "forces_ev_per_angstrom": forces,
                "velocities_angstrom_per_fs": velocities if self._columns.has_velocities else None,
            },
        )

    def _places(self, frames: Sequence[DumpFrame]) -> tuple[list[int], list[int]]:
        """Step and segment of each frame; a step that does not rise begins another run."""
        steps, segments = [], []
        for frame in frames:
            step = self._step + 1 if frame.step is None else frame.step
            if step > _LAST_STEP:
                raise self._refused(f"step {step} is beyond what is stored", "Use `reset_timestep` and dump again.")
            self._segment += step <= self._step
            self._step = step
            steps.append(step + 1)
            segments.append(self._segment)
        self.outcome.n_ionic_steps += len(steps)
        return steps, segments

    def _faults(self, frame: DumpFrame) -> list[str]:
        found = {
            "ionic_counter_missing": frame.step is None,
            "cell_missing": not frame.has_box,
            "cell_not_finite": frame.has_box and frame.box is None,
            "row_count_wrong": frame.table is None,
        }
        return [fault for fault, is_there in found.items() if is_there]

    def _sorted_tables(
        self, frames: Sequence[DumpFrame], whole: Sequence[int], faults: Sequence[list[str]]
    ) -> tuple[list[int], Floats]:
        """Which frames have the run's atoms, and their tables (n_frames, n_atoms, n_columns), sorted by id.

        The others, of those that are `whole`, get a fault.
        """
        alike = [row for row in whole if frames[row].columns == self._columns.names]
        found = np.full((len(alike), self.header.n_atoms, len(self._columns.names)), np.nan)
        for table, row in zip(found, alike, strict=True):
            unsorted = frames[row].table
            if unsorted is not None:
                # Where the ids are others, at least one place keeps another id than its own, or none.
                table[self._places_of(self._columns.ids(unsorted))] = unsorted
        of_run = (self._columns.ids(found) == self._ids).all(axis=1)
        of_run &= (self._columns.atomic_numbers(found) == self.header.atomic_numbers).all(axis=1)
        rows = [row for row, is_of_run in zip(alike, of_run.tolist(), strict=True) if is_of_run]
        for row in set(whole) - set(rows):
            faults[row].append("atoms_differ")
        return rows, found if of_run.all() else found[of_run]

    def _places_of(self, ids: Floats) -> NDArray[np.intp]:
        """Where ids stand among those of the run; anywhere for others."""
        if self._ids[-1] - self._ids[0] == len(self._ids) - 1:  # one after the other, if they are whole numbers
            places = ids - self._ids[0]
            if places.min() >= 0 and places.max() < len(ids):
                whole: NDArray[np.intp] = places.astype(np.intp)
                return whole
        return np.searchsorted(self._ids[:-1], ids)

    def _finish(self) -> None:
        outcome, damage = self.outcome, self.source.damage
        outcome.n_incomplete = self._all_frames.n_incomplete
        outcome.n_ionic_steps += outcome.n_incomplete
        outcome.complete = not outcome.n_incomplete and damage is None
        if self._lines.has_hole:
            outcome.complete = False
            outcome.notes.append(LOST_TEXT)
        if damage is not None:
            outcome.notes.append(f"{damage[0].upper()}{damage[1:]}.")
        if self.header.time_step_fs is None:
            outcome.notes.append("The dump does not tell the time of its frames; `dump_modify ID time yes` does.")
        if self._all_frames.units is None:
            outcome.notes.append("The dump does not tell its units, so they are taken as metal units.")
        if (self.header.atomic_numbers == _CARBON).all():
            outcome.notes.append(
                "All atoms are carbon, which is what LAMMPS writes where `dump_modify ID element` names no elements."
            )


def _until_sound(frames: Iterator[DumpFrame]) -> Iterator[DumpFrame]:
    """Frames up to the first whose rows can be read."""
    for frame in frames:
        yield frame
        if frame.table is not None:
            return


def _at(rows: Sequence[int], vectors: Floats | None, shape: tuple[int, int, int]) -> Floats:
    """Vectors of all frames, NaN but in `rows`."""
    if vectors is not None and len(rows) == shape[0]:
        return np.ascontiguousarray(vectors)
    whole = np.full(shape, np.nan)
    if vectors is not None:
        whole[rows] = vectors
    return whole


def _spoil(vectors: Floats, fault: str, rows: Sequence[int], faults: Sequence[list[str]]) -> None:
    """Make the vectors of frames NaN, with a fault, where one of them is not a number."""
    are_finite: NDArray[np.bool_] = np.asarray(np.isfinite(vectors).all(axis=(1, 2)))
    for row in rows:
        if not are_finite[row]:
            vectors[row] = np.nan
            faults[row].append(fault)
