"""DeePMD's `lcurve.out` as rows of the table `learning_curves`."""

import math

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


def learning_curve(text: str) -> list[dict[str, object]]:
    """One row per displayed step, in order; a column that is absent or NaN (no such label) is null.

    A restart writes the header again and repeats the steps since its checkpoint: the last row of a step counts. A row
    that a kill cut short is among the repeated ones.

    Parameters
    ----------
    text
        Content of `lcurve.out`.

    Raises
    ------
    StepFailed
        If the training diverged: forces always have labels, so their error is a number.
    """
    names: list[str] = []
    by_step: dict[int, dict[str, object]] = {}
    for line in text.splitlines():
        words = line.lstrip("#").split()
        if line.startswith("#"):
            names = words if words[:1] == ["step"] else names
        elif len(words) == len(names):
            values = dict(zip(names, map(float, words), strict=True))
            by_step[int(values["step"])] = _row(values)
    rows = [by_step[step] for step in sorted(by_step)]
    for row in rows:
        if row["rmse_force_train_mev_per_angstrom"] is None:
            raise StepFailed(
                f"The training diverged: the error of the forces is not a number at step {row['step']}.",
                "Lower start_learning_rate in the recipe, and look for bad frames in the training set.",
            )
    return rows


def _row(values: dict[str, float]) -> dict[str, object]:
    row: dict[str, object] = {"step": int(values["step"]), "learning_rate": values["lr"]}
    for ours, theirs in _COLUMNS.items():
        value = values.get(theirs, math.nan)
        row[ours] = None if math.isnan(value) else value * MEV_PER_EV
    return row
