"""Running DeePMD in the folder of one potential: train to the last step over any number of kills, freeze, compress.

What is in the folder decides what is left to do; nothing here knows the lake. What DeePMD prints is read in `watching`.
"""

import errno
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import operators
from operators.log import log
from operators.potentials import freezing, resuming
from operators.potentials.backends import BACKENDS, TENSORFLOW, Backend, checkpoints, forget_checkpoint
from operators.potentials.deepmd_input import CHECKPOINT, INPUT, LEARNING_CURVE
from operators.potentials.kept_files import read_json, write_whole
from operators.potentials.learning_curve import Diverged
from operators.potentials.watching import KeepPoints, Watcher
from operators.processes import program, run
from schemas.errors import MeltlakeError, StepFailed, TryAgainLater

LOG = "train.log"
_PROGRESS = "progress.json"
_CHECKPOINTS_KEPT = 5
_UNFINISHED = (f"{CHECKPOINT}-*.tmp*", f"{CHECKPOINT}-*.tempstate*")
"""What TensorFlow leaves when it is killed while it saves, or when the disk is full."""
_OUR_PROGRAMS = {"PYTHONPATH": str(Path(operators.__file__).parents[1])}


@dataclass(slots=True)
class Progress:
    """What a training remembers over its restarts."""

    wall_seconds: float = 0.0
    n_restarts: int = 0

    @classmethod
    def read(cls, folder: Path) -> "Progress":
        """The folder's; of a training that was not begun without one.

        Raises
        ------
        MeltlakeError
            If the file was damaged.
        """
        path = folder / _PROGRESS
        return cls(**read_json(path, names=cls.__slots__)) if path.exists() else cls()

    def write(self, folder: Path) -> None:
        write_whole(folder / _PROGRESS, json.dumps(asdict(self)))


def prepare(folder: Path, written: dict[str, Any]) -> None:
    """Lay the input into the folder. A folder that was begun with another input is put aside, and begun anew.

    Raises
    ------
    MeltlakeError
        If the input that lies there was damaged.
    """
    input_path = folder / INPUT
    if input_path.exists() and _what_is_learnt(read_json(input_path)) != _what_is_learnt(written):
        aside = folder.with_name(f".{folder.name}.other-input")
        log.warning("train", potential_id=folder.name, note="begun with another input, begun anew", kept_in=str(aside))
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    if not input_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(input_path, json.dumps(written, indent=1) + "\n")


def _what_is_learnt(written: dict[str, Any]) -> object:
    """An input without what it says of displaying and saving, as JSON has it."""
    training = {name: value for name, value in written["training"].items() if name not in ("disp_freq", "save_freq")}
    return json.loads(json.dumps({**written, "training": training}))


def last_checkpoint(folder: Path) -> int | None:
    """Step of the newest checkpoint of which every part is there; None without one."""
    return max(checkpoints(folder), default=None)


def train_to_the_end(
    folder: Path,
    *,
    n_steps: int,
    reference_force_ev_per_angstrom: float,
    keep_points: KeepPoints,
    backend: Backend = TENSORFLOW,
    beginning: Sequence[str] = (),
) -> Progress:
    """Train, from the last sound checkpoint when there is one; nothing is left to do when it is the last step's.

    Parameters
    ----------
    folder
        The potential's, prepared.
    n_steps
        Steps of the whole training.
    reference_force_ev_per_angstrom
        Root mean square of the forces to learn.
    keep_points
        Takes the learning curve, again and again while it grows.
    backend
        What DeePMD computes with.
    beginning
        More arguments of `dp train` where there is no checkpoint yet, such as `--init-model`.

    Raises
    ------
    Diverged
        If the loss is not a number, or grew beyond all bounds.
    StoppedBySignal
        If SIGTERM came.
    ProgramFailed
        If DeePMD failed.
    TryAgainLater
        If the disk is full.
    """
    progress = Progress.read(folder)
    before, started = replace(progress), time.monotonic()

    def note_progress() -> None:
        progress.wall_seconds = before.wall_seconds + time.monotonic() - started
        progress.n_restarts = before.n_restarts + (watcher.went_on_from is not None)
        progress.write(folder)

    watcher = Watcher(
        folder,
        n_steps=n_steps,
        reference_force_ev_per_angstrom=reference_force_ev_per_angstrom,
        keep_points=keep_points,
        note_progress=note_progress,
    )
    with _told_when_full(folder):
        try:
            run(
                _command(folder, backend, beginning),
                cwd=folder,
                log_path=folder / LOG,
                on_line=watcher.see,
                environment=_OUR_PROGRAMS,
                called="dp train",
            )
        except Diverged:
            _forget_checkpoints(folder, [step for step in checkpoints(folder) if step > watcher.last_sound_step])
            raise
        finally:
            note_progress()
            watcher.keep()
    if (reached := last_checkpoint(folder)) is None or reached < n_steps:
        raise StepFailed(
            f"{folder}: needed a checkpoint of step {n_steps}, found {reached}.", f"Read the end of {folder / LOG}."
        )
    return progress


