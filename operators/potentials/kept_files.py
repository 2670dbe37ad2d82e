"""Small files in a potential's folder: never there in part, and told by name when someone damaged them."""

import json
from pathlib import Path
from typing import Any

from lake.parquet import flush_to_disk
from schemas.errors import StepFailed


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never there in part, whatever is killed or loses power."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(text)
    flush_to_disk(unfinished)
    unfinished.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of a potential's folder.

    Raises
    ------
    StepFailed
        If it is no JSON object.
    """
    try:
        read = json.loads(path.read_text(errors="replace"))
    except ValueError as error:
        read = f"no JSON ({error})"
    if not isinstance(read, dict):
        raise StepFailed(
            f"{path}: needed the JSON object that was written there when the training began, found {read}.",
            f"Move the folder {path.parent} away, then run the same command again: it begins anew.",
        )
    return read
