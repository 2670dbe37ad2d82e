"""What failed last time and why, until it succeeds: rows of `task_failures`.

Files that cannot be read are remembered, and steps that failed at their work (`StepFailed`). A request that names
nothing that is there, or that cannot be met, is answered to whoever typed it and forgotten.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from lake.delta import Lake
from lake.raw_store import folder_of
from schemas.errors import EXIT_BAD_INPUT, MeltlakeError, StepFailed
from schemas.ids import content_id


def record_failure(lake: Lake, verb: str, subject: str, error: MeltlakeError) -> None:
    """Remember that a verb failed on a subject; a later failure of the same replaces it."""
    row = {
        "verb": verb,
        "subject": subject,
        "cause": error.problem,
        "remedy": error.remedy,
        "last_lines": list(getattr(error, "last_lines", ())),
        "failed_at": datetime.now(UTC).replace(tzinfo=None),
    }
    lake.replace("task_failures", content_id([verb, subject]), [row])


def cause_beside(subject: str, cause: str) -> str:
    """The cause for beside its subject: files of the same folder by their names alone."""
    return cause.replace(f"{folder_of(subject)}/", "") if folder_of(subject) else cause


def has_failed(lake: Lake, verb: str, subject: str) -> bool:
    """Whether the verb failed on that subject when it was last tried."""
    return bool(lake.rows("task_failures", key=content_id([verb, subject]), columns=["key"]).num_rows)


def forget_failure(lake: Lake, verb: str, subject: str) -> None:
    """The verb succeeded on that subject: nothing is left to mend."""
    if has_failed(lake, verb, subject):
        lake.replace("task_failures", content_id([verb, subject]), [])


@contextmanager
def remembered(lake: Lake, verb: str, words: Sequence[str]) -> Iterator[None]:
    """A command that fails at its work in the block is remembered until the same command succeeds.

    Parameters
    ----------
    lake
        Where it is remembered.
    verb
        The command's verb.
    words
        All that was typed: without the places, which are the lake's own, they are the subject.
    """
    subject = _without_places(words)
    try:
        yield
    except StepFailed as error:
        if error.exit_code == EXIT_BAD_INPUT:
            record_failure(lake, verb, subject, error)
        raise
    forget_failure(lake, verb, subject)


def _without_places(words: Sequence[str]) -> str:
    from schemas.settings import PLACES  # workers of `ingest` load this module, and have no need of pydantic

    kept, skip = [], False
    for word in words:
        is_place = word in {f"--{name}" for name in PLACES}
        if not (skip or is_place or word == "--json"):
            kept.append(word)
        skip = is_place
    return " ".join(kept)
