"""The races of answers: how large the lakes are, and the bars."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from lake.warehouse import publish
from schemas.settings import Settings
from tests.benchmarks.generated_lake import COMPOSITIONS, PAPER, Size, catalogue, observed_lake
from tests.benchmarks.measuring import Cost, race
from tests.benchmarks.report import Line

N_RUNS, FRAMES_PER_RUN = 2_000, 5_000
_BUILD_S, _VIEW_MS, _ANSWER_S = 60.0, 100.0, 1.0
_OF_CATALOGUE = ("status", "table_1", "overview")


def warehouse(folder: Path) -> Iterator[Line]:
    """The paper's potentials at a dozen compositions with all observables: built, built again, asked."""
    here = folder / "warehouse"
    observed_lake(str(here / "lake"), Size())
    what = f"generated rows (synthetic), {len(PAPER)} potentials x {len(COMPOSITIONS)} compositions"
    costs = race(["publish", "publish again", "views"], here)
    first, views = costs["publish"], costs["views"]
    met = first.wall_s <= _BUILD_S
    told = f"{first.found['n_rows']:.0f} rows; {_wall(first)}"
    yield Line(f"{what}: all tables", "publish", first, told=told, bar=f"≤ {_BUILD_S:g} s wall", met=met)
    yield Line(f"{what}: one table changed", "publish", costs["publish again"], told=_wall(costs["publish again"]))
    typical, cpu = (views.found.pop(name) for name in ("typical_ms", "typical_cpu_ms"))
    slowest = sorted(views.found, key=views.found.__getitem__, reverse=True)[:3]
    those = ", ".join(f"{name} {views.found[name]:.0f} ms" for name in slowest)
    told = f"median {typical:.0f} ms wall, {cpu:.0f} ms of CPU; slowest: {those}"
    yield Line(f"{what}: every view", "DuckDB", views, told=told, bar=f"≤ {_VIEW_MS:g} ms", met=typical <= _VIEW_MS)
    shutil.rmtree(here)


def catalogued(folder: Path) -> Iterator[Line]:
    """Ten million frame rows in two thousand runs: what people look at all day."""
    here = folder / "catalogue"
    catalogue(str(here / "lake"), n_runs=N_RUNS, frames_per_run=FRAMES_PER_RUN)
    publish(Settings.from_mapping({}, lake=str(here / "lake")))
    costs = race(_OF_CATALOGUE, here)
    for name, cost in costs.items():
        what = f"generated metadata (synthetic), {N_RUNS * FRAMES_PER_RUN // 10**6} M frames in {N_RUNS} runs: {name}"
        met = cost.wall_s <= _ANSWER_S
        yield Line(what, "meltlake", cost, told=_wall(cost), bar=f"≤ {_ANSWER_S:g} s wall", met=met)
    shutil.rmtree(here)


def _wall(cost: Cost) -> str:
    return f"wall {cost.wall_s:.2f} s"
