"""What happens between frames, as columns of the lake and as `physics.steps` has it."""

from operators.physics.steps import Steps
from schemas.columns import Columns

_COLUMN_OF_FIELD = {
    "largest_way_angstrom": "largest_way_angstrom",
    "n_still": "n_atoms_at_rest",
    "energy_change_ev": "energy_change_ev",
    "work_of_forces_ev": "work_of_forces_ev",
    "work_of_virial_ev": "work_of_virial_ev",
    "force_unlikeness": "force_unlikeness",
    "virial_change_ev": "virial_change_ev",
}

STEP_COLUMNS = tuple(_COLUMN_OF_FIELD.values())


def step_columns(steps: Steps) -> Columns:
    """By the names of the lake's columns."""
    return {column: getattr(steps, field) for field, column in _COLUMN_OF_FIELD.items()}


def steps_of(columns: Columns) -> Steps:
    """The inverse of `step_columns`."""
    return Steps(**{field: columns[column].astype(float) for field, column in _COLUMN_OF_FIELD.items()})
