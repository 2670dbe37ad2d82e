"""Vectors of atoms, a few frames at a time, whether all are in memory or not. What is computed of them is elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Vectors

_NUMBERS_AT_ONCE = 1 << 18
"""2 MB: what comes of a batch is still in the processor's cache when it is used."""


def in_batches(vectors: Floats | Vectors) -> Iterator[tuple[slice, Floats]]:
    """All frames in order, a few at a time: which ones, and their vectors, (n_some, n_atoms, 3)."""
    first = 0
    for batch in (vectors,) if isinstance(vectors, np.ndarray) else vectors.batches():
        for some in _parts(batch):
            yield slice(first, first + len(some)), some
            first += len(some)


def one_by_one(positions: Floats | Vectors, cells: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Positions (n_atoms, 3) and cell (3, 3) of every frame, Angstrom."""
    for frames, batch in in_batches(positions):
        yield from zip(batch, cells[frames], strict=True)


def finite_frames(vectors: Floats | Vectors) -> NDArray[np.bool_]:
    """(n_frames,): whether all vectors of a frame are finite."""
    finite = np.zeros(len(vectors), dtype=bool)
    for frames, batch in in_batches(vectors):
        finite[frames] = np.isfinite(batch).all(axis=(1, 2))
    return finite


def require_finite(values: Floats, *, what: str) -> None:
    """Refuse positions and cells that are no numbers: `what` needed others.

    Raises
    ------
    MeltlakeError
        If one is not finite.
    """
    if not np.isfinite(values).all():
        raise MeltlakeError(
            f"{what} needed finite positions and cells, found frames with others.", "Leave these frames out."
        )


def atoms_of_elements(atomic_numbers: NDArray[np.integer]) -> tuple[tuple[str, ...], list[NDArray[np.intp]]]:
    """Elements in alphabetical order, and the numbers of the atoms of each."""
    symbols, kinds = np.unique([SYMBOLS[number] for number in atomic_numbers], return_inverse=True)
    return tuple(map(str, symbols)), [np.flatnonzero(kinds == kind) for kind in range(len(symbols))]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some frames of many: `Vectors` again."""

    vectors: Floats | Vectors
    frames: NDArray[np.intp]
    """(n_chosen,), numbers of frames, increasing."""

    @classmethod
    def of(cls, vectors: Floats | Vectors, frames: slice | NDArray[np.bool_] | NDArray[np.intp]) -> "Chosen":
        """Those that a slice, a mask or increasing numbers of frames would give."""
        return cls(vectors, np.arange(len(vectors))[frames])

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.frames), *self.vectors.shape[1:])

    def in_memory(self) -> Floats:
        """All at once, where they are few."""
        return np.concatenate([np.empty((0, *self.shape[1:])), *self.batches()])

    def batches(self) -> Iterator[Floats]:
        for some, batch in in_batches(self.vectors):
            first, last = np.searchsorted(self.frames, (some.start, some.stop))
            if last - first == len(batch):
                yield batch
            elif last > first:
                yield batch[self.frames[first:last] - some.start]
            if last == len(self.frames):
                return


def _parts(array: Floats) -> Iterator[Floats]:
    length = max(1, _NUMBERS_AT_ONCE // max(1, array[:1].size))
    for first in range(0, len(array), length):
        yield array[first : first + length]
