"""Turns the text of an OUTCAR's ionic steps into frames, and frames into batches. Counters and files are not here."""

from dataclasses import dataclass
from math import isnan
from typing import Any

from lake.readers import outcar_frames as blocks
from lake.readers.batches import NAN, NO_TENSOR, FrameRecord, TableStore, batch_is_full, batch_of
from lake.readers.outcar_header import OutcarHead
from lake.readers.vasp_settings import scf_verdict
from schemas.frames import FrameBatch


@dataclass(slots=True)
class StepCounter:
    """Where in the file's own count a piece of text belongs."""

    segment: int = 0
    step: int = 0
    """Ionic step of the last counter line; 0 before the first."""
    iteration: int = 0
    """Electronic iteration of the last counter line."""
    n_frames: int = 0
    """Ab initio frames found since that ionic step began."""
    highest: int = 0
    """The highest ionic step so far, counting those of a machine-learned force field."""

    def memory(self) -> list[int]:
        """All of it, in order."""
        return [self.segment, self.step, self.iteration, self.n_frames, self.highest]


class FrameCollector:
    """Collects the frames of one OUTCAR until a batch is full."""

    def __init__(self, head: OutcarHead) -> None:
        self.head = head
        self.n_frames = 0
        self.n_ml_frames = 0
        self.n_ml_energy_only = 0
        self.cell_moved = False
        self.usual = blocks.UsualStep()
        self.conserves_energy = True
        """Whether the dynamics conserve the sum of energies that VASP prints."""
        self.has_hole = False
        """Whether NUL bytes stand in the text of the ionic step."""
        self._n_atoms = len(head.atomic_numbers)
        self._records: list[FrameRecord] = []
        self._store = TableStore(self._n_atoms, blocks.N_COLUMNS)
        self._cell_text = b""
        self._cell = NO_TENSOR
        self._cell_is_damaged = True
        self._batches: list[FrameBatch] = []

    def memory(self) -> dict[str, object]:
        """What later frames depend on, in JSON's types."""
        return {
            "n_frames": self.n_frames,
            "n_ml_frames": self.n_ml_frames,
            "n_ml_energy_only": self.n_ml_energy_only,
            "cell_moved": self.cell_moved,
            "cell_text": self._cell_text.decode("latin-1"),
            "layout": self._store.layout_memory,
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Go on with the `memory` of another reading."""
        self.n_frames, self.n_ml_frames = memory["n_frames"], memory["n_ml_frames"]
        self.n_ml_energy_only = memory["n_ml_energy_only"]
        self.cell_moved, self._cell_text = memory["cell_moved"], memory["cell_text"].encode("latin-1")
        self._cell = blocks.cell_of(self._cell_text) if self._cell_text else NO_TENSOR
        self._cell_is_damaged = isnan(sum(self._cell))
        self._store.layout_memory = memory["layout"]

    def full_batches(self) -> list[FrameBatch]:
        """The batches that are complete, once."""
        if batch_is_full(self._records, self._store):
            self.close_batch()
        batches, self._batches = self._batches, []
        return batches

    def close_batch(self) -> None:
        """Make a batch of the frames at hand."""
        if self._records:
            positions, forces = self._store.vectors()
            self._batches.append(batch_of(self._records, positions, forces, all_finite=self._store.all_finite))
            self._records = []

    def collect(self, text: bytearray, start: int, end: int, counter: StepCounter, *, more_follows: bool) -> int:
        """Take the frames in `[start, end)`; returns where the text that was not used up begins.

        With `more_follows` the step's text goes on behind `end`, so the last table is left for the next call.
        """
        titles = blocks.titles_between(text, start, end, self.usual)
        n_ab_initio = sum(not blocks.is_machine_learned(text, title) for title in titles)
        lower = start
        for index, title in enumerate(titles[:-1] if more_follows else titles):
            upper = titles[index + 1] if index + 1 < len(titles) else end
            lower = self._take(text, (lower, title, upper), counter, alone=n_ab_initio + counter.n_frames <= 1)
        if not more_follows:
            self._pass_lost_tables(text, (lower, end), counter)
        return lower

    def _take(self, text: bytearray, place: tuple[int, int, int], counter: StepCounter, *, alone: bool) -> int:
        """Take the frame whose table's title is the middle of `place`; returns where its text ends."""
        lower, title, upper = place
        table = blocks.table_at(text, title, upper, self.usual)
        if table is None:
            return lower
        ml = table.machine_learned
        energies = blocks.energies_between(text, table.end, upper, machine_learned=ml)
        end = table.end if energies is None else energies.end
        is_mistitled = energies is None and (
            blocks.energies_between(text, table.end, upper, machine_learned=not ml) is not None
        )
        if energies is None and not ml and not is_mistitled:
            energies = blocks.energies_between(text, lower, title, machine_learned=False)
        if energies is None and not is_mistitled and upper == len(text):
            return lower  # the file stops here, or goes on in the next piece of it
        electronic = lower, self._end_of_electronic_text(text, lower, title)
        self._pass_lost_tables(text, electronic, counter)
        record = self._record(text, (lower, title), counter, energies)
        if is_mistitled:
            record.faults.append("label_source_unknown")
        record.temperature_k, total_ev = blocks.thermostat_between(text, end, upper)
        record.conserved_energy_ev = total_ev if self.conserves_energy else NAN
        if ml:
            record.label_source, record.scf_steps = "vasp_mlff", 0
            record.ionic_step = max(counter.step, counter.highest * (counter.highest > counter.step)) + 1
            counter.highest = record.ionic_step
            self.n_ml_frames += 1
        else:
            self._judge(record, text, electronic, counter)
            if not alone:
                record.faults.append("ionic_counter_missing")
                record.scf_steps, record.scf_verdict = -1, "unknown"
            counter.n_frames += 1
        if self.has_hole:
            record.faults.append("text_lost")
        self._keep(record, text, table)
        return end

    def _end_of_electronic_text(self, text: bytearray, lower: int, title: int) -> int:
        """Up to where electronic iterations may stand: text behind their loop that is as long as usual holds none."""
        after_loop = blocks.loop_end(text, lower, title)
        usual_gap, gap = self.usual.gap_bytes, 0 if after_loop is None else title - after_loop
        self.usual.gap_bytes = gap
        return title if after_loop is None or gap != usual_gap else after_loop

    def _pass_lost_tables(self, text: bytearray, place: tuple[int, int], counter: StepCounter) -> None:
        """Count the force field's steps in text that has an energy of one, but no table: those keep their numbers."""
        n_lost = blocks.n_ml_energies(text, *place)
        if n_lost:
            counter.highest = max(counter.step, counter.highest) + n_lost
            self.n_ml_energy_only += n_lost

    def _record(
        self, text: bytearray, before_table: tuple[int, int], counter: StepCounter, energies: blocks.Energies | None
    ) -> FrameRecord:
        lower, title = before_table
        record = FrameRecord(
            ionic_step=max(counter.step, 1) + counter.n_frames,
            segment=counter.segment,
            cell_angstrom=NO_TENSOR,
            energy_ev=NAN,
            printed_pressure_kbar=NAN,
        )
        if energies is None:
            record.faults.append("energy_missing")
        else:
            record.energy_ev, record.energy_sigma0_ev = energies.free, energies.sigma0
            record.energy_without_entropy_ev = energies.without_entropy
            if energies.free != energies.free:
                record.faults.append("energy_not_finite")
        lattice = blocks.lattice_before(text, lower, title, self.usual)
        is_usual = lattice is not None and title - lattice.at == self.usual.lattice_bytes
        if lattice is not None and not is_usual and blocks.has_pressure(text, lattice.at, title):
            lattice = None  # it stands before the stress, so it is another one, and the step's own is damaged
        self.usual.lattice_bytes = 0 if lattice is None else title - lattice.at
        if lattice is None:
            record.faults.append("cell_missing")
        else:
            record.cell_angstrom = self._cell_of(lattice.rows)
            if self._cell_is_damaged:
                record.faults.append("cell_not_finite")
        before_lattice = title if lattice is None else lattice.at
        stress = blocks.stress_before(text, lower, before_lattice)
        if stress is None and blocks.has_pressure(text, lower, before_lattice):
            record.faults.append("stress_not_finite")
        if stress is not None:
            stress_kbar, record.printed_pressure_kbar = stress
            record.take_stress(stress_kbar, self.head.settings.isif)
        return record

    def _judge(self, record: FrameRecord, text: bytearray, scf_text: tuple[int, int], counter: StepCounter) -> None:
        """Whether the electronic loop of the step converged; its last iteration is at the beginning of the text."""
        settings, start, end = self.head.settings, *scf_text
        if blocks.n_iterations(text, start, end) > 1:  # the last counter line was lost
            return
        at_nelm = settings.nelm is not None and counter.iteration >= settings.nelm
        record.scf_steps = counter.iteration or -1
        record.scf_verdict = scf_verdict(
            scf_steps=counter.iteration,
            nelm=settings.nelm,
            ediff=settings.ediff,
            last_change_ev=blocks.last_energy_change(text, start, end) if at_nelm else None,
            told=blocks.scf_end_told(text, start, end),
            version=settings.version,
        )

    def _cell_of(self, rows: bytes) -> tuple[float, ...]:
        if rows != self._cell_text:
            self.cell_moved = self.cell_moved or bool(self._cell_text)
            self._cell_text, self._cell = rows, blocks.cell_of(rows)
            self._cell_is_damaged = isnan(sum(self._cell))
        return self._cell

    def _keep(self, record: FrameRecord, text: bytearray, table: blocks.Table) -> None:
        store, n_bytes = self._store, table.end - table.first_row
        if not store.takes(n_bytes) and (layout := blocks.layout_of(text, table, self._n_atoms)) is not None:
            self.close_batch()  # tables of one batch are decoded together, so they must be laid out alike
            store.layout = layout
        if store.takes(n_bytes):
            store.add(memoryview(text)[table.first_row : table.end])
            self.usual.learn(text, table)
        else:
            lines = bytes(text[table.first_row : table.end]).splitlines()
            store.add_lines(lines)
            if len(lines) != self._n_atoms:
                record.faults.append("row_count_wrong")
        self._records.append(record)
        self.n_frames += 1
