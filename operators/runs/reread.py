"""A raw file read again: digests of its frames, and which of them are unknown. What that means is `raw_verify`'s."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lake.frames import staged_rows
from lake.raw_store import is_folder, size_bytes
from lake.readers import open_run, parts_of
from operators.bar import bar
from operators.physics.pairs import shortest_distances
from operators.runs.frame_digests import Digests, KnownFrames, frame_digests
from operators.runs.stored_run import StoredFrame, StoredRun
from schemas.frames import Fingerprint, FrameBatch, RunHeader
from schemas.gate import shortest_trainable_pairs_angstrom


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """A frame of a raw file that may be stored with another run."""

    frame: StoredFrame
    energy_ev: float
    atomic_numbers: NDArray[np.int8]

    def is_in(self, runs: Sequence[StoredRun]) -> bool:
        """Whether a run has the same configuration with the same energy and forces where this file has forces."""
        limits = shortest_trainable_pairs_angstrom(np.unique(self.atomic_numbers))
        positions, cells = self.frame.positions[None], self.frame.cell[None]
        [distance], _ = shortest_distances(self.atomic_numbers, positions, cells=cells, limits=limits)
        has_forces = bool(np.isfinite(self.frame.forces).all())
        return any(
            not has_forces or bool(np.isfinite(run.frame(place).forces).all())
            for run in runs
            for place in run.places_of(self.frame, energy_ev=self.energy_ev, min_distance_angstrom=float(distance))
        )


@dataclass(frozen=True, slots=True)
class Reread:
    """A raw file that was read to its end, all its parts."""

    fingerprint: Fingerprint
    complete: bool
    digests: Digests
    """(n_frames, len(QUANTITIES))."""
    unknown: NDArray[np.bool_]
    """(n_frames,): frames that are not known bit for bit."""
    kept: dict[int, KeptFrame]
    """The first of them, by position."""


def reread(path: str, known: KnownFrames, *, n_kept: int) -> Reread:
    """Read a file, or a simulation's folder, with all its parts.

    Parameters
    ----------
    path
        Its address.
    known
        Frames of the lake.
    n_kept
        How many of the frames that are not known to keep whole.

    Raises
    ------
    UnreadableFile
        If no frame can be read of it.
    """
    seen, complete = _Seen(known, n_kept), True
    fingerprint = Fingerprint("", 0, "", 0)
    total = 0 if is_folder(path) else size_bytes(path)
    for part in ("",) if is_folder(path) else parts_of(path):
        with open_run(path, part=part) as reader, bar("raw verify", total, unit="B") as waited:
            for batch in reader.batches():
                seen.add(batch, reader.header)
                waited.update(reader.raw_bytes_read() - waited.n)
            complete = complete and reader.outcome.complete
            fingerprint = reader.fingerprint()
    digests = KnownFrames.of(seen.digests).digests
    return Reread(fingerprint, complete, digests, ~known.has(digests), seen.kept)


@dataclass(slots=True)
class _Seen:
    """Frames that went by."""

    known: KnownFrames
    n_kept: int
    n_frames: int = 0
    digests: list[Digests] = field(default_factory=list)
    kept: dict[int, KeptFrame] = field(default_factory=dict)

    def add(self, batch: FrameBatch, header: RunHeader) -> None:
        no_time = np.full(batch.n_frames, np.nan)  # the time axis is the lake's: it goes on through a chain
        digests = frame_digests(staged_rows(batch, header, first_frame=0, time_fs=no_time))
        for row in np.flatnonzero(~self.known.has(digests))[: self.n_kept - len(self.kept)]:
            vectors = (batch.cell_angstrom, batch.positions_angstrom, batch.forces_ev_per_angstrom)
            frame = StoredFrame(*(values[row].copy() for values in vectors))
            self.kept[self.n_frames + int(row)] = KeptFrame(frame, float(batch.energy_ev[row]), header.atomic_numbers)
        self.digests.append(digests)
        self.n_frames += batch.n_frames
