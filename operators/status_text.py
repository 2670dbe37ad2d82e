"""What `meltlake status` prints for a person: every command on a line of its own, whole, so that it can be copied."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from operators.choice import in_brief
from operators.present import as_table

Row = Mapping[str, Any]

_MOST_OF_A_KIND = 5


def status_text(answer: Mapping[str, object]) -> str:
    """The answer of `status`, section by section; a section without rows is left out."""
    rows = {name: cast("Sequence[Row]", value) for name, value in answer.items() if isinstance(value, list)}
    parts = [f"lake: {answer['lake']}, version {answer['lake_version']}"]
    for title, told in (
        ("In the lake", _table(rows["compositions"])),
        ("Measurements that were added", _table(rows["experiments"])),
        ("Look at the campaign", "\n".join(f"  {row['note']}" for row in rows["campaign"])),
        ("Due, in the order in which to do it", due_text(rows["stale"]) or "Nothing is due."),
        ("Potentials to choose from (`meltlake sql 'from potential_choice'`)", choice_text(rows["choice"])),
        ("Rejected by the gate", _table(rows["rejected"])),
        ("Failed", _failures(rows["failed"])),
    ):
        parts += [f"{title}\n{told}"] if told else []
    return "\n\n".join(parts)


def due_text(items: Sequence[Row]) -> str:
    """Each thing with its reason and its command; of many with one verb, the first few."""
    lines: list[str] = []
    for verb, alike in groupby(items, key=lambda item: item["command"].split()[1]):
        of_verb = list(alike)
        for item in of_verb[:_MOST_OF_A_KIND]:
            lines += [f"  {item['what']}: {item['why']}", f"      {item['command']}"]
        if (n_more := len(of_verb) - _MOST_OF_A_KIND) > 0:
            lines.append(f"  and {n_more} more to {verb}: `meltlake status --json` has every command")
    return "\n".join(lines)


def choice_text(rows: Sequence[Row]) -> str:
    """One table per training set."""
    tables = []
    for name, of_set in groupby(rows, key=lambda row: row["training_set_id"]):
        listed = list(of_set)
        kind = "synthetic " if listed[0]["synthetic"] else ""
        tables.append(f"on {kind}training set {name} ({listed[0]['chemical_system']}):\n" + _brief(listed))
    return "\n".join(tables)


def _brief(rows: Sequence[Row]) -> str:
    """The table without verdicts, which are sentences, and those below it."""
    brief = [in_brief(row) for row in rows]
    verdicts = [f"  {row['recipe']}: {row.pop('verdict')}" for row in brief]
    return "\n".join([as_table(brief), *verdicts])


def _failures(rows: Sequence[Row]) -> str:
    return "\n".join(f"  {row['verb']} {row['subject']}\n      {row['cause']}\n      {row['remedy']}" for row in rows)


def _table(rows: Sequence[Row]) -> str:
    return as_table(rows) if rows else ""
