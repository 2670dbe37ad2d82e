"""Data docs: what the gate said of every run, as one page that is readable offline. Judging belongs in `lake.gate`."""

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from lake.delta import Lake
from schemas.settings import Settings

_PAGES = Environment(
    loader=PackageLoader("operators", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def write_data_docs(settings: Settings) -> Path:
    """Write `<home>/data_docs/index.html` from the lake and return its path."""
    lake = Lake(settings.lake)
    results = lake.rows("expectation_results").to_pylist()
    by_run: dict[str, list[dict[str, object]]] = {}
    for result in results:
        by_run.setdefault(result["run_id"], []).append(result)
    runs = sorted(lake.rows("runs").to_pylist(), key=lambda run: (run["composition"], run["run_id"]))
    page = _PAGES.get_template("data_docs.html").render(
        runs=runs, results=by_run, failures=lake.rows("task_failures").to_pylist(), lake_version=lake.version()
    )
    target = settings.home / "data_docs" / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{os.getpid()}.html")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(target)
    return target
