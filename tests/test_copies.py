"""Copies and backups of a run: the sound one is kept, and nothing is called safe that is not."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from lake.delta import Lake
from lake.known_runs import remember_file
from lake.sources import run_sources
from operators.ingest import ingest
from operators.raw_verify import raw_verify
from operators.toy_melt import ToyMeltRequest, generate
from schemas.settings import Settings

N_FRAMES, BAD = 6, 3
REFERENCE = Path(__file__).parents[1] / "../shared/vasp-reference"
needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="the reference set is not beside the repository")


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Text of a synthetic OUTCAR."""
    request = ToyMeltRequest(composition="Al50Cu50", n_atoms=16, n_frames=N_FRAMES, source_format="outcar")
    return (generate(tmp_path_factory.mktemp("raw") / "run", request) / "OUTCAR").read_text()


@pytest.fixture(scope="module")
def damaged(sound):
    """The same with asterisks for one force, and a line more."""
    at = [found.end() for found in re.finditer(r"TOTAL-FORCE.*\n.*\n", sound)][BAD]
    end = sound.index("\n", at)
    return sound[: end - 13] + "*" * 13 + sound[end:] + " one line more\n"


def put(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "OUTCAR").write_text(text)
    return str(folder / "OUTCAR")


def run_of(settings):
    [run] = Lake(settings.lake).rows("runs").to_pylist()
    return run


def test_a_backup_beside_the_files_of_a_run_does_not_part_them(tmp_path):
    request = ToyMeltRequest(composition="Al50Cu50", n_atoms=16, n_frames=4, source_format="both")
    folder = generate(tmp_path / "raw", request)
    shutil.copy(folder / "OUTCAR", folder / "OUTCAR.bak")
    [source] = run_sources(str(folder))
    assert [Path(uri).name for uri in source.files] == ["vasprun.xml", "OUTCAR"]
    assert [Path(uri).name for uri in source.backups] == ["OUTCAR.bak"]


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_damaged_copy_never_displaces_the_sound_one(settings, tmp_path, sound, damaged, order):
    for name in order:
        ingest(settings, [put(tmp_path / name, sound if name == "a" else damaged)])
    run = run_of(settings)
    assert (Path(run["source_uri"]).parent.name, run["n_frames"], run["n_rejected"]) == ("a", N_FRAMES, 0)


def test_a_file_that_was_moved_is_proven_where_it_lies_now(settings, tmp_path, sound):
    source = Path(put(tmp_path / "a", sound))
    ingest(settings, [str(source)])
    assert raw_verify(settings, run_of(settings)["run_id"])["complete"]
    source.rename(tmp_path / "moved")
    assert not raw_verify(settings, run_of(settings)["run_id"])["complete"]
    ingest(settings, [str(tmp_path / "moved")])
    answer = raw_verify(settings, run_of(settings)["run_id"])
    assert (answer["complete"], answer["problems"]) == (True, [])


def test_forces_that_only_another_copy_has_are_missing_in_the_lake(settings, tmp_path, sound, damaged):
    ingest(settings, [put(tmp_path / "a", damaged)])
    run_id = run_of(settings)["run_id"]
    digest = hashlib.sha256(sound.encode()).hexdigest()
    about = {"source_sha256": digest, "content_sha256": digest, "content_bytes": len(sound), "source_bytes": len(sound)}
    other = put(tmp_path / "b", sound)
    remember_file(Lake(settings.lake), other, runs=[run_id], about={"source_format": "outcar", **about})
    [verdict] = [one for one in raw_verify(settings, run_id)["files"] if one["path"] == other]
    assert (verdict["verdict"], verdict["missing_frames"]) == ("frames_missing", str(BAD))


def folder_of(tmp_path, **files):
    """A run directory with copies of reference files, by the names that they shall have."""
    folder = tmp_path / "job"
    folder.mkdir()
    for name, source in files.items():
        shutil.copy(REFERENCE / source, folder / name.replace("_", "."))
    return folder


@needs_reference
@pytest.mark.parametrize("first", ["folder", "OUTCAR.bak"])
def test_a_backup_in_another_format_is_the_same_calculation(settings, tmp_path, first):
    folder = folder_of(tmp_path, vasprun_xml="h2o-md10/vasprun.xml", OUTCAR_bak="h2o-md10/OUTCAR")
    if first != "folder":
        ingest(settings, [str(folder / first)])
    [entry] = ingest(settings, [str(folder)])["runs"]
    assert (entry["n_frames"], Path(entry["source"]).name, Lake(settings.lake).n_rows("frames")) == (
        10,
        "vasprun.xml",
        10,
    )
    [check] = Lake(settings.lake).rows("cross_checks").to_pylist()
    assert (Path(check["path"]).name, check["verdict"], check["n_compared"]) == ("OUTCAR.bak", "agrees", 10)
    [again] = ingest(settings, [str(folder)])["runs"]
    assert (again["run_id"], again["changed"]) == (entry["run_id"], False)


