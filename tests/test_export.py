"""Frames for other tools: chosen by SQL, and the same numbers, bit for bit, wherever they go."""

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import ase.units
import dpdata
import numpy as np
import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.readers.extxyz import ExtxyzReader
from operators.export import export
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import FRAMES

ROOT = Path(__file__).parents[1]
NUMBERS = [13, 28, 28, 13]
N_ATOMS = len(NUMBERS)
CELL = np.array([[7.0, 0.1, 0.0], [0.3, 8.1, 0.2], [0.0, -0.4, 9.2]])
RUNS = {"aaaaaaaaaaaa": "dft", "123456789012": "dft", "0000000001e5": "none"}
"""Two names of runs that look like numbers; the frames of the last have no labels."""
N_FRAMES = 5


def frame_row(rng, number, *, source):
    labelled = source == "dft"
    virial = rng.normal(size=(3, 3))
    return {
        "frame": number,
        "ionic_step": number + 1,
        "time_fs": 1.5 * number,
        "n_atoms": N_ATOMS,
        "atomic_numbers": NUMBERS,
        "cell_angstrom": (CELL * (1 + number / 7)).reshape(-1).tolist(),
        "positions_angstrom": rng.normal(size=3 * N_ATOMS).tolist(),
        "velocities_angstrom_per_fs": rng.normal(scale=1e-3, size=3 * N_ATOMS).tolist() if number % 2 else None,
        "magnetic_moments_mu_b": rng.normal(size=N_ATOMS).tolist() if number < 3 else None,
        "forces_ev_per_angstrom": rng.normal(size=3 * N_ATOMS).tolist() if labelled else None,
        "energy_ev": rng.normal() - 2e3 if labelled else None,
        "energy_sigma0_ev": rng.normal() - 2e3 if labelled else None,
        "virial_ev": (virial + virial.T).reshape(-1).tolist() if labelled else None,
        "temperature_k": 1500 + rng.normal(),
        "label_source": source,
        "accepted": labelled and number != 2,
        "rejection_reasons": [] if number != 2 else ["scf_converged"],
        "flags": ["volume_jump"] if number == 4 else [],
    }


def store(lake, run_id, rows):
    batches = pa.Table.from_pylist(rows, schema=FRAMES.file_schema).to_batches()
    lake.replace_batches("frames", {"composition": "Al50Ni50", "run_id": run_id}, batches)
    theory = 'functional=PE ENCUT=300 k-points="gamma \\ 1"'
    about = {"composition": "Al50Ni50", "formula": "Al2Ni2", "n_atoms": N_ATOMS, "synthetic": True}
    lake.replace("runs", run_id, [{"run_id": run_id, "n_frames": len(rows), "level_of_theory": theory, **about}])


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = Settings.from_mapping({}, lake=str(tmp_path_factory.mktemp("home") / "lake"))
    rng = np.random.default_rng(7)
    for run_id, source in RUNS.items():
        store(Lake(settings.lake), run_id, [frame_row(rng, number, source=source) for number in range(N_FRAMES)])
    return settings


def stored(settings, where=bool):
    rows = Lake(settings.lake).rows("frames").to_pylist()
    return sorted(filter(where, rows), key=lambda row: (row["run_id"], row["frame"]))


def array(row, name):
    return np.reshape(row[name], (N_ATOMS, -1))


def same(found, expected):
    return np.asarray(found, dtype=np.float64).tobytes() == np.asarray(expected, dtype=np.float64).tobytes()


@pytest.mark.parametrize(("format_", "name"), [("extxyz", "all.extxyz"), ("ase", "all.traj")])
def test_ase_reads_the_very_numbers_of_the_lake(settings, tmp_path, format_, name):
    answer = export(settings, str(tmp_path / name), format_=format_, where="true")
    frames, rows = ase.io.read(tmp_path / name, ":"), stored(settings)
    assert answer["n_frames"] == len(frames) == len(rows) == 3 * N_FRAMES
    for atoms, row in zip(frames, rows, strict=True):
        assert atoms.numbers.tolist() == NUMBERS
        assert same(atoms.positions, array(row, "positions_angstrom"))
        assert same(atoms.cell[:], np.reshape(row["cell_angstrom"], (3, 3)))
        assert (atoms.info["run_id"], atoms.info["frame"]) == (row["run_id"], row["frame"])
        assert (atoms.info["accepted"], atoms.info["time_fs"]) == (row["accepted"], row["time_fs"])
        assert atoms.info["level_of_theory"] == 'functional=PE ENCUT=300 k-points="gamma \\ 1"'


