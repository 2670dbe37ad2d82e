"""From one frame to the next: how far atoms went, how labels changed, and how they should. Verdicts are in `work`.

With fractions s of the cell h (rows a, b, c), r = s h, the energy changes with both:

    dE = -sum_i F_i . (ds_i h) - sum_ab V_ab eps_ab,    eps = h^-1 dh,

where F are the forces and V = -dE/deps is the virial. Over a step, F, V and h are taken as the mean of both ends. Its
error is of third order in the step: for a vibration of period P seen every t, the trapezoid's share of the true change
is x / tan(x), x = pi t / P: 0.99 at P/t = 18, 0.90 at P/t = 5.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from operators.physics.cells import fractional
from schemas.frames import Floats

_STILL_ANGSTROM = 1e-8
"""Less than any file's last decimal, more than the rounding of what was read."""

_NUMBERS_AT_ONCE = 1 << 15
"""What fits into a core's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrames:
    """Frames of one run, one after the other; NaN where a label is missing."""

    positions_angstrom: Floats
    """(n_frames, n_atoms, 3), Cartesian, wrapped or not."""
    cell_angstrom: Floats
    """(n_frames, 3, 3), rows a, b, c."""
    energy_ev: Floats
    """(n_frames,), the energy that the forces are derivatives of."""
    forces_ev_per_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    virial_ev: Floats
    """(n_frames, 3, 3), positive trace when the melt pushes outward."""

    def __getitem__(self, frames: slice) -> "LabelledFrames":
        return LabelledFrames(**{field.name: getattr(self, field.name)[frames] for field in fields(self)})

    def copy(self) -> "LabelledFrames":
        """The same numbers in memory of their own."""
        return LabelledFrames(**{field.name: getattr(self, field.name).copy() for field in fields(self)})

    def followed_by(self, other: "LabelledFrames") -> "LabelledFrames":
        return LabelledFrames(
            **{
                field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Per frame, what happened since the frame before; NaN where there is none, and where a number is missing."""

    largest_way_angstrom: Floats
    """(n_frames,): of the atom that went furthest relative to the cell, to its nearest image."""
    n_still: Floats
    """(n_frames,): atoms that did not move to the last decimal while others did. Cells that change hide them in files
    with Cartesian decimals, whose rounding moves every atom."""
    energy_change_ev: Floats
    """(n_frames,)."""
    work_of_forces_ev: Floats
    """(n_frames,): the energy change that forces foresee."""
    work_of_virial_ev: Floats
    """(n_frames,): the same of the virial, for the change of the cell; 0 where the cell stays."""

    force_unlikeness: Floats
    """(n_frames,): 1 - F . F' / max(F^2, F'^2) over all atoms of both frames. Near 0 for small steps; 0.9 for forces
    that are a tenth of what they were, 1 for those of other atoms, 2 for the opposite ones."""
    virial_change_ev: Floats
    """(n_frames,): root of the summed squares of the tensor's change."""

    @property
    def foreseen_change_ev(self) -> Floats:
        """(n_frames,): of forces and virial together."""
        return self.work_of_forces_ev + self.work_of_virial_ev


def steps(frames: LabelledFrames, *, before: LabelledFrames | None, consecutive: NDArray[np.bool_]) -> Steps:
    """What happened between consecutive frames.

    Parameters
    ----------
    frames
        A batch of a run.
    before
        What precedes the batch, of which the last frame counts; None at the beginning of a run.
    consecutive
        (n_frames,): whether a frame comes next after the one before it. False for the first of a segment, and after a
        gap.
    """
    n_frames = len(frames.energy_ev)
    table = np.full((len(fields(Steps)), n_frames), np.nan)
    if before is not None and n_frames:
        table[:, :1] = _of_neighbours(before[-1:].followed_by(frames[:1]))
    for start, stop in _stretches(1, n_frames, numbers_per_frame=frames.positions_angstrom[:1].size):
        table[:, start:stop] = _of_neighbours(frames[start - 1 : stop])
    table[:, ~consecutive] = np.nan
    return Steps(**{field.name: values for field, values in zip(fields(Steps), table, strict=True)})


def _stretches(start: int, stop: int, *, numbers_per_frame: int) -> Iterator[tuple[int, int]]:
    length = max(1, _NUMBERS_AT_ONCE // max(1, numbers_per_frame))
    for at in range(start, stop, length):
        yield at, min(at + length, stop)


def _of_neighbours(frames: LabelledFrames) -> Floats:
    """(n_numbers, n_frames - 1), in the order of `Steps`."""
    usable = _has_volume(frames.cell_angstrom)
    cells = frames.cell_angstrom if usable.all() else np.where(usable[:, None, None], frames.cell_angstrom, np.eye(3))
    mean_cells = 0.5 * (cells[1:] + cells[:-1])
    ways = np.diff(fractional(frames.positions_angstrom, cells), axis=0)
    ways -= np.rint(ways)
    ways = ways @ mean_cells
    squares = np.einsum("fax,fax->fa", ways, ways)
    n_still = (squares < _STILL_ANGSTROM**2).sum(axis=1)
    forces = frames.forces_ev_per_angstrom
    twice_done = np.einsum("fax,fax->f", forces[1:], ways) + np.einsum("fax,fax->f", forces[:-1], ways)
    virial_changes = np.diff(frames.virial_ev, axis=0)
    table: Floats = np.stack(
        [
            np.sqrt(squares.max(axis=1)),
            np.where(n_still == squares.shape[1], 0, n_still),
            np.diff(frames.energy_ev),
            -0.5 * twice_done,
            _work_of_virial(np.diff(cells, axis=0), mean_cells, frames.virial_ev),
            _unlikeness(forces),
            np.sqrt(np.einsum("fab,fab->f", virial_changes, virial_changes)),
        ]
    )
    table[:, ~(usable[1:] & usable[:-1] & np.isfinite(squares).all(axis=1))] = np.nan
    return table


def _unlikeness(forces: Floats) -> Floats:
    """(n_frames - 1,); NaN between frames that both have no force at all."""
    squares = np.einsum("fax,fax->f", forces, forces)
    larger = np.maximum(squares[1:], squares[:-1])
    products = np.einsum("fax,fax->f", forces[1:], forces[:-1])
    unlikeness: Floats = 1 - np.divide(products, larger, out=np.full(len(larger), np.nan), where=larger > 0)
    return unlikeness


def _work_of_virial(changes: Floats, mean_cells: Floats, virials: Floats) -> Floats:
    """(n_frames - 1,), eV: -V : eps, which needs no virial where the cell stays."""
    changed = changes.any(axis=(1, 2))
    work = np.zeros(len(changes))
    if changed.any():
        strains = np.linalg.solve(mean_cells[changed], changes[changed])
        mean_virials = 0.5 * (virials[1:] + virials[:-1])[changed]
        work[changed] = -np.einsum("fab,fab->f", mean_virials, strains)
    return work


def _has_volume(cells: Floats) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        usable: NDArray[np.bool_] = np.abs(np.linalg.det(cells)) > 1e-9
    return usable
