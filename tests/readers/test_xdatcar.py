"""XDATCAR of every version: every configuration, the right cell, and a growing file read in pieces."""

import dataclasses
import gzip
import io
import json

import numpy as np
import pytest

from lake.readers.containers import SourceStream
from lake.readers.xdatcar import XdatcarReader
from schemas.errors import FileReplaced, UnreadableFile
from schemas.frames import Bookmark

ARRAYS = ("ionic_step", "segment", "cell_angstrom", "positions_angstrom", "label_source")
HEAD = "Al Cu melt\n 1.0\n 4.000000 0.000000 0.000000\n 0.000000 5.000000 0.000000\n 0.000000 0.000000 6.000000\n"
SPECIES = " Al Cu\n 1 2\n"
ROWS = (
    "  0.25000000  0.50000000  0.75000000\n -0.12500000  0.12500000  0.00000000\n  0.50000000  0.00000000  0.25000000\n"
)
FILES = (
    "xdatcar-v4/XDATCAR",
    "xdatcar-v5/XDATCAR",
    "xdatcar-v6-varcell/XDATCAR",
    "xdatcar-bad-fmt/XDATCAR.gz",
    "bad-xdatcar-cut/XDATCAR",
    "fe2o3-molten-xdatcar/XDATCAR",
)


def configuration(number, rows=ROWS, mode="Direct"):
    return f"{mode} configuration={number:6d}\n{rows}"


def read(content, bookmark=None, *, chunk_bytes=1 << 18):
    content = content.encode("latin-1") if isinstance(content, str) else content
    reader = XdatcarReader(SourceStream(io.BytesIO(content), "XDATCAR"), bookmark=bookmark, chunk_bytes=chunk_bytes)
    batches = list(reader.batches())
    run = {name: np.concatenate([getattr(batch, name) for batch in batches] or [[]]) for name in ARRAYS}
    run |= {"faults": [own for batch in batches for own in batch.faults], "outcome": reader.outcome}
    return run | {"bookmark": reader.bookmark(), "head": reader.head_sha256(), "header": reader.header}


def content_of(reference, name):
    raw = (reference / name).read_bytes()
    return gzip.decompress(raw) if name.endswith(".gz") else raw


def assert_same(run, whole, n_skipped=0):
    for name in ARRAYS:
        n_frames = len(whole[name]) - n_skipped
        assert len(run[name]) == n_frames
        assert n_frames == 0 or np.array_equal(
            run[name], whole[name][n_skipped:], equal_nan=run[name].dtype.kind == "f"
        )
    assert run["faults"] == whole["faults"][n_skipped:]
    assert (run["outcome"], run["head"]) == (whole["outcome"], whole["head"])


@pytest.mark.parametrize(
    ("name", "n_frames", "steps", "volumes"),
    [
        ("xdatcar-v4/XDATCAR", 4, (1, 4), (24.493045, 24.493045)),
        ("xdatcar-v5/XDATCAR", 4, (1, 4), (24.493045, 24.493045)),
        ("xdatcar-v6-varcell/XDATCAR", 4, (1, 4), (73.560059, 97.869371)),
        ("xdatcar-bad-fmt/XDATCAR.gz", 3, (1, 3), (1635.926371, 1635.926371)),
        ("bad-xdatcar-cut/XDATCAR", 4, (1, 4), (827.936019, 827.936019)),
        ("fe2o3-molten-xdatcar/XDATCAR", 5, (1, 5), (827.936019, 827.936019)),
        ("nacl-800k-xdatcar/XDATCAR", 40, (50, 2000), (4844.481222, 4844.481222)),
        ("pt111-water-isif0/XDATCAR", 3, (1, 3), (2617.406352, 2617.406352)),
        ("na100-liquid-671k/XDATCAR.gz", 2000, (1, 2000), (4454.01916, 4454.01916)),
    ],
)
def test_reference_file_gives_its_true_numbers(reference, name, n_frames, steps, volumes):
    run = read(content_of(reference, name))
    found = np.linalg.det(run["cell_angstrom"])
    assert (len(found), run["ionic_step"][0], run["ionic_step"][-1]) == (n_frames, *steps)
    np.testing.assert_allclose(np.abs([found[0], found[-1]]), volumes, atol=1e-5)
    assert not any(run["faults"])
    assert np.isfinite(run["positions_angstrom"]).all()
    assert run["outcome"].complete == ("cut" not in name)
    assert run["outcome"].n_incomplete == ("cut" in name)


@pytest.mark.parametrize(
    "name", ["nacl-800k-xdatcar/XDATCAR", "xdatcar-v6-varcell/XDATCAR", "na100-liquid-671k/XDATCAR.gz"]
)
def test_agrees_with_ase(reference, tmp_path, name):
    ase_io = pytest.importorskip("ase.io")
    (tmp_path / "XDATCAR").write_bytes(content_of(reference, name))
    known = ase_io.read(tmp_path / "XDATCAR", index=":", format="vasp-xdatcar")
    run = read((tmp_path / "XDATCAR").read_bytes())
    assert run["header"].atomic_numbers.tolist() == known[0].numbers.tolist()
    assert np.array_equal(run["cell_angstrom"], [atoms.cell[:] for atoms in known])
    np.testing.assert_allclose(run["positions_angstrom"], [atoms.positions for atoms in known], rtol=0, atol=2e-15)


