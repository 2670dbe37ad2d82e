"""Which runs and frames make a training set: comparable energies, accepted DFT frames, a split. It writes no files."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.deepmd_npy import LABEL_COLUMNS
from lake.delta import Lake
from lake.frames import vectors, virial_traces
from operators.gate.frame_ids import frame_ids
from operators.physics.split import Splits, block_split, random_split, smallest_gap
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.training import TrainingSetRequest

RunRow = Mapping[str, object]

_COLUMNS = (
    "time_fs",
    "atomic_numbers",
    "accepted",
    "label_source",
    "energy_ev",
    "virial_ev",
    "virial_trace_ev",
    "cell_angstrom",
    "labels_id",
)
_MOST_GROUPS_SHOWN = 8
_TAG = re.compile(r"(\S+?)=(.*?)(?= \S+?=|$)")
"""Name and value in the label of a level of theory; values may hold blanks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRun:
    """One run's part of a training set."""

    run_id: str
    composition: str
    formula: str
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    split: Splits
    """(n_frames of the run,): `train`, `test`, `held_out`, `gap`, or empty where a frame may not be used."""
    min_gap_fs: float | None
    """None without a time axis or without both kinds of frames."""
    with_virial: bool
    """Whether every chosen frame has a virial."""
    labels_sha256: str
    """Over all numbers of the chosen frames: a mended reader must not find the training set of its old numbers."""

    def n_frames(self, split: str) -> int:
        """How many frames are in that part of the split."""
        return int(np.sum(self.split == split))


def chosen_runs(lake: Lake, request: TrainingSetRequest, *, version: int) -> tuple[list[RunRow], list[ChosenRun]]:
    """Rows of the runs to use, and what is taken of each; both sorted by run id.

    Raises
    ------
    MeltlakeError
        If nothing can be trained on, a wish cannot be met, or energies would not be comparable.
    """
    rows = _candidates(lake, request)
    if not request.mix_theories:
        _require_one_level_of_theory(rows)
    # A copy, a backup or the other file of one calculation would put one frame into both train and test: the longest
    # run keeps a frame, whoever else has it leaves it out.
    seen: set[tuple[object, ...]] = set()
    longest_first = sorted(rows, key=lambda row: (-int(str(row["n_frames"])), str(row["run_id"])))
    found = [_usable_run(lake, row, version=version, seen=seen) for row in longest_first]
    usable = [run for run in found if run is not None]
    runs = sorted(_split_by_trajectory(usable, request), key=lambda run: run.run_id)
    present = {run.composition for run in runs}
    if missing := sorted((set(request.compositions) | set(request.hold_out)) - present):
        raise MeltlakeError(
            f"No accepted DFT frame of {', '.join(missing)} at lake version {version}.",
            "`meltlake status` tells why frames were rejected; or leave these compositions out.",
        )
    if sum(run.n_frames("train") for run in runs) == 0:
        raise MeltlakeError(
            f"No frame to train on at lake version {version}.",
            "Ingest AIMD runs, hold out fewer compositions, or look at `meltlake status` for rejected frames.",
        )
    _require_trained_elements(runs)
    used = {run.run_id for run in runs}
    return [row for row in rows if row["run_id"] in used], runs


def _candidates(lake: Lake, request: TrainingSetRequest) -> list[RunRow]:
    rows = [row for row in lake.rows("runs").to_pylist() if row["origin"] == "aimd"]
    if not rows:
        raise MeltlakeError("The lake has no AIMD run.", "Ingest one: `meltlake ingest SOURCE`.")
    known = {"composition": {row["composition"] for row in rows}, "run": {row["run_id"] for row in rows}}
    for kind, wanted in (("composition", {*request.compositions, *request.hold_out}), ("run", {*request.runs})):
        if unknown := sorted(wanted - known[kind]):
            raise MeltlakeError(
                f"The lake has no AIMD run of {kind} {', '.join(unknown)}.",
                f"It has: {', '.join(sorted(known[kind]))}.",
            )
    return sorted((row for row in rows if _is_wanted(row, request)), key=lambda row: str(row["run_id"]))


