"""Products of series with themselves some time later, summed over time origins by FFT. What they mean is elsewhere.

sum_t x(t) x(t + lag) is a convolution, so that its transform is the product of transforms (Kneller et al., Comput.
Phys. Commun. 91, 191 (1995)): n log n instead of n^2. Zeros are appended so that the end does not meet the beginning.

A long run is cut into stretches of time origins no shorter than the longest lag. Later values are then in the same
stretch or in the next one, whose transform is turned by the time between: one transform per stretch, and no more of the
run in memory than two of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from operators.physics.vectors import in_batches
from schemas.frames import Floats, Vectors

_SERIES_AT_ONCE = 192
"""So that those of a long run stay in the cache."""

_SHORTEST_STRETCH = 64
"""Transforms of fewer values cost more per value."""

_BYTES_AT_ONCE = 64_000_000
"""What a pass over a run may keep; where its atoms need more, as many passes are made as it takes."""

Complexes = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaggedSums:
    """Sums over time origins, and over the atoms of each group."""

    products: Floats
    """(n_parts, n_groups, n_lags): of each vector with that so many frames later, over the time origins of a part."""
    squares: Floats
    """(n_groups, n_frames): of each vector with itself."""


def lagged_sums(
    vectors: Vectors, groups: Sequence[NDArray[np.intp]], parts: Sequence[slice], *, n_lags: int
) -> LaggedSums:
    """Lagged products of a run that may be larger than memory: what is kept does not grow with its length.

    Parameters
    ----------
    vectors
        (n_frames, n_atoms, 3), any unit.
    groups
        Numbers of the atoms of each.
    parts
        Contiguous parts of the run, from its first frame to its last. Their frames are time origins; later values may
        be beyond them. None is shorter than the longest lag.
    n_lags
        Number of lags, from 0.

    Returns
    -------
    LaggedSums
        The square of the unit.
    """
    if min(part.stop - part.start for part in parts) < n_lags - 1:
        raise ValueError(f"{n_lags} lags of parts {parts}: needed parts that are longer")
    stretches = _stretches(parts, shortest=max(n_lags - 1, _SHORTEST_STRETCH))
    length = fft.next_fast_len(2 * max(stretch.stop - stretch.start for stretch, _ in stretches), real=True)
    sums = LaggedSums(
        products=np.zeros((len(parts), len(groups), n_lags)), squares=np.zeros((len(groups), len(vectors)))
    )
    of_group = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    order = np.concatenate(groups)
    most = max(1, _BYTES_AT_ONCE // (3 * 8 * (length // 2 + length + 2)))
    for first in range(0, len(order), most):
        some = _Pass(order[first : first + most], of_group[first : first + most], length)
        for stretch, part, values in _series(vectors, some.atoms, stretches):
            some.add(values, stretch, part, sums)
    return sums


class _Pass:
    """One pass over the run with some of its atoms."""

    def __init__(self, atoms: NDArray[np.intp], of_group: NDArray[np.intp], length: int) -> None:
        self.atoms = atoms
        self._length = length
        self._groups = [(int(group), 3 * slice_.start, 3 * slice_.stop) for group, slice_ in _runs_of_equals(of_group)]
        self._before = np.zeros((3 * len(atoms), length // 2 + 1), dtype=np.complex128)
        self._part_before, self._n_before = 0, 0

    def add(self, values: Floats, stretch: slice, part: int, sums: LaggedSums) -> None:
        """The next stretch of the series, (n_frames, n_series)."""
        n_freq = self._before.shape[1]
        turn = np.exp(-2j * np.pi * np.arange(n_freq) * (self._n_before / self._length))
        n_lags = sums.products.shape[2]
        for group, start, stop in self._groups:
            own, cross = np.zeros(n_freq), np.zeros(n_freq, dtype=np.complex128)
            squares = sums.squares[group, stretch]
            for first in range(start, stop, _SERIES_AT_ONCE):
                columns = slice(first, min(first + _SERIES_AT_ONCE, stop))
                series = np.ascontiguousarray(values[:, columns].T)
                squares += np.einsum("ct,ct->t", series, series)
                _accumulate(fft.rfft(series, self._length, axis=1), self._before[columns], own, cross)
            sums.products[part, group] += fft.irfft(own, self._length)[:n_lags]
            sums.products[self._part_before, group] += fft.irfft(cross * turn, self._length)[:n_lags]
        self._part_before, self._n_before = part, len(values)


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _accumulate(now: Complexes, before: Complexes, own: Floats, cross: Complexes) -> None:
    """Add the products of transforms, (n_series, n_frequencies), and put those of now where those before were."""
    for series in range(now.shape[0]):
        for w in range(now.shape[1]):
            re, im = now[series, w].real, now[series, w].imag
            re_before, im_before = before[series, w].real, before[series, w].imag
            own[w] += re * re + im * im
            cross[w] += complex(re_before * re + im_before * im, re_before * im - im_before * re)
            before[series, w] = complex(re, im)


def _stretches(parts: Sequence[slice], *, shortest: int) -> list[tuple[slice, int]]:
    """Stretches of time origins in order, each with the number of its part; none shorter but where a part is."""
    stretches = []
    for number, part in enumerate(parts):
        n_frames = part.stop - part.start
        edges = np.linspace(part.start, part.stop, max(1, n_frames // shortest) + 1).round().astype(int)
        stretches += [(slice(int(start), int(stop)), number) for start, stop in pairwise(edges)]
    return stretches


def _series(
    vectors: Vectors, atoms: NDArray[np.intp], stretches: Sequence[tuple[slice, int]]
) -> Iterator[tuple[slice, int, Floats]]:
    """Each stretch, its part, and its values: (n_frames, 3 n_atoms), which the next one overwrites."""
    room = np.empty((max(stretch.stop - stretch.start for stretch, _ in stretches), 3 * len(atoms)))
    remaining = list(reversed(stretches))
    for frames, batch in in_batches(vectors):
        chosen = batch.take(atoms, axis=1).reshape(len(batch), -1)  # quicker than an index in brackets
        at = frames.start
        while at < frames.stop:
            stretch, part = remaining[-1]
            end = min(frames.stop, stretch.stop)
            room[at - stretch.start : end - stretch.start] = chosen[at - frames.start : end - frames.start]
            if end == stretch.stop:
                yield stretch, part, room[: stretch.stop - stretch.start]
                remaining.pop()
            at = end


def _runs_of_equals(numbers: NDArray[np.intp]) -> Iterator[tuple[int, slice]]:
    """Each number of a sorted sequence and where it stands."""
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, stop in pairwise(edges):
        yield int(numbers[start]), slice(start, stop)


def lagged_products(series: Floats, origins: slice, *, n_lags: int) -> Floats:
    """Sum over time origins, and over all series, of the product of each value with that so many frames later.

    Parameters
    ----------
    series
        (n_frames, ...), any unit; all axes but the first number the series, which are in memory.
    origins
        Frames that are time origins; the later value may be beyond them. Where the series ends first, an origin has
        fewer lags: see `n_origins`.
    n_lags
        Number of lags, from 0.

    Returns
    -------
    Floats
        (n_lags,), the square of the unit.
    """
    first = origins.stop - origins.start
    used = series[origins.start : origins.stop + n_lags - 1]
    length = fft.next_fast_len(max(first + n_lags, len(used)), real=True)
    spectrum = np.zeros(length // 2 + 1, dtype=complex)
    for columns in _columns(used.reshape(len(used), -1)):
        later = fft.rfft(columns, length, axis=1)
        now = later if first == len(used) else fft.rfft(columns[:, :first], length, axis=1)
        spectrum += np.einsum("cw,cw->w", now.conj(), later)
    products: Floats = fft.irfft(spectrum, length)[:n_lags]
    return products


def n_origins(n_frames: int, origins: slice, *, n_lags: int) -> Floats:
    """(n_lags,): how many time origins of a run have a frame that much later."""
    counts: Floats = np.minimum(origins.stop, n_frames - np.arange(n_lags)) - float(origins.start)
    return np.maximum(counts, 0.0)


def _columns(series: Floats) -> Iterator[Floats]:
    """A few series at a time, (n_series, n_frames), each contiguous."""
    for first in range(0, series.shape[1], _SERIES_AT_ONCE):
        yield np.ascontiguousarray(series[:, first : first + _SERIES_AT_ONCE].T)
