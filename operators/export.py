"""The verb `export`: frames that meet an SQL condition, in the formats of other tools. Formats are `lake.writers`'.

Memory stays flat: frames pass a row group at a time, in the order of run ids and frames.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.delta import Lake
from lake.frame_choice import ChosenFrames, chosen_batches, chosen_frames
from lake.outputs import whole_file, whole_folder
from lake.parquet import flush_to_disk
from lake.raw_store import is_remote
from lake.writers.ase_trajectory import AseTrajectoryWriter
from lake.writers.exported import EXPORTED_COLUMNS
from lake.writers.extxyz import extxyz_pieces
from operators.bar import bar
from operators.export_deepmd import export_deepmd
from operators.log import log
from schemas.errors import MeltlakeError
from schemas.settings import Settings

Append = Callable[[pa.RecordBatch, Mapping[str, Any]], None]

DEFAULT_CONDITION = "accepted"
CARD = "export.json"
"""What a deepmd export says of itself, and by which it is known."""


def export(
    settings: Settings, out: str, *, format_: str, where: str = DEFAULT_CONDITION, overwrite: bool = False
) -> dict[str, object]:
    """Write the frames for which the condition holds.

    Parameters
    ----------
    settings
        Where the lake is.
    out
        File (extxyz, ase) or folder (deepmd) to be made.
    format_
        `extxyz`, `deepmd` or `ase`.
    where
        SQL condition over the columns of `runs` and `frames`; `true` takes every frame, rejected ones too.
    overwrite
        Whether what is at `out` may be replaced.

    Raises
    ------
    MeltlakeError
        If the condition is none, no frame meets it, or `out` cannot be written.
    """
    if is_remote(out):
        raise MeltlakeError(f"{out}: exports are written to this machine.", "Name a path here and upload it.")
    lake, target = Lake(settings.lake), Path(out).absolute()
    version = lake.version("frames")
    chosen = chosen_frames(lake, where, version=version) if version >= 0 else []
    if not chosen:
        raise MeltlakeError(
            f"No frame of the lake meets the condition {where!r}.", "`meltlake lake describe` says what it holds."
        )
    about: dict[str, object] = {
        "format": format_,
        "where": where,
        "lake_version": version,
        "levels_of_theory": sorted({str(one.run["level_of_theory"]) for one in chosen}),
        "synthetic": any(bool(one.run["synthetic"]) for one in chosen),
    }
    write = _write_deepmd if format_ == "deepmd" else _write_file
    answer = about | {"path": str(target)} | write(lake, chosen, target, about=about, overwrite=overwrite)
    log.info("export", **{name: answer[name] for name in ("format", "path", "n_runs", "n_frames", "n_left_out")})
    return answer


def _write_deepmd(
    lake: Lake, chosen: Sequence[ChosenFrames], target: Path, *, about: Mapping[str, object], overwrite: bool
) -> dict[str, object]:
    version = int(str(about["lake_version"]))
    with whole_folder(target, overwrite=overwrite, marker=CARD) as unfinished:
        counts = export_deepmd(lake, chosen, unfinished, version=version)
        card = unfinished / CARD
        card.write_text(json.dumps({**about, **counts}, indent=1))
        flush_to_disk(card, unfinished)
    return counts


def _write_file(
    lake: Lake, chosen: Sequence[ChosenFrames], target: Path, *, about: Mapping[str, object], overwrite: bool
) -> dict[str, object]:
    version, n_frames = int(str(about["lake_version"])), sum(len(one.frames) for one in chosen)
    with whole_file(target, overwrite=overwrite) as unfinished, bar("export", n_frames, unit=" frames") as waited:
        writer = _extxyz_writer if about["format"] == "extxyz" else _ase_writer
        with writer(unfinished) as append:
            for one in chosen:
                for batch in chosen_batches(lake, one, EXPORTED_COLUMNS, version=version):
                    append(batch, one.run)
                    waited.update(batch.num_rows)
    return {"n_runs": len(chosen), "n_frames": n_frames, "n_left_out": 0, "left_out": {}}


@contextmanager
def _extxyz_writer(path: Path) -> Iterator[Append]:
    with path.open("wb") as file:
        yield lambda batch, run: file.writelines(extxyz_pieces(batch, run))


@contextmanager
def _ase_writer(path: Path) -> Iterator[Append]:
    with AseTrajectoryWriter(path) as writer:
        yield writer.append
