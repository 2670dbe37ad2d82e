"""Data docs: what the gate said of every run, as pages that are readable offline. Judging belongs in `lake.gate`.

`index.html` shows today's lake, `runs/` one page per run, `versions/` the index as it was at each version of the lake.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from lake.delta import Lake
from operators.data_docs.page import MOST_LINES, Judged, RunPage, judged
from operators.data_docs.picture import picture
from operators.data_docs.scalars import Row, read_scalars
from operators.failures import cause_beside
from schemas.settings import Settings

_PAGES_VERSION = 2
"""Rises when pages of runs are drawn in another way: then all of them are written again."""

_DIGEST_WITHIN_BYTES = 300


def write_data_docs(settings: Settings) -> Path:
    """Write the pages below `<home>/data_docs` whose content changed; returns that of the index."""
    lake = Lake(settings.lake)
    folder = settings.home / "data_docs"
    runs = _judged_runs(lake)
    for one in runs:
        _write_run(lake, folder / "runs" / f"{quote(one.run_id, safe='')}.html", one)
    facts = {
        "runs": runs,
        "rules": _unmet(runs),
        "failures": sorted(lake.rows("task_failures").to_pylist(), key=lambda row: (row["verb"] or "", row["subject"])),
        "n_frames": sum(one.n_frames for one in runs),
        "n_rejected": sum(one.n_rejected for one in runs),
        "lake_version": (version := lake.version()),
    }
    index, template = folder / "index.html", _template("data_docs_index.html")
    copy = folder / "versions" / f"{version}.html"
    if version >= 0 and not copy.exists():
        _write(copy, template.render(**facts, root="../", versions=[], is_copy=True))
    versions = sorted((int(path.stem) for path in copy.parent.glob("*.html") if path.stem.isdigit()), reverse=True)
    _write(index, template.render(**facts, root="", versions=versions, is_copy=False))
    return index


def _judged_runs(lake: Lake) -> list[Judged]:
    results, overrides = (_by_run(lake, table) for table in ("expectation_results", "overrides"))
    runs = sorted(lake.rows("runs").to_pylist(), key=lambda run: (run["composition"] or "", run["run_id"]))
    return [judged(run, results.get(run["run_id"], ()), overrides.get(run["run_id"], ())) for run in runs]


def _by_run(lake: Lake, table: str) -> Mapping[str, Sequence[Row]]:
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for row in lake.rows(table).to_pylist():
        rows[row["run_id"]].append(row)
    return rows


def _unmet(runs: Sequence[Judged]) -> list[dict[str, Any]]:
    """Rules that a run does not meet, those that reject most first."""
    rules: dict[tuple[str, str], dict[str, Any]] = {}
    for one in runs:
        for line in one.rules:
            if line.verdict.kind in ("fine", "moot"):
                continue
            word = {"reject": "rejects", "flag": "flags", "broken": "not checked"}.get(line.verdict.kind, "overruled")
            about = {"name": line.name, "kind": line.verdict.kind, "word": word, "expected": line.expected}
            rule = rules.setdefault(
                (line.name, line.verdict.kind), about | {"reason": line.reason, "n_runs": 0, "n_frames": 0}
            )
            rule["n_runs"] += 1
            rule["n_frames"] += line.n_frames
    order = ("broken", "reject", "overruled", "flag")
    return sorted(rules.values(), key=lambda rule: (order.index(rule["kind"]), -rule["n_frames"], rule["name"]))


def _write_run(lake: Lake, path: Path, one: Judged) -> None:
    digest = _digest(one)
    if _digest_on(path) == digest:
        return
    page = RunPage(one.run, one.results, one.overrides, scalars=read_scalars(lake, one.run_id))
    drawn = picture(one.run, one.results, page.scalars)
    text = _template("data_docs_run.html").render(one=page, picture=drawn, digest=digest, most_lines=MOST_LINES)
    _write(path, text)


def _digest(one: Judged) -> str:
    """What a page is made of: frames change only together with the run's row or with its verdict."""
    content = json.dumps([_PAGES_VERSION, one.run, one.results, one.overrides], default=str, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _digest_on(path: Path) -> str | None:
    """The digest that a page carries in its first lines; None without a page."""
    try:
        with path.open("rb") as file:
            head = file.read(_DIGEST_WITHIN_BYTES).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return head.partition('name="meltlake-digest" content="')[2].partition('"')[0] or None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _breaking(path: str) -> Markup:
    """A path that breaks between its folders where it is too long for a line."""
    return Markup("/<wbr>").join(path.split("/"))


@cache
def _template(name: str) -> Template:
    pages = Environment(
        loader=PackageLoader("operators.data_docs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["commas"] = "{:,}".format
    pages.filters["breaking"] = _breaking
    pages.filters["cause"] = lambda failure: cause_beside(failure["subject"], failure["cause"])
    return pages.get_template(name)