def test_our_own_reader_reads_the_very_numbers_of_the_lake(settings, tmp_path):
    export(settings, str(tmp_path / "a.extxyz"), format_="extxyz", where="run_id = 'aaaaaaaaaaaa'")
    with ExtxyzReader(tmp_path / "a.extxyz") as reader:
        read = [(batch, number) for batch in reader.batches() for number in range(batch.n_frames)]
    rows = stored(settings, lambda row: row["run_id"] == "aaaaaaaaaaaa")
    assert reader.header.atomic_numbers.tolist() == NUMBERS
    for (batch, number), row in zip(read, rows, strict=True):
        for name in ("positions_angstrom", "forces_ev_per_angstrom", "cell_angstrom", "virial_ev"):
            assert same(getattr(batch, name)[number].reshape(-1), row[name])
        for name in ("energy_ev", "energy_sigma0_ev", "temperature_k", "ionic_step"):
            assert getattr(batch, name)[number] == row[name]
        for name in ("velocities_angstrom_per_fs", "magnetic_moments_mu_b"):
            found = getattr(batch, name)
            assert (found is None) == (row[name] is None)
            assert found is None or same(found[number].reshape(-1), row[name])


@pytest.mark.parametrize(("format_", "name"), [("extxyz", "labelled.extxyz"), ("ase", "labelled.traj")])
def test_labels_are_ases_results(settings, tmp_path, format_, name):
    export(settings, str(tmp_path / name), format_=format_, where="label_source = 'dft'")
    frames, rows = ase.io.read(tmp_path / name, ":"), stored(settings, lambda row: row["label_source"] == "dft")
    for atoms, row in zip(frames, rows, strict=True):
        assert same(atoms.get_forces(), array(row, "forces_ev_per_angstrom"))
        assert atoms.get_potential_energy() == row["energy_ev"]
        assert atoms.get_potential_energy(force_consistent=True) == row["energy_ev"]
        assert atoms.info["energy_sigma0"] == row["energy_sigma0_ev"]
        virial = np.reshape(row["virial_ev"], (3, 3))
        assert np.allclose(atoms.get_stress(voigt=False) * atoms.get_volume(), -virial, rtol=1e-14, atol=0)
        assert same(np.reshape(atoms.info["virial"], (3, 3)), virial)
        assert ("magmoms" in atoms.calc.results) == (row["frame"] < 3)


def test_velocities_go_along_where_the_file_had_them(settings, tmp_path):
    export(settings, str(tmp_path / "all.extxyz"), format_="extxyz")
    export(settings, str(tmp_path / "all.traj"), format_="ase")
    rows = stored(settings, lambda row: row["accepted"])
    texts, binary = ase.io.read(tmp_path / "all.extxyz", ":"), ase.io.read(tmp_path / "all.traj", ":")
    for text, atoms, row in zip(texts, binary, rows, strict=True):
        assert text.has("velo") == atoms.has("momenta") == (row["frame"] % 2 == 1)
        if row["frame"] % 2:
            velocities = array(row, "velocities_angstrom_per_fs")
            assert same(text.arrays["velo"], velocities)
            assert np.allclose(atoms.get_velocities() * ase.units.fs, velocities, rtol=1e-13, atol=0)


def test_dpdata_reads_the_very_numbers_of_the_lake(settings, tmp_path):
    answer = export(settings, str(tmp_path / "set"), format_="deepmd", where="true")
    assert (answer["n_frames"], answer["n_left_out"], answer["left_out"]) == (10, 5, {"label": 5})
    for run_id in ("aaaaaaaaaaaa", "123456789012"):
        read = dpdata.LabeledSystem(str(tmp_path / "set" / f"Al2Ni2.{run_id}"), fmt="deepmd/npy")
        rows = stored(settings, lambda row, run_id=run_id: row["run_id"] == run_id)
        assert [read["atom_names"][kind] for kind in read["atom_types"]] == ["Al", "Ni", "Ni", "Al"]
        assert same(read["energies"], [row["energy_ev"] for row in rows])
        assert same(read["coords"], [array(row, "positions_angstrom") for row in rows])
        assert same(read["forces"], [array(row, "forces_ev_per_angstrom") for row in rows])
        assert same(read["virials"], [np.reshape(row["virial_ev"], (3, 3)) for row in rows])


def test_a_deepmd_export_says_what_it_is(settings, tmp_path):
    answer = export(settings, str(tmp_path / "set"), format_="deepmd", where="run_id = 'aaaaaaaaaaaa'")
    card = json.loads((tmp_path / "set" / "export.json").read_text())
    assert card == {name: value for name, value in answer.items() if name != "path"}
    assert (card["type_map"], card["where"]) == (["Al", "Ni"], "run_id = 'aaaaaaaaaaaa'")


