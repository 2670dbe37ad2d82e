"""Errors of a potential on the frames of its training set: rows of `parity` and `rmse`; formulas are elsewhere."""

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from operators.observables.findings import Row, replace_rows
from operators.potentials.evaluation import evaluations, parity_rows, rmse_rows
from operators.potentials.judged_frames import frame_names
from operators.potentials.model_file import model_file
from schemas.settings import Settings


def judge(settings: Settings, lake: Lake, potential: Row) -> None:
    """Predict every frame of a potential's training set, and store what is wrong about it.

    Raises
    ------
    MeltlakeError
        If its model or the files of the training set are gone.
    """
    potential_id, training_set_id = str(potential["potential_id"]), str(potential["training_set_id"])
    folder = settings.artifacts / "training_sets" / training_set_id
    model = DeepPotential(model_file(settings, potential))
    found = list(evaluations(model, folder, frame_names(lake, training_set_id)))
    replace_rows(lake, "parity", potential_id, parity_rows(found))
    # `rmse` is written last: where it has rows of this model file, nothing is missing.
    replace_rows(lake, "rmse", potential_id, [row | {"model_sha256": potential["sha256"]} for row in rmse_rows(found)])
