"""Reading in pieces, cut files and damage: the numbers stay the same or are not there."""

import hashlib
import io

import numpy as np
import pytest

from lake.readers.containers import SourceStream, open_source
from schemas.errors import UnreadableFile

ARRAYS = (
    "ionic_step",
    "cell_angstrom",
    "positions_angstrom",
    "forces_ev_per_angstrom",
    "energy_ev",
    "energy_sigma0_ev",
    "virial_ev",
    "virial_trace_ev",
    "temperature_k",
    "conserved_energy_ev",
    "scf_steps",
    "scf_verdict",
    "label_source",
)
FILES = [
    "h2o-md10/OUTCAR",
    "h2o-md10/vasprun.xml",
    "ch4-mlff/OUTCAR",
    "ag32h-v522/OUTCAR",
    "ti32-aimd-nwrite0/OUTCAR",
    "concat-restart/OUTCAR",
    "crlf-outcar/OUTCAR",
]


def assert_same(run, whole, n_frames=None):
    for name in ARRAYS:
        assert np.array_equal(run[name], whole[name][:n_frames], equal_nan=whole[name].dtype.kind == "f"), name


@pytest.mark.parametrize("name", FILES)
def test_chunk_size_changes_nothing(reference, read_bytes, name):
    content = (reference / name).read_bytes()
    whole = read_bytes(content)
    for chunk_bytes in (777, 1009, 4096, 10_007, 65_536, 8_388_608):
        run = read_bytes(content, chunk_bytes=chunk_bytes)
        assert_same(run, whole)
        assert run["outcome"] == whole["outcome"]


@pytest.mark.parametrize("name", ["ch4-mlff/OUTCAR", "h2o-md10/vasprun.xml"])
def test_chunks_of_few_bytes_change_nothing(reference, read_bytes, name):
    content = (reference / name).read_bytes()[:60_000]
    assert_same(read_bytes(content, chunk_bytes=13), read_bytes(content))


@pytest.mark.parametrize("name", FILES)
def test_cut_file_gives_a_prefix_of_the_whole_one(reference, read_bytes, name):
    content = (reference / name).read_bytes()
    whole = read_bytes(content)
    n_before = 0
    for cut in np.linspace(0, len(content), 61, dtype=int)[1:-1]:
        try:
            run = read_bytes(content[:cut])
        except UnreadableFile:
            assert n_before == 0
            continue
        n_frames = len(run["energy_ev"])
        assert n_before <= n_frames <= len(whole["energy_ev"])
        for late in (
            "temperature_k",
            "conserved_energy_ev",
            "energy_sigma0_ev",
        ):  # written behind the rest of the frame
            if np.isnan(run[late][-1]):
                run[late][-1] = whole[late][n_frames - 1]
        assert_same(run, whole, n_frames)
        n_before = n_frames