def test_frames_without_labels_are_no_deepmd_export(settings, tmp_path):
    with pytest.raises(MeltlakeError, match="None of the 5 chosen frames has an energy and forces"):
        export(settings, str(tmp_path / "set"), format_="deepmd", where="label_source = 'none'")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_lacks_one_virial_goes_without(settings, tmp_path):
    home = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    rows = [frame_row(np.random.default_rng(1), number, source="dft") for number in range(3)]
    rows[1]["virial_ev"] = None
    rows[2]["forces_ev_per_angstrom"][4] = float("nan")
    store(Lake(home.lake), "aaaaaaaaaaaa", rows)
    answer = export(home, str(tmp_path / "set"), format_="deepmd", where="true")
    assert (answer["n_frames"], answer["left_out"], answer["n_runs_without_virial"]) == (2, {"finite forces": 1}, 1)
    assert not (tmp_path / "set/Al2Ni2.aaaaaaaaaaaa/set.000/virial.npy").exists()


@pytest.mark.parametrize(
    ("where", "n_frames"),
    [
        ("accepted", 8),
        ("true", 15),
        ("not accepted and label_source = 'dft'", 2),
        ("list_contains(flags, 'volume_jump')", 3),
        ("run_id like 'a%' and FRAME >= 3", 2),
        ("energy_ev > (select avg(energy_ev) from frames where label_source = 'dft')", None),
        ("synthetic and formula = 'Al2Ni2' and temperature_k > 0 -- all", 15),
    ],
)
def test_a_condition_names_columns_of_runs_and_frames(settings, tmp_path, where, n_frames):
    answer = export(settings, str(tmp_path / "some.extxyz"), format_="extxyz", where=where)
    if n_frames is None:
        energies = [row["energy_ev"] for row in stored(settings, lambda row: row["label_source"] == "dft")]
        n_frames = int(np.sum(np.array(energies) > np.mean(energies)))
    assert answer["n_frames"] == n_frames


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("energi_ev < 0", "energy_ev"),
        ("accepted; drop table runs", "Parser Error"),
        ("true) union (select 1", "Parser Error"),
        ("", "Parser Error"),
        ("frame in (select 1 from read_csv('/etc/passwd'))", "disabled by configuration"),
        ("frame in (select * from '/etc/passwd')", "disabled by configuration|does not exist"),
        ("positions_angstrom[1] > 0", "not found"),
        ("frame > 1000", "No frame of the lake meets"),
    ],
)
def test_a_condition_that_is_none_is_told_in_duckdbs_words(settings, tmp_path, where, told):
    with pytest.raises(MeltlakeError, match=told):
        export(settings, str(tmp_path / "none.extxyz"), format_="extxyz", where=where)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("format_", "name"), [("extxyz", "out.extxyz"), ("deepmd", "out"), ("ase", "out.traj")])
def test_what_is_there_is_overwritten_only_when_that_is_said(settings, tmp_path, format_, name):
    export(settings, str(tmp_path / name), format_=format_)
    with pytest.raises(MeltlakeError, match="exists"):
        export(settings, str(tmp_path / name), format_=format_)
    answer = export(settings, str(tmp_path / name), format_=format_, where="accepted and frame = 0", overwrite=True)
    assert answer["n_frames"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_no_export_is_never_replaced(settings, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(MeltlakeError, match="needed a folder of an earlier export"):
        export(settings, str(tmp_path / "thesis"), format_="deepmd", overwrite=True)
    with pytest.raises(MeltlakeError, match="found a folder"):
        export(settings, str(tmp_path / "thesis"), format_="extxyz", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_killed_export_leaves_nothing_under_the_name_and_is_swept(settings, tmp_path):
    left = tmp_path / ".out.extxyz.0123.unfinished"
    left.write_text("half a frame")
    export(settings, str(tmp_path / "out.extxyz"), format_="extxyz")
    assert [path.name for path in tmp_path.iterdir()] == ["out.extxyz"]


def test_the_command_prints_one_object(settings, tmp_path):
    words = ["export", "--format", "extxyz", str(tmp_path / "a.extxyz"), "--json", "--lake", settings.lake]
    command = [sys.executable, "-m", "operators.cli", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    answer = json.loads(done.stdout)
    assert (answer["n_frames"], answer["where"], answer["n_runs"]) == (8, "accepted", 2)
    assert (answer["synthetic"], len(answer["levels_of_theory"])) == (True, 1)
