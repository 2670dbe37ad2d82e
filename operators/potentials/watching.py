"""What DeePMD prints while it trains: told now and then, kept in the lake, and the end of a training that diverged."""

import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from operators.log import log
from operators.potentials.deepmd_input import LEARNING_CURVE
from operators.potentials.learning_curve import Diverged, sound_part
from operators.potentials.resuming import GOES_ON, SAYS
from schemas.errors import MeltlakeError

KeepPoints = Callable[[Sequence[dict[str, object]]], None]
"""Takes all points of the learning curve so far."""

_SAVED = ("saved checkpoint", "Saved model to")  # TensorFlow's words and PyTorch's
_DISPLAYED = re.compile(r"batch\s+(\d+): trn: (.*)", re.IGNORECASE)
_LOSS = re.compile(r"rmse(?:_([efv]))? = (nan|-?inf|[-+.\de]*\d)")
_NOT_A_NUMBER = re.compile(r"NaN detected at batch\s+(\d+)", re.IGNORECASE)  # DeePMD's own last words
_TIME_LEFT = re.compile(r"batch\s+\d+: total wall time = .*eta = (\S+)", re.IGNORECASE)

_PAUSE_BETWEEN_EVENTS_S = 30.0
_PAUSE_BETWEEN_COMMITS_S = 60.0
_MOST_POINTS_WAITING = 20

_JUDGED = (("e", "energy", "eV/atom"), ("f", "forces", "eV/A"))
_OUT_OF_BOUNDS = 10.0
"""A potential that is worse than none at all by this factor will not come back."""
_REFERENCE_ENERGY_EV_PER_ATOM = 1.0
"""DeePMD takes the atoms' own energies off, and what is left differs by less from frame to frame."""
N_BAD_STEPS = 3
"""Displayed steps in a row out of bounds, before a training is given up: one batch may be odd."""


class Watcher:
    """Reads DeePMD's lines as they come.

    Parameters
    ----------
    folder
        The potential's.
    n_steps
        Steps of the whole training.
    reference_force_ev_per_angstrom
        Root mean square of the forces to learn.
    keep_points
        Where the learning curve goes while it grows.
    note_progress
        Called when a checkpoint was saved, and when the training goes on from one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        n_steps: int,
        reference_force_ev_per_angstrom: float,
        keep_points: KeepPoints,
        note_progress: Callable[[], None],
    ) -> None:
        self._folder, self._n_steps = folder, n_steps
        self._keep_points, self._note_progress = keep_points, note_progress
        self._references = {"e": _REFERENCE_ENERGY_EV_PER_ATOM, "f": reference_force_ev_per_angstrom}
        self._first_losses: dict[str, float] = {}
        self._step = self._waiting = self._n_bad = 0
        self.last_sound_step = -1
        """The last step whose errors were within bounds, or whose checkpoint was gone on from."""
        self._losses: dict[str, float] = {}
        self._told_at, self._kept_at = -math.inf, time.monotonic()
        self.went_on_from: int | None = None
        """Step of the checkpoint that the training was resumed from; None while it began at its beginning."""

    def see(self, line: str) -> None:
        """Take in one line.

        Raises
        ------
        Diverged
            If the loss is not a number, or energy or forces are wrong beyond all bounds for several displayed steps.
        """
        if match := _NOT_A_NUMBER.search(line):
            self._judge(int(match[1]), {"": math.nan})
        elif match := _DISPLAYED.search(line):
            self._judge(int(match[1]), {name: float(value) for name, value in _LOSS.findall(match[2])})
        elif match := _TIME_LEFT.search(line):  # DeePMD has written the point to its file by now
            self._waiting += 1
            self._tell(time_left=match[1])
            self._keep_now_and_then()
        elif any(words in line for words in _SAVED):
            self._note_progress()
        elif line.startswith(SAYS):
            self._hear(line.removeprefix(SAYS))

    def _judge(self, step: int, losses: dict[str, float]) -> None:
        self._step, self._losses = step, losses
        if not math.isfinite(losses.get("", 0.0)):
            raise Diverged(f"The training diverged: its loss is not a number at step {step}{self._last_sound()}.")
        self._first_losses = self._first_losses or losses  # weights of another potential may begin far away
        bad = [
            f"{losses[kind]:.3g} {unit} in the {what} (sound: {sound:.3g})"
            for kind, what, unit in _JUDGED
            if losses.get(kind, 0.0)
            > _OUT_OF_BOUNDS * (sound := max(self._references[kind], self._first_losses.get(kind, 0.0)))
        ]
        self._n_bad = self._n_bad + 1 if bad else 0
        if self._n_bad >= N_BAD_STEPS:
            raise Diverged(
                f"The training diverged: its error at step {step} is {' and '.join(bad)}, "
                f"and the {N_BAD_STEPS - 1} displayed steps before were out of bounds, too{self._last_sound()}."
            )
        if not self._n_bad:
            self.last_sound_step = step

    def _last_sound(self) -> str:
        return f"; it was sound at step {self.last_sound_step}" if self.last_sound_step >= 0 else ""

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
            rmse_virial_ev_per_atom=self._losses.get("v"),
            time_left=time_left,
        )

    def _keep_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._kept_at >= _PAUSE_BETWEEN_COMMITS_S or self._waiting >= _MOST_POINTS_WAITING:
            self._kept_at, self._waiting = now, 0
            self.keep()

    def keep(self) -> None:
        """Hand over the learning curve so far; what the lake cannot take now is handed over next time."""
        try:
            points = sound_part((self._folder / LEARNING_CURVE).read_text(errors="replace"))
            if points:
                self._keep_points(points)
        except (MeltlakeError, OSError) as error:  # a lake that is busy for a while must not cost a training
            log.warning("train", potential_id=self._folder.name, learning_curve="kept later", reason=str(error))

    def _hear(self, sentence: str) -> None:
        log.info("train", potential_id=self._folder.name, n_steps=self._n_steps, note=sentence)
        if sentence.startswith(GOES_ON):
            self.went_on_from = int(sentence.removeprefix(GOES_ON))
            self.last_sound_step = self.went_on_from
            self._note_progress()  # now: whoever is killed outright notes nothing at its end
