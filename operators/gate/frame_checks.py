"""One row per frame of what the gate's rules look at, computed once and vectorised. Rules belong in `schemas`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors, virial_traces
from operators.gate.frame_ids import frame_ids
from operators.gate.frame_walk import FrameWalk
from operators.gate.step_columns import STEP_COLUMNS
from operators.physics.cells import volumes_angstrom3
from operators.physics.forces import largest_forces
from operators.physics.pairs import shortest_distances
from schemas.columns import Columns, joined
from schemas.faults import FAULTS
from schemas.frames import Floats
from schemas.gate import READ_WHOLE, shortest_trainable_pairs_angstrom
from schemas.tables import FRAMES

_FROM_FILE = (
    "time_fs",
    "energy_ev",
    "energy_sigma0_ev",
    "energy_without_entropy_ev",
    "virial_trace_ev",
    "printed_pressure_gpa",
    "temperature_k",
    "conserved_energy_ev",
)
"""Numbers of a frame that its file has and rules compare."""

_KEPT = (
    *_FROM_FILE,
    *STEP_COLUMNS,
    "content_id",
    "min_distance_angstrom",
    "min_distance_over_limit",
    "max_force_ev_per_angstrom",
    "net_force_ev_per_angstrom",
)
_SCALARS = (
    *_KEPT,
    "n_atoms",
    "segment",
    "ionic_step",
    "cell_angstrom",
    "virial_ev",
    "scf_converged",
    "scf_verdict",
    "label_source",
    "rejection_reasons",
)

CHECKED = (
    *_KEPT,
    "net_force_per_root_n_ev_per_angstrom",
    "max_virial_ev_per_atom",
    "segment",
    "ionic_step",
    "volume_angstrom3",
    "scf_verdict",
    "label_source",
)
"""Columns of a run's checks, but for `n_faults`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a frame is labelled with; NaN where it is missing."""

    energy_ev: Floats
    """(n_frames,)."""
    forces_ev_per_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    virial_ev: Floats
    """(n_frames, 3, 3)."""


def frame_checks(atomic_numbers: NDArray[np.integer], positions: Floats, *, cells: Floats, labels: Labels) -> Columns:
    """Columns that geometry and labels decide.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    positions
        (n_frames, n_atoms, 3), Angstrom.
    cells
        (n_frames, 3, 3), Angstrom.
    labels
        Energy, forces and virial of the same frames.

    Returns
    -------
    dict
        (n_frames,) each; `content_id` and `labels_id` as `frame_ids` gives them.
    """
    limits = shortest_trainable_pairs_angstrom(np.unique(atomic_numbers))
    distance, over_limit = shortest_distances(atomic_numbers, positions, cells=cells, limits=limits)
    largest, net = largest_forces(labels.forces_ev_per_angstrom)
    content_ids, labels_ids = frame_ids(
        positions,
        cells=cells,
        energies=labels.energy_ev,
        forces=labels.forces_ev_per_angstrom,
        virials=labels.virial_ev,
    )
    return {
        "energy_ev": labels.energy_ev,
        "min_distance_angstrom": distance,
        "min_distance_over_limit": over_limit,
        "max_force_ev_per_angstrom": largest,
        "net_force_ev_per_angstrom": net,
        "net_force_per_root_n_ev_per_angstrom": net / np.sqrt(len(atomic_numbers)),
        "max_virial_ev_per_atom": np.abs(labels.virial_ev).max(axis=(1, 2)) / len(atomic_numbers),
        "content_id": np.array(content_ids),
        "labels_id": np.array(labels_ids),
    }


def stored_checks(lake: Lake, run_id: str) -> tuple[Columns, list[tuple[str, ...]]]:
    """What the gate looks at, of frames that the lake has, and their reading faults.

    What was computed when they were read is taken from their rows; frames of lakes from before these columns are
    computed again.
    """
    batches = list(lake.frame_batches(run_id, _SCALARS))
    if any(batch.column("content_id").null_count for batch in batches):
        parts = list(_computed_again(lake, run_id))
    else:
        parts = [_as_stored(batch) for batch in batches]
    reasons = [names for batch in batches for names in batch.column("rejection_reasons").to_pylist()]
    faults = [tuple(name for name in names if name in FAULTS) for names in reasons]
    checks = joined(parts, CHECKED)
    return checks | {"n_faults": np.array([len(codes) for codes in faults], dtype=np.int64)}, faults


def _as_stored(batch: pa.RecordBatch) -> Columns:
    n_atoms = batch.column("n_atoms")[0].as_py()
    columns: Columns = {name: _reals(batch, name) for name in _KEPT if name != "content_id"}
    columns["content_id"] = np.array(batch.column("content_id").to_pylist())
    largest_virial = np.abs(vectors(batch.column("virial_ev"), 3)).max(axis=(1, 2))
    columns["net_force_per_root_n_ev_per_angstrom"] = columns["net_force_ev_per_angstrom"] / np.sqrt(n_atoms)
    columns["max_virial_ev_per_atom"] = largest_virial / n_atoms
    return columns | _told(batch)


def _computed_again(lake: Lake, run_id: str) -> Iterator[Columns]:
    walk: FrameWalk | None = None
    for batch in lake.frame_batches(run_id, FRAMES.file_schema.names):
        atomic_numbers = np.array(batch.column("atomic_numbers")[0].as_py(), dtype=np.int8)
        walk = FrameWalk(atomic_numbers) if walk is None else walk
        n_atoms = len(atomic_numbers)
        checks = frame_checks(
            atomic_numbers,
            vectors(batch.column("positions_angstrom"), n_atoms),
            cells=vectors(batch.column("cell_angstrom"), 3),
            labels=Labels(
                energy_ev=batch.column("energy_ev").to_numpy(zero_copy_only=False),
                forces_ev_per_angstrom=vectors(batch.column("forces_ev_per_angstrom"), n_atoms),
                virial_ev=vectors(batch.column("virial_ev"), 3),
            ),
        )
        from_file = {name: _reals(batch, name) for name in _FROM_FILE} | {"virial_trace_ev": virial_traces(batch)}
        yield from_file | checks | walk.follow_rows(batch) | _told(batch)


def _reals(batch: pa.RecordBatch, name: str) -> Floats:
    """(n_frames,); NaN where null, also in rows of lakes from before the column."""
    values: Floats = batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _told(batch: pa.RecordBatch) -> Columns:
    """What the file says of its frames and no formula can change."""
    verdicts = batch.column("scf_verdict").to_pylist()
    if None in verdicts:  # rows of schema version 1
        of_flag = {True: "converged", False: "unconverged", None: "unknown"}
        verdicts = [of_flag[flag] for flag in batch.column("scf_converged").to_pylist()]
    return {
        "segment": batch.column("segment").to_numpy(),
        "ionic_step": batch.column("ionic_step").to_numpy(),
        "volume_angstrom3": volumes_angstrom3(vectors(batch.column("cell_angstrom"), 3)),
        "scf_verdict": np.array(verdicts, dtype=object),
        "label_source": np.array(batch.column("label_source").to_pylist(), dtype=object),
    }


def rejection_reasons(faults: Sequence[str], failed_rules: Sequence[str]) -> list[str]:
    """What a frame's row says of its rejection: reading faults by their own names, then the rules that failed."""
    # A frame without faults keeps the rule's name: then the rule itself could not be run.
    return [*faults, *(name for name in failed_rules if name != READ_WHOLE or not faults)]