def test_glued_columns_are_separated_at_the_minus_sign(reference):
    run = read(content_of(reference, "xdatcar-bad-fmt/XDATCAR.gz"))
    fractions = np.linalg.solve(run["cell_angstrom"][1].T, run["positions_angstrom"][1][0])
    np.testing.assert_allclose(fractions, [-0.63265286, -0.11227753, -0.15402785], atol=1e-12)


def test_positions_are_no_label_and_that_is_no_fault():
    run = read(HEAD + SPECIES + configuration(1) + configuration(2))
    assert (run["label_source"].tolist(), run["faults"]) == (["none", "none"], [(), ()])
    assert (run["header"].time_step_fs, run["header"].atomic_numbers.tolist()) == (None, [13, 29, 29])
    assert "POTIM" in run["outcome"].notes[0]


@pytest.mark.parametrize(
    ("scale", "factors"),
    [("2.0", (2, 2, 2)), ("-960.0", (2, 2, 2)), ("1.0 2.0 3.0", (1, 2, 3))],
)
def test_scale_is_a_factor_a_volume_or_one_factor_per_axis(scale, factors):
    text = HEAD.replace(" 1.0\n", f" {scale}\n") + SPECIES + configuration(1) + configuration(2, mode="Cartesian")
    run = read(text)
    np.testing.assert_allclose(run["cell_angstrom"][0], np.diag([4, 5, 6]) * factors, rtol=1e-15)
    fractions = np.array([[0.25, 0.5, 0.75], [-0.125, 0.125, 0.0], [0.5, 0.0, 0.25]])
    np.testing.assert_allclose(run["positions_angstrom"][0], fractions * [4, 5, 6] * factors, rtol=1e-15)
    np.testing.assert_allclose(run["positions_angstrom"][1], fractions * factors, rtol=1e-15)


@pytest.mark.parametrize("species", [" Al/0a1b2c Cu/ffee\n", " Al_pv Cu_GW\n", " Al1 Cu.5\n"])
def test_suffixes_of_species_are_ignored(species):
    run = read(HEAD + species + " 1 2\n" + configuration(1))
    assert run["header"].atomic_numbers.tolist() == [13, 29, 29]


def test_flags_behind_the_numbers_are_ignored():
    rows = ROWS.replace("\n", "  T  F  T\n")
    run, plain = read(HEAD + SPECIES + configuration(1, rows)), read(HEAD + SPECIES + configuration(1))
    assert np.array_equal(run["positions_angstrom"], plain["positions_angstrom"])


def test_elements_may_stand_in_the_title_and_nowhere_else():
    run = read(HEAD.replace("Al Cu melt", "Al Cu") + " 1 2\n \n" + ROWS + " \n" + ROWS)
    assert run["header"].atomic_numbers.tolist() == [13, 29, 29]
    with pytest.raises(UnreadableFile, match="title line does not name one element for each of 2 kinds"):
        read(HEAD + " 1 2\n \n" + ROWS)
    with pytest.raises(UnreadableFile, match="VASP 4 wrote it"):
        read("   3   3   1\n  0.1E+02\n  0.0\n  CAR \n melt\n \n" + ROWS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD, "numbers of atoms is missing|ends inside its head"),
        (HEAD + SPECIES + "Direct\n" + ROWS, "POSCAR or CONTCAR is no trajectory"),
        (HEAD + SPECIES + configuration(1)[:-30], "no complete configuration"),
        (HEAD + SPECIES, "no complete configuration|found ''"),
        (HEAD.replace("4.000000", "nan") + SPECIES + configuration(1), "three lattice vectors"),
        (HEAD + SPECIES + configuration(1) + HEAD + " Al Ni\n 1 2\n" + configuration(1), "the atoms change"),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_its_reason(text, reason):
    with pytest.raises(UnreadableFile, match=reason):
        read(text)


def test_number_wider_than_its_column_counts_on():
    text = (
        HEAD + SPECIES + configuration(999_950) + configuration(999_975) + configuration(1).replace("     1", "******")
    )
    assert read(text)["ionic_step"].tolist() == [999_950, 999_975, 1_000_000]


def test_appended_run_is_a_segment_with_its_own_cell():
    first = HEAD + SPECIES + configuration(50) + configuration(100)
    run = read(first + first.replace("4.000000", "4.500000"))
    assert run["segment"].tolist() == [0, 0, 1, 1]
    assert run["cell_angstrom"][:, 0, 0].tolist() == [4.0, 4.0, 4.5, 4.5]
    assert "2 runs, one after the other" in run["outcome"].notes[-1]


