"""Frames of runs become `train`, `test` and `held_out`, as a request wants them and as earlier sets had them.

Which frames there are is in `selection`, where blocks lie in `physics.split`, what earlier sets had in `kept_labels`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from operators.physics.equilibration import Memory, memory
from operators.physics.growing_split import grown_block_split, grown_random_split, thinned
from operators.physics.split import DECORRELATION_FS, Splits, smallest_gap
from operators.potentials.kept_labels import KeptLabels
from operators.potentials.selection import UsableRun
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.training import TrainingSetRequest

SPLITS = ("train", "test", "held_out")
NOT_USED = ("gap", "thinned", "relaxation")
"""Why an accepted frame is in no part: beside a test frame, within `every_fs` of another, before equilibration."""

_FEWEST_INDEPENDENT = 3.0
_NAME = "<U10"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRun:
    """One run's part of a training set."""

    run_id: str
    composition: str
    formula: str
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    split: Splits
    """(n_frames of the run,): one of `SPLITS` or of `NOT_USED`; empty where a frame may not be used at all."""
    with_virial: bool
    """Whether every frame that was split has a virial."""
    content_ids: pa.Array
    """(n_frames,)."""
    labels_sha256: str
    """Over all numbers of the frames that were split: a mended reader must not find the training set of its old
    numbers."""
    equilibrated_from_fs: float | None
    frame_step_fs: float | None
    """Usual time between frames that were split; None without a time axis, as the next three."""
    memory: Memory
    """Of its trajectory."""
    gap_fs: float | None
    """Wanted between training and test frames."""
    min_gap_fs: float | None
    """Found in its trajectory; None without both kinds of frames."""

    def n_frames(self, *splits: str) -> int:
        """How many frames are in those parts of the split."""
        return int(np.isin(self.split, splits).sum())

    @property
    def is_used(self) -> NDArray[np.bool_]:
        """(n_frames,): whether a frame is in the training set."""
        return np.isin(self.split, SPLITS)

    @property
    def n_effective(self) -> float | None:
        """Independent values that its training frames are worth; None where its memory is not known."""
        if self.frame_step_fs is None or np.isnan(self.memory.correlation_time_fs):
            return None
        return self.n_frames("train") * min(1.0, self.frame_step_fs / self.memory.correlation_time_fs)

    @property
    def leakage(self) -> str | None:
        """Whether its test errors are those of frames that the potential has not as good as seen.

        `clear`, `leaks` (the gap is shorter than the correlation time), `too_short` (the run is, to tell that time),
        `unknown` (no time axis, or nothing to tell it from); None where there is nothing to test or to train on.
        """
        if self.min_gap_fs is None:
            return "unknown" if self.n_frames("train") and self.n_frames("test") else None
        if np.isnan(self.memory.correlation_time_fs):
            return "unknown"
        if self.min_gap_fs < self.memory.correlation_time_fs:
            return "leaks"
        return "too_short" if self.memory.n_independent <= _FEWEST_INDEPENDENT else "clear"


def chosen_runs(runs: Sequence[UsableRun], request: TrainingSetRequest, *, kept: KeptLabels) -> list[ChosenRun]:
    """What a training set takes of each run, by run id.

    Raises
    ------
    MeltlakeError
        If a composition has no frame, nothing can be trained or tested on, or a held-out element was never seen.
    """
    chosen = sorted(_split_by_trajectory(runs, request, kept), key=lambda run: run.run_id)
    present = {run.composition for run in chosen}
    if missing := sorted((set(request.compositions) | set(request.hold_out)) - present):
        raise MeltlakeError(
            f"No accepted DFT frame of {', '.join(missing)} at this version of the lake.",
            "`meltlake status` tells why frames were rejected; or leave these compositions out.",
        )
    if sum(run.n_frames("train") for run in chosen) == 0:
        raise MeltlakeError(
            "No frame to train on at this version of the lake.",
            "Ingest AIMD runs, hold out fewer compositions, or look at `meltlake status` for rejected frames.",
        )
    _require_tests(chosen, request)
    _require_trained_elements(chosen)
    return chosen


def _split_by_trajectory(
    runs: Sequence[UsableRun], request: TrainingSetRequest, kept: KeptLabels
) -> Iterator[ChosenRun]:
    """Each restart chain is split as the one trajectory that it is: no test frame beside the end of the run before."""
    chains: dict[str, list[UsableRun]] = {}
    for run in runs:
        chains.setdefault(run.trajectory_id, []).append(run)
    for chain in chains.values():
        in_order = sorted(chain, key=lambda run: (float(np.nan_to_num(run.time_fs[0])), run.run_id))
        yield from _chosen_of_chain(in_order, request, kept)


