"""What damage once did without a flag: one test for each way in which a frame came out wrong, or vanished unseen."""

import numpy as np
import pytest

from schemas.errors import UnreadableFile
from tests.readers.damage import read, sound_file, wrong_frames

pytestmark = pytest.mark.usefixtures("reference")


def changed(name, old, new, tmp_path, *, nth=0):
    """The sound reading, and the reading after the nth `old` became `new`."""
    content = sound_file(name)
    at = -1
    for _ in range(nth + 1):
        at = content.index(old, at + 1)
    found = read(tmp_path / "run", content[:at] + new + content[at + len(old) :])
    return read(tmp_path / "run", content), found


@pytest.mark.parametrize(
    ("name", "title"), [("vasprun", b'<varray name="forces" >\n'), ("vasprun", b'<varray name="positions" >\n')]
)
@pytest.mark.parametrize("byte", [b"W", b"\0", b" "])
def test_damaged_digit_in_the_first_row_does_not_shorten_the_numbers_of_all_frames(name, title, byte, tmp_path):
    content = sound_file(name)
    row = content.index(title, content.index(b"<structure>")) + len(title)
    digit = content.index(b".", row) + 6
    whole = read(tmp_path / "run", content)
    found = read(tmp_path / "run", content[:digit] + byte + content[digit + 1 :])
    assert [bool(faults) for faults in found.faults] == [True] + [False] * 4
    assert not wrong_frames(whole, found)


def test_outcar_whose_first_row_is_damaged_keeps_all_decimals_of_the_other_frames(tmp_path):
    content = sound_file("outcar")
    row = content.index(b"\n", content.index(b" ----", content.index(b"TOTAL-FORCE"))) + 1
    digit = content.index(b".", row) + 3
    found = read(tmp_path / "run", content[:digit] + b"x" + content[digit + 1 :])
    assert [bool(faults) for faults in found.faults] == [True, False, False, False]
    assert not wrong_frames(read(tmp_path / "run", content), found)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("outcar, npt", b"  in kB", b"  iX kB"),
        ("outcar, npt", b"  in kB", b"\n in kB"),
        ("vasprun", b'<varray name="stress"', b'<varray name="stresz"'),
        ("vasprun", b"  </varray>\n  <energy>", b"  </varraz>\n  <energy>"),
        ("ml_ab", b"     XY YZ ZX", b"     XY YZ ZY"),
        ("ml_ab", b"     Stress (kbar)", b"     Stress (kbaR)"),
        ("extxyz", b' virial="', b' viria|="'),
    ],
)
def test_virial_is_not_lost_without_a_flag(name, old, new, tmp_path):
    whole, found = changed(name, old, new, tmp_path)
    assert not wrong_frames(whole, found)
    lost = [bool(np.isnan(frame["virial_ev"]).any()) for frame in found.frames]
    assert all(faults for faults, is_lost in zip(found.faults, lost, strict=True) if is_lost)


@pytest.mark.parametrize("token", [b"in kB", b"direct lattice vectors"])
def test_number_that_lost_its_last_digit_is_none(token, tmp_path):
    content = sound_file("outcar, npt")
    title = content.index(token, content.index(b"aborting loop"))
    point = content.index(b".", content.index(b"\n", title) if token.startswith(b"direct") else title)
    n_decimals = 9 if token.startswith(b"direct") else 5
    found = read(tmp_path / "run", content[: point + n_decimals] + b" " + content[point + n_decimals + 1 :])
    assert [bool(faults) for faults in found.faults] == [True, False, False]


def test_digit_that_became_a_newline_does_not_shorten_a_stress(tmp_path):
    content = sound_file("vasprun")
    row = content.index(b"<v>", content.index(b'<varray name="stress"'))
    at = content.index(b".", row) + 8
    found = read(tmp_path / "run", content[:at] + b"\n" + content[at + 1 :])
    assert found.faults[0] == ("stress_not_finite",)


