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
    named = [[Path(uri).name for uri in source.files] for source in run_sources(str(folder))]
    assert named == [["vasprun.xml", "OUTCAR"], ["OUTCAR.bak"]]


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
