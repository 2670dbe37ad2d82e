"""Frames of an extended XYZ file turned into batches of arrays in our units and signs. Text does not belong here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from lake.readers.batches import FRAMES_PER_BATCH
from lake.readers.extxyz_comment import cell_in, is_periodic, number_at, tensor_in
from lake.readers.extxyz_frames import XyzFrame
from lake.readers.partial import partial_batch
from schemas.elements import masses_amu
from schemas.frames import Floats, FrameBatch, LabelSource
from schemas.units import ANGSTROM_PER_FS_PER_SQRT_EV_PER_AMU

_LAST_STEP = 2**31 - 2
_ROWS_PER_BATCH = 16384  # atoms times frames
_FORCES = ("REF_forces", "forces", "force")
_VIRIALS = ("virial", "virials", "REF_virials")
_STRESSES = ("REF_stress", "stress")
_MOMENTS = ("REF_magmoms", "magmoms", "magnetic_moments")
_MOMENTA = "momenta"
_VELOCITIES = ("velo", "vel")


@dataclass(slots=True, kw_only=True)
class _Record:
    """One frame in our terms; arrays are NaN where the file gives nothing."""

    ionic_step: int
    segment: int
    cell: Floats
    positions: Floats
    forces: Floats
    energy_ev: float
    energy_sigma0_ev: float
    virial: Floats
    temperature_k: float
    label_source: str
    velocities: Floats | None
    moments: Floats | None
    faults: list[str]

    @property
    def kind(self) -> tuple[bool, int]:
        """Frames of one batch must have the same arrays."""
        return self.velocities is not None, 0 if self.moments is None else self.moments.ndim


class XyzCollector:
    """Collects frames of one sequence of atoms until a batch is full."""

    def __init__(self, atomic_numbers: NDArray[np.int8], energy_key: str | None) -> None:
        self._masses = masses_amu(atomic_numbers)
        self._energy_key = energy_key
        self._n_atoms = len(atomic_numbers)
        self._per_batch = max(1, min(FRAMES_PER_BATCH, _ROWS_PER_BATCH // max(self._n_atoms, 1)))
        self._nothing = np.full((self._n_atoms, 3), np.nan)
        self._records: list[_Record] = []
        self._step = 0
        self._segment = 0
        self._run_id: str | None = None

    def add(self, frame: XyzFrame) -> Iterator[FrameBatch]:
        """Take one frame; gives the batch that is complete without it, if there is one."""
        record = self._record(frame)
        if self._records and (record.kind != self._records[0].kind or len(self._records) >= self._per_batch):
            yield from self.rest()
        self._records.append(record)

    def rest(self) -> Iterator[FrameBatch]:
        """The frames at hand."""
        if self._records:
            yield _batch(self._records)
            self._records = []

    def _record(self, frame: XyzFrame) -> _Record:
        self._count(frame)
        comment, faults = frame.comment, list[str]()
        if frame.table is None:
            faults.append("row_count_wrong")
        positions = self._columns(frame, ("pos",))
        forces = self._columns(frame, _FORCES)
        cell, volume = self._cell(frame, faults)
        energy = number_at(comment, self._energy_key)
        if forces is not None and not np.isfinite(forces).all():
            forces = None
            faults.append("forces_not_finite")
        has_forces = forces is not None
        if has_forces and np.isnan(energy):
            faults.append("energy_not_finite" if self._energy_key in comment else "energy_missing")
        if forces is None and not faults and not np.isnan(energy):
            faults.append("forces_missing")
        velocities = self._velocities(frame)
        if velocities is not None and not np.isfinite(velocities).all():
            velocities = np.full_like(velocities, np.nan)
            faults.append("velocities_not_finite")
        source = comment.get("label_source", "dft" if has_forces or not np.isnan(energy) else "none")
        if source not in get_args(LabelSource):
            faults.append("label_source_unknown")
        if positions is None or not np.isfinite(positions).all():
            positions = self._nothing
        return _Record(
            ionic_step=self._step,
            segment=self._segment,
            cell=cell,
            positions=positions,
            forces=self._nothing if forces is None else forces,
            energy_ev=energy,
            energy_sigma0_ev=number_at(comment, "energy_sigma0"),
            virial=_virial(frame, volume, faults),
            temperature_k=number_at(comment, "temperature_k"),
            label_source=source if source in get_args(LabelSource) else "none",
            velocities=velocities,
            moments=self._moments(frame),
            faults=faults,
        )

    def _count(self, frame: XyzFrame) -> None:
        """The frame's place on the axis of steps; a run that begins anew is another segment."""
        told, run_id = number_at(frame.comment, "ionic_step"), frame.comment.get("run_id")
        told = told if 0 <= told <= _LAST_STEP else np.nan
        step = self._step + 1 + frame.n_lost_before if np.isnan(told) else int(told)
        if self._step and (step <= self._step or run_id != self._run_id) and frame.table is not None:
            self._segment += 1
            step = step if not np.isnan(told) else 1
        if frame.table is not None:
            self._run_id = run_id
        self._step = step

    def _columns(self, frame: XyzFrame, names: Sequence[str]) -> Floats | None:
        """The columns of the first of `names` that a row has, (n_atoms, n_columns); None if it has none of them."""
        if frame.table is None or frame.columns is None:
            return None
        name = next((name for name in names if name in frame.columns.places), None)
        return None if name is None else frame.table[:, frame.columns.places[name]]

    def _cell(self, frame: XyzFrame, faults: list[str]) -> tuple[Floats, float]:
        """The cell, A, and its volume, A^3."""
        found = cell_in(frame.comment["Lattice"]) if "Lattice" in frame.comment else None
        if found is None:
            faults.append("cell_not_finite" if "Lattice" in frame.comment else "cell_missing")
            return np.full((3, 3), np.nan), np.nan
        if not is_periodic(frame.comment):
            faults.append("not_periodic")
        return found

    def _velocities(self, frame: XyzFrame) -> Floats | None:
        momenta = self._columns(frame, (_MOMENTA,))
        if momenta is not None and momenta.shape == (self._n_atoms, 3):
            from_momenta: Floats = momenta / self._masses[:, None] * ANGSTROM_PER_FS_PER_SQRT_EV_PER_AMU
            return from_momenta
        velocities = self._columns(frame, _VELOCITIES)
        return velocities if velocities is not None and velocities.shape == (self._n_atoms, 3) else None

    def _moments(self, frame: XyzFrame) -> Floats | None:
        moments = self._columns(frame, _MOMENTS)
        return moments[:, 0] if moments is not None and moments.shape[1] == 1 else moments