def test_every_cut_inside_a_frame_leaves_it_out(reference, read_bytes):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    table = content.index(b"TOTAL-FORCE", content.index(b"TOTAL-FORCE") + 1)
    energy_end = content.index(b" eV", content.index(b"free  energy   TOTEN", table)) + 3
    for cut in range(table, energy_end, 37):
        assert len(read_bytes(content[:cut])["energy_ev"]) == 1
    assert len(read_bytes(content[:energy_end])["energy_ev"]) == 2


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "h2o-md10/vasprun.xml"])
def test_nul_block_spoils_only_the_frames_it_covers(reference, read_bytes, name):
    content = bytearray((reference / name).read_bytes())
    whole = read_bytes(bytes(content))
    at = content.index(b"TOTAL-FORCE (eV" if name.endswith("OUTCAR") else b'name="forces"', len(content) // 2) + 250
    content[at : at + 90] = bytes(90)
    run = read_bytes(bytes(content))
    bad = [index for index, faults in enumerate(run["faults"]) if faults]
    assert len(bad) == 1
    good = np.delete(np.arange(len(whole["energy_ev"])), bad)
    assert len(run["energy_ev"]) == len(whole["energy_ev"])
    assert np.array_equal(run["forces_ev_per_angstrom"][good], whole["forces_ev_per_angstrom"][good])
    assert np.isnan(run["forces_ev_per_angstrom"][bad]).all()


def test_two_processes_in_one_outcar_are_refused(reference, read_bytes):
    steps = (reference / "h2o-md10/OUTCAR").read_bytes().split(b"- Iteration    ")
    mixed = b"- Iteration    ".join([*steps[:60], *steps[30:40], *steps[60:]])
    with pytest.raises(UnreadableFile, match="two VASP processes wrote"):
        read_bytes(mixed)


def test_step_written_twice_is_refused(reference, read_bytes):
    content = (reference / "al2-dpgen/OUTCAR").read_bytes()
    step = content[content.index(b"- Iteration ") - 45 : content.index(b"General timing")]
    with pytest.raises(UnreadableFile, match="is there twice"):
        read_bytes(content + step)


def test_missing_counter_line_flags_frames_instead_of_pairing_them_wrongly(reference, read_bytes):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    whole = read_bytes(content)
    run = read_bytes(content.replace(b" Iteration    4(", b" Xteration    4("))
    assert len(run["energy_ev"]) == 10
    assert [bool(faults) for faults in run["faults"]] == [False] * 2 + [True] * 2 + [False] * 6
    assert np.array_equal(run["energy_ev"], whole["energy_ev"])


@pytest.mark.parametrize(
    "line", [b" VOLUME and BASIS-vectors are now :", b" POSITION          ", b" total energy-change (2. order) :"]
)
def test_step_with_one_more_line_is_read_like_the_others(reference, read_bytes, line):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    pieces = content.split(line)
    before, after = line.join(pieces[:5]), line.join(pieces[5:])
    assert_same(read_bytes(before + b" WARNING: one more line\n" + line + after), read_bytes(content))


@pytest.mark.parametrize(("step", "iteration"), [(3, 2), (7, 3)])
def test_lost_counter_line_inside_an_electronic_loop_changes_nothing(reference, read_bytes, step, iteration):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    counter = b" Iteration %4d(%4d)" % (step, iteration)
    assert content.count(counter) == 1
    assert_same(read_bytes(content.replace(counter, counter.lower())), read_bytes(content))


def test_runs_of_different_atoms_in_one_file_are_refused(reference, read_bytes):
    joined = (reference / "h2o-md10/OUTCAR").read_bytes() + (reference / "al2-dpgen/OUTCAR").read_bytes()
    with pytest.raises(UnreadableFile, match="different atoms"):
        read_bytes(joined)


@pytest.mark.parametrize(
    ("setting", "other", "reason"),
    [
        (b"ENCUT  =  400.0", b"ENCUT  =  500.0", "ENCUT 400 and 500"),
        (b"LREAL  =      T", b"LREAL  =      F", "LREAL auto and default"),
        (b"POTIM  = 1.0000", b"POTIM  = 2.0000", "POTIM 1 and 2"),
        (b"TEBEG  =  300.0", b"TEBEG  =  900.0", "TEBEG 300 and 900"),
        (b"TITEL  = PAW_PBE Pt ", b"TITEL  = PAW_PBE Pt_pv ", "POTCAR titles"),
    ],
)
def test_joined_runs_of_other_settings_are_refused(reference, read_bytes, setting, other, reason):
    content = (reference / "concat-restart/OUTCAR").read_bytes()
    second = content.index(b"\n vasp.") + 1
    changed = content[:second] + content[second:].replace(setting, other)
    assert changed != content
    with pytest.raises(UnreadableFile, match=f"different settings .*{reason}.*after {second} bytes"):
        read_bytes(changed, chunk_bytes=4096)


def test_second_run_killed_while_starting_changes_nothing(reference, read_bytes):
    content = (reference / "concat-restart/OUTCAR").read_bytes()
    types = content.index(b"ions per type", content.index(b"\n vasp."))
    run = read_bytes(content[: types + 60])
    assert run["segment"].tolist() == [0, 0, 0]
    assert not run["outcome"].complete


def test_ionic_counter_wider_than_its_column_counts_on(reference, read_bytes):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    for step in range(3, 11):
        content = content.replace(b" Iteration %4d(" % step, b" Iteration ****(")
    assert read_bytes(content)["ionic_step"].tolist() == list(range(1, 11))


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "bad-outcar-gz-cut/OUTCAR.gz", "cr-vasprun-xz/vasprun.xml.xz"])
def test_fingerprint_covers_the_whole_file_even_when_nothing_was_read(reference, name):
    with open_source(reference / name) as source:
        found = source.finish()
    raw = (reference / name).read_bytes()
    assert (found.raw_sha256, found.raw_bytes) == (hashlib.sha256(raw).hexdigest(), len(raw))


@pytest.mark.parametrize("module", ["gzip", "bz2", "lzma"])
def test_several_compressed_streams_in_a_row_are_one_file(module):
    compress = __import__(module).compress
    source = SourceStream(io.BytesIO(compress(b"abc" * 1000) + compress(b"def" * 1000)), "two")
    scratch = memoryview(bytearray(10_000))
    content = b""
    while n := source.readinto(scratch):
        content += scratch[:n]
    assert content == b"abc" * 1000 + b"def" * 1000
    assert source.damage is None
    assert source.finish().content_sha256 == hashlib.sha256(content).hexdigest()


def test_long_run_of_a_force_field_without_counters_is_read_in_pieces(reference, read_bytes):
    content = (reference / "ch4-mlff/OUTCAR").read_bytes()
    lines = content.split(b"     LOOP+:")
    n_repeats = 4000
    long = b"     LOOP+:".join([*lines[:-4], *[lines[-4]] * n_repeats, *lines[-4:]])
    run, other = read_bytes(long), read_bytes(long, chunk_bytes=300_007)
    assert (run["label_source"] == "vasp_mlff").sum() == 10 + n_repeats
    assert_same(other, run)
    assert np.array_equal(run["temperature_k"][-n_repeats:-4], np.full(n_repeats - 4, run["temperature_k"][-5]))
