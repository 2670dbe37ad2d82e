"""What a person should know of a training set's split before believing its test errors, as sentences."""

from collections.abc import Iterator, Sequence

from operators.potentials.chosen_run import SPLITS, ChosenRun
from schemas.training import TrainingSetRequest


def notes(runs: Sequence[ChosenRun], request: TrainingSetRequest) -> list[str]:
    """Sentences, the weightiest first; none where nothing is wrong."""
    return [*_of_parts(runs), *_of_leakage(runs, request), *_of_virials(runs), *_of_thinning(runs, request)]


def _of_parts(runs: Sequence[ChosenRun]) -> Iterator[str]:
    n_train, n_test = (sum(run.n_frames(part) for run in runs) for part in ("train", "test"))
    if n_test == 0:
        yield "The test part is empty: there are too few frames to set one aside, and no test error can be told."
    for part, n_frames in (("training", n_train), ("test", n_test)):
        if n_frames == 1:
            yield f"The {part} part is a single frame."
    tested = {run.composition for run in runs if run.n_frames("test")}
    trained = {run.composition for run in runs if run.n_frames("train")}
    if n_test and (untested := sorted(trained - tested)):
        yield f"No frame to test on of {', '.join(untested)}."
    if untrained := sorted(tested - trained):
        yield f"Tested on, not trained on: {', '.join(untrained)}. Their errors are those of a held-out composition."


def _of_leakage(runs: Sequence[ChosenRun], request: TrainingSetRequest) -> Iterator[str]:
    by_verdict = {
        verdict: [run for run in runs if run.leakage == verdict] for verdict in ("leaks", "too_short", "unknown")
    }
    if leaking := by_verdict["leaks"]:
        worst = max(leaking, key=lambda run: run.memory.correlation_time_fs - (run.min_gap_fs or 0.0))
        yield (
            f"{_runs(leaking, runs)} less time between training and test frames than correlation time (worst: "
            f"{worst.composition}, run {worst.run_id}: {worst.min_gap_fs:g} fs, {worst.memory.correlation_time_fs:.3g} "
            "fs): test errors there are those of frames nearly seen. "
            + ("That is what a random split does." if request.split == "random" else _too_little(request))
        )
    if short := by_verdict["too_short"]:
        longest = max(short, key=lambda run: run.memory.correlation_time_fs)
        yield (
            f"{_runs(short, runs)} too little time for the gap that was wanted, or to tell a correlation time (for "
            f"example {longest.composition}, run {longest.run_id}: {longest.min_gap_fs:g} fs between training and test "
            "frames): the true memory may be longer, and test errors there flatter."
        )
    if unknown := by_verdict["unknown"]:
        yield (
            f"{_runs(unknown, runs)} no time axis, or too few frames to tell a correlation time: whether test frames "
            "are independent of training frames is not known there."
        )


def _of_virials(runs: Sequence[ChosenRun]) -> Iterator[str]:
    if lacking := [run for run in runs if run.n_frames("no_virial")]:
        n_frames = sum(run.n_frames("no_virial") for run in lacking)
        yield f"{_runs(lacking, runs)} accepted frames without a virial among frames with one: {n_frames} left out."
    if wasted := [run for run in runs if run.n_virials_unused]:
        n_virials = sum(run.n_virials_unused for run in wasted)
        n_frames = sum(run.n_frames(*SPLITS) for run in wasted)
        yield (
            f"{_runs(wasted, runs)} virials in {n_virials} of {n_frames} frames only: all frames there are trained and "
            "tested on without."
        )


def _of_thinning(runs: Sequence[ChosenRun], request: TrainingSetRequest) -> Iterator[str]:
    timeless = [run for run in runs if run.equilibrated_from_fs is None]
    if request.every_fs is not None and timeless:
        yield f"{_runs(timeless, runs)} no time axis and cannot be thinned by time: all frames were taken."


def _too_little(request: TrainingSetRequest) -> str:
    if request.gap_fs is not None:
        return "Ask for a longer --gap-fs, or leave it out."
    return "The runs are too short for more; longer ones help."


def _runs(some: Sequence[ChosenRun], all_of_them: Sequence[ChosenRun]) -> str:
    return f"{len(some)} of {len(all_of_them)} runs {'has' if len(some) == 1 else 'have'}"
