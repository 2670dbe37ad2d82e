"""What melt an atom sees within the cutoff of a potential: how far its composition is from that of the melt.

A potential learns environments, not compositions: those of a melt scatter about its composition, and where they reach
those of another melt, the potential knows it already. Atoms at the centre do not count to their environment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.physics.neighbours import neighbour_counts
from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.frames import Floats

DENSE_SHARE = 0.99
"""Of the training environments: what is rarer than these is not counted as known."""

CELL_AT_PERCENT = 2.0
_FAR_QUANTILE = 0.999
_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalComposition:
    """Share of one element in the environments of a melt, in at.%."""

    element: str
    r_cut_angstrom: float
    mean_at_percent: float
    sigma_at_percent: float
    """Standard deviation of the share about its mean."""
    p999_at_percent: float
    """99.9 of 100 environments are not further than this from the melt's own share."""
    max_at_percent: float
    """None is further."""
    random_at_percent: float
    """Standard deviation that the same numbers of neighbours would have, were the atoms labelled at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Every environment of some frames of one melt, each kind once: exact, and small however many frames there are."""

    elements: tuple[str, ...]
    """(n_elements,), in alphabetical order."""
    counts: NDArray[np.int64]
    """(n_elements,), atoms of the melt."""
    r_cut_angstrom: float
    neighbours: NDArray[np.int64]
    """(n_kinds, n_elements), numbers of neighbours; no two rows alike."""
    n_of: NDArray[np.int64]
    """(n_kinds,), how many environments are of the kind."""

    @property
    def n_environments(self) -> int:
        return int(self.n_of.sum())

    @property
    def shares(self) -> Floats:
        """(n_kinds, n_elements), of 1."""
        shares: Floats = self.neighbours / self.neighbours.sum(axis=1, keepdims=True)
        return shares

    def merged(self, other: "Environments") -> "Environments":
        """With those of more frames of the same melt.

        Raises
        ------
        MeltlakeError
            If the other are of another melt or cutoff.
        """
        same = self.elements == other.elements and self.r_cut_angstrom == other.r_cut_angstrom
        if not (same and np.array_equal(self.counts, other.counts)):
            raise MeltlakeError(
                f"Environments needed one melt and one cutoff, found {_melt(self)} and {_melt(other)}.",
                "Merge environments of one melt; compare those of several by their coverage.",
            )
        stacked = np.concatenate([self.neighbours, other.neighbours])
        neighbours, n_of = _unique(stacked, np.concatenate([self.n_of, other.n_of]))
        return Environments(
            elements=self.elements,
            counts=self.counts,
            r_cut_angstrom=self.r_cut_angstrom,
            neighbours=neighbours,
            n_of=n_of,
        )


def environments(
    atomic_numbers: NDArray[np.integer], frames: Iterable[tuple[Floats, Floats]], *, r_cut_angstrom: float
) -> Environments:
    """Every environment of a stream of frames; one frame is in memory at a time.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    frames
        Positions (n_atoms, 3), Angstrom, wrapped or not, and cell (3, 3), Angstrom, rows a, b, c, of each. Periodic
        copies count one by one where the cutoff reaches beyond half the cell.
    r_cut_angstrom
        Of the potential.

    Raises
    ------
    MeltlakeError
        If a position or a cell is not finite, there is no frame, or an atom has no neighbour.
    """
    symbols, types = np.unique([SYMBOLS[number] for number in atomic_numbers], return_inverse=True)
    seen, n_seen = np.empty((0, len(symbols)), dtype=np.int64), np.empty(0, dtype=np.int64)
    waiting: list[NDArray[np.int64]] = []
    for number, (positions, cell) in enumerate(frames):
        waiting.append(_neighbours(positions, cell, types, r_cut_angstrom=r_cut_angstrom, frame=number))
        if len(waiting) * len(types) >= _ROWS_AT_ONCE:
            seen, n_seen = _with(seen, n_seen, waiting)
            waiting = []
    seen, n_seen = _with(seen, n_seen, waiting)
    if not len(seen):
        raise MeltlakeError("Environments needed a frame, found none.", "Leave this run out.")
    return Environments(
        elements=tuple(str(symbol) for symbol in symbols),
        counts=np.bincount(types),
        r_cut_angstrom=r_cut_angstrom,
        neighbours=seen,
        n_of=n_seen,
    )


