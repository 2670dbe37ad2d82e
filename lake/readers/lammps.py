"""A folder with a finished, stopped or killed LAMMPS simulation, read as a run. Running LAMMPS is `operators`' work.

Three files make the run: the card `simulation.json`, the dump with positions, velocities and forces, and a table with
energies, temperature and virial pressure at the same steps, which `lammps_tables` reads as it does the others.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from lake.readers.lammps_box import box_of
from lake.readers.lammps_tables import THERMO_TABLE, Thermo, tensors
from lake.sources import SIMULATION_CARD
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, Fingerprint, Floats, FrameBatch, ReadingOutcome, RunHeader
from schemas.simulation import SimulationCard
from schemas.units import ANGSTROM_PER_FS_PER_ANGSTROM_PER_PS, EV_PER_ANGSTROM3_PER_BAR, GPA_PER_KBAR

TRAJECTORY = "trajectory.lammpstrj"
DUMP_COLUMNS = "id type xu yu zu vx vy vz fx fy fz"
FRAME_BEGINS = b"ITEM: TIMESTEP"

_N_COLUMNS = len(DUMP_COLUMNS.split())
_ROWS_PER_BATCH = 65536  # atoms times frames: 6 MB of numbers, whatever the size of the melt
_FRAMES_PER_BATCH = 128


@dataclass(frozen=True, slots=True)
class _Frame:
    step: int
    cell: Floats
    """(3, 3), Angstrom."""
    rows: Floats | None
    """(n_atoms, n_columns), sorted by id; None when they cannot be read."""


class LammpsReader:
    """One simulation. Positions are unwrapped and turned as LAMMPS had them; forces and virial are turned alike.

    Parameters
    ----------
    folder
        Folder with the card, the dump and the table.

    Raises
    ------
    UnreadableFile
        If the card cannot be understood, or the dump holds no complete frame.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.card = read_card(self.folder)
        self.outcome = ReadingOutcome()
        self._dump = self.folder / TRAJECTORY
        self._digest = hashlib.sha256()
        self._n_bytes = 0
        self.header = self._header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        return None

    def batches(self) -> Iterator[FrameBatch]:
        """Every complete frame, in the order of the dump; memory stays flat."""
        thermo = Thermo(self.folder / THERMO_TABLE)
        per_batch = max(1, min(_FRAMES_PER_BATCH, _ROWS_PER_BATCH // self.header.n_atoms))
        with self._dump.open("rb") as file:
            frames = self._frames(file)
            while some := list(islice(frames, per_batch)):
                self.outcome.n_ionic_steps += len(some)
                yield self._batch(some, thermo)
        self.outcome.n_ionic_steps += self.outcome.n_incomplete
        self.outcome.complete = self.card.outcome == "finished" and self.outcome.n_incomplete == 0
        if self.card.outcome == "unphysical":
            self.outcome.notes.append(f"The simulation was halted as unphysical: {self.card.reason}.")

    def raw_bytes_read(self) -> int:
        return self._n_bytes

    def fingerprint(self) -> Fingerprint:
        """Identity of the dump, after the last batch was taken."""
        digest = self._digest.hexdigest()
        return Fingerprint(digest, self._n_bytes, digest, self._n_bytes)

    def bookmark(self) -> Bookmark | None:
        """None: a simulation is read whole, with its table."""
        return None

    def head_sha256(self) -> str:
        """Of the card."""
        return hashlib.sha256((self.folder / SIMULATION_CARD).read_bytes()).hexdigest()

    def _header(self) -> RunHeader:
        plan = self.card.plan
        return RunHeader(
            source_format="lammps",
            atomic_numbers=self._atomic_numbers(),
            ensemble=plan.ensemble,
            code_version=self.card.lammps_version,
            time_step_fs=plan.sample_fs,
            temperature_target_k=plan.temperature_k,
            external_pressure_target_kbar=plan.pressure_gpa / GPA_PER_KBAR,
            synthetic=self.card.synthetic,
            origin="dnnp",
            potential_id=self.card.potential_id,
            protocol=plan.protocol,
            parent_run_id=self.card.start.parent_run_id,
            outcome=self.card.told_outcome,
            run_id=self.card.run_id,
        )

    def _atomic_numbers(self) -> NDArray[np.int8]:
        if not self._dump.is_file():
            raise UnreadableFile(
                f"{self.folder}: needed the trajectory {TRAJECTORY} beside {SIMULATION_CARD}, found none.",
                "A `performance` run has none; repeat the simulation otherwise.",
            )
        if (rows := dumped_atoms(self._dump)) is None:
            raise UnreadableFile(
                f"{self._dump} holds no complete frame of columns {DUMP_COLUMNS}.", "Repeat the simulation."
            )
        number_of = self.card.atomic_number_of_type
        return np.array([number_of[int(kind)] for kind in rows[:, 1]], dtype=np.int8)

    def _frames(self, file: BinaryIO) -> Iterator[_Frame]:
        lines = _Lines(file)
        while (frame := _next_frame(lines)) is not None:
            yield frame
        if lines.n_bytes > lines.n_bytes_of_frames:
            self.outcome.n_incomplete += 1
        for rest in iter(lambda: file.read(1 << 20), b""):
            lines.note(rest)
        self._digest, self._n_bytes = lines.digest, lines.n_bytes

    def _batch(self, frames: Sequence[_Frame], thermo: Thermo) -> FrameBatch:
        n_frames, n_atoms, plan = len(frames), self.header.n_atoms, self.card.plan
        cells = np.array([frame.cell for frame in frames])
        rows = np.full((n_frames, n_atoms, _N_COLUMNS), np.nan)
        for index, frame in enumerate(frames):
            if frame.rows is not None and frame.rows.shape == rows[index].shape:
                rows[index] = frame.rows
        steps = np.array([frame.step for frame in frames])
        table = thermo.at(steps)
        temperature, energy, conserved = table[:, 1], table[:, 2], table[:, 3]
        volume = np.abs(np.linalg.det(cells))
        virial = tensors(table[:, 4:]) * (volume * EV_PER_ANGSTROM3_PER_BAR)[:, None, None]
        return FrameBatch(
            ionic_step=((steps - plan.n_equilibration_steps) // plan.steps_per_frame + 1).astype(np.int32),
            segment=np.zeros(n_frames, dtype=np.int32),
            cell_angstrom=cells,
            positions_angstrom=rows[:, :, 2:5],
            velocities_angstrom_per_fs=rows[:, :, 5:8] * ANGSTROM_PER_FS_PER_ANGSTROM_PER_PS,
            forces_ev_per_angstrom=rows[:, :, 8:11],
            energy_ev=energy,
            energy_sigma0_ev=np.full(n_frames, np.nan),
            energy_without_entropy_ev=np.full(n_frames, np.nan),
            virial_ev=virial,
            virial_trace_ev=np.trace(virial, axis1=1, axis2=2),
            temperature_k=temperature,
            conserved_energy_ev=conserved,
            scf_steps=np.full(n_frames, -1, dtype=np.int32),
            scf_verdict=np.full(n_frames, "unknown"),
            label_source=np.full(n_frames, "none"),
            faults=tuple(_faults(atoms, value) for atoms, value in zip(rows, energy, strict=True)),
        )


def dumped_atoms(path: Path) -> Floats | None:
    """The first frame of a dump: (n_atoms, n_columns), columns `DUMP_COLUMNS`, sorted by id; None if it has none."""
    with path.open("rb") as file:
        frame = _next_frame(_Lines(file))
    return None if frame is None else frame.rows


def read_card(folder: Path) -> SimulationCard:
    """The card of a simulation.

    Raises
    ------
    UnreadableFile
        If there is none, or it is not one of ours.
    """
    path = folder / SIMULATION_CARD
    try:
        return SimulationCard.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UnreadableFile(
            f"{path} is not the card of a simulation: {str(error).splitlines()[0]}.", "Repeat the simulation."
        ) from error


class _Lines:
    """Lines of the dump, hashed as they pass; a line that has no newline yet is none."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.n_bytes = 0
        self.n_bytes_of_frames = 0

    def take(self, n_lines: int) -> list[bytes]:
        """The next lines; fewer at the end."""
        lines = list(islice(self._file, n_lines))
        self.note(b"".join(lines))
        return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines

    def note(self, data: bytes) -> None:
        self.digest.update(data)
        self.n_bytes += len(data)


def _next_frame(lines: _Lines) -> _Frame | None:
    """The next frame; None at the end, at a frame that was cut, or where the dump is no dump of ours."""
    head = lines.take(9)
    if len(head) < 9 or not head[0].startswith(FRAME_BEGINS):
        return None
    if head[8].split()[2:] != DUMP_COLUMNS.encode().split():
        return None
    try:
        step, n_atoms, cell = int(head[1]), int(head[3]), box_of(head[5:8]).cell
    except ValueError:
        return None
    table = lines.take(n_atoms)
    if len(table) < n_atoms:
        return None
    lines.n_bytes_of_frames = lines.n_bytes
    return _Frame(step, cell, _rows(table))


def _rows(table: Sequence[bytes]) -> Floats | None:
    try:
        values = np.fromstring(b"".join(table).decode("ascii"), sep=" ")
    except ValueError:
        return None
    if values.size != len(table) * _N_COLUMNS:
        return None
    rows: Floats = values.reshape(-1, _N_COLUMNS)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _faults(rows: Floats, energy: float) -> tuple[str, ...]:
    found = {
        "positions_not_finite": not np.isfinite(rows[:, 2:5]).all(),
        "forces_not_finite": not np.isfinite(rows[:, 8:11]).all(),
        "energy_missing": bool(np.isnan(energy)),
    }
    return tuple(fault for fault, is_there in found.items() if is_there)
