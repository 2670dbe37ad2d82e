"""ML_AB files repeat the ab initio frames of their runs: those that the lake has from a VASP run are stored once."""

from collections.abc import Sequence

import numpy as np

from lake.delta import Lake
from lake.gate import Gate
from operators.runs.stored_run import StoredRun
from operators.runs.storing import known_run, rewrite_run
from schemas.rows import Row, text, texts, whole

REPEATING_FORMAT = "ml_ab"

_FIRST_READER_WITH_NAMES = 2

_SAME_ENERGY_EV = 1e-6
"""VASP 6 prints eight decimals in an OUTCAR and more in an ML_AB; configurations may differ by a few 1e-6 eV."""

_NOTE_BEGINS = "Left out, since a VASP run of the lake has them: "


def leave_out_repeated_labels(lake: Lake, gate: Gate, changed: set[str]) -> None:
    """Take out of ML_AB runs every frame that another run has; what is left has no known kind of energy.

    Parameters
    ----------
    lake
        Where the runs are.
    gate
        Who judges again what is left.
    changed
        Runs that were stored or have grown: only pairs with one of them are compared.
    """
    rows: list[Row] = lake.rows("runs").to_pylist()
    # Frames that an old reader stored have no names to be found by.
    rows = [row for row in rows if whole(row, "reader_version", if_null=0) >= _FIRST_READER_WITH_NAMES]
    repeating = [row for row in rows if row["source_format"] == REPEATING_FORMAT]
    others = [
        row for row in rows if row["origin"] == "aimd" and row["source_format"] not in {REPEATING_FORMAT, "xdatcar"}
    ]
    for row in repeating:
        is_new = row["run_id"] in changed
        same_atoms = [other for other in others if other["formula"] == row["formula"]]
        asked = [StoredRun(lake, other) for other in same_atoms if is_new or other["run_id"] in changed]
        if asked:
            run = StoredRun(lake, row)
            _leave_out(run, gate, _repeated(run, asked))


def _repeated(run: StoredRun, others: Sequence[StoredRun]) -> dict[int, tuple[str, str]]:
    """Frames of the run that one of the others has, each of theirs once: place -> run and content id."""
    found: dict[int, tuple[str, str]] = {}
    taken = {(text(row, "stored_run_id"), text(row, "stored_content_id")) for row in run.elsewhere}
    for other in others:
        if not other.n_frames or not np.array_equal(other.atomic_numbers, run.atomic_numbers):
            continue
        for place in np.flatnonzero(run.frames.is_here):
            energy_ev, distance = run.frames.energy_ev[place], run.frames.min_distance_angstrom[place]
            for partner in np.flatnonzero(other.alike(energy_ev, distance, tolerance_ev=_SAME_ENERGY_EV)):
                name = other.run_id, str(other.frames.content_id[partner])
                is_new = name not in taken and int(place) not in found
                if is_new and run.frame(int(place)).is_same_as(other.frame(int(partner))):
                    found[int(place)] = name
                    taken.add(name)
    return found


def _leave_out(run: StoredRun, gate: Gate, repeated: dict[int, tuple[str, str]]) -> None:
    if not repeated:
        return
    out = {whole(row, "place"): (text(row, "stored_run_id"), text(row, "stored_content_id")) for row in run.elsewhere}
    out |= repeated
    notes = [note for note in texts(run.row, "notes") if not note.startswith(_NOTE_BEGINS)]
    after = {**run.row, "n_stored_elsewhere": len(out), "notes": [*notes, f"{_NOTE_BEGINS}{len(out)} frames."]}
    keep = np.array([index not in out for index in np.flatnonzero(run.frames.is_here)], dtype=bool)
    with run.lake.writing(run.run_id, doing=f"storing run {run.run_id}"):
        if known_run(run.lake, run.run_id) == run.row:
            rows = [run.repeated_row(index, *out[index]) for index in sorted(out)]
            run.lake.replace("repeated_frames", run.run_id, rows)
            rewrite_run(run.lake, after, gate, keep=keep)
