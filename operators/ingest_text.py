"""What `meltlake ingest` prints for a person: a line for each run, and whole sentences on what there is to know of it.

What could not be read stands on stderr, with the remedy.
"""

from collections.abc import Iterator, Mapping, Sequence
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, cast

from operators.present import as_table

Row = Mapping[str, Any]

_COLUMNS = ("run_id", "composition", "n_frames", "n_new", "n_rejected")
_WIDE = 1000
"""Nothing folds: what comes last in a line, the path, may be longer than the terminal."""
_NARROWEST = 40


def ingest_text(answer: Mapping[str, object]) -> str:
    """The answer of `ingest`."""
    runs = cast("Sequence[Row]", answer["runs"])
    parts = [_lines(runs)] if runs else ["No file that VASP or LAMMPS writes was found."]
    parts += dict.fromkeys(remarks for run in runs if (remarks := _remarks(run)))
    if any(run["n_rejected"] for run in runs):
        parts.append("`meltlake status` says why frames were rejected.")
    if "ignored" in answer:
        parts.append(_ignored(cast("Row", answer["ignored"])))
    if "put_off" in answer:
        parts.append(f"Restarts were not linked: {answer['put_off']}")
    return "\n\n".join(parts)


def _lines(runs: Sequence[Row]) -> str:
    table = as_table([{name: run[name] for name in _COLUMNS} for run in runs], width=_WIDE).splitlines()
    beside = ("source", "------", *(run["source"] for run in runs))
    return "\n".join(f"{line}  {source}" for line, source in zip(table, beside, strict=True))


def _remarks(run: Row) -> str:
    remarks = [line for sentence in _sentences(run) for line in _wrapped(sentence)]
    return "\n".join([f"{run['run_id']} ({run['composition']})", *remarks]) if remarks else ""


def _sentences(run: Row) -> Iterator[str]:
    if run["run_id"] is None:
        return
    if not run["complete"]:
        yield "It ends early: VASP was stopped, or is still writing. Its complete frames are stored."
    yield from run["notes"] or ()
    if run["reason"]:
        yield run["reason"]


def _wrapped(sentence: str) -> list[str]:
    width = max(_NARROWEST, get_terminal_size().columns)
    return wrap(sentence, width, initial_indent="  ", subsequent_indent="  ", break_long_words=False)


def _ignored(ignored: Row) -> str:
    told = f"Left alone for their names: {ignored['n_files']:,}. Name a file itself, and it is read:"
    return "\n".join([told, *(f"  {path}" for path in ignored["first"])])
