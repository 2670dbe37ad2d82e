"""How atoms move from frame to frame, across the faces of their cell. Averages of it are in `vacf` and `msd`.

A move is the nearest image in units of the cell, times the mean of the two cells: wrapping does not matter, and a
breathing cell is not motion. Sums of such moves diffuse as they should at constant pressure too, where unwrapped
coordinates do not (von Bülow, Bullerjahn and Hummer, J. Chem. Phys. 153, 021101 (2020)). Runs may be larger than
memory: a few frames at a time come in, and go on as `Vectors`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.physics.cells import fractional, volumes_angstrom3
from operators.physics.vectors import in_batches
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Vectors

_EVEN_TO_FS = 1e-3
_SHARPEST_KINK = 5.0
"""In kinks of the run's quietest quarter, rms over the atoms; between forces that change smoothly it is below 3."""

_FURTHEST_MOVE = 0.4
"""In units of a cell vector: up to a half the nearest image is unique, and atoms near it may have been beyond."""


def sampling_fs(time_fs: Floats, *, what: str = "Motion of atoms") -> float:
    """Time between consecutive frames.

    Parameters
    ----------
    time_fs
        (n_frames,), fs.
    what
        Needs it; begins the sentence of an error.

    Raises
    ------
    MeltlakeError
        If there is no time axis, or it is not even: a gap would put wrong motion into every lag.
    """
    if len(time_fs) < 2 or np.isnan(time_fs).any():
        raise MeltlakeError(
            f"{what} needed frames on a time axis, found {len(time_fs)} frames, {int(np.isnan(time_fs).sum())} of "
            "them without a time.",
            "Use a molecular dynamics run.",
        )
    steps = np.diff(time_fs)
    step = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - step) > _EVEN_TO_FS)
    if len(uneven) or step <= 0:
        at = int(uneven[0]) if len(uneven) else 0
        raise MeltlakeError(
            f"{what} needed frames every {step:g} fs, found {steps[at]:g} fs between frames {at} and {at + 1}.",
            "Ingest the run without its gap or overlap, or leave it out.",
        )
    return step


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Moves of atoms between consecutive frames of a run, Angstrom, the centre of mass at rest: `Vectors` again."""

    positions: Floats | Vectors
    """(n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not."""
    cells: Floats
    """(n_frames, 3, 3), Angstrom, rows a, b, c."""
    masses_amu: Floats
    """(n_atoms,), amu."""
    what: str = "Motion of atoms"
    """Needs them; begins the sentence of an error."""

    def __len__(self) -> int:
        return max(0, len(self.positions) - 1)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.positions.shape[1:])

    def batches(self) -> Iterator[Floats]:
        """(n_some, n_atoms, 3), Angstrom.

        Raises
        ------
        MeltlakeError
            If a position or a cell is not finite, atoms go so far between two frames that their image cannot be told,
            or, at the end, frames did not follow each other.
        """
        seen = _Smoothness()
        before = np.empty((0, *self.positions.shape[1:]))
        for frames, batch in in_batches(self.positions):
            cells = self.cells[max(0, frames.start - 1) : frames.stop]
            self._require_finite(batch, cells)
            inside = np.concatenate([before, fractional(batch, self.cells[frames])])
            before = inside[-1:]
            if len(moves := self._moves(inside, cells)):
                seen.add(moves)
                yield at_rest(moves, self.masses_amu)
        seen.refuse_a_jump(what=self.what)

    def _require_finite(self, positions: Floats, cells: Floats) -> None:
        if not (np.isfinite(positions).all() and np.isfinite(cells).all() and volumes_angstrom3(cells).all()):
            raise MeltlakeError(
                f"{self.what} needed every position and cell, found some that are not finite.", "Leave the run out."
            )

    def _moves(self, inside: Floats, cells: Floats) -> Floats:
        moves = np.diff(inside, axis=0)
        moves -= np.rint(moves)
        furthest = float(np.abs(moves).max(initial=0.0))
        if furthest > _FURTHEST_MOVE:
            raise MeltlakeError(
                f"{self.what} needed atoms that move by at most {_FURTHEST_MOVE:g} of the cell between frames, found "
                f"one that moves by {furthest:.2f}: to which image cannot be told.",
                "Save the run more often.",
            )
        return moves @ (0.5 * (cells[1:] + cells[:-1]))


@dataclass(frozen=True, slots=True)
class Paths:
    """Where moves lead, from 0 on, Angstrom: `Vectors` again, of one frame more."""

    moves: Vectors

    def __len__(self) -> int:
        return len(self.moves) + 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.moves.shape[1:])

    def batches(self) -> Iterator[Floats]:
        at = np.zeros(self.moves.shape[1:])
        yield at[None]
        for moves in self.moves.batches():
            paths = np.empty_like(moves)
            for frame, move in enumerate(moves):  # cumsum along the first axis takes five times as long
                at = np.add(at, move, out=paths[frame])
            yield paths


@dataclass(frozen=True, slots=True)
class CentralDifferences:
    """Velocities half way between two moves, Angstrom/fs: `Vectors` again, of one frame less."""

    moves: Vectors
    step_fs: float
    """Time between frames."""

    def __len__(self) -> int:
        return max(0, len(self.moves) - 1)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.moves.shape[1:])

    def batches(self) -> Iterator[Floats]:
        before = np.empty((0, *self.moves.shape[1:]))
        for batch in self.moves.batches():
            moves = np.concatenate([before, batch])
            before = moves[-1:]
            if len(moves) > 1:
                yield (moves[1:] + moves[:-1]) / (2 * self.step_fs)


@dataclass(frozen=True, slots=True)
class AtRest:
    """Velocities of a run without the drift of its centre of mass, Angstrom/fs: `Vectors` again."""

    velocities: Floats | Vectors
    """(n_frames, n_atoms, 3), Angstrom/fs."""
    masses_amu: Floats
    """(n_atoms,), amu."""
    what: str = "Motion of atoms"
    """Needs them; begins the sentence of an error."""

    def __len__(self) -> int:
        return len(self.velocities)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.velocities.shape)

    def batches(self) -> Iterator[Floats]:
        """(n_some, n_atoms, 3), Angstrom/fs.

        Raises
        ------
        MeltlakeError
            If a velocity is not finite.
        """
        for _, batch in in_batches(self.velocities):
            if not np.isfinite(batch).all():
                raise MeltlakeError(
                    f"{self.what} needed every velocity, found some that are not finite.", "Leave the run out."
                )
            yield at_rest(batch, self.masses_amu)


def at_rest(vectors: Floats, masses_amu: Floats) -> Floats:
    """The same moves or velocities with the centre of mass at rest in every frame.

    Parameters
    ----------
    vectors
        (n_frames, n_atoms, 3), any unit.
    masses_amu
        (n_atoms,), amu.

    Returns
    -------
    Floats
        (n_frames, n_atoms, 3), the same unit.
    """
    rest: Floats = vectors - (masses_amu @ vectors / masses_amu.sum())[:, None]
    return rest


class _Smoothness:
    """Whether moves follow each other: a file may go on counting where its frames do not go on.

    Runs pasted together have an even time axis.
    """

    def __init__(self) -> None:
        self._lengths: list[Floats] = []
        self._kinks: list[Floats] = []
        self._before: Floats | None = None

    def add(self, moves: Floats) -> None:
        """The next moves, (n_some, n_atoms, 3), Angstrom."""
        self._lengths.append(_rms_over_atoms(moves))
        if self._before is not None:
            self._kinks.append(_rms_over_atoms(moves[:1] - self._before))
        self._kinks.append(_rms_over_atoms(np.diff(moves, axis=0)))
        self._before = moves[-1:].copy()

    def refuse_a_jump(self, *, what: str) -> None:
        if sum(map(len, self._lengths)) < 3:
            return
        length, kink = np.concatenate(self._lengths), np.concatenate(self._kinks)
        at = int(np.argmax(kink))
        if kink[at] > _SHARPEST_KINK * np.quantile(kink, 0.25) and kink[at] > 0.5 * np.median(length):
            raise MeltlakeError(
                f"{what} needed frames that follow each other, found atoms that jump near frame {at + 1}: the velocity "
                f"changes there by {kink[at] / np.median(length):.2g} times its typical value.",
                "Ingest the parts as runs of their own.",
            )


def _rms_over_atoms(moves: Floats) -> Floats:
    """(n_frames,), Angstrom."""
    lengths: Floats = np.sqrt(np.einsum("fax,fax->f", moves, moves) / moves.shape[1])
    return lengths
