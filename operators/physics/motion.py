"""How atoms move from frame to frame, across the faces of their cell. Averages of it are in `vacf` and `msd`.

A move is the nearest image in units of the cell, times the mean of the two cells: wrapping does not matter, and a
breathing cell is not motion. Sums of such moves diffuse as they should at constant pressure too, where unwrapped
coordinates do not (von Bülow, Bullerjahn and Hummer, J. Chem. Phys. 153, 021101 (2020)).
"""

import numpy as np

from operators.physics.cells import fractional, volumes_angstrom3
from schemas.errors import MeltlakeError
from schemas.frames import Floats

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


def moves_angstrom(positions: Floats, cells: Floats, *, what: str = "Motion of atoms") -> Floats:
    """Moves of atoms between consecutive frames.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    what
        Needs them; begins the sentence of an error.

    Returns
    -------
    Floats
        (n_frames - 1, n_atoms, 3), Angstrom.

    Raises
    ------
    MeltlakeError
        If a position or a cell is not finite, atoms go so far between two frames that their image cannot be told, or
        frames do not follow each other.
    """
    if not (np.isfinite(positions).all() and np.isfinite(cells).all() and volumes_angstrom3(cells).all()):
        raise MeltlakeError(
            f"{what} needed every position and cell, found some that are not finite.", "Leave the run out."
        )
    moves = np.diff(fractional(positions, cells), axis=0)
    moves -= np.rint(moves)
    furthest = float(np.abs(moves).max(initial=0.0))
    if furthest > _FURTHEST_MOVE:
        raise MeltlakeError(
            f"{what} needed atoms that move by at most {_FURTHEST_MOVE:g} of the cell between frames, found one that "
            f"moves by {furthest:.2f}: to which image cannot be told.",
            "Save the run more often.",
        )
    moves = moves @ (0.5 * (cells[1:] + cells[:-1]))
    _refuse_a_jump(moves, what=what)
    return moves


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


def _refuse_a_jump(moves: Floats, *, what: str) -> None:
    """A file may go on counting where its frames do not go on: runs pasted together have an even time axis."""
    if len(moves) < 3:
        return
    length, kink = _rms_over_atoms(moves), _rms_over_atoms(np.diff(moves, axis=0))
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
