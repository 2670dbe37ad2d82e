"""Whether a file tells less, or another calculation, than when it was read last. The lake loses nothing by that."""

from collections.abc import Sequence

from operators.runs.reading import ReadRun
from operators.runs.storing import Stored
from schemas.columns import n_rows
from schemas.rows import Row, text, whole


def overwritten(before: Sequence[Row], now: Sequence[tuple[Stored, ReadRun]]) -> str | None:
    """What a person should know of a file that was overwritten or cut; None when it is as it was, or has grown.

    Parameters
    ----------
    before
        The file's rows in `raw_files` before it was read now.
    now
        The runs that it tells of, as they are stored and as it was read.
    """
    told = {text(stored.row, "run_id") for stored, _ in now}
    if gone := sorted({text(row, "run_id") for row in before} - told):
        return (
            "another calculation was written over the one that was read here last time; "
            f"that one stays in the lake (run {', '.join(gone)})."
        )
    for stored, read in now if before else ():
        n_frames = n_rows(read.checks)
        n_stored = whole(stored.row, "n_frames") + whole(stored.row, "n_stored_elsewhere", if_null=0)
        # Of a file that grows, another process may have stored more than we saw.
        has_shrunk = read.fingerprint.content_bytes < whole(before[0], "content_bytes", if_null=0)
        if has_shrunk and n_frames < n_stored:
            return (
                f"the file has shrunk: it holds {n_frames} of the {n_stored} frames that the lake has of "
                f"run {text(stored.row, 'run_id')}. They stay."
            )
    return None
