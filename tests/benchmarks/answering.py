"""Contenders that answer: the warehouse built, its views, and what people look at while a catalogue is large.

`path` is the folder that holds a generated lake and, where one was published, its warehouse.
"""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.contenders import Work


def our_publish(path: Path) -> Work:
    """Every table from the lake."""
    from lake.warehouse import publish

    settings = _settings(path)
    Path(settings.warehouse).unlink(missing_ok=True)
    return lambda: {"n_rows": sum(publish(settings).n_rows.values())}


def our_publish_again(path: Path) -> Work:
    """After one run was observed again: its table is read from the lake, the others come from the file before."""
    from lake.delta import Lake
    from lake.warehouse import publish

    settings = _settings(path)
    publish(settings)
    lake = Lake(settings.lake)
    lake.replace("thermodynamics", "aimd00000000", [{"run_id": "aimd00000000", "temperature_k": time.time()}])
    return lambda: {"n_rows": sum(publish(settings).n_rows.values())}


def our_views(path: Path) -> Work:
    """Every view, all of its rows: milliseconds of each, and the median of their CPU time."""
    from lake.warehouse import published
    from schemas.views import VIEWS

    settings = _settings(path)

    def work() -> Mapping[str, float]:
        taken, cpu_s = {}, []
        with published(settings) as run:
            for view in VIEWS:
                run(f"select count(*) from (from {view.name})")  # reads its blocks
                started, worked = time.perf_counter(), time.process_time()
                run(f"from {view.name}")
                taken[view.name] = 1000 * (time.perf_counter() - started)
                cpu_s.append(time.process_time() - worked)
        typical = {"typical_ms": statistics.median(taken.values()), "typical_cpu_ms": 1000 * statistics.median(cpu_s)}
        return taken | typical

    return work


def our_status(path: Path) -> Work:
    """`meltlake status` in the process of a page or of a command that has imported what it needs."""
    from operators.status import status

    settings = _settings(path)
    status(settings)  # keeps rows that were read for the first time
    return lambda: {"n_due": float(len(list(status(settings)["stale"])))}  # type: ignore[call-overload]


def our_table_1(path: Path) -> Work:
    """`meltlake sql "from table_1"`, from finding out what is current to the rows."""
    from lake.warehouse import query

    settings = _settings(path)
    return lambda: {"n_rows": len(query(settings, "from table_1"))}


OVERVIEW = (
    "select count(*) as runs, sum(n_frames) as frames, sum(n_accepted) as accepted, sum(source_bytes) as b from runs",
    "from composition_map",
    "select potential_id, recipe, seed, training_set_id, created_at from potentials order by created_at desc limit 5",
    "select verb, subject, cause, remedy from task_failures order by failed_at desc limit 20",
    "select composition, origin, count(*) as runs, sum(n_frames) as frames from runs group by all order by all",
    "from table_1",
)
"""What an overview page asks."""


def our_overview(path: Path) -> Work:
    """The published warehouse alone, as the page in Airflow reads it."""
    from lake.warehouse import published

    settings = _settings(path)

    def work() -> Mapping[str, float]:
        with published(settings) as run:
            return {"n_rows": sum(run(sql).num_rows for sql in OVERVIEW)}

    return work


def _settings(path: Path):  # type: ignore[no-untyped-def]  # pydantic is loaded by the contender, not before
    from schemas.settings import Settings

    return Settings.from_mapping({}, lake=str(path / "lake"))
