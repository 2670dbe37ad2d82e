"""A file that VASP is still writing: however often it is looked at, the lake ends up as after one look at the whole."""

import gzip
import shutil
from pathlib import Path

import pytest

from lake.delta import Lake
from lake.known_runs import resumption_of
from lake.readers import open_run
from operators.ingest import ingest
from operators.runs.reading import read_run
from schemas.errors import TryAgainLater
from schemas.settings import Settings

REFERENCE = Path(__file__).parents[1] / "../shared/vasp-reference"
FILES = ("h2o-md10/OUTCAR", "h2o-md10/vasprun.xml", "xdatcar-v6-varcell/XDATCAR")
TABLES = ("frames", "runs", "expectation_results", "raw_files", "cross_checks")

pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="the reference set is not beside the repository")


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


@pytest.fixture
def file(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw" / "output"


def logical(settings):
    """Every row of every table, but for the moment at which it was written."""
    lake = Lake(settings.lake)
    rows = {name: lake.rows(name).to_pylist() for name in TABLES}
    for row in rows["runs"]:
        row.pop("ingested_at")
    return {name: sorted(map(repr, of_table)) for name, of_table in rows.items()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_at_every_percent_gives_the_lake_of_the_whole_file(settings, file, tmp_path, name):
    content = (REFERENCE / name).read_bytes()
    for percent in range(1, 101):
        file.write_bytes(content[: len(content) * percent // 100])
        ingest(settings, [str(file)])
    at_once = Settings.from_mapping({}, lake=str(tmp_path / "at-once"))
    ingest(at_once, [str(file)])
    assert logical(settings) == logical(at_once)


def test_only_what_is_new_is_parsed(settings, file):
    content = (REFERENCE / FILES[0]).read_bytes()
    file.write_bytes(content[: len(content) // 2])
    [first] = ingest(settings, [str(file)])["runs"]
    file.write_bytes(content)
    resumption = resumption_of(Lake(settings.lake), str(file))
    with open_run(file, bookmark=resumption.bookmark) as reader:
        n_parsed = sum(batch.n_frames for batch in reader.batches())
    assert resumption.bookmark.n_frames >= first["n_frames"] - 1 > 0
    assert n_parsed == 10 - resumption.bookmark.n_frames


def test_rows_that_are_there_are_not_written_again(settings, file):
    content = (REFERENCE / FILES[0]).read_bytes()
    cuts = [content.index(b"Iteration %4d(   2)" % step) for step in (4, 7)]
    for cut in cuts:
        file.write_bytes(content[:cut])
        ingest(settings, [str(file)])
    lake = Lake(settings.lake)
    assert [lake.n_rows("frames", version=version) for version in (1, 2)] == [3, 6]
    assert set(lake.files("frames", version=1)) < set(lake.files("frames", version=2))


@pytest.mark.parametrize("changed_at", [200, 40_000])
def test_a_file_that_was_replaced_is_read_from_its_beginning(settings, file, changed_at):
    content = (REFERENCE / FILES[0]).read_bytes()
    file.write_bytes(content[: len(content) // 2])
    ingest(settings, [str(file)])
    other = content[:changed_at] + content[changed_at:].replace(b"   -0.0", b"   -0.1", 40)
    file.write_bytes(other)
    ingest(settings, [str(file)])
    with open_run(file) as reader:
        whole = [energy for batch in reader.batches() for energy in batch.energy_ev.tolist()]
    runs = Lake(settings.lake).rows("runs").to_pylist()
    assert max(row["n_frames"] for row in runs) == len(whole) == 10


def test_a_calculation_that_was_overwritten_is_told(settings, file):
    shutil.copy(REFERENCE / FILES[0], file)
    [first] = ingest(settings, [str(file)])["runs"]
    shutil.copy(REFERENCE / "h2o-nelm2/OUTCAR", file)
    [second] = ingest(settings, [str(file)])["runs"]
    assert (first["reason"], second["run_id"] == first["run_id"]) == (None, False)
    assert "another calculation was written over" in second["reason"]
    assert first["run_id"] in second["reason"]


def test_a_file_that_shrank_loses_no_frame(settings, file):
    content = (REFERENCE / FILES[0]).read_bytes()
    file.write_bytes(content)
    ingest(settings, [str(file)])
    file.write_bytes(content[: len(content) // 3])
    [entry] = ingest(settings, [str(file)])["runs"]
    assert (entry["n_frames"], entry["n_new"], entry["changed"]) == (10, 0, False)
    assert "has shrunk: it holds 1 of the 10 frames" in entry["reason"]
    file.write_bytes(b"")
    [refused] = ingest(settings, [str(file)])["runs"]
    assert refused["reason"].endswith(f"What it told of before stays: run {entry['run_id']}.")


def test_a_growing_file_that_was_compressed_in_between_is_the_same_run(settings, file):
    content = (REFERENCE / FILES[0]).read_bytes()
    file.write_bytes(content[: len(content) // 2])
    [first] = ingest(settings, [str(file)])["runs"]
    file.write_bytes(gzip.compress(content))
    [second] = ingest(settings, [str(file)])["runs"]
    assert (second["run_id"], second["n_frames"]) == (first["run_id"], 10)


def test_a_frame_without_a_follower_is_stored_and_completed_later(settings, file):
    content = (REFERENCE / FILES[0]).read_bytes()
    end_of_energy = content.index(b"EKIN_LAT", content.index(b"Iteration    3(   1)"))
    file.write_bytes(content[: end_of_energy - 40])
    ingest(settings, [str(file)])
    before = Lake(settings.lake).rows("frames", columns=["temperature_k"])["temperature_k"].to_pylist()
    file.write_bytes(content)
    ingest(settings, [str(file)])
    after = Lake(settings.lake).rows("frames", columns=["temperature_k"])["temperature_k"].to_pylist()
    assert (len(before), before[2], after[:2]) == (3, None, before[:2])
    assert after[2] is not None


def test_a_run_directory_that_grows_is_one_run_and_is_checked_against_itself(settings, tmp_path):
    folder = tmp_path / "run"
    for share in (0.4, 0.8, 1.0):
        for name in ("OUTCAR", "vasprun.xml"):
            content = (REFERENCE / "h2o-md10" / name).read_bytes()
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(content[: int(len(content) * share)])
        runs = ingest(settings, [str(folder)])["runs"]
    assert [entry["n_frames"] for entry in runs] == [10]
    [check] = Lake(settings.lake).rows("cross_checks").to_pylist()
    assert (check["verdict"], check["n_compared"]) == ("agrees", 10)
    assert check["max_energy_difference_ev"] < 1e-6
    shutil.rmtree(folder)


def test_an_extxyz_that_grows_by_other_atoms_keeps_its_first_run(settings, file):
    def frames(symbol):
        rows = "".join(f"{symbol} {2.5 * i} 0.1 0.2 0.0 0.1 -0.1\n" for i in range(2))
        head = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 energy='
        return "".join(f"2\n{head}{-5.0 - step}\n{rows}" for step in range(3))

    file.write_text(frames("Al"))
    [first] = ingest(settings, [str(file)])["runs"]
    file.write_text(frames("Al") + frames("Cu"))
    runs = ingest(settings, [str(file)])["runs"]
    assert [entry["n_frames"] for entry in runs] == [3, 3]
    assert runs[0]["run_id"] == first["run_id"]
    assert Lake(settings.lake).n_rows("frames") == 6


def test_a_file_that_is_overwritten_while_it_is_read_is_not_stored(settings, file):
    content = (REFERENCE / FILES[0]).read_bytes()
    file.write_bytes(content)

    def restart_vasp(_n_frames, _n_bytes):
        file.write_bytes(content.replace(b"executed on", b"executed at", 1))

    lake = Lake(settings.lake)
    with (
        pytest.raises(TryAgainLater, match="began to write this file"),
        read_run(lake, str(file), progress=restart_vasp),
    ):
        pass
    assert lake.n_rows("frames") == 0
