"""The verb `lake describe`: what the lake holds and how large it is. What is due is `status`'s to tell."""

from collections.abc import Mapping, Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from lake.delta import Lake
from lake.inventory import TableSize, table_sizes
from operators.present import as_size, as_table
from operators.status import compositions
from schemas.settings import Settings
from schemas.tables import SCHEMA_VERSION

Rows = Sequence[Mapping[str, Any]]


def lake_describe(settings: Settings) -> dict[str, object]:
    """Counts, sizes and versions, from the tables' logs and the table `runs`; no frame is read.

    Returns
    -------
    dict
        `raw_bytes` are those of the files that frames come from, as they lie there; `content_bytes` the same
        decompressed; `stored_bytes` those of the current version of `frames`.
    """
    lake = Lake(settings.lake)
    tables = list(table_sizes(lake))
    runs = lake.rows("runs").to_pylist()
    ingested = [run["ingested_at"] for run in runs if run["ingested_at"] is not None]
    return {
        "lake": lake.root,
        "schema_version": SCHEMA_VERSION,
        "lake_version": lake.version(),
        "n_runs": len(runs),
        "n_frames": sum(run["n_frames"] for run in runs),
        "n_accepted": sum(run["n_accepted"] for run in runs),
        "n_rejected": sum(run["n_rejected"] for run in runs),
        "n_incomplete_runs": sum(not run["complete"] for run in runs),
        "oldest_ingest": min(ingested, default=None),
        "newest_ingest": max(ingested, default=None),
        **_sizes(tables, runs),
        "compositions": compositions(runs),
        "tables": [_told(size) for size in tables],
        "pins": _pins(lake),
    }


def _pins(lake: Lake) -> list[dict[str, object]]:
    """Versions of `frames` that training sets were made of; a vacuum keeps them."""
    rows = lake.rows("training_sets", columns=["training_set_id", "lake_version"]).to_pylist()
    sets_of: dict[int, list[str]] = {}
    for row in rows:
        if row["lake_version"] is not None:
            sets_of.setdefault(row["lake_version"], []).append(row["training_set_id"])
    return [{"lake_version": version, "training_sets": sorted(sets_of[version])} for version in sorted(sets_of)]


def _sizes(tables: Sequence[TableSize], runs: Rows) -> dict[str, object]:
    of_frames = sum(size.n_bytes for size in tables if size.table == "frames")
    raw, content = (_of_sources(runs, name) for name in ("source_bytes", "content_bytes"))
    return {
        "raw_bytes": raw,
        "content_bytes": content,
        "stored_bytes": of_frames,
        "stored_frac_of_raw": of_frames / raw if raw else None,
        "stored_frac_of_content": of_frames / content if content else None,
    }


def _of_sources(runs: Rows, column: str) -> int:
    """Summed over files: one may hold several runs."""
    of_source = {run["source_uri"]: run[column] or 0 for run in runs}
    return sum(of_source.values())


def _told(size: TableSize) -> dict[str, object]:
    names = {"table": size.table, "version": size.version}
    counts = {"rows": size.n_rows, "files": size.n_files, "bytes": size.n_bytes}
    # An older meltlake made such a table; it gets these columns with its next row.
    return {**names, **counts, "columns_to_come": list(size.missing_columns)}


def lake_describe_text(answer: Mapping[str, Any]) -> str:
    """The same for a person: sizes in units, counts as a sentence."""
    of_raw = f", {100 * answer['stored_frac_of_raw']:.0f} % of the raw files" if answer["stored_frac_of_raw"] else ""
    incomplete = f", {answer['n_incomplete_runs']} of them incomplete" if answer["n_incomplete_runs"] else ""
    frames = f"{answer['n_frames']} frames, {answer['n_accepted']} accepted, {answer['n_rejected']} rejected"
    counts = f"{answer['n_runs']} runs{incomplete}: {frames}"
    tables = [
        {name: table[name] for name in ("table", "version", "rows", "files")} | {"size": as_size(table["bytes"])}
        for table in answer["tables"]
    ]
    columns = get_terminal_size().columns
    older = [table["table"] for table in answer["tables"] if table["columns_to_come"]]
    pins = [{"version": pin["lake_version"], "training sets": pin["training_sets"]} for pin in answer["pins"]]
    parts = [
        f"lake: {answer['lake']}, version {answer['lake_version']}, schema version {answer['schema_version']}",
        f"{counts}\n{as_size(answer['stored_bytes'])} in the lake{of_raw}",
        f"ingested from {answer['oldest_ingest']} to {answer['newest_ingest']}, UTC" if answer["newest_ingest"] else "",
        f"Compositions\n{as_table(answer['compositions'])}" if answer["compositions"] else "",
        f"Tables\n{as_table(tables)}" if tables else "",
        fill(f"Made by an older meltlake, with columns to come with the next row: {', '.join(older)}", columns)
        if older
        else "",
        f"Versions of frames that a vacuum keeps, and for which training sets\n{as_table(pins)}" if pins else "",
    ]
    return "\n\n".join(part for part in parts if part)
