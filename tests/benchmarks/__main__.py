"""`make bench`: readers and observables beside their peers, in interleaved rounds; writes docs/benchmarks.md."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from operators.hardware import hardware
from operators.toy_melt import ToyMeltRequest, generate

ROOT = Path(__file__).parents[2]
N_ROUNDS = 3
N_FRAMES, N_ATOMS = 400, 512
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


def measured(contender: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.contenders", contender, str(path)]
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **ONE_THREAD}
    )
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def compared(title: str, contenders: list[str], path: Path) -> list[str]:
    rounds = [{name: measured(name, path) for name in contenders} for _ in range(N_ROUNDS)]
    counts = {found["n_frames"] for each in rounds for found in each.values()}
    if len(counts) > 1:
        raise SystemExit(f"{title}: the contenders found different numbers of frames: {counts}")
    seconds = {name: statistics.median(each[name]["cpu_s"] for each in rounds) for name in contenders}
    peaks = {name: max(each[name]["peak_mb"] for each in rounds) for name in contenders}
    ours = seconds[contenders[0]]
    lines = [
        f"| {title} | {name} | {seconds[name]:.3f} | {seconds[name] / ours:.1f} | {peaks[name]:.0f} |"
        for name in contenders
    ]
    sys.stderr.write("\n".join(lines) + "\n")
    return lines


def melt_arrays(outcar: Path) -> Path:
    from lake.readers import open_run

    with open_run(outcar) as reader:
        batches = list(reader.batches())
        numbers = reader.header.atomic_numbers
    path = outcar.with_name("melt.npz")
    np.savez(
        path,
        numbers=numbers,
        positions=np.concatenate([batch.positions_angstrom for batch in batches])[:100],
        cells=np.concatenate([batch.cell_angstrom for batch in batches])[:100],
    )
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        request = ToyMeltRequest(n_atoms=N_ATOMS, n_frames=N_FRAMES, source_format="both")
        run = generate(Path(folder) / "run", request)
        readers = ["meltlake", "dpdata", "ASE"]
        rows = compared(f"OUTCAR, {N_FRAMES} x {N_ATOMS}", readers, run / "OUTCAR")
        rows += compared(f"vasprun.xml, {N_FRAMES} x {N_ATOMS}", readers, run / "vasprun.xml")
        rows += compared(
            "six partial RDFs to 9 angstrom, 100 x 512", ["meltlake rdf", "freud"], melt_arrays(run / "OUTCAR")
        )
    today = datetime.now(UTC).date()
    text = f"""# Benchmarks

`make bench`, {today}, {hardware()}, {os.cpu_count()} cores, Python {platform.python_version()}.
Synthetic files of a toy melt.

CPU seconds (user + system) of the work alone, one thread, a fresh process for each contender and round,
median of {N_ROUNDS} interleaved rounds. Ours includes the sha256 of the file. Quote the ratios, not the seconds.

| what | who | CPU s | times ours | peak MB |
|---|---|---|---|---|
"""
    (ROOT / "docs" / "benchmarks.md").write_text(text + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
