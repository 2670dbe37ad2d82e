"""Turns the text of a vasprun.xml's ionic steps into frames, and frames into batches. Files do not belong here."""

from math import isnan
from typing import Any, NamedTuple

import numpy as np

from lake.readers import vasprun_fields as fields
from lake.readers import vasprun_frames as blocks
from lake.readers.batches import (
    NAN,
    NO_TENSOR,
    FrameRecord,
    TableStore,
    batch_is_full,
    batch_of,
    cartesian,
    cells_of,
)
from lake.readers.vasp_settings import conserves_energy, is_true, scf_verdict
from lake.readers.vasprun_header import VasprunHead
from schemas.frames import FrameBatch
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_ANGSTROM3_PER_KBAR

_ENERGIES = (fields.FREE_ENERGY, fields.WITHOUT_ENTROPY, fields.SIGMA0)
_SAME_ENERGY_EV = 1.0e-4


class StepText(NamedTuple):
    """Where the text of one ionic step stands."""

    calculation: int | None
    """None for a step of VASP's force field, which stands outside `<calculation>`."""
    structure: int
    end: int
    """Behind the first `</energy>` after the structure, or where a step of any size would have ended."""
    has_hole: bool = False
    """Whether NUL bytes stand in it."""
    has_lost_loop: bool = False
    """Whether electronic steps before it were lost: they stand outside of any `<calculation>`, or far before it."""


