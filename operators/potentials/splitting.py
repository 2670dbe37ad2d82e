"""Frames of runs become `train`, `test` and `held_out`, as a request wants them and as earlier sets had them.

Which frames there are is in `selection`, where blocks lie in `physics.split`, what earlier sets had in `kept_labels`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from operators.physics.equilibration import Memory, memory
from operators.physics.growing_split import grown_block_split, grown_random_split, thinned
from operators.physics.split import DECORRELATION_FS, Splits, smallest_gap
from operators.potentials.chosen_run import NOT_USED, SPLITS, ChosenRun
from operators.potentials.kept_labels import KeptLabels
from operators.potentials.selection import UsableRun
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.training import TrainingSetRequest

_NAME = "<U10"
_Scalar = TypeVar("_Scalar", bound=np.generic)


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
        yield from _Chain(in_order, request, kept).chosen()


class _Chain:
    """Runs that go on from each other. Arrays have one entry per frame, run after run."""

    def __init__(self, runs: Sequence[UsableRun], request: TrainingSetRequest, kept: KeptLabels) -> None:
        self._runs, self._request = runs, request
        self._time_fs, self._usable, self._is_equilibrated = (
            np.concatenate([getattr(run, name) for run in runs]) for name in ("time_fs", "usable", "is_equilibrated")
        )
        self._known = np.concatenate([kept.of(run.run_id, run.content_ids) for run in runs])
        self._ends = np.cumsum([len(run.usable) for run in runs])
        self._has_time = not np.isnan(self._time_fs).any()
        self._is_held_out = runs[0].composition in request.hold_out

    def chosen(self) -> Iterator[ChosenRun]:
        split, pool = self._pool()
        if self._is_held_out:
            split[pool] = "held_out"
        elif self._request.split == "random":
            self._split_at_random(split, pool)
        else:
            self._split_in_blocks(split, pool)
        min_gap_fs = smallest_gap(self._time_fs, split) if self._has_time else None
        has_gap = self._has_time and self._request.split == "blocks" and not self._is_held_out
        for run, of_run, in_pool in zip(self._runs, self._by_run(split), self._by_run(pool), strict=True):
            has_virial = run.has_virial[np.isin(of_run, SPLITS)]
            yield ChosenRun(
                run_id=run.run_id,
                composition=run.composition,
                formula=str(run.row["formula"]),
                atomic_numbers=run.atomic_numbers,
                split=of_run,
                with_virial=bool(has_virial.all()),
                n_virials_unused=0 if has_virial.all() else int(has_virial.sum()),
                content_ids=run.content_ids,
                labels_sha256=_sha256(run.labels_ids.filter(pa.array(in_pool))),
                equilibrated_from_fs=float(run.time_fs[np.argmax(run.is_equilibrated)]) if self._has_time else None,
                frame_step_fs=_usual_step_fs(run.time_fs[in_pool]),
                memory=self._memory,
                gap_fs=self._gap_fs if has_gap else None,
                min_gap_fs=min_gap_fs,
            )

    def _pool(self) -> tuple[Splits, NDArray[np.bool_]]:
        """The split of what is left out before anything is split, and which frames remain to be split."""
        split, pool = np.full(len(self._usable), "", dtype=_NAME), self._usable.copy()
        if self._is_held_out or self._request.relaxation == "drop":
            split[pool & ~self._is_equilibrated] = "relaxation"
            pool &= self._is_equilibrated
        lacks_virial = self._lacks_virial(pool)
        split[lacks_virial] = "no_virial"
        pool &= ~lacks_virial
        if self._request.every_fs is not None and self._has_time:
            places = self._in_order(pool)
            stays = thinned(self._time_fs[places], every=self._request.every_fs, kept=self._known[places] != "")
            split[places[~stays]] = "thinned"
            pool[places[~stays]] = False
        return split, pool

    def _lacks_virial(self, pool: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(n_frames,): frames without a virial in runs where most have one. A deepmd_system has them all, or none."""
        lacking = []
        for run, in_pool in zip(self._runs, self._by_run(pool), strict=True):
            has = in_pool & run.has_virial
            most_have = 2 * has.sum() > in_pool.sum()
            lacking.append(in_pool & ~has & most_have)
        return np.concatenate(lacking)

    def _split_at_random(self, split: Splits, pool: NDArray[np.bool_]) -> None:
        for run, first, end in zip(self._runs, [0, *self._ends[:-1]], self._ends, strict=True):
            places = np.arange(first, end)[pool[first:end]]
            # The run's name in the seed keeps its split as it is when other runs come to the lake.
            seed = (self._request.seed, int.from_bytes(hashlib.sha256(run.run_id.encode()).digest()[:8]))
            split[places] = grown_random_split(
                self._known[places],
                test_fraction=self._request.test_fraction,
                seed=seed,
                may_test=self._is_equilibrated[places],
            )

    def _split_in_blocks(self, split: Splits, pool: NDArray[np.bool_]) -> None:
        places = self._in_order(pool)
        time, gap = self._time_fs[places], self._gap_fs
        if not self._has_time:  # the relaxation of a structure has an order: keep one frame between training and test
            time, gap = np.arange(len(places), dtype=np.float64), 1.0
        split[places] = grown_block_split(
            time,
            self._known[places],
            test_fraction=self._request.test_fraction,
            gap=gap,
            may_test=self._is_equilibrated[places],
        )

    @cached_property
    def _memory(self) -> Memory:
        if not self._has_time:
            return Memory(np.nan, np.nan)
        places = self._in_order(self._is_equilibrated)
        return memory(self._time_fs[places], np.concatenate([run.series for run in self._runs], axis=1)[:, places])

    @property
    def _gap_fs(self) -> float:
        wanted_fs = self._request.gap_fs
        measured_fs = float(np.nan_to_num(self._memory.correlation_time_fs))
        return wanted_fs if wanted_fs is not None else max(DECORRELATION_FS, measured_fs)

    def _in_order(self, where: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Places of the frames in their order in time: a branch of a chain goes back in it."""
        places = np.flatnonzero(where)
        return places[np.argsort(self._time_fs[places], kind="stable")] if self._has_time else places

    def _by_run(self, values: NDArray[_Scalar]) -> list[NDArray[_Scalar]]:
        return np.split(values, self._ends[:-1])


def _sha256(names: pa.Array) -> str:
    return hashlib.sha256("".join(names.to_pylist()).encode()).hexdigest()


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
            role = "is held out" if run.n_frames("held_out") else "has no frame left to train on"
            raise MeltlakeError(
                f"{run.composition} {role} and has an element that no training frame has.",
                "Train on another composition with that element, or leave this one out.",
            )
