"""Small files in a potential's folder: never there in part, and told by name when someone damaged them."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lake.parquet import flush_to_disk
from schemas.errors import StepFailed


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never there in part, whatever is killed or loses power."""
    # Members of one committee write each other's cards at the same time.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    flush_to_disk(unfinished)
    unfinished.replace(path)


def read_json(path: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The object in a file of a potential's folder, with exactly these names if they are given.

    Raises
    ------
    StepFailed
        If it is no JSON object, or one with other names.
    """
    try:
        read = json.loads(path.read_text(errors="replace"))
    except ValueError as error:
        read = f"no JSON ({error})"
    if not isinstance(read, dict) or (names is not None and read.keys() != set(names)):
        raise StepFailed(
            f"{path}: needed the JSON object that was written there when the training began, found {read}.",
            f"Move the folder {path.parent} away, then run the same command again: it begins anew.",
        )
    return read
