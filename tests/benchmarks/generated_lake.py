"""Lakes of generated rows, all synthetic: real Delta tables and logs of any size, without any physics.

What is measured over them belongs in `warehouse`.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import deltalake as dl
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.delta import Lake
from lake.delta_log import RowFile
from lake.experiments import write_experiments, write_recipes
from schemas.recipes import RECIPES
from schemas.tables import OBSERVABLES_VERSION, TABLES

COMPOSITIONS = (
    "Al100", "Cu100", "Ni100", "Al50Cu50", "Al50Ni50", "Cu50Ni50", "Al33Cu33Ni33", "Al20Cu20Ni60", "Al20Cu60Ni20",
    "Al60Cu20Ni20", "Al50Cu25Ni25", "Al70Cu20Ni10",
)  # fmt: skip
HELD_OUT = COMPOSITIONS[-2:]
ELEMENTS = ("Al", "Cu", "Ni")
PAIRS = tuple("-".join(pair) for pair in itertools.combinations_with_replacement(ELEMENTS, 2))
PAPER = tuple(name for name, recipe in RECIPES.items() if recipe.paper)
SET = "generated000"
_NOW = datetime(2026, 1, 1)  # noqa: DTZ001 - the lake keeps UTC without a zone
_THEORY = "functional=PBE ENCUT=300"

Values = Mapping[str, object]
Files = Iterable[tuple[Mapping[str, str], pa.Table]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    melts: tuple[str, ...] = COMPOSITIONS
    potentials: int = 14
    n_frames: int = 2500
    """Of each AIMD run, in the run's row alone: no file of frames is written."""
    n_points: int = 500
    """Of each curve."""
    n_parity: int = 20_000
    """Sampled predictions of each potential."""


def rows(table: str, n_rows: int, **given: object) -> pa.Table:
    """Rows with the columns given (one value or one per row); other numbers are drawn, other things are null."""
    rng = np.random.default_rng(len(table) + n_rows)
    arrays = []
    for field in TABLES[table].file_schema:
        value = given.get(field.name)
        if field.name in given:
            listed = list(value) if isinstance(value, np.ndarray | range) else value
            each = listed if isinstance(listed, list) and not pa.types.is_list(field.type) else [listed] * n_rows
            arrays.append(pa.array(each, field.type))
        elif pa.types.is_floating(field.type):
            arrays.append(pa.array(rng.uniform(0.5, 1.5, n_rows)))
        else:
            arrays.append(pa.nulls(n_rows, field.type))
    return pa.Table.from_arrays(arrays, schema=TABLES[table].file_schema)


def commit(lake: Lake, table: str, files: Files, *, per_commit: int = 20) -> None:
    """Put one file per key into a table, several in a commit; nothing is flushed to disk."""
    log = lake.log(table)
    log.create()
    written = (_write(lake, table, partition, content) for partition, content in files)
    while group := list(itertools.islice(written, per_commit)):
        handle = log.open()
        adds = [
            dl.transaction.AddAction(
                file.path, file.n_bytes, dict(file.partition), 0, True, f'{{"numRecords": {file.n_rows}}}'
            )
            for file in group
        ]
        handle.create_write_transaction(adds, "append", handle.schema(), list(log.description.partitions))


