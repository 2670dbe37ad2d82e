"""The verb `potential add`: a potential that was trained elsewhere, so that it is simulated and compared like ours."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lake.delta import Lake
from lake.parquet import flush_to_disk
from operators.log import log
from operators.potentials.model_file import file_sha256
from operators.potentials.outside_model import TABLE_SUFFIX, OutsideModel, outside_model
from schemas.errors import MeltlakeError
from schemas.ids import content_id
from schemas.recipes import RECIPES
from schemas.settings import Settings

_TOLD = ("recipe", "trained_elsewhere", "backend", "type_map", "r_cut_angstrom", "sel", "precision", "sha256", "path")

Row = Mapping[str, Any]


def potential_add(settings: Settings, path: Path, *, name: str, origin: str) -> dict[str, object]:
    """Copy a model file beside the lake and write its row; the same file is found, under whatever name it has then.

    Parameters
    ----------
    settings
        Where things are.
    path
        A frozen DeePMD model, or a table of `pair_style eam/alloy`.
    name
        What tables and figures call it, where those trained here have the name of their recipe.
    origin
        Where it comes from: whoever adds it says so.

    Raises
    ------
    MeltlakeError
        If the file is no such model, or the name is that of a recipe.
    """
    if not path.is_file():
        raise MeltlakeError(f"There is no file {path}.", "Correct the path.")
    lake = Lake(settings.lake)
    _require_free_name(lake, name)
    if not origin.strip():
        raise MeltlakeError(
            "Where a potential comes from must be said, found nothing.", "Give a citation with --origin."
        )
    sha256 = file_sha256(path)
    potential_id = content_id({"trained_elsewhere": sha256})
    with lake.writing(potential_id, doing=f"adding potential {potential_id}"):
        before: list[Row] = lake.rows("potentials", key=potential_id).to_pylist()
        row = dict(before[0]) if before else _row(outside_model(path), sha256)
        kept = _kept(settings, potential_id, path, sha256)
        row |= {"recipe": name, "trained_elsewhere": origin.strip(), "path": str(kept)}
        changed = not before or row != before[0]
        if changed:
            lake.replace("potentials", potential_id, [row])
    log.info("potential add", potential_id=potential_id, changed=changed)
    told = (
        "recipe",
        "trained_elsewhere",
        "backend",
        "type_map",
        "r_cut_angstrom",
        "sel",
        "precision",
        "sha256",
        "path",
    )
    return {"potential_id": potential_id, "changed": changed, **{column: row[column] for column in told}}


def _require_free_name(lake: Lake, name: str) -> None:
    if not name.strip():
        raise MeltlakeError("A potential needed a name, found none.", "Give one with --name.")
    if name in {*RECIPES, *lake.keys("recipes")}:
        raise MeltlakeError(
            f"{name} is a recipe: a potential trained elsewhere must not look like one of it.",
            "Give another with --name.",
        )


def _row(model: OutsideModel, sha256: str) -> dict[str, Any]:
    return {
        "backend": model.backend,
        "precision": model.precision,
        "r_cut_angstrom": model.r_cut_angstrom,
        "sel": None if model.sel is None else list(model.sel),
        "type_map": list(model.type_map),
        "sha256": sha256,
    }


def _kept(settings: Settings, potential_id: str, path: Path, sha256: str) -> Path:
    """The lake's own copy, so that nobody takes the file away."""
    folder = settings.artifacts.absolute() / "potentials" / potential_id
    kept = folder / f"model{TABLE_SUFFIX if path.name.endswith(TABLE_SUFFIX) else path.suffix}"
    if not kept.is_file() or file_sha256(kept) != sha256:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{kept.name}"
        shutil.copyfile(path, unfinished)
        flush_to_disk(unfinished)
        unfinished.replace(kept)
    return kept