def _is_wanted(row: Mapping[str, object], request: TrainingSetRequest) -> bool:
    composition, elements = row["composition"], set(str(row["chemical_system"]).split("-"))
    return (
        # At a pinned version the frames themselves say whether they were accepted then.
        (bool(row["n_accepted"]) or request.lake_version is not None)
        and (not request.compositions or composition in {*request.compositions, *request.hold_out})
        and (request.elements is None or elements <= request.elements)
        and (not request.runs or row["run_id"] in request.runs)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _UsableRun:
    """A run's frames before they are split."""

    row: RunRow
    atomic_numbers: NDArray[np.int8]
    usable: NDArray[np.bool_]
    """(n_frames,)."""
    time_fs: Floats
    """(n_frames,), since the restart chain began; NaN without a time axis."""
    with_virial: bool
    labels_sha256: str

    @property
    def run_id(self) -> str:
        return str(self.row["run_id"])

    @property
    def trajectory_id(self) -> str:
        """Runs that go on from each other have one; lakes from before chains were linked tell none."""
        return str(self.row["trajectory_id"] or self.run_id)


def _usable_run(lake: Lake, row: RunRow, *, version: int, seen: set[tuple[object, ...]]) -> _UsableRun | None:
    run_id = str(row["run_id"])
    batches = list(lake.frame_batches(run_id, _COLUMNS, version=version))
    if not batches:
        return None
    usable = np.concatenate([_usable(batch.column("accepted"), batch.column("label_source")) for batch in batches])
    energy, time_fs = (
        np.concatenate([batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for batch in batches])
        for name in ("energy_ev", "time_fs")
    )
    cells, virials = (
        np.concatenate([vectors(batch.column(name), 3) for batch in batches]) for name in ("cell_angstrom", "virial_ev")
    )
    traces = np.concatenate([virial_traces(batch) for batch in batches])
    usable &= _first_seen(str(row["formula"]), energy, cells, traces, usable=usable, seen=seen)
    if not usable.any():
        return None
    labels = hashlib.sha256("".join(compress(_labels_ids(lake, run_id, batches, version=version), usable)).encode())
    return _UsableRun(
        row=row,
        atomic_numbers=np.array(batches[0].column("atomic_numbers")[0].as_py(), dtype=np.int8),
        usable=usable,
        time_fs=time_fs,
        with_virial=not np.isnan(virials[usable]).any(),
        labels_sha256=labels.hexdigest(),
    )


def _split_by_trajectory(runs: Sequence[_UsableRun], request: TrainingSetRequest) -> Iterator[ChosenRun]:
    """Each restart chain is split as the one trajectory that it is: no test frame beside the end of the run before."""
    chains: dict[str, list[_UsableRun]] = {}
    for run in runs:
        chains.setdefault(run.trajectory_id, []).append(run)
    for chain in chains.values():
        in_order = sorted(chain, key=lambda run: (float(np.nan_to_num(run.time_fs[0])), run.run_id))
        time_fs = np.concatenate([run.time_fs for run in in_order])
        usable = np.concatenate([run.usable for run in in_order])
        split = np.full(len(usable), "", dtype="<U8")
        split[usable] = _split(in_order, time_fs[usable], request)
        gap_fs = None if np.isnan(time_fs).any() else smallest_gap(time_fs, split)
        ends = np.cumsum([len(run.usable) for run in in_order])[:-1]
        for run, of_run in zip(in_order, np.split(split, ends), strict=True):
            yield ChosenRun(
                run_id=run.run_id,
                composition=str(run.row["composition"]),
                formula=str(run.row["formula"]),
                atomic_numbers=run.atomic_numbers,
                split=of_run,
                min_gap_fs=gap_fs,
                with_virial=run.with_virial,
                labels_sha256=run.labels_sha256,
            )


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
    volumes = np.abs(np.linalg.det(cells)).round(2)
    traces = np.nan_to_num(traces).round(2)
    first = np.zeros(len(energy), dtype=np.bool_)
    for frame in np.flatnonzero(usable):
        key = (formula, round(float(energy[frame]), 6), float(volumes[frame]), float(traces[frame]))
        first[frame] = key not in seen
        seen.add(key)
    return first


def _usable(accepted: object, label_source: object) -> NDArray[np.bool_]:
    flags = accepted.to_numpy(zero_copy_only=False).astype(np.bool_)  # type: ignore[attr-defined]
    sources = np.asarray(label_source.to_pylist())  # type: ignore[attr-defined]
    usable: NDArray[np.bool_] = flags & (sources == "dft")
    return usable


def _split(chain: Sequence[_UsableRun], time_fs: Floats, request: TrainingSetRequest) -> Splits:
    """(n_usable,): the split of a chain's usable frames, `time_fs` being when they were."""
    if chain[0].row["composition"] in request.hold_out:
        return np.full(len(time_fs), "held_out", dtype="<U8")
    if request.split == "random":
        return np.concatenate([_random_split_of(run, request) for run in chain])
    if np.isnan(time_fs).any():
        # A relaxation has an order and no time: keep one frame between training and test.
        return block_split(np.arange(len(time_fs), dtype=np.float64), test_fraction=request.test_fraction, gap=1.0)
    order = np.argsort(time_fs, kind="stable")  # a branch of a chain goes back in time
    split = np.empty(len(time_fs), dtype="<U8")
    split[order] = block_split(time_fs[order], test_fraction=request.test_fraction)
    return split


def _random_split_of(run: _UsableRun, request: TrainingSetRequest) -> Splits:
    # The run's name in the seed keeps its split as it is when other runs come to the lake.
    seed = (request.seed, int.from_bytes(hashlib.sha256(run.run_id.encode()).digest()[:8]))
    return random_split(int(run.usable.sum()), test_fraction=request.test_fraction, seed=seed)


def _labels_ids(lake: Lake, run_id: str, batches: Sequence[pa.RecordBatch], *, version: int) -> list[str]:
    """`labels_id` of every frame of a run; computed again from the vectors where an old lake has none."""
    if not any(batch.column("labels_id").null_count for batch in batches):
        return [name for batch in batches for name in batch.column("labels_id").to_pylist()]
    found: list[str] = []
    for batch in lake.frame_batches(run_id, LABEL_COLUMNS, version=version):
        n_atoms = len(batch.column("atomic_numbers")[0])
        _, ids = frame_ids(
            vectors(batch.column("positions_angstrom"), n_atoms),
            cells=vectors(batch.column("cell_angstrom"), 3),
            energies=batch.column("energy_ev").to_numpy(zero_copy_only=False),
            forces=vectors(batch.column("forces_ev_per_angstrom"), n_atoms),
            virials=vectors(batch.column("virial_ev"), 3),
        )
        found.extend(ids)
    return found


def _require_trained_elements(runs: Sequence[ChosenRun]) -> None:
    trained = {int(number) for run in runs if run.n_frames("train") for number in run.atomic_numbers}
    for run in runs:
        if not {int(number) for number in run.atomic_numbers} <= trained:
            raise MeltlakeError(
                f"{run.composition} is held out and has an element that no training frame has.",
                "Train on another composition with that element, or leave this one out.",
            )


def _require_one_level_of_theory(rows: Sequence[RunRow]) -> None:
    groups = comparable_groups(rows)
    if len(groups) <= 1:
        return
    tags = ", ".join(_differing_tags(groups))
    labels = [{str(row["composition"]) for row in group} for group in groups]
    told = "; ".join(
        f"{_level_of_theory(group[0])} ({', '.join(sorted(label))})"
        for group, label in list(zip(groups, labels, strict=True))[:_MOST_GROUPS_SHOWN]
    )
    more = f"; and {len(groups) - _MOST_GROUPS_SHOWN} more" if len(groups) > _MOST_GROUPS_SHOWN else ""
    largest = max(range(len(groups)), key=lambda i: sum(int(str(row["n_accepted"])) for row in groups[i]))
    elsewhere = set().union(*(label for i, label in enumerate(labels) if i != largest))
    choice = (
        f"--runs {' '.join(str(row['run_id']) for row in groups[largest])}"
        if labels[largest] & elsewhere
        else f"--compositions {' '.join(sorted(labels[largest]))}"
    )
    raise MeltlakeError(
        f"These runs have {len(groups)} levels of theory, which differ in {tags}, so their energies cannot be "
        f"compared: {told}{more}.",
        f"Choose one of them, for example `{choice}`; or say --mix-theories, if you know why.",
    )


def _differing_tags(groups: Sequence[Sequence[RunRow]]) -> list[str]:
    """Names of what the groups disagree in, as the labels of their level of theory have them."""
    firsts = [group[0] for group in groups]
    told = [dict(_TAG.findall(str(row["level_of_theory"]))) for row in firsts]
    names = dict.fromkeys(name for tags in told for name in tags)
    differing = [name for name in names if len({tags.get(name) for tags in told}) > 1]
    if len({bool(row["synthetic"]) for row in firsts}) > 1:
        differing.append("synthetic or not")
    return differing or ["POTCAR titles"]


def comparable_groups(rows: Sequence[RunRow]) -> list[list[RunRow]]:
    """Runs whose energies may be compared: one label, one POTCAR title per element, all synthetic or none.

    A run joins the first group that it does not contradict, so that unary runs of different elements meet.
    """
    groups: list[list[RunRow]] = []
    for row in sorted(rows, key=lambda row: (str(row["composition"]), str(row["run_id"]))):
        for group in groups:
            if all(_agree(row, other) for other in group):
                group.append(row)
                break
        else:
            groups.append([row])
    return groups


def _agree(one: RunRow, other: RunRow) -> bool:
    if one["level_of_theory"] != other["level_of_theory"] or one["synthetic"] != other["synthetic"]:
        return False
    titles, others = _titles_by_element(one), _titles_by_element(other)
    return all(titles[element] == others[element] for element in titles.keys() & others.keys())


def _titles_by_element(row: RunRow) -> dict[str, str]:
    """`PAW_PBE Ni_pv 06Sep2000` belongs to Ni; a title that is one word only stands for itself."""
    titles = cast("Sequence[str] | None", row["potcar_titles"]) or ()
    words = [(title.split(), title) for title in titles]
    return {(parts[1] if len(parts) > 1 else title).split("_")[0]: title for parts, title in words}


def _level_of_theory(row: RunRow) -> str:
    kind = "synthetic, " if row["synthetic"] else ""
    titles = ", ".join(sorted(_titles_by_element(row).values()))
    return f"{kind}{row['level_of_theory']}" + (f", {titles}" if titles else "")