@pytest.mark.parametrize("name", ["outcar", "vasprun"])
def test_lost_electronic_step_is_not_counted_wrongly(name, tmp_path):
    old, new = (
        (b"  <scstep>", b"  <scstex>") if name == "vasprun" else (b" Iteration    2(  12)", b" Iteratiom    2(  12)")
    )
    _, found = changed(name, old, new, tmp_path, nth=2 if name == "vasprun" else 0)
    steps = [int(frame["scf_steps"]) for frame in found.frames]
    assert -1 in steps
    assert str(found.frames[steps.index(-1)]["scf_verdict"]) == "unknown"


def test_step_whose_calculation_tag_is_damaged_is_not_a_force_field_s(tmp_path):
    whole, found = changed("vasprun", b" <calculation>", b" <calculatiom>", tmp_path, nth=1)
    assert "label_source_unknown" in found.faults[1]
    assert {str(frame["label_source"]) for frame in found.frames} == {"dft", "none"}
    assert not wrong_frames(whole, found)


def test_energy_columns_are_not_guessed_where_the_version_is_damaged(tmp_path):
    _, found = changed("vasprun, 5.4.1", b'name="version"', b'namf="version"', tmp_path)
    assert all(np.isnan(frame["energy_sigma0_ev"]) for frame in found.frames)
    assert not np.isnan(found.frames[0]["energy_ev"])


@pytest.mark.parametrize("new", [b"<rc><c>H </c><c>   2</c></Rc>", b"<rx><c>H </c><c>   2</c></rc>"])
def test_atom_lost_from_the_list_is_noticed(new, tmp_path):
    with pytest.raises(UnreadableFile, match=r"atoms, as the vasprun\.xml declares"):
        changed("vasprun", b"<rc><c>H </c><c>   2</c></rc>", new, tmp_path)


def test_atom_that_became_no_element_is_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="needed an element in the list of atoms"):
        changed("vasprun", b"<rc><c>H </c><c>   2</c></rc>", b"<rc><c>\0\0</c><c>\0\0\0\0</c></rc>", tmp_path)


def test_control_character_in_the_first_comment_of_extended_xyz_begins_no_other_run(tmp_path):
    whole, found = changed("extxyz", b"run_id=3fa2", b"run_id\x013fa2", tmp_path)
    assert not wrong_frames(whole, found)


def test_title_and_valence_line_of_different_elements_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="one element for each"):
        changed("outcar", b"TITEL  = PAW_PBE O ", b"TITEL  = PAW_PBE N ", tmp_path)


@pytest.mark.parametrize("old", [b"(eV/Angst) (ML)", b"free  energy ML TOTEN"])
@pytest.mark.parametrize("at", [3, 11])
def test_step_of_a_force_field_that_lost_its_title_is_counted_and_moves_no_other(old, at, tmp_path):
    new = old[:at] + b"~" + old[at + 1 :]
    whole, found = changed("outcar, force field", old, new, tmp_path, nth=4)
    assert not wrong_frames(whole, found)
    assert found.frames[-1]["ionic_step"] == whole.frames[-1]["ionic_step"]


def test_ionic_steps_cut_out_of_an_outcar_are_counted(tmp_path):
    content = sound_file("outcar")
    start, end = (content.index(b" Iteration    %d(   1)" % step) for step in (2, 3))
    found = read(tmp_path / "run", content[:start] + content[end:])
    assert [int(frame["ionic_step"]) for frame in found.frames] == [1, 3, 4]
    assert (found.outcome.n_ionic_steps, found.outcome.n_incomplete) == (4, 1)