def _command(folder: Path, backend: Backend, beginning: Sequence[str]) -> list[str]:
    """DeePMD itself for a beginning; where there are checkpoints, `resuming` finds the sound one and goes on."""
    for pattern in _UNFINISHED:
        for path in folder.glob(pattern):
            path.unlink()
    steps = checkpoints(folder)
    _forget_checkpoints(folder, steps[_CHECKPOINTS_KEPT:])
    if not steps:
        return [program("dp"), backend.option, "train", INPUT, *beginning]
    newest = ",".join(map(str, steps[:_CHECKPOINTS_KEPT]))
    return [sys.executable, "-m", resuming.__name__, backend.name, newest, *beginning]


def freeze_and_compress(
    folder: Path, deepmd_systems: Sequence[Path], *, step: int, backend: Backend = TENSORFLOW
) -> tuple[Path, dict[str, float]]:
    """The model file to use, and its largest differences from the checkpoint, on frames of these deepmd_systems.

    It is the compressed model, or the frozen one where compression changed what it says.

    Raises
    ------
    MeltlakeError
        If the frozen model says something else than the checkpoint that it was made of.
    StoppedBySignal
        If SIGTERM came.
    ProgramFailed
        If DeePMD failed.
    TryAgainLater
        If the disk is full.
    """
    differences = _differences(folder, backend)
    if differences is None:
        with _told_when_full(folder):
            run(
                [sys.executable, "-m", freezing.__name__, backend.name, str(step), *map(str, deepmd_systems)],
                cwd=folder,
                log_path=folder / LOG,
                environment=_OUR_PROGRAMS,
                called="dp freeze and dp compress",
            )
        differences = read_json(folder / freezing.DIFFERENCES)
    if not freezing.is_frozen_rightly(differences):
        forget_model(folder)
        raise StepFailed(
            f"{folder / backend.frozen}: needed the numbers of checkpoint {step} on frames of the training set, found "
            f"others ({_told(differences)}).",
            "Report it with these numbers; another version of deepmd-kit may freeze it rightly.",
        )
    equal = freezing.is_equal(differences)
    if not equal:
        why = "changes what the model says: not used" if (folder / backend.compressed).exists() else "is not possible"
        log.warning("train", potential_id=folder.name, note=f"compression {why}")
    model, prefix = (backend.compressed, "") if equal else (backend.frozen, freezing.FREEZING)
    of_model = {name: differences[prefix + name] for name in freezing.LARGEST_DIFFERENCES}
    log.info("train", potential_id=folder.name, model=model, **{name: f"{of_model[name]:.1e}" for name in of_model})
    return folder / model, of_model


def forget_model(folder: Path) -> None:
    """Remove what freezing made, so that it is made again from the checkpoint."""
    for backend in BACKENDS.values():
        for name in _made_by_freezing(backend):
            (folder / name).unlink(missing_ok=True)


def learning_curve_text(folder: Path) -> str:
    """Content of DeePMD's learning curve."""
    return (folder / LEARNING_CURVE).read_text(errors="replace")


def _made_by_freezing(backend: Backend) -> tuple[str, ...]:
    return freezing.DIFFERENCES, backend.frozen, backend.compressed


def _forget_checkpoints(folder: Path, steps: Sequence[int]) -> None:
    for step in steps:
        forget_checkpoint(folder, step)


@contextmanager
def _told_when_full(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TryAgainLater(
            f"{folder}: the disk is full ({error.filename or LOG}).",
            "Free space there, then run the same command again: it goes on from the last checkpoint that was saved.",
        ) from error


def _differences(folder: Path, backend: Backend) -> dict[str, float] | None:
    """What the last freezing found; None when it is to be done (again)."""
    with suppress(MeltlakeError):
        found = read_json(folder / freezing.DIFFERENCES) if (folder / freezing.DIFFERENCES).exists() else {}
        if found.keys() >= freezing.NAMES:
            needed = [backend.frozen, *([backend.compressed] if freezing.is_equal(found) else [])]
            return found if all((folder / name).exists() for name in needed) else None
    return None


def _told(differences: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in differences.items() if name.startswith(freezing.FREEZING))