def _write(lake: Lake, table: str, partition: Mapping[str, str], content: pa.Table | Path) -> RowFile:
    """The rows as a file, or another name of a file that is there."""
    folder = "/".join(f"{name}={partition[name]}" for name in TABLES[table].partitions)
    path = f"{folder}/000000000-generated.parquet"
    target = Path(lake.root, table, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        os.link(content, target)
    else:
        pq.write_table(content, target, compression="zstd")
    return RowFile(path, pq.read_metadata(target).num_rows, target.stat().st_size, dict(partition))


def small_frames(folder: Path, n_rows: int) -> Path:
    """A file of so many frames with every number of a frame and none of an atom, to be linked into many runs."""
    path = folder / "frames.parquet"
    given: dict[str, object] = {
        "frame": range(n_rows), "ionic_step": range(1, n_rows + 1), "segment": 0, "n_atoms": 512, "accepted": True,
        "label_source": "dft", "rejection_reasons": [], "flags": [], "scf_verdict": "converged", "scf_steps": 9,
        "time_fs": np.arange(n_rows, dtype=float), "temperature_k": np.full(n_rows, 1673.0),
    }  # fmt: skip
    pq.write_table(rows("frames", n_rows, **given), path, compression="zstd")
    return path


def run_row(run_id: str, composition: str, **more: object) -> dict[str, object]:
    """A row of `runs` that looks whole."""
    return {
        "run_id": run_id, "origin": "aimd", "composition": composition, "formula": "Al512", "n_atoms": 512,
        "chemical_system": "-".join(name for name in ELEMENTS if name in composition), "ensemble": "nvt",
        "source_uri": f"/generated/{run_id}/OUTCAR", "source_sha256": run_id * 5, "source_format": "outcar",
        "source_bytes": 10**9, "content_bytes": 10**9, "temperature_target_k": 1673.0, "time_step_fs": 1.0,
        "level_of_theory": _THEORY, "functional": "PBE", "n_incomplete": 0, "n_energy_only": 0,
        "n_stored_elsewhere": 0, "trajectory_id": run_id, "trajectory_start_fs": 0.0, "complete": True,
        "synthetic": True, "ingested_at": _NOW, **more,
    }  # fmt: skip


def observed_lake(root: str, size: Size) -> Lake:
    """AIMD runs, a training set, potentials, a simulation of each potential at each composition, all observables."""
    lake = Lake(root)
    write_experiments(lake)
    write_recipes(lake)
    melts, potentials = size.melts, PAPER[: size.potentials]
    aimd = {f"aimd{number:08d}": melt for number, melt in enumerate(melts)}
    done = {
        f"sim{of:04d}{at:05d}": (f"pot{of:09d}", melt, f"aimd{at:08d}")
        for of in range(len(potentials))
        for at, melt in enumerate(melts)
    }
    counts = {"n_frames": size.n_frames, "n_accepted": size.n_frames, "n_rejected": 0}
    simulated = {
        name: run_row(name, melt, origin="dnnp", protocol="npt", ensemble="npt", potential_id=potential,
                      parent_run_id=parent, outcome="finished", pressure_target_gpa=0.0, **counts)
        for name, (potential, melt, parent) in done.items()
    }  # fmt: skip
    runs = {name: run_row(name, melt, **counts) for name, melt in aimd.items()} | simulated
    commit(lake, "runs", (({"run_id": name}, rows("runs", 1, **row)) for name, row in runs.items()))
    _training(lake, size, melts=melts, potentials=potentials, aimd=aimd)
    commit(lake, "performance", (({"run_id": n}, _performance(r)) for n, r in simulated.items()))
    commit(lake, "agreement", (({"run_id": n}, _agreement(r)) for n, r in simulated.items()))
    for table, content in _observables(size):
        of_table = simulated if table in ("model_deviations", "pressure_tensors", "mixing_enthalpy") else runs
        given = {name: (str(row["composition"]), content) for name, row in of_table.items()}
        commit(lake, table, (({"run_id": n}, _of(table, melt, values)) for n, (melt, values) in given.items()))
    return lake


def _of(table: str, composition: str, values: Values) -> pa.Table:
    n_rows = max((len(value) for value in values.values() if isinstance(value, list | range | np.ndarray)), default=1)
    return rows(table, n_rows, **{"composition": composition, **values})


def _repeated(names: Sequence[str], places: np.ndarray[Any, Any]) -> tuple[list[str], np.ndarray[Any, Any]]:
    return [name for name in names for _ in places], np.tile(places, len(names))


def _observables(size: Size) -> Iterator[tuple[str, dict[str, object]]]:
    """Columns of each table of observables of one run."""
    grid = np.arange(size.n_points, dtype=float)
    pairs, r = _repeated((*PAIRS, "all"), 0.02 * (grid + 0.5))
    elements, lags = _repeated((*ELEMENTS, "all"), grid)
    yield "rdf", {"pair": pairs, "r_angstrom": r}
    yield "structure_factor", {"pair": pairs, "q_per_angstrom": r, "convention": "Faber-Ziman"}
    yield "vacf", {"element": elements, "lag_fs": lags, "estimator": "velocities"}
    yield "msd", {"element": elements, "lag_fs": lags}
    yield "vibrational_density", {"element": elements, "frequency_thz": lags, "estimator": "velocities"}
    yield "stress_autocorrelation", {"lag_fs": grid}
    yield "transport", {"element": list(ELEMENTS), "estimator": "velocities"}
    yield "thermodynamics", {"temperature_k": 1673.0, "temperature_error_k": 2.0, "n_frames": size.n_frames,
                             "n_averaged": size.n_frames, "observables_version": OBSERVABLES_VERSION}  # fmt: skip
    yield "short_range_order", {"pair": list(PAIRS)}
    yield "local_composition", {"element": list(ELEMENTS), "r_cut_angstrom": np.full(3, 6.0)}
    yield "mixing_enthalpy", {"pure_run_ids": None}
    yield "model_deviations", {"frame": range(size.n_points), "time_fs": grid}
    yield "pressure_tensors", {"time_fs": 5 * np.arange(4 * size.n_points, dtype=float)}


def _performance(row: Values) -> pa.Table:
    given = {"potential_id": row["potential_id"], "composition": row["composition"], "protocol": "npt"}
    return rows("performance", 1, **given, n_atoms=4096, hardware="generated", outcome="finished", n_steps=10_000)


def _agreement(row: Values) -> pa.Table:
    observables = [f"rdf {pair}" for pair in PAIRS] + [f"vacf {element}" for element in ELEMENTS]
    measures = ["l1"] * len(PAIRS) + ["rms"] * len(ELEMENTS)
    return rows(
        "agreement", len(observables), observable=observables, measure=measures, aimd_run_id=row["parent_run_id"],
        potential_id=row["potential_id"], composition=row["composition"], verdict="good",
        aimd_n_frames=row["n_frames"],
    )  # fmt: skip


def _training(
    lake: Lake, size: Size, *, melts: Sequence[str], potentials: Sequence[str], aimd: Mapping[str, str]
) -> None:
    taught = [melt for melt in melts if melt not in HELD_OUT]
    held_out = [melt for melt in melts if melt in HELD_OUT]
    commit(lake, "training_sets", [({"training_set_id": SET}, rows(
        "training_sets", 1, lake_version=0, split_rule="blocks", seed=1, n_train=1000, n_test=300, n_held_out=200,
        type_map=list(ELEMENTS), compositions=taught, held_out=held_out, synthetic=True, created_at=_NOW,
        level_of_theory=_THEORY, relaxation="train", balance="frames", format="npy", path="/generated",
    ))])  # fmt: skip
    frames = [
        (run_id, frame, "held_out" if melt in HELD_OUT else "test" if frame % 4 == 3 else "train")
        for run_id, melt in aimd.items()
        for frame in range(0, size.n_frames, 10)
    ]
    of_run, numbers, splits = (list(column) for column in zip(*frames, strict=True))
    taken = rows("training_set_frames", len(frames), run_id=of_run, frame=numbers, split=splits)
    commit(lake, "training_set_frames", [({"training_set_id": SET}, taken)])
    ids = {f"pot{number:09d}": name for number, name in enumerate(potentials)}
    commit(lake, "potentials", ((
        {"potential_id": name},
        rows("potentials", 1, recipe=recipe, recipe_id=RECIPES[recipe].recipe_id, training_set_id=SET, seed=1,
             backend="tensorflow", n_steps=400_000, compressed=True, type_map=list(ELEMENTS), created_at=_NOW,
             hardware="generated", wall_seconds=36_000.0, n_test_frames_known=0, path=f"/generated/{name}.pb",
             sha256=name * 5, precision="float64"),
    ) for name, recipe in ids.items()))  # fmt: skip
    commit(lake, "rmse", (({"potential_id": name}, _errors(melts)) for name in ids))
    curve = rows("learning_curves", 4000, step=range(0, 400_000, 100))
    commit(lake, "learning_curves", (({"potential_id": name}, curve) for name in ids))
    n = size.n_parity
    kinds = [name for name in ("energy", "force", "virial") for _ in range(n // 3)]
    parity = rows("parity", len(kinds), quantity=kinds, composition=melts[0], split="test")
    commit(lake, "parity", (({"potential_id": name}, parity) for name in ids))


def _errors(melts: Sequence[str]) -> pa.Table:
    places = [
        (melt, "held_out") if melt in HELD_OUT else (melt, split) for melt in melts for split in ("train", "test")
    ]
    places = list(dict.fromkeys([*places, ("all", "train"), ("all", "test"), ("all", "held_out")]))
    names, splits = (list(column) for column in zip(*places, strict=True))
    return rows("rmse", len(places), composition=names, split=splits, n_frames=100)


def catalogue(root: str, *, n_runs: int, frames_per_run: int) -> Lake:
    """Runs with frames, verdicts and observables in tables of their own, and Table 1's recipes and potentials.

    Frames have every number and no vector; one file of them lies under the name of every run.
    """
    lake = observed_lake(root, Size(melts=COMPOSITIONS[-3:], n_points=20, n_parity=300))
    template = small_frames(Path(root), frames_per_run)
    names = {f"run{number:09d}": COMPOSITIONS[number % len(COMPOSITIONS)] for number in range(n_runs)}
    counts = {"n_frames": frames_per_run, "n_accepted": frames_per_run, "n_rejected": 0}
    commit(lake, "runs", (({"run_id": n}, rows("runs", 1, **run_row(n, melt, **counts))) for n, melt in names.items()))
    commit(lake, "frames", (({"composition": melt, "run_id": n}, template) for n, melt in names.items()))
    rules = [f"rule_{number}" for number in range(30)]
    verdicts = rows("expectation_results", len(rules), expectation=rules, scope="frame", success=True,
                    severity="reject", n_judged=frames_per_run, n_unexpected=0)  # fmt: skip
    commit(lake, "expectation_results", (({"run_id": n}, verdicts) for n in names))
    for table, content in _observables(Size(n_points=50)):
        if table in ("rdf", "vacf", "transport", "thermodynamics", "short_range_order"):
            given = content | {"n_frames": frames_per_run} if table == "thermodynamics" else content
            commit(lake, table, (({"run_id": n}, _of(table, melt, given)) for n, melt in names.items()))
    return lake