@needs_reference
def test_a_backup_of_another_calculation_is_a_run_of_its_own(settings, tmp_path):
    folder = folder_of(tmp_path, vasprun_xml="h2o-md10/vasprun.xml", OUTCAR_bak="h2o-nelm2/OUTCAR")
    runs = ingest(settings, [str(folder)])["runs"]
    assert [Path(run["source"]).name for run in runs] == ["vasprun.xml", "OUTCAR.bak"]
    assert Lake(settings.lake).n_rows("frames") == sum(run["n_frames"] for run in runs)
    assert Lake(settings.lake).rows("cross_checks").num_rows == 0
    assert [run["changed"] for run in ingest(settings, [str(folder)])["runs"]] == [False, False]


@needs_reference
def test_frames_come_from_the_backup_where_the_run_itself_was_cut(settings, tmp_path):
    folder = folder_of(tmp_path, OUTCAR_bak="h2o-md10/OUTCAR")
    whole = (REFERENCE / "h2o-md10/vasprun.xml").read_bytes()
    (folder / "vasprun.xml").write_bytes(whole[: len(whole) // 2])
    [entry] = ingest(settings, [str(folder)])["runs"]
    assert (entry["n_frames"], Path(entry["source"]).name) == (10, "OUTCAR.bak")


def test_two_calculations_that_begin_with_one_frame_are_two_runs(settings, tmp_path, sound):
    put(tmp_path / "job", sound)
    (tmp_path / "job" / "OUTCAR.old").write_text(with_other_energies(sound, 1))
    assert len(ingest(settings, [str(tmp_path / "job")])["runs"]) == 2
    assert Lake(settings.lake).n_rows("frames") == 2 * N_FRAMES


def with_other_energies(text, first):
    """The same run, but for the energies from one frame on."""
    for found in reversed(list(re.finditer(r"free  energy   TOTEN  = *(-?[\d.]+)", text))[first:]):
        text = text[: found.start(1)] + f"{float(found[1]) - 0.5:.8f}" + text[found.end(1) :]
    return text


def test_a_backup_that_parts_from_the_run_late_is_stored_too(settings, tmp_path, sound):
    put(tmp_path / "job", sound)
    (tmp_path / "job" / "OUTCAR.bak").write_text(with_other_energies(sound, N_FRAMES - 1))
    assert len(ingest(settings, [str(tmp_path / "job")])["runs"]) == 2
    assert Lake(settings.lake).n_rows("frames") == 2 * N_FRAMES
    runs = Lake(settings.lake).rows("runs").to_pylist()
    assert all(raw_verify(settings, run["run_id"])["complete"] for run in runs)


@needs_reference
@pytest.mark.parametrize("first", ["XDATCAR.1", "folder"])
def test_positions_of_another_calculation_never_displace_labelled_frames(settings, tmp_path, first):
    folder = folder_of(tmp_path, OUTCAR="h2o-md10/OUTCAR")
    shutil.copy(REFERENCE / "pt111-water-isif0/XDATCAR", folder / "XDATCAR.1")
    if first != "folder":
        ingest(settings, [str(folder / first)])
    ingest(settings, [str(folder)])
    runs = {Path(run["source_uri"]).name: run for run in Lake(settings.lake).rows("runs").to_pylist()}
    assert sorted(runs) == ["OUTCAR", "XDATCAR.1"]
    assert runs["OUTCAR"]["n_frames"] == 10
    assert Lake(settings.lake).n_rows("frames") == 10 + runs["XDATCAR.1"]["n_frames"]


def test_a_backup_that_cannot_be_read_is_told_until_it_can(settings, tmp_path, sound):
    job = tmp_path / "job"
    put(job, sound)
    (job / "OUTCAR.bak").write_text("")
    good, refused = ingest(settings, [str(job)])["runs"]
    again = ingest(settings, [str(job)])["runs"]
    assert [(one["run_id"], one["changed"]) for one in again] == [(good["run_id"], False), (None, False)]
    assert [row["subject"] for row in Lake(settings.lake).rows("task_failures").to_pylist()] == [refused["source"]]
    (job / "OUTCAR.bak").write_text(sound)
    ingest(settings, [str(job)])
    assert Lake(settings.lake).rows("task_failures").num_rows == 0
    assert Lake(settings.lake).n_rows("frames") == N_FRAMES


@needs_reference
def test_frames_that_only_a_compared_file_has_can_be_stored_as_told(settings, tmp_path):
    folder = folder_of(tmp_path, vasprun_xml="h2o-md10/vasprun.xml")
    (folder / "OUTCAR").write_text(with_other_energies((REFERENCE / "h2o-md10/OUTCAR").read_text(), 8))
    [entry] = ingest(settings, [str(folder)])["runs"]
    [problem] = raw_verify(settings, entry["run_id"])["problems"]
    assert problem["problem"].startswith(f"{folder / 'OUTCAR'}: 2 of 10 frames")
    assert "copy it into a folder of its own" in problem["remedy"]
    shutil.copytree(folder, tmp_path / "own", ignore=shutil.ignore_patterns("vasprun.xml"))
    ingest(settings, [str(tmp_path / "own")])
    assert raw_verify(settings, entry["run_id"])["complete"]