def _chosen_of_chain(chain: Sequence[UsableRun], request: TrainingSetRequest, kept: KeptLabels) -> Iterator[ChosenRun]:
    time_fs, usable, is_equilibrated = (
        np.concatenate([getattr(run, name) for run in chain]) for name in ("time_fs", "usable", "is_equilibrated")
    )
    has_time = not np.isnan(time_fs).any()
    order = np.argsort(time_fs, kind="stable") if has_time else np.arange(len(time_fs))  # a branch goes back in time
    series = np.concatenate([run.series for run in chain], axis=1)[:, order]
    settled = is_equilibrated[order]
    remembered = memory(time_fs[order][settled], series[:, settled]) if has_time else Memory(np.nan, np.nan)
    gap_fs = request.gap_fs or float(np.nanmax([DECORRELATION_FS, remembered.correlation_time_fs]))

    split = np.full(len(usable), "", dtype=_NAME)
    is_held_out = chain[0].composition in request.hold_out
    pool = usable.copy()
    if is_held_out or request.relaxation == "drop":
        split[usable & ~is_equilibrated] = "relaxation"
        pool &= is_equilibrated
    known = np.concatenate([kept.of(run.run_id, run.content_ids) for run in chain])
    if request.every_fs is not None and has_time:
        places = order[pool[order]]
        stays = thinned(time_fs[places], every=request.every_fs, kept=known[places] != "")
        split[places[~stays]] = "thinned"
        pool[places[~stays]] = False
    ends = np.cumsum([len(run.usable) for run in chain])
    if is_held_out:
        split[pool] = "held_out"
    elif request.split == "random":
        for run, first, end in zip(chain, [0, *ends[:-1]], ends, strict=True):
            here = np.arange(first, end)[pool[first:end]]
            split[here] = _random_split_of(run, known[here], request, may_test=is_equilibrated[here])
    else:
        places = order[pool[order]]
        # A relaxation of a structure has an order and no time: keep one frame between training and test.
        when, gap = (time_fs[places], gap_fs) if has_time else (np.arange(len(places), dtype=np.float64), 1.0)
        split[places] = grown_block_split(
            when, known[places], test_fraction=request.test_fraction, gap=gap, may_test=is_equilibrated[places]
        )
    min_gap_fs = smallest_gap(time_fs[order], split[order]) if has_time else None
    for run, of_run, in_pool in zip(chain, np.split(split, ends[:-1]), np.split(pool, ends[:-1]), strict=True):
        yield ChosenRun(
            run_id=run.run_id,
            composition=run.composition,
            formula=str(run.row["formula"]),
            atomic_numbers=run.atomic_numbers,
            split=of_run,
            with_virial=bool(run.has_virial[in_pool].all()),
            content_ids=run.content_ids,
            labels_sha256=hashlib.sha256(
                "".join(run.labels_ids.filter(pa.array(in_pool)).to_pylist()).encode()
            ).hexdigest(),
            equilibrated_from_fs=float(run.time_fs[np.argmax(run.is_equilibrated)]) if has_time else None,
            frame_step_fs=_usual_step_fs(run.time_fs[in_pool]),
            memory=remembered,
            gap_fs=gap_fs if has_time else None,
            min_gap_fs=min_gap_fs,
        )


def _random_split_of(
    run: UsableRun, known: Splits, request: TrainingSetRequest, *, may_test: NDArray[np.bool_]
) -> Splits:
    # The run's name in the seed keeps its split as it is when other runs come to the lake.
    seed = (request.seed, int.from_bytes(hashlib.sha256(run.run_id.encode()).digest()[:8]))
    return grown_random_split(known, test_fraction=request.test_fraction, seed=seed, may_test=may_test)


def _usual_step_fs(time_fs: Floats) -> float | None:
    steps = np.diff(time_fs)
    return float(np.median(steps)) if len(steps) and np.isfinite(steps).all() and (steps > 0).all() else None


def _require_tests(runs: Sequence[ChosenRun], request: TrainingSetRequest) -> None:
    """Three frames are enough to test on one; where the wish took them away, a person should know before training."""
    if any(run.n_frames("test") for run in runs):
        return
    if any(run.n_frames("train", *NOT_USED) >= 3 for run in runs if not run.n_frames("held_out")):
        wishes = [f"--every-fs {request.every_fs:g}"] if request.every_fs is not None else []
        wishes += ["--relaxation drop"] if request.relaxation == "drop" else []
        raise MeltlakeError(
            f"{' and '.join(wishes) or 'The split'} leaves {sum(run.n_frames('train') for run in runs)} frames to "
            "train on and none to test on.",
            "Ask for less, or ingest longer runs.",
        )


def _require_trained_elements(runs: Sequence[ChosenRun]) -> None:
    trained = {int(number) for run in runs if run.n_frames("train") for number in run.atomic_numbers}
    for run in runs:
        if not {int(number) for number in run.atomic_numbers} <= trained:
            raise MeltlakeError(
                f"{run.composition} is held out and has an element that no training frame has.",
                "Train on another composition with that element, or leave this one out.",
            )
