"""Reads an ML_AB or ML_ABN, what VASP's force field is trained on. The text of a configuration is in `ml_ab_blocks`.

The atoms may change from configuration to configuration. Those of one sequence of atoms are a part, which is a run.
"""

import hashlib
from collections.abc import Iterator
from math import isnan
from pathlib import Path

import numpy as np

from lake.readers import ml_ab_blocks as blocks
from lake.readers.batches import NAN, NO_TENSOR, FrameRecord, batch_of
from lake.readers.containers import SourceStream, open_source
from lake.readers.fields import Field
from lake.readers.ml_ab_configurations import REMEDY, Block, Configurations
from lake.readers.source_reader import SourceReader
from lake.readers.window import CHUNK_BYTES, LOST_TEXT
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, Floats, FrameBatch, LevelOfTheory, ReadingOutcome, RunHeader

FIELDS: tuple[Field, ...] = (
    Field("ionic_step", blocks.CONFIGURATION.decode(), "6.3", "counted from 1 in the order of the file"),
    Field("atomic_numbers", blocks.ATOMS.decode(), "6.3", "may change on the way: one part per sequence"),
    Field("cell_angstrom", blocks.LATTICE.decode(), "6.3"),
    Field("positions_angstrom", blocks.POSITIONS.decode(), "6.3", "Cartesian"),
    Field("energy_ev", blocks.ENERGY.decode(), "6.3", "the file does not say which energy: `energy_kind_unknown`"),
    Field("forces_ev_per_angstrom", blocks.FORCES.decode(), "6.3"),
    Field("virial_ev", blocks.STRESS.decode(), "6.3", "exactly zero means that there is none"),
    Field("virial_trace_ev", blocks.STRESS.decode(), "6.3", "the trace of the same virial"),
)

_FRAMES_PER_BATCH = 128
_TABLE_BYTES_PER_BATCH = 8 * 1024 * 1024
_ENERGY_KIND = "total energy of an ML_AB"


def ml_ab_parts(source: SourceStream | str | Path) -> tuple[str, ...]:
    """Names of the runs that an ML_AB holds, in file order: one empty name unless its atoms change on the way.

    Raises
    ------
    UnreadableFile
        If the file holds no configuration.
    """
    with open_source(source) if isinstance(source, str | Path) else source as stream:
        configurations = Configurations(stream, CHUNK_BYTES)
        for block in configurations:
            configurations.name_of(block.types)
    return tuple(configurations.parts.values()) if len(configurations.parts) > 1 else ("",)


