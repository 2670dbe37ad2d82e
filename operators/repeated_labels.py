"""ML_AB files repeat the ab initio frames of their runs: those that the lake has from a VASP run are stored once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from lake.known_runs import Row
from operators.run_storing import notes_of, rewrite_run
from operators.stored_run import StoredRun

REPEATING_FORMAT = "ml_ab"

_NOTE_BEGINS = "Left out, since a VASP run of the lake has them: "


def leave_out_repeated_labels(lake: Lake, rows: Sequence[Row]) -> None:
    """Take out of ML_AB runs every frame that another run has; what is left has no known kind of energy.

    Parameters
    ----------
    lake
        Where the runs are.
    rows
        Rows in `runs` of one formula.
    """
    repeating = [StoredRun(lake, row) for row in rows if row["source_format"] == REPEATING_FORMAT and row["n_frames"]]
    others = [StoredRun(lake, row) for row in rows if row["source_format"] != REPEATING_FORMAT and _is_labelled(row)]
    for run in repeating if others else []:
        is_repeated = _repeated(run, others)
        if is_repeated.any():
            _leave_out(run, is_repeated)


def _is_labelled(row: Row) -> bool:
    return row["origin"] == "aimd" and row["source_format"] != "xdatcar" and bool(row["n_frames"])


def _repeated(run: StoredRun, others: Sequence[StoredRun]) -> NDArray[np.bool_]:
    """(n_frames,): frames of the run that one of the others has."""
    same_atoms = [other for other in others if np.array_equal(other.atomic_numbers, run.atomic_numbers)]
    found = np.zeros(run.n_frames, dtype=bool)
    scalars = zip(run.scalars["energy_ev"], run.scalars["min_distance_angstrom"], strict=True)
    for index, ((energy_ev, distance), frame) in enumerate(zip(scalars, run.frames(0, run.n_frames), strict=True)):
        found[index] = any(other.places_of(frame, energy_ev, distance) for other in same_atoms)
    return found


def _leave_out(run: StoredRun, is_repeated: NDArray[np.bool_]) -> None:
    n_left_out = int(is_repeated.sum()) + int(str(run.row["n_stored_elsewhere"] or 0))
    notes = [note for note in notes_of(run.row) if not note.startswith(_NOTE_BEGINS)]
    after = {**run.row, "n_stored_elsewhere": n_left_out, "notes": [*notes, f"{_NOTE_BEGINS}{n_left_out} frames."]}
    with run.lake.writing(run.run_id, doing=f"storing run {run.run_id}"):
        rewrite_run(run.lake, after, keep=~is_repeated)
