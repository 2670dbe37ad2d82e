"""Contenders that store: into the lake, out of it, and the whole way from OUTCAR text to a training set."""

import shutil
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.contenders import Work
from tests.benchmarks.laps import Laps, cpu_seconds

TEST_FRACTION = 0.25
_RAW_COLUMNS = ("positions_angstrom", "forces_ev_per_angstrom", "cell_angstrom", "virial_ev")


def lake_write(path: Path) -> Work:
    """Frames of one OUTCAR, already in memory as rows, into a lake: encoded, hashed, flushed and committed."""
    from lake.delta import Lake

    ours = _lake_of(path)
    (run_id,) = ours.keys("frames")
    batches = _stored_rows(ours, run_id)
    partition = {"composition": path.parent.name, "run_id": run_id}
    copy = Lake(str(path.parent / "copy"))

    def write() -> Mapping[str, float]:
        copy.replace_batches("frames", partition, batches)
        stored = sum(Path(file).stat().st_size for file in copy.files("frames"))
        return {
            "n_frames": sum(batch.num_rows for batch in batches),
            "raw_bytes": _raw_bytes(batches),
            "stored_bytes": stored,
        }

    return write


def lake_read(path: Path) -> Work:
    """Positions and forces of one run from the lake to NumPy arrays."""
    from lake.frames import vectors

    ours = _lake_of(path)
    (run_id,) = ours.keys("frames")

    def read() -> Mapping[str, float]:
        n_frames = n_bytes = 0
        for batch in ours.frame_batches(run_id, _RAW_COLUMNS[:2]):
            arrays = [vectors(column, len(column[0]) // 3) for column in batch.columns]
            n_frames, n_bytes = n_frames + batch.num_rows, n_bytes + sum(array.nbytes for array in arrays)
        return {"n_frames": n_frames, "raw_bytes": n_bytes}

    return read


def _lake_of(path: Path) -> Any:
    from lake.delta import Lake

    shutil.rmtree(path.parent / "copy", ignore_errors=True)
    return Lake(str(path.parent / "lake"))


def _stored_rows(lake: Any, run_id: str) -> list[Any]:
    import pyarrow.parquet as pq

    files = [pq.ParquetFile(name) for name in lake.files("frames", key=run_id)]
    groups = chain.from_iterable((file.read_row_group(n) for n in range(file.num_row_groups)) for file in files)
    return [batch for group in groups for batch in group.combine_chunks().to_batches()]


def _raw_bytes(batches: list[Any]) -> int:
    return sum(8 * len(batch.column(name).flatten()) for batch in batches for name in _RAW_COLUMNS)


def our_ingest(folder: Path) -> Work:
    """OUTCAR text -> lake that is committed, hashed and judged, in one process."""
    return _our_ingest(folder, n_workers=1)


def our_ingest_in_two(folder: Path) -> Work:
    """The same with two worker processes, whose imports are part of the work."""
    return _our_ingest(folder, n_workers=2)


def _our_ingest(folder: Path, *, n_workers: int) -> Work:
    from lake.gate import RuleGate

    before = cpu_seconds()
    RuleGate().load()
    gate_s = cpu_seconds() - before
    from operators.ingest import ingest
    from schemas.settings import Settings

    warm, ours = (Settings(lake=str(folder / name)) for name in ("warm-lake", "lake"))
    for settings in (warm, ours):
        shutil.rmtree(settings.lake, ignore_errors=True)
    ingest(warm, [str(folder / "warm")], workers=1)  # compiles

    def work() -> Mapping[str, float]:
        runs: Any = ingest(ours, [str(folder / "landing")], workers=n_workers)["runs"]
        if not all(run["n_accepted"] == run["n_frames"] for run in runs):
            raise SystemExit(f"frames were refused: {runs}")
        return {"n_frames": sum(run["n_frames"] for run in runs), "gate_import_s": gate_s}

    return work


def our_materialize(folder: Path) -> Work:
    """The lake of the last ingest -> DeePMD training set, 3:1 at random."""
    from lake.small_process import keep_small

    keep_small()
    from operators.materialize import materialize
    from schemas.settings import Settings
    from schemas.training import TrainingSetRequest

    settings = Settings(lake=str(folder / "lake"))
    tables = ("training_sets", "training_set_frames", "training_set_runs", "training_set_requests")
    for made in ("artifacts", *tables):
        shutil.rmtree(folder / "lake" / made, ignore_errors=True)

    def work() -> Mapping[str, float]:
        made: Any = materialize(settings, TrainingSetRequest(split="random", test_fraction=TEST_FRACTION))
        return {"n_frames": made["n_train"] + made["n_test"], "n_train": made["n_train"]}

    return work


def dpdata_chain(folder: Path) -> Work:
    """OUTCAR -> shuffled 3:1 -> deepmd/npy in float64, as dpdata does it in memory; nothing else is stored."""
    import dpdata

    dpdata.LabeledSystem()
    out = folder / "dpdata"
    shutil.rmtree(out, ignore_errors=True)

    def work() -> Mapping[str, float]:
        laps, n_frames, n_train = Laps(), 0, 0
        for outcar in sorted((folder / "landing").glob("*/OUTCAR")):
            with laps.lap("read"):
                read = dpdata.LabeledSystem(str(outcar), fmt="vasp/outcar")
            order = np.random.default_rng(1).permutation(len(read))
            n_test = round(TEST_FRACTION * len(read))
            with laps.lap("split"):
                parts = {"test": read.sub_system(order[:n_test]), "train": read.sub_system(order[n_test:])}
            with laps.lap("write"):
                for split, part in parts.items():
                    part.to("deepmd/npy", str(out / split / outcar.parent.name), set_size=len(part), prec=np.float64)
            n_frames, n_train = n_frames + len(read), n_train + len(parts["train"])
        return {"n_frames": n_frames, "n_train": n_train, **laps.seconds}

    return work
