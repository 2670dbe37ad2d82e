"""The verb `materialize`: accepted frames of the lake become a training set in DeePMD's format.

Which frames may be used is in `selection`, how they are split in `splitting`, what earlier sets of the family had in
`kept_labels`, how files are written in `training_set_files`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from lake.delta import Lake
from lake.locks import exclusive
from operators.campaign import campaign_of
from operators.log import log
from operators.potentials.chosen_run import NOT_USED, SPLITS, ChosenRun
from operators.potentials.kept_labels import granted, kept_labels, remember
from operators.potentials.selection import usable_runs
from operators.potentials.splitting import chosen_runs
from operators.potentials.training_set_files import Card, RunPart, folder_of, is_whole, write_training_set
from operators.potentials.training_set_notes import notes
from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.ids import content_id
from schemas.rows import Row, text, texts, whole
from schemas.settings import Settings
from schemas.tables import TABLES
from schemas.training import TrainingSetRequest

_COUNTS = tuple(f"n_{part}" for part in (*SPLITS, *NOT_USED))
_LEAKAGE = ("leaks", "too_short", "unknown", "clear")
"""From bad to good."""
_ANSWERED = (
    *("training_set_id", "lake_version", "min_gap_fs", "correlation_time_fs", "leakage", "n_effective"),
    *("level_of_theory", "compositions", "held_out", "format", "balance", "notes"),
)
_OF_THE_WISH = ("split_rule", "seed", "test_fraction", "gap_fs", "every_fs", "relaxation", "leakage", "notes")
"""What the row of a training set says of the wish that came to its frames, whichever it was."""


def materialize(settings: Settings, request: TrainingSetRequest) -> dict[str, object]:
    """Write the training set that the request describes, or find it.

    The same frames with the same labels and the same split have the same `training_set_id`, at whatever version of
    the lake they are found. A request that names a version gets what it got before at that version. Frames that an
    earlier set of the same family trained or tested on stay what they were.

    Raises
    ------
    MeltlakeError
        If no training set can be made of the request.
    TryAgainLater
        If another process is writing a training set and does not end.
    """
    lake = Lake(settings.lake)
    version = _pinned_version(lake, request)
    # Two sets of one family that are chosen at the same time would not know of each other's labels.
    with lake.writing("training_sets", doing="choosing the frames of a training set"):
        name, chosen = granted(lake, request, version=version), None
        if request.lake_version is None or name is None:
            chosen = _chosen(lake, request, version=version)
            name = text(chosen.row, "training_set_id")
        answer = _stored(settings, lake, chosen, name=name)
        for_campaign = campaign_of(settings).wants_apart(request)
        remember(lake, request, name, version=version, for_campaign=for_campaign)
    return answer


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A training set that was chosen, and perhaps exists already."""

    row: Row
    """Of `training_sets`."""
    runs: Sequence[ChosenRun]


def _chosen(lake: Lake, request: TrainingSetRequest, *, version: int) -> _Chosen:
    kept = kept_labels(lake, request)
    usable = usable_runs(lake, request, version=version, used_before=kept.run_ids)
    runs = chosen_runs(usable, request, kept=kept)
    used = {run.run_id for run in runs}
    rows = [run.row for run in usable if run.run_id in used]
    return _Chosen(_row(request, rows, runs) | {"lake_version": version}, runs)


def _stored(settings: Settings, lake: Lake, chosen: _Chosen | None, *, name: str) -> dict[str, object]:
    """Files and rows of the training set of that name, made unless they are there."""
    folder = folder_of(settings, name)
    with exclusive(folder.with_name(f".{name}.lock"), doing=f"writing training set {name}"):
        found = lake.rows("training_sets", key=name).to_pylist()
        changed = not (found and is_whole(folder))
        if changed:
            of = chosen.row if chosen else found[0]
            parts = [_part(run) for run in chosen.runs] if chosen else _stored_parts(lake, of)
            write_training_set(lake, parts, folder=folder, card=_card(of), version=whole(of, "lake_version"))
        if chosen and not found:
            _store_rows(lake, chosen, path=str(folder))
        elif chosen and any(found[0][column] != chosen.row[column] for column in _OF_THE_WISH):
            # Another wish that comes to the same frames: campaigns look for sets by what was wished last.
            wish = {column: chosen.row[column] for column in _OF_THE_WISH}
            lake.replace("training_set_runs", name, [_run_row(run) for run in chosen.runs])
            lake.replace("training_sets", name, [found[0] | wish])
    row: Row = lake.rows("training_sets", key=name).to_pylist()[0]
    run_rows = lake.rows("training_set_runs", key=name).to_pylist()
    answer = {column: row[column] for column in _ANSWERED} | _sums(run_rows) | {"path": str(folder), "changed": changed}
    log.info("materialize", training_set_id=name, changed=changed, **_sums(run_rows), min_gap_fs=row["min_gap_fs"])
    for note in texts(row, "notes"):
        log.warning("materialize", training_set_id=name, note=note)
    return answer


def _store_rows(lake: Lake, chosen: _Chosen, *, path: str) -> None:
    """The row of the training set comes last: where it is, the others are."""
    key = {"training_set_id": text(chosen.row, "training_set_id")}
    lake.replace_batches("training_set_frames", key, map(_frame_rows, chosen.runs))
    lake.replace("training_set_runs", key["training_set_id"], [_run_row(run) for run in chosen.runs])
    stamped = chosen.row | {"path": path, "created_at": datetime.now(UTC).replace(tzinfo=None)}
    lake.replace("training_sets", key["training_set_id"], [stamped])


