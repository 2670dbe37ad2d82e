"""The verb `lake describe`: what the lake holds and how large it is. What is due is `status`'s to tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from lake.delta import Lake
from lake.inventory import TableSize, table_sizes
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
