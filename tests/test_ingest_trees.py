"""A tree is ingested as far as it can be read: what cannot is one entry with a sentence, and the rest goes on."""

import gzip
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lake.delta import Lake
from lake.gate import RuleGate
from lake.known_runs import READER_VERSION
from lake.sources import run_sources
from operators.ingest import ingest
from schemas.errors import MeltlakeError
from schemas.settings import Settings

OUTCAR = Path(__file__).parent / "stored" / "lake-version-1-OUTCAR.gz"
N_FRAMES = 6
NOBODY = 65534


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


@pytest.fixture
def tree(tmp_path):
    """A tree of one good run."""
    put(tmp_path / "tree" / "good")
    return tmp_path / "tree"


@pytest.fixture
def as_somebody():
    """A folder for everybody, and nobody's rights: root may read everything."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    RuleGate().load()  # the gate's library, while we may still read it
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    yield folder
    if is_root:
        os.seteuid(0)
    shutil.rmtree(folder)


def put(folder):
    folder.mkdir(parents=True)
    shutil.copy(OUTCAR, folder / "OUTCAR.gz")


def told(settings, source):
    """Entries of what was refused and of what was stored."""
    runs = ingest(settings, [str(source)])["runs"]
    return [entry for entry in runs if entry["reason"]], [entry for entry in runs if not entry["reason"]]


def test_a_folder_that_may_not_be_listed_is_one_entry(as_somebody):
    put(as_somebody / "a")
    put(as_somebody / "b" / "below")
    put(as_somebody / "c")
    (as_somebody / "b").chmod(0)
    found = run_sources(as_somebody)
    (as_somebody / "b").chmod(0o700)
    assert [Path(run.uri).parent.name for run in found] == ["a", as_somebody.name, "c"]
    assert [run.problem for run in found] == [
        "",
        f"{as_somebody}/b: the folder cannot be listed (Permission denied).",
        "",
    ]


def test_the_rest_of_a_tree_with_an_unreadable_folder_is_stored(as_somebody):
    put(as_somebody / "tree" / "a")
    put(as_somebody / "tree" / "b")
    (as_somebody / "tree" / "a").chmod(0)
    settings = Settings.from_mapping({}, lake=str(as_somebody / "lake"))
    [refused], [stored] = told(settings, as_somebody / "tree")
    (as_somebody / "tree" / "a").chmod(0o700)
    assert ("cannot be listed" in refused["reason"], stored["n_frames"]) == (True, N_FRAMES)
    again, runs = told(settings, as_somebody / "tree")
    assert (again, len(runs)) == ([], 2)
    assert Lake(settings.lake).rows("task_failures").num_rows == 0


def test_an_unreadable_file_of_a_run_is_told_beside_the_others(as_somebody):
    put(as_somebody / "run")
    (as_somebody / "run" / "vasprun.xml").write_text("secret")
    (as_somebody / "run" / "vasprun.xml").chmod(0)
    settings = Settings.from_mapping({}, lake=str(as_somebody / "lake"))
    for _ in range(2):
        refused, [stored] = told(settings, as_somebody / "run")
        assert (refused, stored["n_frames"]) == ([], N_FRAMES)
    assert "Permission denied" in " ".join(stored["notes"])


def test_a_link_to_nothing_is_one_entry(settings, tree):
    (tree / "moved").mkdir()
    (tree / "moved" / "OUTCAR").symlink_to(tree / "nowhere")
    [refused], [stored] = told(settings, tree)
    assert refused["source"] == f"{tree}/moved/OUTCAR"
    assert refused["reason"] == "it cannot be read (No such file or directory)."
    assert stored["n_frames"] == N_FRAMES


def test_a_link_to_nothing_beside_a_run_is_told_with_it(settings, tree):
    (tree / "good" / "vasprun.xml").symlink_to(tree / "nowhere")
    refused, [stored] = told(settings, tree)
    assert (refused, stored["n_frames"]) == ([], N_FRAMES)
    assert "vasprun.xml: it cannot be read" in " ".join(stored["notes"])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_what_is_no_file_is_one_entry_and_not_waited_for(settings, tree, kind, monkeypatch):
    (tree / "odd").mkdir()
    monkeypatch.chdir(tree / "odd")  # a socket's path must be short
    if kind == "pipe":
        os.mkfifo("OUTCAR")
    else:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("OUTCAR")
    [refused], [stored] = told(settings, tree)
    assert "a pipe, a socket or a device" in refused["reason"]
    assert stored["n_frames"] == N_FRAMES


def test_a_name_in_another_encoding_is_one_entry_and_the_rest_is_stored(settings, tree):
    put(Path(os.fsdecode(os.fsencode(tree) + b"/L\xf6sung")))
    (Path(os.fsdecode(os.fsencode(tree) + b"/good/OUTCAR.\xe4lter"))).write_bytes(b"")
    (Path(os.fsdecode(os.fsencode(tree) + b"/good/\xdcber.txt"))).write_bytes(b"")
    refused, stored = told(settings, tree)
    assert [entry["source"] for entry in refused] == [f"{tree}/good/OUTCAR.\\xe4lter", f"{tree}/L\\xf6sung"]
    assert all("needed a name in UTF-8" in entry["reason"] for entry in refused)
    assert [entry["n_frames"] for entry in stored] == [N_FRAMES]
    refused, stored = told(settings, os.fsdecode(os.fsencode(tree) + b"/L\xf6sung"))
    assert (len(refused), stored) == (1, [])


def test_links_in_a_circle_are_not_followed(settings, tree):
    (tree / "good" / "up").symlink_to(tree)
    (tree / "good" / "OUTCAR.1").symlink_to(tree / "good" / "OUTCAR.1")
    [refused], [stored] = told(settings, tree)
    assert "symbolic links" in refused["reason"]
    assert stored["n_frames"] == N_FRAMES


def test_a_tree_of_nothing_is_refused(tree):
    (tree / "good" / "OUTCAR.gz").unlink()
    with pytest.raises(MeltlakeError, match="found none below"):
        run_sources(tree)


def test_files_of_other_names_and_links_are_counted_and_companions_of_vasp_are_not(settings, tree):
    for name in ("INCAR", "POTCAR.gz", "CONTCAR_old", "CHGCAR", "ML_FFN", "READY", ".hidden"):
        (tree / "good" / name).touch()
    assert "ignored" not in ingest(settings, [str(tree)])
    for name in ("al-1000K.out", "job.sh"):
        (tree / "good" / name).touch()
    (tree / "linked").symlink_to(tree / "good")
    with capture_logs() as lines:
        answer = ingest(settings, [str(tree)])
    names = [str(tree / name) for name in ("linked", "good/al-1000K.out", "good/job.sh")]
    assert answer["ignored"] == {"n_files": 3, "first": names}
    assert [line["log_level"] for line in lines if "al-1000K.out" in str(line)] == ["warning"]


def test_a_folder_without_outputs_says_what_lies_there(tmp_path):
    (tmp_path / "al-1000K.out").touch()
    with pytest.raises(MeltlakeError, match=r"found none below this folder; there are al-1000K\.out\."):
        run_sources(tmp_path)


def test_a_path_that_is_not_there_is_no_failure_to_be_remembered(settings, tree):
    [refused], stored = told(settings, tree / "no-such-run")
    assert (stored, "found nothing" in refused["reason"]) == ([], True)
    assert Lake(settings.lake).rows("task_failures").num_rows == 0


@pytest.mark.parametrize(("landing", "n_remembered"), [("tree", 1), ("elsewhere", 0)])
def test_a_folder_without_outputs_is_remembered_where_it_landed(tmp_path, tree, landing, n_remembered):
    (tree / "notes").mkdir()
    made = Settings.from_mapping({}, lake=str(tmp_path / "lake"), landing=str(tmp_path / landing))
    [refused], _ = told(made, tree / "notes")
    assert (refused["exit_code"], Lake(made.lake).rows("task_failures").num_rows) == (65, n_remembered)


def test_a_copy_of_a_run_that_version_1_stored_is_that_run(tmp_path):
    lake = shutil.copytree(OUTCAR.parent / "lake-version-1", tmp_path / "lake")
    settings = Settings.from_mapping({}, lake=str(lake))
    [before] = Lake(settings.lake).keys("runs")
    content = gzip.decompress(OUTCAR.read_bytes())
    half, most = content[: len(content) // 2], content[: len(content) * 3 // 4]
    for name, text in (("half", half), ("copy", content), ("copy of it", content), ("most", most)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "OUTCAR").write_bytes(text)
        _, [stored] = told(settings, tmp_path / name)
        assert stored["run_id"] == before
    [row] = Lake(settings.lake).rows("runs").to_pylist()
    assert (row["reader_version"], row["n_frames"], Lake(settings.lake).n_rows("frames")) == (
        READER_VERSION,
        N_FRAMES,
        N_FRAMES,
    )


def test_another_run_of_the_same_atoms_is_not_that_of_version_1(tmp_path):
    lake = shutil.copytree(OUTCAR.parent / "lake-version-1", tmp_path / "lake")
    settings = Settings.from_mapping({}, lake=str(lake))
    content = gzip.decompress(OUTCAR.read_bytes()).replace(b"TOTEN  =      -11", b"TOTEN  =      -12")
    (tmp_path / "OUTCAR").write_bytes(content)
    _, [stored] = told(settings, tmp_path / "OUTCAR")
    assert sorted(Lake(settings.lake).keys("runs")) == sorted([stored["run_id"], "0bdecf9d0fd8"])
