"""What names a potential. Nothing heavy is imported here: plans and `status` ask for names of potentials, too."""

from operators.potentials.deepmd_input import BACKEND
from schemas.ids import content_id
from schemas.recipes import Recipe


def name_of_potential(recipe: Recipe, training_set_id: str, seed: int) -> str:
    """Hash of all that decides what comes of a training: a recipe with other numbers makes another potential."""
    content = recipe.model_dump(mode="json", exclude={"paper"})
    return content_id({"recipe": content, "training_set_id": training_set_id, "seed": seed, "backend": BACKEND})
