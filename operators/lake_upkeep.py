"""The verbs `lake compact` and `lake vacuum`: fewer files, and none that nobody needs. Rows never change here."""

from collections.abc import Iterable, Sequence

from lake.compaction import CompactedKey, compact
from lake.delta import Lake
from lake.vacuum import DeletedFile, pinned_versions, vacuum
from lake.warehouse import published_versions
from operators.log import log
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import TABLES


def lake_compact(settings: Settings, *, table: str | None = None) -> dict[str, object]:
    """Write every run, and every other key, that lies in several files as one file.

    Raises
    ------
    MeltlakeError
        If the lake has no table of that name.
    """
    if table is not None and table not in TABLES:
        raise MeltlakeError(f"{table!r} is not a table of the lake.", f"Its tables are: {', '.join(TABLES)}.")
    lake = Lake(settings.lake)
    done = {name: compact(lake, name) for name in ([table] if table else TABLES)}
    rows = [_of_table(name, keys) for name, keys in done.items() if keys]
    log.info("lake compact", n_keys=sum(map(len, done.values())))
    return {"lake_version": lake.version(), "n_keys": sum(map(len, done.values())), "tables": rows}


def lake_vacuum(settings: Settings, *, older_than_hours: int, dry_run: bool = False) -> dict[str, object]:
    """Delete files of replaced rows that neither a training set nor the published warehouse needs.

    Parameters
    ----------
    settings
        Where lake and warehouse are.
    older_than_hours
        What was replaced, or written and never committed, within these hours stays.
    dry_run
        Only tell what would go.
    """
    lake = Lake(settings.lake)
    published = {name: {version} for name, version in published_versions(settings).items() if version >= 0}
    deleted = vacuum(lake, keep_versions=published, older_than_hours=older_than_hours, dry_run=dry_run)
    answer: dict[str, object] = {
        "dry_run": dry_run,
        "older_than_hours": older_than_hours,
        "n_files": len(deleted),
        "bytes": sum(file.n_bytes for file in deleted),
        "pinned_versions": sorted(pinned_versions(lake)["frames"] | published.get("frames", set())),
    }
    log.info("lake vacuum", **answer)
    return {**answer, "tables": list(_by_table(deleted))}


def _of_table(table: str, keys: Sequence[CompactedKey]) -> dict[str, object]:
    return {
        "table": table,
        "keys": len(keys),
        "files_before": sum(key.n_files_before for key in keys),
        "bytes_before": sum(key.n_bytes_before for key in keys),
        "bytes": sum(key.n_bytes for key in keys),
    }


def _by_table(deleted: Sequence[DeletedFile]) -> Iterable[dict[str, object]]:
    for table in sorted({file.table for file in deleted}):
        files = [file for file in deleted if file.table == table]
        yield {"table": table, "files": len(files), "bytes": sum(file.n_bytes for file in files)}