@pytest.mark.parametrize("name", ["outcar", "vasprun"])
def test_hole_of_nul_bytes_over_two_steps_makes_no_frame_of_both(name, tmp_path):
    content = sound_file(name)
    token = b"aborting loop" if name == "outcar" else b"<structure>\n"
    start = content.index(token, content.index(token) + 1) - 200
    end = content.index(token, start + 400) - 200
    found = read(tmp_path / "run", content[:start] + bytes(end - start) + content[end:])
    assert any("text_lost" in faults for faults in found.faults)
    assert not found.outcome.complete
    assert not wrong_frames(read(tmp_path / "run", content), found)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("xdatcar, 5", b"Direct configuration=     3", b"Direct configuratiom=     3"),
        ("xdatcar, cell moves", b"Direct configuration=     3", b"Direct configuratiom=     3"),
        ("ml_ab", b"Configuration num.      3", b"Configuratiom num.      3"),
        ("ml_ab", b"Configuration num.      1", b"Configuratiom num.      1"),
        ("extxyz of MACE", b"\n4\nLattice", b"\n4xLattice"),
        ("lammps_dump", b"ITEM: NUMBER OF ATOMS", b"ITEM: NUMBER OF ATOMZ"),
    ],
)
def test_frame_that_lost_its_first_line_is_counted(name, old, new, tmp_path):
    whole, found = changed(name, old, new, tmp_path, nth=int(name == "extxyz of MACE"))
    assert len(found.frames) < len(whole.frames)
    assert found.outcome.n_incomplete == 1
    assert not wrong_frames(whole, found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" free_energy=", b" free_energi="),
        (b" free_energy=1", b" free_energy=x"),
        (b"label_source=dft", b"label_source=dgt"),
        (b"Al ", b"A\0 "),
    ],
)
def test_damaged_line_of_extended_xyz_is_flagged(old, new, tmp_path):
    content = sound_file("extxyz").replace(b"energy=-", b"energy=1")
    at = content.index(old, len(content) // 2)
    found = read(tmp_path / "run", content[:at] + new + content[at + len(old) :])
    assert sum(bool(faults) for faults in found.faults) == 1


def test_first_frame_of_extended_xyz_that_cannot_be_read_is_counted(tmp_path):
    whole, found = changed("extxyz of MACE", b"Al ", b"A\0 ", tmp_path)
    assert [int(frame["ionic_step"]) for frame in found.frames] == [2, 3, 4, 5, 6]
    assert found.outcome.n_incomplete == 1
    assert not wrong_frames(whole, found)


@pytest.mark.parametrize("column", [b" vx", b" iy", b" fz"])
def test_column_of_a_dump_whose_name_is_damaged_is_noticed(column, tmp_path):
    with pytest.raises(UnreadableFile, match="it has only some"):
        changed("lammps_dump", column, column[:2] + b"?", tmp_path)


def test_nul_byte_in_a_number_of_an_ml_ab_is_no_blank(tmp_path):
    content = sound_file("ml_ab")
    exponent = content.index(b"E-0", content.index(b"Forces (eV ang.^-1)")) + 3
    found = read(tmp_path / "run", content[:exponent] + b"\0" + content[exponent + 1 :])
    assert sum(len(faults) > 1 for faults in found.faults) == 1


def test_long_line_behind_an_energy_takes_no_time(tmp_path):
    content = sound_file("outcar")
    at = content.index(b"energy  without entropy=") + 30
    found = read(tmp_path / "run", content[:at] + b"0" * 300_000 + content[at:])
    assert found.seconds < 1
    assert len(found.frames) == 4


def test_head_with_an_empty_potcar_title_is_no_crash(tmp_path):
    _, found = changed("outcar, nine columns", b"TITEL  = PAW_PBE", b"TITEL  =\nPAW_PBE", tmp_path)
    assert len(found.frames) == 1


def test_lattice_of_another_place_is_not_taken_for_a_damaged_one(tmp_path):
    content = sound_file("outcar, force field")
    at = content.index(b"direct lattice", content.index(b"aborting loop"))
    found = read(tmp_path / "run", content[:at] + b"dirext" + content[at + 6 :])
    assert not wrong_frames(read(tmp_path / "run", content), found)
