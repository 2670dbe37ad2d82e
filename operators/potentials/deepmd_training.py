"""Running DeePMD in the folder of one potential: train to the last step over any number of kills, freeze, compress.

What is in the folder decides what is left to do; nothing here knows the lake.
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import operators
from operators.log import log
from operators.potentials import freezing
from operators.potentials.deepmd_input import CHECKPOINT, LEARNING_CURVE
from operators.processes import program, run
from schemas.errors import StepFailed

LOG = "train.log"
_PROGRESS = "progress.json"
_MADE_BY_FREEZING = (freezing.DIFFERENCES, freezing.FROZEN, freezing.COMPRESSED)

_STEP = re.compile(r"batch\s+(\d+): trn: (.*)", re.IGNORECASE)
_LOSS = re.compile(r"rmse_([efv]) = (\S+?),")
_TIME_LEFT = re.compile(r"batch\s+\d+: total wall time = .*eta = (\S+)", re.IGNORECASE)
_SAVED = "saved checkpoint"
_PAUSE_BETWEEN_EVENTS_S = 2.0
_CHECKPOINT_PARTS = ("data-00000-of-00001", "index", "meta")


@dataclass(slots=True)
class Progress:
    """What a training remembers over its restarts."""

    wall_seconds: float = 0.0
    n_restarts: int = 0

    @classmethod
    def read(cls, folder: Path) -> "Progress":
        path = folder / _PROGRESS
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def write(self, folder: Path) -> None:
        unfinished = folder / f".{_PROGRESS}"
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(folder / _PROGRESS)


def prepare(folder: Path, written: dict[str, object]) -> None:
    """Lay the input into the folder. A folder that was begun with another input is begun anew."""
    text = json.dumps(written, indent=1) + "\n"
    input_path = folder / "input.json"
    if input_path.exists() and input_path.read_text() != text:
        log.info("train", potential_id=folder.name, starting_over="the input is not the one it was begun with")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / ".input.json"
    unfinished.write_text(text)
    unfinished.replace(input_path)


def last_checkpoint(folder: Path) -> int | None:
    """Step of the newest checkpoint that is whole; None without one.

    A kill can leave a checkpoint without its last part, and DeePMD's links pointing to two different ones.
    """
    indices = folder.glob(f"{CHECKPOINT}-*.index")
    steps = (int(path.stem.rpartition("-")[2]) for path in indices)
    whole = (
        step for step in steps if all((folder / f"{CHECKPOINT}-{step}.{part}").exists() for part in _CHECKPOINT_PARTS)
    )
    return max(whole, default=None)


def train_to_the_end(folder: Path, *, n_steps: int) -> Progress:
    """Train, from the last checkpoint when there is one; nothing is left to do when it is the last step's.

    Raises
    ------
    StoppedBySignal
        If SIGTERM came.
    ProgramFailed
        If DeePMD failed.
    """
    progress = Progress.read(folder)
    step = last_checkpoint(folder)
    if step is not None and step >= n_steps:
        return progress
    command = [program("dp"), "--tf", "train", "input.json"]
    if step is not None:
        command += ["--restart", f"{CHECKPOINT}-{step}"]
        progress.n_restarts += 1
        log.info("train", potential_id=folder.name, going_on_from_step=step, n_steps=n_steps)
    progress.write(folder)
    watcher = _Watcher(folder, progress, n_steps=n_steps)
    try:
        run(command, cwd=folder, log_path=folder / LOG, on_line=watcher.see)
    finally:
        watcher.note_time()
    if (reached := last_checkpoint(folder)) is None or reached < n_steps:
        raise StepFailed(
            f"{folder}: needed a checkpoint of step {n_steps}, found {reached}.", f"Read the end of {folder / LOG}."
        )
    return progress


def freeze_and_compress(folder: Path, deepmd_systems: Sequence[Path], *, step: int) -> Path:
    """The model file to use: compressed, or frozen where compression changed what it says."""
    answer = folder / freezing.DIFFERENCES
    if not all((folder / name).exists() for name in _MADE_BY_FREEZING):
        # `dp freeze` takes the checkpoint that this file names; after a kill it may name an older one.
        (folder / "checkpoint").write_text(f'model_checkpoint_path: "{CHECKPOINT}-{step}"\n')
        run(
            [sys.executable, "-m", freezing.__name__, *map(str, deepmd_systems)],
            cwd=folder,
            log_path=folder / LOG,
            environment={"PYTHONPATH": str(Path(operators.__file__).parents[1])},
        )
    differences = json.loads(answer.read_text())
    equal = freezing.is_equal(differences)
    log.info("train", potential_id=folder.name, compressed=equal, **differences)
    return folder / (freezing.COMPRESSED if equal else freezing.FROZEN)


def forget_model(folder: Path) -> None:
    """Remove what freezing made, so that it is made again from the checkpoint."""
    for name in _MADE_BY_FREEZING:
        (folder / name).unlink(missing_ok=True)


def learning_curve_text(folder: Path) -> str:
    """Content of DeePMD's learning curve."""
    return (folder / LEARNING_CURVE).read_text(errors="replace")


class _Watcher:
    """Turns DeePMD's lines into log events, not too many, and keeps the time spent."""

    def __init__(self, folder: Path, progress: Progress, *, n_steps: int) -> None:
        self._folder, self._progress, self._n_steps = folder, progress, n_steps
        self._spent_before, self._started = progress.wall_seconds, time.monotonic()
        self._step, self._told_at = 0, -_PAUSE_BETWEEN_EVENTS_S
        self._losses: dict[str, str] = {}

    def see(self, line: str) -> None:
        if match := _STEP.search(line):
            self._step, self._losses = int(match[1]), dict(_LOSS.findall(match[2]))
        elif match := _TIME_LEFT.search(line):
            self._tell(time_left=match[1])
        elif _SAVED in line:
            self.note_time()

    def note_time(self) -> None:
        self._progress.wall_seconds = self._spent_before + time.monotonic() - self._started
        self._progress.write(self._folder)

    def _tell(self, *, time_left: str) -> None:
        now = time.monotonic()
        if now - self._told_at < _PAUSE_BETWEEN_EVENTS_S and self._step < self._n_steps:
            return
        self._told_at = now
        log.info(
            "train",
            potential_id=self._folder.name,
            step=self._step,
            n_steps=self._n_steps,
            rmse_energy_ev_per_atom=self._losses.get("e"),
            rmse_force_ev_per_angstrom=self._losses.get("f"),
            time_left=time_left,
        )
