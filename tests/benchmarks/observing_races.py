"""The races of observables: which melts, which contenders, which bars."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.measuring import race
from tests.benchmarks.melts import EDGE_ANGSTROM, N_LARGE, NUMBERS, large_melt, store_large_run
from tests.benchmarks.observing import N_LAGS
from tests.benchmarks.report import Line, beside

N_BINS = 200
N_COUNTED = 20
N_CORRELATED = 10_000
N_STREAMED, STREAMED_STEP_FS = 5_000, 10.0
_STREAM_MB = 500
_COPIES = 2.0
"""Of the data, transposed."""


def rdf(folder: Path) -> Iterator[Line]:
    """Six partial RDFs in 200 bins, near the first shells and as far as the cell allows."""
    positions = np.concatenate([some for some, _ in large_melt(10 * N_COUNTED)])[::10]
    cells = np.tile(np.eye(3) * EDGE_ANGSTROM, (N_COUNTED, 1, 1))
    for name, r_max, bars in (
        ("10 angstrom", 10.0, {"freud": 10, "MDAnalysis": 25, "LAMMPS rerun": 2.5}),
        ("19.7 angstrom, half the cell", 19.7, {"freud": 10, "MDAnalysis": 25, "LAMMPS rerun": 6}),
    ):
        path = folder / "rdf" / f"{r_max:g}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, numbers=NUMBERS, positions=positions, cells=cells, r_max=r_max, n_bins=N_BINS)
        costs = race(["meltlake rdf", *bars], path)
        yield from beside(f"six partial RDFs to {name}, {N_COUNTED} x {N_LARGE}", costs, bars)


def vacf(folder: Path) -> Iterator[Line]:
    """Velocity autocorrelations of every element over all time origins, from a file: more than memory may be."""
    path = folder / "vacf" / "velocities.f64"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _, velocities in large_melt(N_CORRELATED):
            velocities.tofile(file)
    costs = race(["meltlake vacf", "transposing copy", "tidynamics"], path)
    ours, copy = costs["meltlake vacf"], costs["transposing copy"]
    for line in beside(f"VACF to {N_LAGS - 1} lags, {N_CORRELATED} x {N_LARGE}", costs, {"tidynamics": 3}):
        if line.who == "meltlake vacf":
            told, bar = f"{ours.cpu_s / copy.cpu_s:.1f} transposing copies", f"≤ {_COPIES:g} copies, ≤ {_STREAM_MB} MB"
            met = ours.cpu_s <= _COPIES * copy.cpu_s and ours.peak_mb <= _STREAM_MB
            line = Line(line.what, line.who, ours, 1.0, told=told, bar=bar, met=met)  # noqa: PLW2901
        yield line
    path.unlink()


def stream_observe(folder: Path) -> Iterator[Line]:
    """A run of 4096 atoms and 50,000 steps of 1 fs, every tenth of them saved, observed from the lake."""
    for n_frames in (N_STREAMED // 10, N_STREAMED):
        here = folder / f"stream-{n_frames}"
        store_large_run(here, n_frames, step_fs=STREAMED_STEP_FS)
        cost = race(["meltlake observe"], here, n_rounds=1)["meltlake observe"]
        told = f"{cost.found['n_rows']:.0f} rows, {cost.found['n_skipped']:.0f} observables skipped"
        met = cost.peak_mb <= _STREAM_MB
        what = f"observed from the lake, {n_frames} x {N_LARGE}"
        yield Line(what, "meltlake observe", cost, told=told, bar=f"≤ {_STREAM_MB} MB", met=met)
        shutil.rmtree(here)
