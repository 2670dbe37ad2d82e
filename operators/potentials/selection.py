"""Which runs, and which of their frames, may be in a training set. How they are split is in `splitting`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lake.deepmd_npy import LABEL_COLUMNS
from lake.delta import Lake
from lake.delta_log import RowFile
from lake.frames import vectors, virial_traces
from operators.gate.frame_ids import frame_ids
from operators.physics.equilibration import equilibration_of_run
from operators.potentials.comparable import require_one_level_of_theory
from schemas.composition import half_l1_at_percent
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.rows import Row, real_or_none
from schemas.training import TrainingSetRequest

_COLUMNS = (
    "time_fs",
    "atomic_numbers",
    "accepted",
    "label_source",
    "energy_ev",
    "temperature_k",
    "virial_ev",
    "virial_trace_ev",
    "cell_angstrom",
    "content_id",
    "labels_id",
)
_CLOSE_AT_PERCENT = 10.0
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableRun:
    """A run's frames before they are split. Arrays have one entry per frame of the run."""

    row: Row
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    usable: NDArray[np.bool_]
    """Accepted, with labels of DFT, and in no other run of the training set."""
    is_equilibrated: NDArray[np.bool_]
    time_fs: Floats
    """Since the restart chain began; NaN without a time axis."""
    series: Floats
    """(3, n_frames): energy, trace of the virial, temperature; NaN where the frame is not usable."""
    has_virial: NDArray[np.bool_]
    content_ids: pa.Array
    labels_ids: pa.Array

    @property
    def run_id(self) -> str:
        return str(self.row["run_id"])

    @property
    def composition(self) -> str:
        return str(self.row["composition"])

    @property
    def trajectory_id(self) -> str:
        """Runs that go on from each other have one; lakes from before chains were linked tell none."""
        return str(self.row["trajectory_id"] or self.run_id)


def usable_runs(
    lake: Lake, request: TrainingSetRequest, *, version: int, used_before: Iterable[str] = ()
) -> list[UsableRun]:
    """Runs that a request asks for and that have usable frames, as the frames were at that version of the lake.

    A copy, a backup or the other file of one calculation would put one frame into both train and test. One run keeps
    it: one that a training set has used before, else the longest.

    Raises
    ------
    MeltlakeError
        If the lake does not have what is asked for, or energies would not be comparable.
    """
    rows = _candidates(lake, request)
    if not request.mix_theories:
        require_one_level_of_theory(rows)
    seen: set[tuple[object, ...]] = set()
    used = set(used_before)
    in_order = sorted(rows, key=lambda row: (row["run_id"] not in used, -int(str(row["n_frames"])), str(row["run_id"])))
    files, is_newest = lake.files_by_key("frames", version=version), version == lake.version("frames")
    found = [
        _usable_run(lake, row, files=files.get(str(row["run_id"]), []), is_newest=is_newest, seen=seen)
        for row in in_order
    ]
    return [run for run in found if run is not None]


def _candidates(lake: Lake, request: TrainingSetRequest) -> list[Row]:
    rows = [row for row in lake.rows("runs").to_pylist() if row["origin"] == "aimd"]
    if not rows:
        raise MeltlakeError("The lake has no AIMD run.", "Ingest one: `meltlake ingest SOURCE`.")
    known = {"composition": {row["composition"] for row in rows}, "run": {row["run_id"] for row in rows}}
    for kind, wanted in (("composition", {*request.compositions, *request.hold_out}), ("run", {*request.runs})):
        if unknown := sorted(wanted - known[kind]):
            raise MeltlakeError(
                f"The lake has no AIMD run of {kind} {', '.join(unknown)}.", _which_there_are(unknown, known[kind])
            )
    if request.elements is not None and not any(_has_only(row, request.elements) for row in rows):
        systems = {str(row["chemical_system"]) for row in rows}
        raise MeltlakeError(
            f"The lake has no AIMD run of elements in {request.chemical_system}.",
            f"Its chemical systems are: {', '.join(sorted(systems))}.",
        )
    return sorted((row for row in rows if is_wanted(row, request)), key=lambda row: str(row["run_id"]))


def _which_there_are(unknown: Sequence[str], known: set[str]) -> str:
    close = sorted({name for wanted in unknown for name in _like(wanted, known)})
    shown = sorted(known)[:_MOST_SHOWN]
    more = f" and {len(known) - _MOST_SHOWN} more" if len(known) > _MOST_SHOWN else ""
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    return f"{meant}It has: {', '.join(shown)}{more}."


def _like(wanted: str, known: set[str]) -> list[str]:
    """Compositions a few at.% away, and names that are spelled nearly so."""
    try:
        near = [name for name in known if half_l1_at_percent(wanted, name) <= _CLOSE_AT_PERCENT]
    except MeltlakeError:  # ids of runs are no compositions
        near = []
    return near or get_close_matches(wanted, known, n=3, cutoff=0.75)


