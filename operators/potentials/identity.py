"""What names a potential. Nothing heavy is imported here: plans and `status` ask for names of potentials, too."""

from schemas.ids import content_id
from schemas.recipes import Recipe


def name_of_potential(
    recipe: Recipe, training_set_id: str, seed: int, *, backend: str = "tensorflow", init_from: str | None = None
) -> str:
    """Hash of all that decides what comes of a training: a recipe with other numbers makes another potential.

    Parameters
    ----------
    recipe
        What is trained.
    training_set_id
        On what.
    seed
        Of descriptor, fitting and batches.
    backend
        What DeePMD computes with.
    init_from
        The potential that its weights are those of at the first step; None when they are random.
    """
    decides = {"recipe": recipe.definition, "training_set_id": training_set_id, "seed": seed, "backend": backend}
    return content_id(decides if init_from is None else decides | {"init_from": init_from})
