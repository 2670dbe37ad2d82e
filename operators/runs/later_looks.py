"""Which of two readings of a run stays: the same content again, more of it, or a damaged copy."""

from lake.known_runs import READER_VERSION
from lake.raw_store import is_file
from schemas.rows import Row, text, whole


def is_up_to_date(before: Row, row: Row, n_rows: int) -> bool:
    """The same content came again, for example from elsewhere or compressed."""
    same = all(before.get(name) == row[name] for name in ("content_sha256", "reader_version", "rules_id"))
    return same and n_rows == before["n_frames"]


def is_late(before: Row, row: Row) -> bool:
    """The lake has more of the same run: from a copy that went on, or from a later look at the growing file.

    Of copies that differ and have as much, that with the first address stays, in whatever order they come.
    """
    if not before:
        return False
    is_outdated = before["reader_version"] != READER_VERSION
    same = {name for name in ("source_uri", "source_format", "content_sha256") if before[name] == row[name]}
    if is_outdated and same & {"source_uri", "content_sha256"}:
        return False
    stored, new = (_richness(one, same) for one in (before, row))
    if stored != new or is_outdated or same != {"source_format"}:
        return stored > new
    first = text(before, "source_uri")
    return first < text(row, "source_uri") and is_file(first)


def _richness(row: Row, same: set[str]) -> tuple[int, int, bool, int]:
    """Frames, how few of them are rejected, whether the file was read to its proper end, and how much of it there was.

    Of one file, a later look counts whatever it says; of a damaged copy and a sound one, the sound one stays.
    """
    n_frames = whole(row, "n_frames") + whole(row, "n_stored_elsewhere", if_null=0)
    n_rejected = 0 if "source_uri" in same else whole(row, "n_rejected", if_null=0)
    n_bytes = whole(row, "content_bytes", if_null=0) if "source_format" in same else 0
    return n_frames, -n_rejected, bool(row["complete"]), n_bytes
