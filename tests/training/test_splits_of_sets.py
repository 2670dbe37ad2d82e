"""What a training set's split promises, and that it says so where it cannot keep it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lake.deepmd_npy import deepmd_systems, read_deepmd_system
from lake.delta import Lake
from operators.cli import main
from operators.ingest import ingest
from operators.materialize import materialize
from operators.potentials.sampling import equal_compositions
from schemas.errors import MeltlakeError
from schemas.training import TrainingSetRequest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "../shared/vasp-reference"
AL, CU = {"Al": 4}, {"Cu": 4}


def remembering(maker, n_frames: int, *, memory_fs: float, step_fs: float = 10.0) -> list[dict[str, object]]:
    """Frames whose energy forgets itself in `memory_fs`: a first-order autoregression."""
    frames, rng = maker.frames(AL, n_frames, step_fs=step_fs), np.random.default_rng(7)
    keeps, value = np.exp(-step_fs / memory_fs), 0.0
    for frame in frames:
        value = keeps * value + np.sqrt(1 - keeps**2) * rng.normal()
        frame["energy_ev"] = value
    return frames


def of_runs(maker, made: dict[str, object]) -> dict[str, dict[str, object]]:
    rows = maker.lake.rows("training_set_runs", key=made["training_set_id"]).to_pylist()
    return {row["run_id"]: row for row in rows}


def test_the_gap_is_the_measured_correlation_time(melts, settings) -> None:
    melts.add("a1", AL, remembering(melts, 3000, memory_fs=500.0))
    made = materialize(settings, TrainingSetRequest())
    row = of_runs(melts, made)["a1"]
    assert 600.0 < row["correlation_time_fs"] < 1600.0  # 2 tau of the series
    assert row["gap_fs"] == row["correlation_time_fs"] <= row["min_gap_fs"]
    assert (made["leakage"], made["notes"]) == ("clear", [])
    assert made["n_effective"] == pytest.approx(made["n_train"] * 10.0 / row["correlation_time_fs"])


def test_a_random_split_is_told_to_leak(melts, settings) -> None:
    melts.add("a1", AL, remembering(melts, 1000, memory_fs=200.0))
    made = materialize(settings, TrainingSetRequest(split="random"))
    assert (made["leakage"], made["min_gap_fs"]) == ("leaks", 10.0)
    assert "That is what a random split does." in made["notes"][0]


def test_a_run_too_short_for_its_memory_says_so(melts, settings) -> None:
    melts.add("a1", AL, remembering(melts, 150, memory_fs=600.0))
    made = materialize(settings, TrainingSetRequest())
    assert made["leakage"] in ("leaks", "too_short")
    assert made["min_gap_fs"] < 500.0
    assert any("run a1" in note for note in made["notes"])


def test_a_gap_shorter_than_the_memory_is_given_and_told(melts, settings) -> None:
    melts.add("a1", AL, remembering(melts, 3000, memory_fs=500.0))
    made = materialize(settings, TrainingSetRequest(gap_fs=100.0))
    assert (made["min_gap_fs"], made["leakage"]) == (100.0, "leaks")
    assert "longer --gap-fs" in made["notes"][0]


def test_thinned_frames_are_apart_and_worth_nearly_as_much(melts, settings) -> None:
    melts.add("a1", AL, remembering(melts, 3000, memory_fs=200.0))
    whole = materialize(settings, TrainingSetRequest())
    thin = materialize(settings, TrainingSetRequest(every_fs=50.0))
    rows = melts.lake.rows("training_set_frames", key=thin["training_set_id"])
    assert np.diff(np.sort(rows["frame"].to_numpy())).min() == 5
    assert thin["n_thinned"] == 2400
    assert thin["n_effective"] == pytest.approx(whole["n_effective"], rel=0.05)


def test_every_accepted_frame_is_accounted_for(melts, settings) -> None:
    melts.add("a1", AL, remembering(melts, 700, memory_fs=100.0))
    melts.add("b1", AL | CU, melts.frames(AL | CU, 40, seed=2))
    for wish in ({"every_fs": 35.0, "relaxation": "drop"}, {"split": "random", "hold_out": ("Al100",)}):
        made = materialize(settings, TrainingSetRequest(**wish))
        parts = ("train", "test", "held_out", "gap", "thinned", "relaxation")
        for run_id, n_frames in (("a1", 700), ("b1", 40)):
            row = of_runs(melts, made)[run_id]
            assert sum(row[f"n_{part}"] for part in parts) == n_frames


@pytest.mark.parametrize("split", ["blocks", "random"])
def test_the_relaxation_is_never_tested_on(melts, settings, split) -> None:
    melts.add("a1", AL, remembering(melts, 1000, memory_fs=50.0))
    kept = materialize(settings, TrainingSetRequest(split=split))
    rows = melts.lake.rows("training_set_frames", key=kept["training_set_id"]).to_pylist()
    first = of_runs(melts, kept)["a1"]["equilibrated_from_fs"]
    assert first >= 1000.0
    assert min(10.0 * row["frame"] for row in rows if row["split"] == "test") >= first
    dropped = materialize(settings, TrainingSetRequest(split=split, relaxation="drop"))
    assert kept["n_relaxation"] == 0 < dropped["n_relaxation"] == first / 10.0


def test_the_relaxation_ends_where_the_gate_says(melts, settings) -> None:
    melts.add("a1", AL, remembering(melts, 1000, memory_fs=50.0), equilibrated_from_fs=4000.0)
    made = materialize(settings, TrainingSetRequest(relaxation="drop"))
    assert made["n_relaxation"] == 400
    assert of_runs(melts, made)["a1"]["equilibrated_from_fs"] == 4000.0


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference set is not beside the repository")
def test_at_an_older_version_the_relaxation_is_told_from_its_own_frames(settings) -> None:
    [run] = ingest(settings, [str(REFERENCE / "h2o-md10" / "OUTCAR")])["runs"]
    lake = Lake(settings.lake)
    [row] = lake.rows("runs").to_pylist()
    pinned = lake.version("frames")
    made = materialize(settings, TrainingSetRequest())
    lake.replace("runs", run["run_id"], [row | {"equilibrated_from_fs": None}])
    computed = materialize(settings, TrainingSetRequest(test_fraction=0.3))
    told = [
        lake.rows("training_set_runs", key=of["training_set_id"])["equilibrated_from_fs"] for of in (made, computed)
    ]
    assert told[0].to_pylist() == told[1].to_pylist() == [row["equilibrated_from_fs"]]
    assert made["lake_version"] == pinned


def test_hdf5_holds_the_numbers_of_npy(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 40))
    melts.add("b1", CU, melts.frames(CU, 40, seed=2))
    folders, files = (Path(materialize(settings, TrainingSetRequest(format=of))["path"]) for of in ("npy", "hdf5"))
    pairs = list(zip(deepmd_systems(folders / "train"), deepmd_systems(files / "train"), strict=True))
    assert len(pairs) == 2
    for folder, group in pairs:
        one, other = read_deepmd_system(folder), read_deepmd_system(group)
        assert (one.types.tolist(), one.type_map) == (other.types.tolist(), other.type_map)
        for name in ("positions_angstrom", "forces_ev_per_angstrom", "energy_ev", "cell_angstrom", "virial_ev"):
            assert np.array_equal(getattr(one.frames, name), getattr(other.frames, name))


def test_compositions_are_drawn_alike_however_many_frames_and_runs_they_have(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 40))
    melts.add("a2", AL, melts.frames(AL, 10, seed=4))
    melts.add("b1", CU, melts.frames(CU, 20, seed=2))
    made = materialize(settings, TrainingSetRequest(balance="compositions"))
    systems = deepmd_systems(Path(made["path"]) / "train")
    al_long, al_short, cu = equal_compositions(systems)
    assert al_long + al_short == pytest.approx(0.5) == cu
    n_frames = [read_deepmd_system(system).frames.n_frames for system in systems]
    assert al_long / al_short == pytest.approx(n_frames[0] / n_frames[1])
    assert made["training_set_id"] != materialize(settings, TrainingSetRequest())["training_set_id"]


def test_a_single_static_frame_trains_and_says_what_is_missing(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 1, step_fs=None))
    made = materialize(settings, TrainingSetRequest())
    assert (made["n_train"], made["n_test"], made["leakage"]) == (1, 0, None)
    assert ["The test part is empty" in made["notes"][0], made["notes"][1]] == [
        True,
        "The training part is a single frame.",
    ]


def test_a_composition_without_test_frames_is_named(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 40))
    melts.add("b1", CU, melts.frames(CU, 2, seed=2))
    assert "No frame to test on of Cu100." in materialize(settings, TrainingSetRequest())["notes"]


def test_a_run_without_time_cannot_be_thinned_and_says_so(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 20, step_fs=None))
    made = materialize(settings, TrainingSetRequest(every_fs=10.0))
    assert made["n_thinned"] == 0
    assert "cannot be thinned" in made["notes"][-1]


def test_a_wish_that_leaves_no_test_frame_is_refused(melts, settings) -> None:
    melts.add("a1", AL, melts.frames(AL, 40))
    with pytest.raises(MeltlakeError, match=r"--every-fs 3500 leaves 2 frames to train on and none to test on"):
        materialize(settings, TrainingSetRequest(every_fs=3500.0))


@pytest.mark.parametrize(("typed", "meant"), [("Al52Cu48", "Al50Cu50"), ("Al98Cu2", "Al100")])
def test_a_composition_that_is_nearly_there_is_named(three_melts, settings, typed, meant) -> None:
    with pytest.raises(MeltlakeError, match=f"no AIMD run of composition {typed}") as caught:
        materialize(settings, TrainingSetRequest(compositions=(typed,)))
    assert caught.value.remedy.startswith(f"Did you mean {meant}?")


def test_elements_that_no_run_has_are_told(three_melts, settings) -> None:
    with pytest.raises(MeltlakeError, match=r"no AIMD run of elements in Al-Zr-Fe|elements in Zr") as caught:
        materialize(settings, TrainingSetRequest(chemical_system="Zr"))
    assert "Al, Al-Cu, Cu" in caught.value.remedy


@pytest.mark.parametrize("wrong", [{"gap_fs": 0.0}, {"every_fs": -1.0}, {"every_fs": float("inf")}])
def test_times_that_make_no_sense_are_told(wrong) -> None:
    with pytest.raises(MeltlakeError, match="must be more than 0 fs"):
        TrainingSetRequest(**wrong)


def test_a_write_that_fails_on_the_way_leaves_nothing_half_written(melts, settings, tmp_path) -> None:
    melts.add("a1", {"Al": 400}, melts.frames({"Al": 400}, 200))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = f"ulimit -f 1000; exec {sys.executable} -m operators.cli materialize --lake {settings.lake}"  # 1 MB a file
    done = subprocess.run(
        ["bash", "-c", words], check=False, capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert (done.returncode, "File too large" in done.stderr) == (75, True)
    assert [path for path in (Path(settings.lake) / "artifacts" / "training_sets").iterdir() if path.is_dir()] == []
    assert not melts.lake.rows("training_sets").num_rows


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=2m none {disk} && mkdir -p {disk}/lake && mount --bind {disk}/lake {artifacts} || exit 99
{python} -m operators.cli materialize --lake {lake} --format {format}
echo "exit $?"; ls -A {artifacts}/training_sets | grep -v lock; df --output=used {disk} | tail -1
"""