def is_wanted(row: Mapping[str, object], request: TrainingSetRequest) -> bool:
    """Whether a row of `runs` is among those that a request asks for, whatever other runs there are."""
    return (
        # At a pinned version the frames themselves say whether they were accepted then.
        (bool(row["n_accepted"]) or request.lake_version is not None)
        and (not request.compositions or row["composition"] in {*request.compositions, *request.hold_out})
        and (request.elements is None or _has_only(row, request.elements))
        and (not request.runs or row["run_id"] in request.runs)
    )


def _has_only(row: Mapping[str, object], elements: frozenset[str]) -> bool:
    return set(str(row["chemical_system"]).split("-")) <= elements


def _usable_run(
    lake: Lake, row: Row, *, files: Sequence[RowFile], is_newest: bool, seen: set[tuple[object, ...]]
) -> UsableRun | None:
    run_id = str(row["run_id"])
    batches = list(lake.frame_batches(run_id, _COLUMNS, files=files))
    if not batches:
        return None
    accepted = np.concatenate([_numbers(batch, "accepted") for batch in batches]).astype(np.bool_)
    sources = np.array([name for batch in batches for name in batch.column("label_source").to_pylist()])
    energy, temperature, time_fs = (
        np.concatenate([_numbers(batch, name) for batch in batches])
        for name in ("energy_ev", "temperature_k", "time_fs")
    )
    cells, virials = (
        np.concatenate([vectors(batch.column(name), 3) for batch in batches]) for name in ("cell_angstrom", "virial_ev")
    )
    traces = np.concatenate([virial_traces(batch) for batch in batches])
    labelled = accepted & (sources == "dft")
    usable = labelled & _first_seen(str(row["formula"]), energy, cells, traces, usable=labelled, seen=seen)
    if not usable.any():
        return None
    # What a run was worth by itself does not depend on which frames another run of the training set has too.
    series = np.where(accepted & (sources != "vasp_mlff"), np.stack([energy, traces, temperature]), np.nan)
    content_ids, labels_ids = _ids(lake, run_id, batches, files=files)
    return UsableRun(
        row=row,
        atomic_numbers=np.array(batches[0].column("atomic_numbers")[0].as_py(), dtype=np.int8),
        usable=usable,
        is_equilibrated=_is_equilibrated(row, time_fs, series, is_newest=is_newest),
        time_fs=time_fs,
        series=series,
        has_virial=~np.isnan(virials).any(axis=(1, 2)),
        content_ids=content_ids,
        labels_ids=labels_ids,
    )


def _is_equilibrated(row: Row, time_fs: Floats, series: Floats, *, is_newest: bool) -> NDArray[np.bool_]:
    """(n_frames,): as the gate told it of today's frames; of older ones, by the same rule."""
    if is_newest and (from_fs := real_or_none(row, "equilibrated_from_fs")) is not None:
        told: NDArray[np.bool_] = ~(time_fs < from_fs - 1e-6)
        return told
    start = equilibration_of_run(time_fs, series, goes_on=row["continues_run_id"] is not None).start
    return np.arange(len(time_fs)) >= start


def _numbers(batch: pa.RecordBatch, column: str) -> Floats:
    values: Floats = batch.column(column).to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _first_seen(
    formula: str,
    energy: Floats,
    cells: Floats,
    traces: Floats,
    *,
    usable: NDArray[np.bool_],
    seen: set[tuple[object, ...]],
) -> NDArray[np.bool_]:
    """(n_frames,): usable frames that no run before had, told by energy, volume and pressure as printed by VASP."""
    printed = np.stack([energy.round(6), np.abs(np.linalg.det(cells)).round(2), np.nan_to_num(traces).round(2)])
    first = np.zeros(len(energy), dtype=np.bool_)
    for frame, *numbers in zip(np.flatnonzero(usable).tolist(), *printed[:, usable].tolist(), strict=True):
        key = (formula, *numbers)
        first[frame] = key not in seen
        seen.add(key)
    return first


def _ids(
    lake: Lake, run_id: str, batches: Sequence[pa.RecordBatch], *, files: Sequence[RowFile]
) -> tuple[pa.Array, pa.Array]:
    """`content_id` and `labels_id` of every frame of a run; computed from the vectors where an old lake has none."""
    names = ("content_id", "labels_id")
    stored = [pa.concat_arrays([batch.column(name) for batch in batches]) for name in names]
    if not any(column.null_count for column in stored):
        return stored[0], stored[1]
    computed: tuple[list[str], list[str]] = ([], [])
    for batch in lake.frame_batches(run_id, LABEL_COLUMNS, files=files):
        n_atoms = len(batch.column("atomic_numbers")[0])
        found = frame_ids(
            vectors(batch.column("positions_angstrom"), n_atoms),
            cells=vectors(batch.column("cell_angstrom"), 3),
            energies=batch.column("energy_ev").to_numpy(zero_copy_only=False),
            forces=vectors(batch.column("forces_ev_per_angstrom"), n_atoms),
            virials=vectors(batch.column("virial_ev"), 3),
        )
        for ids, more in zip(computed, found, strict=True):
            ids.extend(more)
    whole = [pc.coalesce(column, pa.array(ids)) for column, ids in zip(stored, computed, strict=True)]
    return whole[0], whole[1]
