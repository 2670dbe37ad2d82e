"""Digests of frames, a number per quantity: frames with equal digests are equal, bit for bit. It reads no files."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lake.known_runs import SAME_ENERGY_EV

Digests = NDArray[np.uint64]

QUANTITIES = (
    *("positions_angstrom", "cell_angstrom", "forces_ev_per_angstrom", "virial_ev"),
    *("energy_ev", "energy_sigma0_ev", "energy_without_entropy_ev", "virial_trace_ev"),
    *("velocities_angstrom_per_fs", "magnetic_moments_mu_b", "atomic_numbers"),
    *("ionic_step", "temperature_k", "conserved_energy_ev", "printed_pressure_gpa"),
    *("scf_steps", "scf_verdict", "label_source"),
)
"""Columns of `frames` that are the raw file's own; the others are the gate's, or say where a frame belongs."""

_STEP = QUANTITIES.index("ionic_step")
_LABELS = [QUANTITIES.index(name) for name in ("positions_angstrom", "forces_ev_per_angstrom", "energy_ev")]
_ENERGY = QUANTITIES.index("energy_ev")
_NULL = np.uint64(0x6E756C6C6E756C6C)


def frame_digests(columns: Mapping[str, pa.Array]) -> Digests:
    """Digests of rows of the frames table, or of rows as they would be stored.

    Parameters
    ----------
    columns
        At least `QUANTITIES`, as many rows in each.

    Returns
    -------
    NDArray
        (n_frames, len(QUANTITIES)).
    """
    return np.stack([_of_column(columns[name]) for name in QUANTITIES], axis=1)


def without_steps(digests: Digests) -> Digests:
    """The same but for the ionic step: a restart counts its steps from 1 again."""
    without = digests.copy()
    without[:, _STEP] = 0
    return without


@dataclass(frozen=True, slots=True)
class KnownFrames:
    """Frames that the lake has, by their digests."""

    digests: Digests
    """(n_frames, len(QUANTITIES))."""
    _whole: frozenset[bytes]

    @classmethod
    def of(cls, parts: Sequence[Digests]) -> Self:
        digests = np.concatenate([np.zeros((0, len(QUANTITIES)), dtype=np.uint64), *parts])
        return cls(digests, frozenset(row.tobytes() for row in digests))

    def has(self, digests: Digests) -> NDArray[np.bool_]:
        """(n_frames,): which of these frames are among them."""
        return np.array([row.tobytes() in self._whole for row in digests], dtype=np.bool_)

    def has_steps(self, digests: Digests) -> NDArray[np.bool_]:
        """(n_frames,): which have a known frame of the same step and energy with all their labels, in other digits."""
        has = np.zeros(len(digests), dtype=np.bool_)
        for row, digest in enumerate(digests):
            same_step = self.digests[self.digests[:, _STEP] == digest[_STEP]]
            lacks = (same_step[:, _LABELS] == _NULL) & (digest[_LABELS] != _NULL)
            has[row] = bool((~lacks.any(axis=1) & _have_energy(same_step, digest)).any())
        return has

    def differences(self, digest: Digests) -> list[str]:
        """Quantities in which the most similar known frame of the same ionic step differs; none without such a frame.

        Parameters
        ----------
        digest
            (len(QUANTITIES),).
        """
        equal = self.digests[self.digests[:, _STEP] == digest[_STEP]] == digest
        if not len(equal):
            return []
        nearest = equal[equal.sum(axis=1).argmax()]
        return [name for name, is_same in zip(QUANTITIES, nearest, strict=True) if not is_same]


def _have_energy(digests: Digests, digest: Digests) -> NDArray[np.bool_]:
    """(n_frames,): which have the energy of a frame; all of them where that has none."""
    if digest[_ENERGY] == _NULL:
        return np.ones(len(digests), dtype=np.bool_)
    # The digest of a number is its bits.
    energies, energy = np.ascontiguousarray(digests[:, _ENERGY]).view(np.float64), digest[_ENERGY].view(np.float64)
    close = np.abs(energies - energy) <= SAME_ENERGY_EV
    told: NDArray[np.bool_] = close & (digests[:, _ENERGY] != _NULL)
    return told


def _of_column(column: pa.Array) -> Digests:
    if pa.types.is_list(column.type):
        return _of_lists(column)
    if pa.types.is_string(column.type):
        return np.array([_NULL if text is None else _digest(text.encode()) for text in column.to_pylist()], np.uint64)
    is_real = pa.types.is_floating(column.type)
    values = pc.fill_null(column, 0.0 if is_real else 0).to_numpy(zero_copy_only=False)
    bits = _canonical(values.astype(np.float64)).view(np.uint64) if is_real else values.astype(np.int64).view(np.uint64)
    return np.where(column.is_null().to_numpy(zero_copy_only=False), _NULL, bits)


def _of_lists(column: pa.ListArray) -> Digests:
    flat = column.flatten().to_numpy(zero_copy_only=False)
    values = _canonical(flat) if flat.dtype == np.float64 else flat
    memory, width = memoryview(np.ascontiguousarray(values).view(np.uint8).data), values.itemsize
    lengths = pc.list_value_length(column)
    ends = np.cumsum(pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False), dtype=np.int64) * width
    starts = np.concatenate([[0], ends[:-1]])
    pairs = zip(starts.tolist(), ends.tolist(), lengths.is_valid().to_pylist(), strict=True)
    return np.array([_digest(memory[start:end]) if valid else _NULL for start, end, valid in pairs], np.uint64)


def _canonical(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One NaN for all of them: what stands where a file has no number has no bits of its own."""
    return np.where(np.isnan(values), np.nan, values)


def _digest(data: bytes | memoryview) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()))