class MlAbReader(SourceReader):
    """Frames of one part of an ML_AB or ML_ABN, plain or compressed, complete or cut.

    They are ab initio frames of a run that a force field drove, at full precision and without a time axis. Which
    energy they hold is not in the file, so every frame carries `energy_kind_unknown`.
    """

    header: RunHeader
    outcome: ReadingOutcome

    def __init__(self, source: SourceStream | str | Path, part: str = "", *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.source = open_source(source) if isinstance(source, str | Path) else source
        self.outcome = ReadingOutcome()
        self._part = part
        self._configurations = Configurations(self.source, chunk_bytes)
        self._blocks = iter(self._configurations)
        self._n_frames = 0
        self._n_without_stress = 0
        self._first = self._first_block()
        self._atoms = self._first.types.atomic_numbers
        self._name = self._configurations.name_of(self._first.types)
        system = blocks.named_system(self._first.text)
        self.header = RunHeader(
            source_format="ml_ab",
            atomic_numbers=self._atoms,
            level_of_theory=LevelOfTheory(energy_kind=_ENERGY_KIND),
            synthetic=system.lower().split(" ")[0] == "synthetic",
        )
        # VASP rewrites what stands before the first configuration whenever it adds one: counts, types, basis sets.
        said = f"{self._configurations.version}\n{system}\n{self._atoms.tolist()}"
        self._head_sha256 = hashlib.sha256(said.encode()).hexdigest()

    def bookmark(self) -> Bookmark | None:
        """None: VASP writes the file anew instead of adding to its end."""
        return None

    def head_sha256(self) -> str:
        """Of the version line, the system's name and the atoms in their order, which are what the part is named by."""
        return self._head_sha256

    def batches(self) -> Iterator[FrameBatch]:
        """The part's frames in file order.

        Raises
        ------
        UnreadableFile
            If no part was named and the file holds several, or if the part has no frame.
        """
        records: list[FrameRecord] = []
        tables: list[tuple[Floats, Floats]] = []
        for block in self._blocks_of_part():
            self.outcome.n_ionic_steps += 1
            frame = self._frame(block)
            if frame is not None:
                self._n_frames += 1
                records.append(frame[0])
                tables.append(frame[1:])
            if len(records) >= _FRAMES_PER_BATCH or 24 * len(self._atoms) * len(records) >= _TABLE_BYTES_PER_BATCH:
                yield _batch(records, tables)
                records, tables = [], []
        if records:
            yield _batch(records, tables)
        if not self._n_frames:
            raise UnreadableFile(f"{self.source.name}: no configuration of {self._name} has its tables.", REMEDY)
        self._finish()

    def _first_block(self) -> Block:
        found = (block for block in self._blocks if self._part in {"", self._configurations.name_of(block.types)})
        block = next(found, None)
        if block is not None:
            return block
        names = tuple(self._configurations.parts.values())
        if self._part and names:
            problem = f"the ML_AB has no part {self._part}, but {', '.join(names)}"
        else:
            problem = "the ML_AB ends before its first configuration is complete"
        raise UnreadableFile(f"{self.source.name}: {problem}.", REMEDY)

    def _blocks_of_part(self) -> Iterator[Block]:
        yield self._first
        for block in self._blocks:
            name = self._configurations.name_of(block.types)
            if name == self._name:
                yield block
            elif not self._part:
                raise UnreadableFile(
                    f"{self.source.name}: the atoms change on the way, from {self._name} to {name} in configuration "
                    f"{block.number}.",
                    "Read it part by part.",
                )

    def _frame(self, block: Block) -> tuple[FrameRecord, Floats, Floats] | None:
        n_atoms, text = len(self._atoms), block.text
        positions = blocks.positions_angstrom(text, n_atoms)
        forces = blocks.forces_ev_per_angstrom(text, n_atoms)
        energy = blocks.energy_ev(text)
        if positions is None or forces is None:
            self.outcome.n_energy_only += energy is not None
            self.outcome.n_incomplete += energy is None
            return None
        cell = blocks.cell_angstrom(text)
        record = FrameRecord(
            ionic_step=block.number,
            segment=0,
            cell_angstrom=cell or NO_TENSOR,
            energy_ev=NAN if energy is None else energy,
            faults=_faults_of(energy, cell),
        )
        if block.has_lost_text:
            record.faults.append("text_lost")
        self._take_stress(record, blocks.stress_kbar(text))
        if positions.vectors is None or forces.vectors is None:
            record.faults.append("row_count_wrong")
        return record, _or_nan(positions.vectors, n_atoms), _or_nan(forces.vectors, n_atoms)

    def _take_stress(self, record: FrameRecord, stress_kbar: tuple[float, ...]) -> None:
        if not stress_kbar:
            return
        if isnan(sum(stress_kbar)):
            record.faults.append("stress_not_finite")
        elif any(stress_kbar):
            record.stress_kbar = stress_kbar
        else:
            self._n_without_stress += 1

    def _finish(self) -> None:
        """Say how the reading ended."""
        outcome, read = self.outcome, self._configurations
        outcome.n_ionic_steps += read.n_nameless + read.ends_within_configuration
        outcome.n_incomplete += read.n_nameless + read.ends_within_configuration
        n_complete = read.n_blocks - read.n_nameless - read.ends_within_configuration
        told = read.n_declared is not None and n_complete >= read.n_declared
        outcome.complete = told and not (read.ends_within_configuration or read.ends_within_line)
        outcome.complete = outcome.complete and self.source.damage is None
        if read.has_hole:
            outcome.complete = False
            outcome.notes.append(LOST_TEXT)
        if read.has_lost_text:
            outcome.complete = False
            outcome.notes.append("A configuration goes on for longer than its tables can, so text of others was lost.")
        if self.source.damage is not None:
            outcome.notes.append(f"{self.source.damage[0].upper()}{self.source.damage[1:]}.")
        if n_complete != read.n_declared:
            declared = "no number of" if read.n_declared is None else read.n_declared
            outcome.notes.append(f"The file declares {declared} configurations and holds {n_complete} complete ones.")
        if read.ends_within_line:
            outcome.notes.append("The last line has no end, so it may be cut, and nothing was taken from it.")
        if self._n_without_stress:
            outcome.notes.append(
                f"{self._n_without_stress} frames have a stress of exactly zero, so no virial was taken."
            )


def _faults_of(energy_ev: float | None, cell_angstrom: tuple[float, ...]) -> list[str]:
    faults = ["energy_kind_unknown"]
    if energy_ev is None or isnan(energy_ev):
        faults.append("energy_missing" if energy_ev is None else "energy_not_finite")
    if not cell_angstrom or isnan(sum(cell_angstrom)):
        faults.append("cell_not_finite" if cell_angstrom else "cell_missing")
    return faults


def _or_nan(vectors: Floats | None, n_atoms: int) -> Floats:
    return np.full((n_atoms, 3), NAN) if vectors is None else vectors


def _batch(records: list[FrameRecord], tables: list[tuple[Floats, Floats]]) -> FrameBatch:
    positions, forces = (np.stack(column) for column in zip(*tables, strict=True))
    return batch_of(records, positions, forces)