def test_damaged_head_leaves_its_configuration_without_a_cell():
    frames = [HEAD.replace("4.000000", f"4.{n}00000") + SPECIES + configuration(n) for n in range(1, 5)]
    run = read(frames[0] + frames[1].replace(" Al Cu\n", "\0" * 6 + "\n") + frames[2] + frames[3])
    assert run["faults"] == [(), ("cell_missing", "positions_not_finite"), (), ()]
    assert run["cell_angstrom"][[0, 2, 3], 0, 0].tolist() == [4.1, 4.3, 4.4]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("0.12500000", "**********"), "positions_not_finite"),
        (("0.12500000", "0.1250\x00000"), "positions_not_finite"),
        ((ROWS[-38:], ""), "row_count_wrong"),
        (("configuration=     2", "configuration=   \x00 2"), "ionic_counter_missing"),
    ],
)
def test_damage_spoils_one_configuration_only(change, fault):
    frames = [configuration(n) for n in range(1, 5)]
    frames[1] = frames[1].replace(*change)
    run = read(HEAD + SPECIES + "".join(frames))
    assert [bool(own) for own in run["faults"]] == [False, True, False, False]
    assert fault in run["faults"][1]
    assert run["ionic_step"].tolist() == [1, 2, 3, 4]


def test_lost_line_of_a_configuration_is_counted():
    rows = "".join(f"  0.{n:08d}  0.50000000  0.50000000\n" for n in range(400))
    head = HEAD + " Al\n 400\n"
    run = read(head + configuration(1, rows) + "\0" * 20 + "\n" + rows + configuration(3, rows))
    assert (run["ionic_step"].tolist(), run["outcome"].n_incomplete) == ([1, 3], 1)
    assert "lost the line that begins them" in run["outcome"].notes[-1]


def test_tail_of_nul_bytes_is_not_a_finished_file():
    run = read(HEAD + SPECIES + configuration(1) + "\0" * 70_000)
    assert (run["ionic_step"].tolist(), run["outcome"].complete, run["outcome"].n_incomplete) == ([1], False, 0)


@pytest.mark.parametrize("name", FILES)
def test_chunk_size_and_line_ends_change_nothing(reference, name):
    content = content_of(reference, name)
    whole = read(content)
    for chunk_bytes in (1, 13, 777, 4096):
        assert_same(read(content, chunk_bytes=chunk_bytes), whole)
    windows = read(content.replace(b"\n", b"\r\n"))
    assert np.array_equal(windows["positions_angstrom"], whole["positions_angstrom"])
    assert windows["faults"] == whole["faults"]


@pytest.mark.parametrize("name", [*FILES, "restarted"])
def test_growing_file_read_in_pieces_is_the_whole_one(reference, name):
    last = content_of(reference, "xdatcar-v6-varcell/XDATCAR")
    content = last + last if name == "restarted" else content_of(reference, name)
    whole, bookmark, run, n_skipped = read(content), None, None, 0
    for cut in [*np.linspace(0, len(content), 101, dtype=int)[1:-1], len(content)]:
        n_skipped = 0 if bookmark is None else bookmark.n_frames
        try:
            run = read(content[:cut], bookmark)
        except UnreadableFile:
            assert bookmark is None
            continue
        bookmark = Bookmark(**json.loads(json.dumps(dataclasses.asdict(run["bookmark"]))))
        n_read = n_skipped + len(run["faults"])
        assert n_read - bookmark.n_frames in {0, 1}
        assert run["faults"] == whole["faults"][n_skipped:n_read]
    assert_same(run, whole, n_skipped)


def test_frames_before_a_bookmark_are_not_read_again():
    text = HEAD + SPECIES + configuration(1) + configuration(2)
    bookmark = read(text)["bookmark"]
    run = read(text + configuration(3), bookmark)
    assert (bookmark.n_frames, run["ionic_step"].tolist(), run["outcome"].n_ionic_steps) == (2, [3], 3)


@pytest.mark.parametrize("change", [lambda text: text.replace("0.25", "0.26"), lambda text: text[:-40]])
def test_replaced_file_is_noticed(change):
    text = HEAD + SPECIES + configuration(1) + configuration(2)
    bookmark = read(text)["bookmark"]
    with pytest.raises(FileReplaced, match="not those that were read before"):
        read(change(text), bookmark)


def test_cut_gzip_keeps_its_configurations(reference):
    raw = (reference / "na100-liquid-671k/XDATCAR.gz").read_bytes()
    run = read(raw[: len(raw) // 2])
    assert 900 < len(run["faults"]) < 1100
    assert not any(run["faults"])
    assert "was cut" in run["outcome"].notes[0]
    assert not run["outcome"].complete


@pytest.mark.parametrize("seed", range(4))
def test_random_damage_never_changes_an_unflagged_configuration(reference, seed):
    content, generator = content_of(reference, "xdatcar-v6-varcell/XDATCAR"), np.random.default_rng(seed)
    whole = read(content)
    for _ in range(40):
        damaged, at = bytearray(content), int(generator.integers(200, len(content)))
        n_bytes = int(generator.integers(1, 150))
        damaged[at : at + n_bytes] = bytes(len(damaged[at : at + n_bytes]))
        run = read(bytes(damaged))
        for row in (row for row, own in enumerate(run["faults"]) if not own):
            same = int(run["ionic_step"][row]) - 1
            assert np.array_equal(run["positions_angstrom"][row], whole["positions_angstrom"][same])
