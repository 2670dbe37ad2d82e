"""The warehouse as it is published, and a name for it that changes when another one is. It never opens the lake."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request

from operators.scheduling.page.questions import Run
from schemas.settings import Settings


def settings() -> Settings:
    """Where things are, as this API server was told."""
    return Settings.from_mapping(os.environ)


def version() -> str:
    """Changes whenever a warehouse is swapped in; costs one look at the file."""
    try:
        found = Path(settings().warehouse).stat()
    except OSError:
        return "none"
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def note_version(request: Request) -> None:
    """Before the first query: what an old warehouse tells must not pass for what a newer one does."""
    request.state.version, request.state.published_at = version(), published_at()


def published_at() -> datetime | None:
    """When it was swapped in, UTC."""
    try:
        return datetime.fromtimestamp(Path(settings().warehouse).stat().st_mtime, UTC)
    except OSError:
        return None


@contextmanager
def reading() -> Iterator[Run]:
    """Queries that all see the same warehouse, with values for their `$names`.

    Raises
    ------
    MeltlakeError
        If there is none yet, or a query fails.
    """
    from lake.warehouse import published  # DuckDB is for the API server alone, and Airflow loads plugins everywhere

    with published(settings()) as run:
        yield run
