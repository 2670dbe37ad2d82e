"""DeePMD's `lcurve.out` as rows of the table `learning_curves`."""

import math
from itertools import takewhile

from schemas.errors import StepFailed
from schemas.units import MEV_PER_EV

_COLUMNS = {
    "rmse_energy_mev_per_atom": "rmse_e_val",
    "rmse_force_mev_per_angstrom": "rmse_f_val",
    "rmse_virial_mev_per_atom": "rmse_v_val",
    "rmse_energy_train_mev_per_atom": "rmse_e_trn",
    "rmse_force_train_mev_per_angstrom": "rmse_f_trn",
    "rmse_virial_train_mev_per_atom": "rmse_v_trn",
}
"""Ours and DeePMD's, which are eV per atom, eV/A and eV per atom."""
_ALWAYS_NUMBERS = ("rmse_trn", "rmse_f_trn")
"""Every training frame has forces."""


class Diverged(StepFailed):
    """A training whose errors grew beyond all bounds: more steps would not mend it."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            problem, "Lower start_learning_rate in the recipe, and look for bad frames in the training set."
        )


def learning_curve(text: str) -> list[dict[str, object]]:
    """One row per displayed step, in order; a column that is absent or NaN (no such label) is null.

    Parameters
    ----------
    text
        Content of `lcurve.out`.

    Raises
    ------
    Diverged
        If the loss is not a number.
    """
    points = _points(text)
    for point in points:
        if not _is_sound(point):
            raise Diverged(f"The training diverged: its loss is not a number at step {point['step']:.0f}.")
    return [_row(point) for point in points]


def sound_part(text: str) -> list[dict[str, object]]:
    """The same rows up to the first whose loss is not a number."""
    return [_row(point) for point in takewhile(_is_sound, _points(text))]


def _points(text: str) -> list[dict[str, float]]:
    """DeePMD's numbers by its names, one per displayed step.

    A restart writes the header again, then the steps since its checkpoint: the last row of a step counts. TensorFlow
    begins with the checkpoint's own step, on another training batch: then the first row counts. A row that a kill cut
    short is among the repeated ones.
    """
    names: list[str] = []
    by_step: dict[float, dict[str, float]] = {}
    is_first = False
    for line in text.splitlines():
        row, is_header, header = line.partition("#")  # a row that was cut short runs into the next header
        if is_header:
            words = header.split()
            names, is_first = (words, True) if words[:1] == ["step"] else (names, is_first)
        elif (values := _numbers(names, row.split())) is not None:
            before = by_step.get(values["step"])
            if not (is_first and before and _of_same_weights(before, values)):
                by_step[values["step"]] = values
            is_first = False
    return [by_step[step] for step in sorted(by_step)]


def _of_same_weights(before: dict[str, float], after: dict[str, float]) -> bool:
    """Whether two rows of one step have the same errors on the test split."""
    return all(before[name] == after.get(name) for name in before if name.endswith("_val"))


def _numbers(names: list[str], words: list[str]) -> dict[str, float] | None:
    """The numbers of a line by column; None where a kill cut it short."""
    if not names or len(words) != len(names):
        return None
    try:
        return dict(zip(names, map(float, words), strict=True))
    except ValueError:
        return None


def _is_sound(point: dict[str, float]) -> bool:
    return all(math.isfinite(point.get(name, 0.0)) for name in _ALWAYS_NUMBERS)


def _row(point: dict[str, float]) -> dict[str, object]:
    row: dict[str, object] = {"step": int(point["step"]), "learning_rate": point["lr"]}
    for ours, theirs in _COLUMNS.items():
        value = point.get(theirs, math.nan)
        row[ours] = None if math.isnan(value) else value * MEV_PER_EV
    return row