def _pinned_version(lake: Lake, request: TrainingSetRequest) -> int:
    newest = lake.version("frames")
    if newest < 0:
        raise MeltlakeError("The lake holds no frames.", "Ingest VASP output: `meltlake ingest SOURCE`.")
    if request.lake_version is not None and request.lake_version > newest:
        raise MeltlakeError(
            f"The lake has no version {request.lake_version}.", f"Its newest is {newest}; name that or an older one."
        )
    return newest if request.lake_version is None else request.lake_version


def _part(run: ChosenRun) -> RunPart:
    return RunPart(
        run_id=run.run_id,
        formula=run.formula,
        atomic_numbers=run.atomic_numbers,
        split=run.split,
        with_virial=run.with_virial,
    )


def _stored_parts(lake: Lake, row: Row) -> list[RunPart]:
    """The parts of a training set as its rows have them, for files that were lost."""
    name, version = text(row, "training_set_id"), whole(row, "lake_version")
    frames = lake.rows("training_set_frames", key=name, columns=["run_id", "frame", "split"])
    parts = []
    for of_run in lake.rows("training_set_runs", key=name).to_pylist():
        run_id = of_run["run_id"]
        mine = frames.filter(pa.compute.equal(frames["run_id"], run_id))
        split = np.full(lake.n_rows("frames", run_id, version=version), "", dtype="<U8")
        split[mine["frame"].to_numpy()] = mine["split"].to_pylist()
        [first] = lake.frame_batches(run_id, ("atomic_numbers",), version=version, stop=1)
        numbers = np.array(first.column("atomic_numbers")[0].as_py(), dtype=np.int8)
        part = RunPart(
            run_id=run_id,
            formula=of_run["formula"],
            atomic_numbers=numbers,
            split=split,
            with_virial=of_run["has_virials"],
        )
        parts.append(part)
    return parts


def _card(row: Row) -> Card:
    return {name: row[name] for name in Card.__annotations__}  # type: ignore[return-value]


def _training_set_id(request: TrainingSetRequest, runs: Sequence[ChosenRun], type_map: Sequence[str]) -> str:
    frames = [[run.run_id, int(frame), str(run.split[frame])] for run in runs for frame in np.flatnonzero(run.is_used)]
    labels = {run.run_id: [run.labels_sha256, run.with_virial] for run in runs}
    usual = TrainingSetRequest.model_fields
    unusual = {
        name: value for name in ("balance", "format") if (value := getattr(request, name)) != usual[name].default
    }
    return content_id({"frames": sorted(frames), "type_map": type_map, "labels": labels} | unusual)


def _frame_rows(run: ChosenRun) -> pa.RecordBatch:
    """Rows of `training_set_frames`, all of one run."""
    frames = np.flatnonzero(run.is_used)
    columns = {
        "run_id": pa.array([run.run_id] * len(frames)),
        "frame": pa.array(frames.astype(np.int32)),
        "split": pa.array(run.split[frames].tolist(), pa.string()),
        "content_id": run.content_ids.take(pa.array(frames)),
    }
    return pa.RecordBatch.from_pydict(columns, schema=TABLES["training_set_frames"].file_schema)


def _run_row(run: ChosenRun) -> Row:
    told_fs = run.memory.correlation_time_fs
    return {
        "run_id": run.run_id,
        "composition": run.composition,
        "formula": run.formula,
        **{name: run.n_frames(name.removeprefix("n_")) for name in _COUNTS},
        "n_effective": run.n_effective,
        "equilibrated_from_fs": run.equilibrated_from_fs,
        "correlation_time_fs": None if np.isnan(told_fs) else told_fs,
        "gap_fs": run.gap_fs,
        "min_gap_fs": run.min_gap_fs,
        "leakage": run.leakage,
        "has_virials": run.with_virial,
    }


def _row(request: TrainingSetRequest, rows: Sequence[Row], runs: Sequence[ChosenRun]) -> Row:
    type_map = sorted({SYMBOLS[int(number)] for run in runs for number in run.atomic_numbers})
    of_runs = [_run_row(run) for run in runs]
    leakage = {row["leakage"] for row in of_runs}
    return {
        "training_set_id": _training_set_id(request, runs, type_map),
        "split_rule": request.split,
        "seed": request.seed if request.split == "random" else None,
        **{name: getattr(request, name) for name in ("test_fraction", "gap_fs", "every_fs", "relaxation")},
        "balance": request.balance,
        "format": request.format,
        **{name: count for name, count in _sums(of_runs).items() if name.removeprefix("n_") in SPLITS},
        "min_gap_fs": min(_known(of_runs, "min_gap_fs"), default=None),
        "correlation_time_fs": max(_known(of_runs, "correlation_time_fs"), default=None),
        "leakage": next((verdict for verdict in _LEAKAGE if verdict in leakage), None),
        "n_effective": sum(_known(of_runs, "n_effective")) or None,
        "pool_id": content_id([[run.run_id, run.labels_sha256, run.n_frames("held_out") > 0] for run in runs]),
        "notes": notes(runs, request),
        "level_of_theory": " | ".join(sorted({str(row["level_of_theory"]) for row in rows})),
        "type_map": type_map,
        "compositions": sorted({run.composition for run in runs if run.n_frames("train")}),
        "held_out": sorted({run.composition for run in runs if run.n_frames("held_out")}),
        "synthetic": any(bool(row["synthetic"]) for row in rows),
    }


def _known(rows: Sequence[Row], column: str) -> list[float]:
    return [value for row in rows if isinstance(value := row[column], float)]


def _sums(rows: Sequence[Mapping[str, object]]) -> dict[str, int]:
    return {name: sum(int(str(row[name] or 0)) for row in rows) for name in _COUNTS}  # null in sets of older lakes