def _virial(frame: XyzFrame, volume: float, faults: list[str]) -> Floats:
    """(3, 3), eV. QUIP, GAP and MACE write the virial with our sign; ASE's stress is positive when the melt pulls."""
    comment = frame.comment
    virial_key = next((key for key in _VIRIALS if key in comment), None)
    stress_key = next((key for key in _STRESSES if key in comment), None)
    if virial_key is None and stress_key is None:
        return np.full((3, 3), np.nan)
    if virial_key is not None:
        virial = tensor_in(comment[virial_key])
    else:
        virial = -tensor_in(comment[stress_key or ""]) * volume
    if not np.isfinite(virial).all():
        faults.append("stress_not_finite")
        return np.full((3, 3), np.nan)
    return virial


def _batch(records: Sequence[_Record]) -> FrameBatch:
    has_velocities, moments_ndim = records[0].kind
    return partial_batch(
        [record.ionic_step for record in records],
        [record.segment for record in records],
        cells=np.array([record.cell for record in records]),
        positions=np.array([record.positions for record in records]),
        faults=[record.faults for record in records],
        known={
            "forces_ev_per_angstrom": np.array([record.forces for record in records]),
            "energy_ev": np.array([record.energy_ev for record in records]),
            "energy_sigma0_ev": np.array([record.energy_sigma0_ev for record in records]),
            "virial_ev": np.array([record.virial for record in records]),
            "temperature_k": np.array([record.temperature_k for record in records]),
            "label_source": np.array([record.label_source for record in records], dtype=np.str_),
            "velocities_angstrom_per_fs": np.array([r.velocities for r in records]) if has_velocities else None,
            "magnetic_moments_mu_b": np.array([r.moments for r in records]) if moments_ndim else None,
        },
    )
