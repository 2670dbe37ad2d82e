"""Reads a vaspout.h5 in slices of many ionic steps. Frames are made in `vaspout_frames`, HDF5 is in `vaspout_file`."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from lake.readers.containers import SourceStream, open_source
from lake.readers.fields import Field
from lake.readers.source_reader import SourceReader
from lake.readers.vasp_header import settings_notes
from lake.readers.vaspout_file import Hdf5File
from lake.readers.vaspout_frames import NO_HISTORY, ScfHistory, Slice, batch_of
from lake.readers.vaspout_header import POSITIONS, read_head
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, Floats, FrameBatch, ReadingOutcome, RunHeader

_STEPS = "intermediate/ion_dynamics"
FIELDS: tuple[Field, ...] = (
    Field("code_version", "version/major, minor, patch", "6.4"),
    Field(
        "atomic_numbers", "results/positions/ion_types, number_ion_types", "6.4", "input/poscar where results are not"
    ),
    Field(
        "level_of_theory", "input/incar, input/potcar/content, input/kpoints", "6.4", "INCAR only: defaults are added"
    ),
    Field("cell_angstrom", f"{_STEPS}/lattice_vectors", "6.4", "times `scale`"),
    Field("positions_angstrom", POSITIONS, "6.4", "fractional in the file"),
    Field("forces_ev_per_angstrom", f"{_STEPS}/forces", "6.4"),
    Field("energy_ev", f"{_STEPS}/energies", "6.4", "the column whose tag ends in TOTEN"),
    Field("energy_sigma0_ev", f"{_STEPS}/energies", "6.4", "not there in molecular dynamics"),
    Field("energy_without_entropy_ev", f"{_STEPS}/energies", "6.4", "not there in molecular dynamics"),
    Field("energies_tags", f"{_STEPS}/energies_tags", "6.4", "names the columns of energies"),
    Field("temperature_k", f"{_STEPS}/energies", "6.4", "from EKIN, as 2 Ekin / (n kB)"),
    Field("conserved_energy_ev", f"{_STEPS}/energies", "6.4", "ETOTAL, without thermostat or with Nose's"),
    Field("enmax_ev", "input/potcar/content", "6.4", "`ENMAX`, the largest"),
    Field("virial_ev", f"{_STEPS}/stress", "6.4", "none with ISIF = 0 or 1"),
    Field("virial_trace_ev", f"{_STEPS}/stress", "6.4", "its diagonal; none with ISIF = 0"),
    Field("scf_steps", f"{_STEPS}/oszicar", "6.5", "a loop begins where N falls back"),
    Field("scf_columns", f"{_STEPS}/oszicar_label", "6.5", "names the columns of oszicar"),
    Field("scf_verdict", f"{_STEPS}/electronic_step_converged", "6.5", "0 means converged"),
    Field("velocities_angstrom_per_fs", f"{_STEPS}/ion_velocities", "6.4", "only with VELOCITY = T"),
    Field("magnetic_moments_mu_b", f"{_STEPS}/magnetism/spin_moments/values", "6.5", "sum over orbitals, with LORBIT"),
    Field("magnetic_moments_mu_b", f"{_STEPS}/magnetism/moments", "6.4", "until 6.5"),
    Field("scale", f"{_STEPS}/scale", "6.5", "results/positions/scale before"),
)
_PATH = {field.quantity: field.where for field in reversed(FIELDS)}
_MOMENTS = tuple(field.where for field in FIELDS if field.quantity == "magnetic_moments_mu_b")
_SCALES = (_PATH["scale"], "results/positions/scale")
_FINAL_RESULTS = ("results/electron_dos", "results/electron_eigenvalues")

_TABLE_BYTES_PER_BATCH = 1024 * 1024  # positions, forces and their product stay in the processor's cache
_MOST_FRAMES_PER_BATCH = 1024
_OSZICAR_ROWS = 65536


class VaspoutReader(SourceReader):
    """Frames of a vaspout.h5, plain or compressed.

    HDF5 cannot be read forward: a file on this machine is opened in place, any other is first copied to the temporary
    folder. VASP lets the tables of ionic steps grow, so a killed run keeps its complete steps, unless the file itself
    was left without its index.
    """

    header: RunHeader
    outcome: ReadingOutcome

    def __init__(self, source: SourceStream | str | Path) -> None:
        self.source = open_source(source) if isinstance(source, str | Path) else source
        self.outcome = ReadingOutcome()
        self._file = Hdf5File(self.source)
        self._head = read_head(self._file)
        self.header = self._head.header
        self._n_frames, self._n_steps = self._counts()
        self._tags = tuple(" ".join(str(tag).split()) for tag in self._file.values(_PATH["energies_tags"]))
        self._scale = self._scale_of_cells()
        self._scf = self._scf_history()
        self._stress = self._table(_PATH["virial_ev"], (3, 3))
        self._velocities = self._table(_PATH["velocities_angstrom_per_fs"], (self.header.n_atoms, 3))
        self._moments = self._moments_path()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        super().__exit__(kind, error, trace)

    def bookmark(self) -> Bookmark | None:
        """None: HDF5 moves its blocks while it grows, so the file must be read as a whole."""
        return None

    def head_sha256(self) -> str:
        """Of VASP's version, the INCAR and the POSCAR."""
        return self._head.sha256

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in file order.

        Raises
        ------
        UnreadableFile
            If the file holds no ionic step, or one that cannot be read.
        """
        if not self._n_frames:
            raise UnreadableFile(
                f"{self.source.name}: VASP was killed before the first ionic step finished: the file holds no frame.",
                "Run VASP again, or leave this file out.",
            )
        one_frame = 24 * self.header.n_atoms
        size = min(max(_TABLE_BYTES_PER_BATCH // one_frame, 1), _MOST_FRAMES_PER_BATCH)
        has_loop_per_step = len(self._scf.steps) >= self._n_frames or self._head.machine_learned is None
        n_unfilled = 0
        for start in range(0, self._n_frames, size):
            part = self._slice(start, min(start + size, self._n_frames))
            if part.stress_kbar is not None:
                n_unfilled += int((~part.stress_kbar.any(axis=(1, 2))).sum())
            yield batch_of(part, self._head, self._scf, has_loop_per_step=has_loop_per_step)
        self._finish(n_unfilled)

    def _counts(self) -> tuple[int, int]:
        """Complete ionic steps, and those that were begun: a killed run may leave one table longer than another."""
        n_atoms = self.header.n_atoms
        inner = {
            "positions_angstrom": (n_atoms, 3),
            "cell_angstrom": (3, 3),
            "forces_ev_per_angstrom": (n_atoms, 3),
            "energy_ev": (self._n_tags(),),
        }
        counts = {}
        for quantity, shape in inner.items():
            found = self._file.shape(_PATH[quantity])
            if found is not None and found[1:] != shape:
                raise UnreadableFile(
                    f"{self.source.name}: needed {_PATH[quantity]} of shape (n, {', '.join(map(str, shape))}), "
                    f"found {found}.",
                    "Give the vaspout.h5 as VASP wrote it, or leave this file out.",
                )
            if found is not None:
                counts[quantity] = found[0]
        if not {"positions_angstrom", "cell_angstrom"} <= counts.keys():
            return 0, max(counts.values(), default=0)
        return min(counts.values()), max(counts.values())

    def _n_tags(self) -> int:
        return len(self._file.values(_PATH["energies_tags"]))

    def _scale_of_cells(self) -> float:
        scales = [scale for path in _SCALES if (scale := self._file.scalar(path)) is not None]
        scale = scales[0] if scales else 1.0
        if isinstance(scale, str) or not 0.0 < scale < np.inf:
            raise UnreadableFile(
                f"{self.source.name}: needed a positive scale of the lattice vectors, found {scale}.",
                "Run VASP again with a POSCAR whose scale is positive, or leave this file out.",
            )
        return float(scale)

    def _table(self, path: str, inner: tuple[int, ...]) -> str | None:
        """The path of an optional table, if it is there for every frame."""
        found = self._file.shape(path)
        if found is None:
            return None
        if found[1:] == inner and found[0] >= self._n_frames:
            return path
        self.outcome.notes.append(
            f"{path} has the shape {found} for {self._n_frames} ionic steps, so nothing was taken from it."
        )
        return None

    def _moments_path(self) -> str | None:
        path = next((path for path in _MOMENTS if path in self._file), None)
        shape = None if path is None else self._file.shape(path)
        if path is None or shape is None or len(shape) != 4 or shape[1] == 1:  # one component is the charge alone
            return None
        return self._table(path, (4 if shape[1] == 4 else 2, self.header.n_atoms, shape[3]))

    def _scf_history(self) -> ScfHistory:
        shape, labels = self._file.shape(_PATH["scf_steps"]), self._file.values(_PATH["scf_columns"])
        flag_shape = self._file.shape(_PATH["scf_verdict"])
        flags = np.empty(0)
        if flag_shape:
            flags = self._file.rows(_PATH["scf_verdict"], 0, flag_shape[0]).ravel()
        if shape is None or len(shape) != 2 or len(labels) != shape[1] or not {"N", "E", "dE"} <= set(labels):
            return ScfHistory(NO_HISTORY.steps, NO_HISTORY.energy_ev, NO_HISTORY.change_ev, flags)
        ends = self._ends_of_loops(shape[0], [labels.index(label) for label in ("N", "E", "dE")])
        return ScfHistory(ends[:, 0].astype(np.int32), ends[:, 1], ends[:, 2], flags)

    def _ends_of_loops(self, n_rows: int, columns: list[int]) -> Floats:
        """The last electronic step of every loop: (n_loops, 3), counter, energy and its change, eV."""
        last = np.empty((0, 3))
        ends = []
        for start in range(0, n_rows, _OSZICAR_ROWS):
            rows = self._file.rows(_PATH["scf_steps"], start, min(start + _OSZICAR_ROWS, n_rows))[:, columns]
            rows = np.concatenate([last, rows[rows[:, 0] >= 1]])  # rows that were made and never filled hold zeros
            ends.append(rows[:-1][rows[1:, 0] <= rows[:-1, 0]])
            last = rows[-1:]
        return np.concatenate([*ends, last])

    def _slice(self, start: int, stop: int) -> Slice:
        read, path = self._file.rows, _PATH
        return Slice(
            first=start,
            cell_angstrom=read(path["cell_angstrom"], start, stop) * self._scale,
            fractional=read(path["positions_angstrom"], start, stop),
            forces_ev_per_angstrom=self._optional(path["forces_ev_per_angstrom"], start, stop),
            energies_ev=self._optional(path["energy_ev"], start, stop),
            energy_tags=self._tags,
            stress_kbar=self._optional(self._stress, start, stop),
            velocities_angstrom_per_fs=self._optional(self._velocities, start, stop),
            moments=self._optional(self._moments, start, stop),
        )

    def _optional(self, path: str | None, start: int, stop: int) -> Floats | None:
        return None if path is None or self._file.shape(path) is None else self._file.rows(path, start, stop)

    def _finish(self, n_unfilled: int) -> None:
        """Say how the reading ended."""
        outcome, head, settings = self.outcome, self._head, self._head.settings
        outcome.n_ionic_steps = max(self._n_steps, len(self._scf.steps))
        outcome.n_incomplete = outcome.n_ionic_steps - self._n_frames
        outcome.complete = self._ended() and not outcome.n_incomplete and self.source.damage is None
        if self.source.damage is not None:
            outcome.notes.append(f"{self.source.damage[0].upper()}{self.source.damage[1:]}.")
        if not outcome.complete:
            outcome.notes.append(
                f"{self._n_frames} of {settings.nsw} ionic steps and no final results: nothing in the file tells that "
                "VASP ended."
            )
        if head.machine_learned == "run":
            outcome.notes.append(f"{self._n_frames} frames come from a machine-learned force field.")
        elif head.machine_learned is not None and len(self._scf.steps) < self._n_frames:
            outcome.notes.append(
                "The run was driven by VASP's force field and by DFT in turn, and the file does not tell its steps "
                "apart; the OUTCAR of the run does."
            )
        if n_unfilled and settings.isif:
            outcome.notes.append(f"{n_unfilled} frames have a stress of exactly zero, so no virial was taken.")
        outcome.notes.extend(settings_notes(settings, self.header.ensemble))

    def _ended(self) -> bool:
        """All ionic steps were done, or the results are there that VASP writes when it ends.

        With KBLOCK densities of states are written on the way too.
        """
        nsw = self._head.settings.nsw
        if nsw is not None and self._n_frames * self._head.ml_outblock >= max(nsw, 1):
            return True
        return not self._head.writes_dos_on_the_way and any(place in self._file for place in _FINAL_RESULTS)