@pytest.mark.parametrize("format_", ["npy", "hdf5"])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(melts, settings, tmp_path, format_) -> None:
    frames = melts.frames({"Al": 400}, 200)
    melts.add("a1", {"Al": 400}, frames)  # 4 MB of positions and forces
    disk, artifacts = tmp_path / "disk", Path(settings.lake) / "artifacts"
    for folder in (disk, artifacts):
        folder.mkdir()
    words = {"disk": disk, "artifacts": artifacts, "python": sys.executable, "lake": settings.lake, "format": format_}
    namespaces = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespaces, "true"], check=False).returncode:
        pytest.skip("no disk of its own can be mounted here")
    command = [*namespaces, "sh", "-c", ON_A_SMALL_DISK.format(**words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)
    if done.returncode == 99:
        pytest.skip("no disk of its own can be mounted here")
    assert done.stdout.split()[:2] == ["exit", "75"], done.stderr
    assert "needs 5 MB" in done.stderr
    assert done.stdout.split()[2:] == ["0"]
    assert not melts.lake.rows("training_sets").num_rows
    assert materialize(settings, TrainingSetRequest(format=format_))["n_train"] > 0


COMMANDS = [
    line for line in (ROOT / "docs" / "training-sets.md").read_text().splitlines() if line.startswith("meltlake ")
]


def test_the_commands_of_the_documentation_run(three_melts, settings) -> None:
    assert sum(command.startswith("meltlake materialize") for command in COMMANDS) > 5
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([*shlex.split(command)[1:], "--lake", settings.lake])
        assert ended.value.code == 0, command
