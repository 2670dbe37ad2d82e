"""Whether a file tells less, or another calculation, than when it was read last. The lake loses nothing by that."""

from collections.abc import Sequence

from operators.runs.storing import Stored
from schemas.rows import Row, text, whole


def overwritten(before: Sequence[Row], now: Sequence[tuple[Stored, int]]) -> str | None:
    """What a person should know of a file that was overwritten or cut; None when it is as it was, or has grown.

    Parameters
    ----------
    before
        The file's rows in `raw_files` before it was read now.
    now
        The runs that it tells of, and how many frames it has of each.
    """
    told = {text(stored.row, "run_id") for stored, _ in now}
    if gone := sorted({text(row, "run_id") for row in before} - told):
        return (
            "another calculation was written over the one that was read here last time; "
            f"that one stays in the lake (run {', '.join(gone)})."
        )
    for stored, n_frames in now if before else ():
        n_stored = whole(stored.row, "n_frames") + whole(stored.row, "n_stored_elsewhere", if_null=0)
        if n_frames < n_stored:
            return (
                f"the file has shrunk: it holds {n_frames} of the {n_stored} frames that the lake has of "
                f"run {text(stored.row, 'run_id')}. They stay."
            )
    return None
