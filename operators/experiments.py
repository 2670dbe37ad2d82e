"""The verbs `experiments list`, `add` and `remove`: measurements to compare with. Files are `lake`'s to read."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lake.delta import Lake
from lake.experiments import shipped_experiments, write_experiments
from lake.measurement_files import read_measurements
from lake.measurements import (
    EXPERIMENT_TABLES,
    Row,
    add_measurements,
    measurements_of,
    remove_measurements,
    require_no_contradiction,
)
from operators.log import log
from schemas.errors import MeltlakeError
from schemas.settings import Settings


def experiments_add(settings: Settings, files: Sequence[Path]) -> dict[str, object]:
    """Store what files say that the lake does not have; all of a file or nothing of it.

    Raises
    ------
    MeltlakeError
        If a file cannot be read or lacks something, or contradicts what the lake has of the same citation.
    """
    lake = Lake(settings.lake)
    read = [(file, read_measurements(file)) for file in files]
    write_experiments(lake)
    for _, rows_of in read:
        for table, rows in rows_of.items():
            require_no_contradiction(lake, table, rows)
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    answers = []
    for file, rows_of in read:
        answer: dict[str, object] = {"file": str(file), "n_new": 0, "n_there": 0}
        found = {
            table: add_measurements(lake, table, [row | {"added_at": now} for row in rows])
            for table, rows in rows_of.items()
        }
        answer["n_new"] = sum(one.n_new for one in found.values())
        answer["n_there"] = sum(one.n_there for one in found.values())
        answer["source_ids"] = sorted({str(row["source_id"]) for rows in rows_of.values() for row in rows})
        answers.append(answer)
        log.info("experiments add", **answer)
    return {"files": answers, "changed": any(answer["n_new"] for answer in answers)}


def experiments_list(settings: Settings) -> dict[str, object]:
    """Every source: what it measured, where, and whether somebody added it."""
    return {"sources": [*added_sources(Lake(settings.lake)), *_sources(shipped_experiments())]}


def experiments_remove(settings: Settings, source_id: str) -> dict[str, object]:
    """Take out what was added of one source; what comes with meltlake stays.

    Raises
    ------
    MeltlakeError
        If nothing was added of it.
    """
    removed = remove_measurements(Lake(settings.lake), source_id)
    if not removed:
        raise MeltlakeError(
            f"Nothing was added of a source {source_id}.", "`meltlake experiments list` names those that were."
        )
    log.info("experiments remove", source_id=source_id, **removed)
    return {"source_id": source_id, "removed": removed}


def added_sources(lake: Lake) -> list[dict[str, object]]:
    """What persons added: one row per source and file."""
    return _sources(
        {"quantity": table.removeprefix("experimental_")} | row
        for table in EXPERIMENT_TABLES
        for rows in measurements_of(lake, table).values()
        for row in rows
        if row["added_from"] is not None
    )


def _sources(rows: Iterable[Row]) -> list[dict[str, object]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((str(row["source_id"]), str(row["added_from"] or "")), []).append(row)
    return [
        {
            "source_id": source_id,
            "added_from": added_from or None,
            "rows": len(of_source),
            "quantities": _distinct(of_source, "quantity"),
            "compositions": _distinct(of_source, "element_or_alloy"),
            "citation": of_source[0]["citation"],
        }
        for (source_id, added_from), of_source in found.items()
    ]


def _distinct(rows: Sequence[Row], name: str) -> str:
    return ", ".join(sorted({str(row[name]) for row in rows}))