class XmlFrameCollector:
    """Collects the frames of one vasprun.xml until a batch is full."""

    def __init__(self, head: VasprunHead) -> None:
        self.n_frames = 0
        self.n_ml_frames = 0
        self.n_energy_only = 0
        self._head = head
        self._has_shifted_labels = head.has_shifted_labels
        self._conserves_energy = conserves_energy(head.settings)
        self._n_atoms = len(head.atomic_numbers)
        self._records: list[FrameRecord] = []
        self._positions = TableStore(self._n_atoms, blocks.N_COLUMNS)
        self._forces = TableStore(self._n_atoms, blocks.N_COLUMNS)
        self._cell_text = b""
        self._cell = NO_TENSOR
        self._batches: list[FrameBatch] = []

    @property
    def table_bytes(self) -> tuple[int, int]:
        """Sizes of sound tables of positions and forces; 0 while they are not known."""
        return self._positions.table_bytes, self._forces.table_bytes

    def memory(self) -> dict[str, object]:
        """What later frames depend on, in JSON's types."""
        return {
            "n_frames": self.n_frames,
            "n_ml_frames": self.n_ml_frames,
            "n_energy_only": self.n_energy_only,
            "layouts": [self._positions.layout_memory, self._forces.layout_memory],
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Go on with the `memory` of another reading."""
        self.n_frames, self.n_ml_frames = memory["n_frames"], memory["n_ml_frames"]
        self.n_energy_only = memory["n_energy_only"]
        self._positions.layout_memory, self._forces.layout_memory = memory["layouts"]

    def full_batches(self) -> list[FrameBatch]:
        """The batches that are complete, once."""
        if batch_is_full(self._records, self._positions, self._forces):
            self.close_batch()
        batches, self._batches = self._batches, []
        return batches

    def close_batch(self) -> None:
        """Make a batch of the frames at hand."""
        if self._records:
            (fractional,), (forces,) = self._positions.vectors(), self._forces.vectors()
            cells = cells_of(self._records)
            all_finite = self._positions.all_finite and self._forces.all_finite and bool(np.isfinite(cells).all())
            self._batches.append(batch_of(self._records, cartesian(fractional, cells), forces, all_finite=all_finite))
            self._records = []

    def collect(self, text: bytearray, step: StepText, ionic_step: int) -> int:
        """Take the frame if it is whole; returns where the text that was not used up begins.

        Of a step that is not whole, that is where another one begins, or the end of its text.
        """
        cell = blocks.table_named(text, fields.BASIS, step.structure, step.end)
        positions = self._table(text, fields.POSITIONS, step.structure if cell is None else cell.end, step.end)
        after = positions.end if positions is not None else step.structure
        forces = self._table(text, fields.FORCES, after, step.end)
        after = behind_forces = forces.end if forces is not None else after
        stress = blocks.table_named(text, fields.STRESS, after, step.end)
        after = stress.end if stress is not None else after
        # The electronic iterations of the next step end with </energy> too: a step that lost its own is not whole.
        is_whole = text.startswith(fields.ENERGY_END, step.end - len(fields.ENERGY_END))
        are_near = blocks.are_near(step.structure, positions, forces)
        another = blocks.next_step(text, behind_forces if is_whole and are_near else step.structure + 1, step.end)
        if another is not None or not is_whole:
            return another or max(step.end - blocks.LONGEST_TITLE, step.structure + 1)
        if positions is None or forces is None:
            self.n_energy_only += 1
            return step.end
        record = self._record(text, step, after, ionic_step)
        record.cell_angstrom = NO_TENSOR if cell is None else self._cell_of(text, cell)
        if isnan(sum(record.cell_angstrom)):
            record.faults.append("cell_missing" if cell is None else "cell_not_finite")
        if stress is not None:
            record.take_stress(blocks.nine_numbers(text, stress), self._head.settings.isif)
        elif blocks.has_rows(text, after, step.end):  # its title or its end is damaged
            record.faults.append("stress_not_finite")
        if step.has_hole:
            record.faults.append("text_lost")
        self._choose_energy(record, text, step)
        self._keep(record, text, positions, forces)
        return step.end

    def _table(self, text: bytearray, name: bytes, start: int, end: int) -> blocks.Table | None:
        store = self._positions if name == fields.POSITIONS else self._forces
        return blocks.table_named(text, name, start, end, store.table_bytes)

    def _cell_of(self, text: bytearray, cell: blocks.Table) -> tuple[float, ...]:
        rows = bytes(text[cell.first_row : cell.end])
        if rows != self._cell_text:
            self._cell_text, self._cell = rows, blocks.nine_numbers(text, cell)
        return self._cell

    def _record(self, text: bytearray, step: StepText, energy_from: int, ionic_step: int) -> FrameRecord:
        energies = blocks.energies_of(text, energy_from, step.end)
        free, second, third = (energies.get(key, NAN) for key in _ENERGIES)
        shifted = self._has_shifted_labels
        if self._head.settings.version is None:  # nothing tells which of them holds what
            second = third = NAN
        record = FrameRecord(
            ionic_step=ionic_step,
            segment=0,
            cell_angstrom=NO_TENSOR,
            energy_ev=free,
            energy_sigma0_ev=second if shifted else third,
            energy_without_entropy_ev=free - third if shifted else second,
            temperature_k=self._temperature_k(energies.get(fields.KINETIC, NAN)),
            conserved_energy_ev=energies.get(fields.CONSERVED_ENERGY, NAN) if self._conserves_energy else NAN,
        )
        if isnan(free):
            record.faults.append("energy_not_finite" if fields.FREE_ENERGY in energies else "energy_missing")
        return record

    def _temperature_k(self, kinetic_ev: float) -> float:
        n_degrees = self._head.n_degrees_of_freedom
        return 2 * kinetic_ev / (n_degrees * BOLTZMANN_EV_PER_K) if n_degrees else NAN

    def _choose_energy(self, record: FrameRecord, text: bytearray, step: StepText) -> None:
        """Count the electronic steps, judge them, and undo what a pressure does to the ionic energy."""
        settings = self._head.settings
        if step.calculation is None:
            record.label_source, record.scf_steps = "vasp_mlff", 0
            self.n_ml_frames += 1
            if step.has_lost_loop or not is_true(settings.machine_learning):  # the tag before it was damaged
                record.label_source, record.scf_steps = "none", -1
                record.faults.append("label_source_unknown")
            return
        if step.has_lost_loop:
            record.scf_steps = -1
            record.faults.append("text_lost")
            if settings.pstress:
                self._undo_enthalpy(record, {})
            return
        record.scf_steps = text.count(fields.SCF_STEP, step.calculation, step.structure)
        if record.scf_steps != text.count(fields.SCF_STEP_END, step.calculation, step.structure):
            record.scf_steps = -1  # one of its tags was damaged
            if settings.pstress:
                self._undo_enthalpy(record, {})
            return
        if record.scf_steps == 0:
            record.label_source = "vasp_mlff" if is_true(self._head.settings.machine_learning) else "none"
            record.faults.append("no_electronic_steps")
            return
        at_nelm = settings.nelm is not None and record.scf_steps >= settings.nelm
        last = blocks.scf_energies(text, step.calculation, step.structure, 2) if at_nelm or settings.pstress else []
        free = [energies.get(fields.FREE_ENERGY, NAN) for energies in last]
        record.scf_verdict = scf_verdict(
            scf_steps=record.scf_steps,
            nelm=settings.nelm,
            ediff=settings.ediff,
            last_change_ev=free[0] - free[1] if len(free) == 2 else None,
            told="reached",
        )
        if settings.pstress:
            self._undo_enthalpy(record, last[0])

    def _undo_enthalpy(self, record: FrameRecord, last: dict[str, float]) -> None:
        """With PSTRESS the ionic energy may be the enthalpy; the last electronic step has the energy, without vdW."""
        cell = np.array(record.cell_angstrom).reshape(3, 3)
        volume = abs(float(cell[0] @ np.cross(cell[1], cell[2])))
        pressure_volume = (self._head.settings.pstress or 0.0) * volume * EV_PER_ANGSTROM3_PER_KBAR
        free = last.get(fields.FREE_ENERGY, NAN)
        difference = record.energy_ev - free
        if min(abs(difference), abs(difference - pressure_volume)) <= _SAME_ENERGY_EV:
            record.energy_ev = free
            record.energy_sigma0_ev = last.get(fields.SIGMA0, NAN)
            record.energy_without_entropy_ev = last.get(fields.WITHOUT_ENTROPY, NAN)
        else:
            record.energy_ev = record.energy_sigma0_ev = record.energy_without_entropy_ev = NAN
            record.faults.append("energy_ambiguous")

    def _keep(self, record: FrameRecord, text: bytearray, positions: blocks.Table, forces: blocks.Table) -> None:
        tables = ((self._positions, positions), (self._forces, forces))
        for store, table in tables:
            if not store.takes(table.end - table.first_row):
                layout = blocks.layout_of(text, table, self._n_atoms)
                if layout is not None:
                    self.close_batch()  # tables of one batch are decoded together, so they must be laid out alike
                    store.layout = layout
        for store, table in tables:
            if store.takes(table.end - table.first_row):
                store.add(memoryview(text)[table.first_row : table.end])
                continue
            rows = blocks.vectors_of(text, table)
            store.add_lines(rows)
            if len(rows) != self._n_atoms:
                record.faults.append("row_count_wrong")
        self._records.append(record)
        self.n_frames += 1