def _neighbours(
    positions: Floats, cell: Floats, types: NDArray[np.intp], *, r_cut_angstrom: float, frame: int
) -> NDArray[np.int64]:
    """(n_atoms, n_elements) of one frame."""
    if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
        raise MeltlakeError(
            f"Environments needed finite positions and cells, found others in frame {frame} of those given.",
            "Leave this frame out.",
        )
    near = neighbour_counts(positions, cell, types, r_cut_angstrom=r_cut_angstrom, n_types=int(types.max()) + 1)
    if not near.any(axis=1).all():
        raise MeltlakeError(
            f"Environments needed a neighbour of every atom within {r_cut_angstrom:g} angstrom, found none of atom "
            f"{int(np.argmin(near.any(axis=1)))} in frame {frame} of those given.",
            "Take a longer cutoff, or leave out what has evaporated.",
        )
    return near


def local_composition(found: Environments) -> list[LocalComposition]:
    """How the share of each element scatters over the environments of a melt."""
    rows = []
    for slot, element in enumerate(found.elements):
        share, own = found.shares[:, slot], found.counts[slot] / found.counts.sum()
        mean = float(np.average(share, weights=found.n_of))
        apart = np.abs(share - own)
        rows.append(
            LocalComposition(
                element=element,
                r_cut_angstrom=found.r_cut_angstrom,
                mean_at_percent=100 * mean,
                sigma_at_percent=100 * float(np.sqrt(np.average((share - mean) ** 2, weights=found.n_of))),
                p999_at_percent=100 * _quantile(apart, found.n_of, _FAR_QUANTILE),
                max_at_percent=100 * float(apart.max()),
                random_at_percent=100 * _random_sigma(found, own),
            )
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRegion:
    """Where the environments of training melts are dense, in cells of 2 at.%."""

    elements: tuple[str, ...]
    r_cut_angstrom: float
    cells: frozenset[tuple[int, ...]]

    def share_of(self, test: Environments) -> float:
        """Which share of a melt's environments lies in it, of 1.

        Raises
        ------
        MeltlakeError
            If the cutoffs differ.
        """
        if test.r_cut_angstrom != self.r_cut_angstrom:
            raise MeltlakeError(
                f"A coverage needed training environments within {test.r_cut_angstrom:g} angstrom, found those within "
                f"{self.r_cut_angstrom:g}.",
                "Count the environments of all melts within one cutoff.",
            )
        strange = sorted(set(test.elements) - set(self.elements))
        cells = _cells(test, [*self.elements, *strange])
        n_known = len(self.elements)
        covered = [not any(cell[n_known:]) and tuple(cell[:n_known]) in self.cells for cell in cells.tolist()]
        return float(np.average(covered, weights=test.n_of))


def known_region(training: Sequence[Environments]) -> KnownRegion:
    """The fullest cells that together hold 99 % of the training environments.

    Each melt of the training set weighs the same, however many frames it has.

    Parameters
    ----------
    training
        Of each melt that was trained on; of one cutoff.

    Raises
    ------
    MeltlakeError
        If there is none, or the cutoffs differ.
    """
    if not training or any(one.r_cut_angstrom != training[0].r_cut_angstrom for one in training):
        raise MeltlakeError(
            "A coverage needed training environments within one cutoff, found "
            f"{', '.join(_melt(one) for one in training) or 'none'}.",
            "Count the environments of all melts within one cutoff.",
        )
    elements = sorted({element for one in training for element in one.elements})
    cells = np.concatenate([_cells(one, elements) for one in training])
    weights = np.concatenate([one.n_of / one.n_environments for one in training]) / len(training)
    known, which = np.unique(cells, axis=0, return_inverse=True)
    filling = np.bincount(which.ravel(), weights)
    fullest = np.argsort(-filling, kind="stable")
    # The cell that completes the share still counts: without it less than the share would.
    n_dense = int(np.searchsorted(np.cumsum(filling[fullest]), DENSE_SHARE * (1 - 1e-12))) + 1
    return KnownRegion(
        elements=tuple(elements),
        r_cut_angstrom=training[0].r_cut_angstrom,
        cells=frozenset(tuple(cell) for cell in known[fullest[:n_dense]].tolist()),
    )


def coverage(test: Environments, training: Sequence[Environments]) -> float:
    """Which share of a melt's environments lies where the training environments are dense, of 1.

    Compositions are binned in cells of 2 at.%; the fullest cells that together hold 99 % of the training environments
    count as known. Who asks for many melts makes the `known_region` once.

    Parameters
    ----------
    test
        Of a melt that may not have been trained on.
    training
        Of each melt that was; of the same cutoff.

    Raises
    ------
    MeltlakeError
        If there is nothing to compare with, or the cutoffs differ.
    """
    if not training or any(one.r_cut_angstrom != test.r_cut_angstrom for one in training):
        raise MeltlakeError(
            f"A coverage needed training environments within {test.r_cut_angstrom:g} angstrom, found "
            f"{', '.join(_melt(one) for one in training) or 'none'}.",
            "Count the environments of all melts within one cutoff.",
        )
    return known_region(training).share_of(test)


def _cells(found: Environments, elements: Sequence[str]) -> NDArray[np.int64]:
    """(n_kinds, n_elements): cell of the share of each of these elements, of which the melt may lack some."""
    shares = np.zeros((len(found.n_of), len(elements)))
    shares[:, [elements.index(element) for element in found.elements]] = found.shares
    cells: NDArray[np.int64] = (100 * shares / CELL_AT_PERCENT + 1e-9).astype(np.int64)
    return cells


def _random_sigma(found: Environments, share: float) -> float:
    """Root of the mean variance c (1 - c) / n (N - 1 - n) / (N - 2) of n neighbours drawn without return."""
    n_atoms, n_near = int(found.counts.sum()), found.neighbours.sum(axis=1)
    if n_atoms < 3:
        return np.nan
    variances = share * (1 - share) / n_near * np.maximum(n_atoms - 1 - n_near, 0) / (n_atoms - 2)
    return float(np.sqrt(np.average(variances, weights=found.n_of)))


def _quantile(values: Floats, n_of: NDArray[np.int64], quantile: float) -> float:
    """Smallest value that so large a part of all does not exceed."""
    order = np.argsort(values)
    at = np.searchsorted(np.cumsum(n_of[order]), quantile * n_of.sum() * (1 - 1e-12))
    return float(values[order][at])


def _with(
    seen: NDArray[np.int64], n_seen: NDArray[np.int64], more: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What was seen, and what each row of more adds."""
    n_more = sum(len(rows) for rows in more)
    return _unique(np.concatenate([seen, *more]), np.concatenate([n_seen, np.ones(n_more, dtype=np.int64)]))


def _unique(rows: NDArray[np.int64], n_of: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each row once, and how many there are of it."""
    unlike, which = np.unique(rows, axis=0, return_inverse=True)
    return unlike, np.bincount(which.ravel(), n_of, minlength=len(unlike)).astype(np.int64)


def _melt(found: Environments) -> str:
    formula = "".join(f"{a}{n}" for a, n in zip(found.elements, found.counts, strict=True))
    return f"{formula} within {found.r_cut_angstrom:g} angstrom"
