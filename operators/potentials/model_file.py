"""The file of a potential: found where the lake is now, and its bytes checked. Making it belongs in `train`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import StepFailed
from schemas.settings import Settings


def model_file(settings: Settings, potential: Mapping[str, object]) -> Path:
    """The model of a row of `potentials`, also after the lake was moved or copied.

    Raises
    ------
    StepFailed
        If the file is missing or is not the one that was trained.
    """
    recorded = Path(str(potential["path"]))
    here = settings.artifacts / "potentials" / str(potential["potential_id"]) / recorded.name
    model = (here if here.is_file() else recorded).absolute()
    if not model.is_file() or file_sha256(model) != potential["sha256"]:
        raise StepFailed(
            f"The model file of potential {potential['potential_id']} is missing or was changed: {model}.",
            "Run `meltlake train` with the same options again: it makes the file anew."
            if potential.get("trained_elsewhere") is None
            else "Run `meltlake potential add` with the same file again.",
        )
    return model


def file_sha256(path: Path) -> str:
    """Of a file's bytes, as `potentials.sha256` has it of a model."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
