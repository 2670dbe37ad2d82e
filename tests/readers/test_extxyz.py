"""Extended XYZ, ours, ASE's and MACE's: the same numbers with the right signs, and nothing made up."""

import gzip
import io

import numpy as np
import pytest

from lake.readers import open_run, parts_of
from lake.readers.containers import SourceStream
from lake.readers.extxyz import ExtxyzReader, extxyz_parts
from lake.readers.extxyz_places import places_in
from schemas.errors import FileReplaced, UnreadableFile

LATTICE = 'Lattice="4.0 0.5 0.0 0.0 4.1 0.25 -0.5 0.0 4.2"'
MACE = f"""2
{LATTICE} Properties=species:S:1:pos:R:3:REF_forces:R:3:REF_magmoms:R:1 REF_energy=-7.25 config_type=melt \
REF_stress="0.01 0.002 0.003 0.002 -0.02 0.004 0.003 0.004 0.03" pbc="T T T"
Al 0.1 0.2 0.3 1.0 -2.0 0.5 0.25
Cu 2.1 2.2 2.3 -1.0 2.0 -0.5 -1.5
"""
OURS = f"""2
{LATTICE} Properties=species:S:1:pos:R:3:forces:R:3 run_id=3fa2 frame=0 ionic_step=11 time_fs=20.0 energy=-7.25 \
free_energy=-7.25 energy_sigma0=-7.2 virial="1.5 0.1 0.2 0.1 2.5 0.3 0.2 0.3 3.5" label_source=dft \
temperature_k=1673.5 \
level_of_theory="functional=PBE ENCUT=300 ISMEAR=1 SIGMA=0.1 ISPIN=2 k-points=gamma-only 1x1x1 LASPH=T" synthetic=T
Al 0.1 0.2 0.3 1.0 -2.0 0.5
Cu 2.1 2.2 2.3 -1.0 2.0 -0.5
"""


def frames_of(text, part="", *, chunk_bytes=1 << 18):
    content = text.encode() if isinstance(text, str) else text
    reader = ExtxyzReader(SourceStream(io.BytesIO(content), "frames.extxyz"), part, chunk_bytes=chunk_bytes)
    return reader, list(reader.batches())


def test_stress_and_virial_have_the_opposite_sign():
    _, (batch,) = frames_of(MACE)
    volume = np.linalg.det(batch.cell_angstrom[0])
    assert np.trace(batch.virial_ev[0]) == pytest.approx(-0.02 * volume)
    _, (same,) = frames_of(MACE.replace("REF_stress", "REF_virials"))
    assert np.trace(same.virial_ev[0]) == pytest.approx(0.02)


def test_file_of_mace_is_read_and_its_energy_is_not_called_free():
    reader, (batch,) = frames_of(MACE)
    assert reader.header.level_of_theory.energy_kind == "as in the file"
    assert "does not say whether `REF_energy`" in reader.outcome.notes[0]
    assert (batch.energy_ev[0], batch.label_source[0], batch.faults) == (-7.25, "dft", ((),))
    assert batch.magnetic_moments_mu_b.tolist() == [[0.25, -1.5]]
    assert batch.forces_ev_per_angstrom[0].tolist() == [[1.0, -2.0, 0.5], [-1.0, 2.0, -0.5]]


def test_our_own_keys_come_back_exactly():
    reader, (batch,) = frames_of(OURS + OURS.replace("ionic_step=11 time_fs=20.0", "ionic_step=13 time_fs=24.0"))
    theory = reader.header.level_of_theory
    assert theory.label == "functional=PBE ENCUT=300 ISMEAR=1 SIGMA=0.1 ISPIN=2 k-points=gamma-only 1x1x1 LASPH=T"
    assert (reader.header.synthetic, reader.header.time_step_fs, theory.energy_kind) == (True, 2.0, None)
    assert (batch.ionic_step.tolist(), batch.segment.tolist()) == ([11, 13], [0, 0])
    assert batch.virial_ev[0].tolist() == [[1.5, 0.1, 0.2], [0.1, 2.5, 0.3], [0.2, 0.3, 3.5]]
    assert (batch.energy_sigma0_ev[0], batch.temperature_k[0]) == (-7.2, 1673.5)


def test_numbers_survive_their_shortest_decimal_form():
    value = 0.1 + 0.2
    _, (batch,) = frames_of(OURS.replace("Al 0.1", f"Al {value!r}").replace(" energy=-7.25", f" energy={value!r}"))
    assert batch.positions_angstrom[0, 0, 0] == value


def test_frames_of_another_run_begin_a_segment():
    _, (batch,) = frames_of(OURS + OURS.replace("3fa2", "77aa"))
    assert batch.segment.tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_ase(tmp_path, seed):
    ase_io, ase = pytest.importorskip("ase.io"), pytest.importorskip("ase")
    from ase.calculators.singlepoint import SinglePointCalculator

    generator = np.random.default_rng(seed)
    written = []
    for _ in range(3):
        atoms = ase.Atoms(
            "Al3CuNi", positions=generator.normal(size=(5, 3)), cell=generator.normal(size=(3, 3)) * 5, pbc=True
        )
        atoms.set_momenta(generator.normal(size=(5, 3)))
        atoms.info |= {"a list": [1, 2], "quoted": 'a "word" = 1', "flag": True}
        atoms.calc = SinglePointCalculator(
            atoms, energy=1.5, free_energy=1.25, forces=generator.normal(size=(5, 3)), stress=generator.normal(size=6)
        )
        written.append(atoms)
    ase_io.write(tmp_path / "a.extxyz", written)
    known = ase_io.read(tmp_path / "a.extxyz", index=":")
    reader, (batch,) = frames_of((tmp_path / "a.extxyz").read_bytes())
    assert reader.header.atomic_numbers.tolist() == known[0].numbers.tolist()
    assert np.array_equal(batch.positions_angstrom, [atoms.positions for atoms in known])
    assert np.array_equal(batch.cell_angstrom, [atoms.cell[:] for atoms in known])
    assert np.array_equal(batch.forces_ev_per_angstrom, [atoms.get_forces() for atoms in known])
    assert np.array_equal(batch.energy_ev, [atoms.calc.results["free_energy"] for atoms in known])
    virials = [-atoms.get_stress(voigt=False) * atoms.get_volume() for atoms in known]
    np.testing.assert_allclose(batch.virial_ev, virials, rtol=1e-12)
    fs = pytest.importorskip("ase.units").fs
    velocities = [atoms.get_velocities() * fs for atoms in known]
    np.testing.assert_allclose(batch.velocities_angstrom_per_fs, velocities, rtol=1e-6)


def test_columns_may_come_in_any_order_and_z_names_elements():
    text = f"2\n{LATTICE} Properties=pos:R:3:fixed:L:1:Z:I:1:magmoms:R:3\n0 0 0 T 13 1 2 3\n1 1 1 F 29 4 5 6\n"
    reader, (batch,) = frames_of(text)
    assert reader.header.atomic_numbers.tolist() == [13, 29]
    assert batch.magnetic_moments_mu_b.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert (batch.label_source.tolist(), batch.faults) == (["none"], ((),))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ((f"{LATTICE} ", ""), "cell_missing"),
        (('Lattice="4.0 ', 'Lattice="nan '), "cell_not_finite"),
        (('pbc="T T T"', 'pbc="T T F"'), "not_periodic"),
        (("Al 0.1", "Al x.1"), "positions_not_finite"),
        (("1.0 -2.0 0.5 ", "1.0 **** 0.5 "), "forces_not_finite"),
        ((" REF_energy=-7.25", ""), "energy_missing"),
        (("REF_energy=-7.25", "REF_energy=-7.2x"), "energy_not_finite"),
        (('REF_stress="0.01', 'REF_stress="x'), "stress_not_finite"),
        (("Al 0.1 0.2", "Al 0.10.2"), "row_count_wrong"),
        (("Al 0.1", "Al \0.1"), "row_count_wrong"),
        (("config_type", "\0onfig_type"), "row_count_wrong"),
        (('pbc="', "pbc="), "row_count_wrong"),
        (("REF_forces", "other_forces"), "forces_missing"),
    ],
)
def test_damaged_frame_is_kept_with_its_fault(change, fault):
    _, batches = frames_of(MACE + MACE.replace(*change) + MACE)
    faults = [own for batch in batches for own in batch.faults]
    assert [bool(own) for own in faults] == [False, True, False]
    assert fault in faults[1]


@pytest.mark.parametrize("change", [("2\n", "3\n"), ("2\n", "1\n"), ("2\n", "2000000\n"), ("\nCu", " Cu")])
def test_wrong_count_spoils_one_frame_only(change):
    _, batches = frames_of(MACE + MACE.replace(*change, 1) + MACE + MACE)
    faults = [own for batch in batches for own in batch.faults]
    good = [not own for own in faults]
    assert (good[0], good[-2:], len(faults)) == (True, [True, True], 4)
    assert "row_count_wrong" in faults[1]


def test_atoms_that_change_are_parts():
    other = MACE.replace("Cu", "Ni")
    swapped = MACE.replace("Al", "Xx").replace("Cu", "Al").replace("Xx", "Cu")
    text = MACE + other + swapped + MACE
    assert extxyz_parts(SourceStream(io.BytesIO(text.encode()), "x")) == ("Al1Cu1", "Al1Ni1", "Al1Cu1-2")
    found = {part: frames_of(text, part)[1][0] for part in ("Al1Cu1", "Al1Ni1", "Al1Cu1-2")}
    assert [batch.n_frames for batch in found.values()] == [2, 1, 1]
    heads = {frames_of(text, part)[0].head_sha256() for part in found}
    assert len(heads) == 3
    with pytest.raises(UnreadableFile, match="change from Al1Cu1 to Al1Ni1"):
        frames_of(text)
    with pytest.raises(UnreadableFile, match="no part Al2, but Al1Cu1, Al1Ni1"):
        frames_of(text, "Al2")


def of_many_formulas(n_formulas, n_frames=3):
    frames = [
        f"{2 + n}\n{LATTICE} Properties=species:S:1:pos:R:3 energy={-n}\n" + "Al 0.1 0.2 0.3\n" * (1 + n) + "Cu 1 2 3\n"
        for n in range(n_formulas)
    ]
    return frames * n_frames


def told_of_parts(path, names):
    told = []
    for name in names:
        with open_run(path, part=name) as reader:
            arrays = repr(
                [(b.positions_angstrom.tolist(), b.energy_ev.tolist(), b.ionic_step.tolist()) for b in reader.batches()]
            )
            told.append(
                (name, arrays, reader.outcome, reader.fingerprint(), reader.head_sha256(), reader.header.n_atoms)
            )
    return told


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "damage",
    [lambda text: text, lambda text: text[:-9], lambda text: text.replace("energy=-2", "en\0rgy=-2", 1) + "x y\n"],
)
def test_parts_are_read_alike_whether_or_not_it_is_known_where_they_stand(tmp_path, packed, damage):
    path = tmp_path / "many.extxyz"
    path.write_bytes(packed(damage("".join(of_many_formulas(5))).encode()))
    names = parts_of(path)
    assert places_in(str(path)) is not None
    known = told_of_parts(path, names)
    path.touch()  # as if it had been written: nothing is known of it any more
    assert places_in(str(path)) is None
    assert told_of_parts(path, names) == known


def test_many_parts_cost_one_pass_over_the_file_for_all(tmp_path):
    path, n_read = tmp_path / "many.extxyz", 0
    path.write_text("".join(of_many_formulas(60)))
    for name in parts_of(path):
        with open_run(path, part=name) as reader:
            assert sum(batch.n_frames for batch in reader.batches()) == 3
            n_read += reader.raw_bytes_read()
    assert n_read == path.stat().st_size


def test_file_that_is_written_while_its_parts_are_read_is_refused(tmp_path):
    path = tmp_path / "many.extxyz"
    path.write_text("".join(of_many_formulas(3)))
    with open_run(path, part=parts_of(path)[1]) as reader:
        with path.open("a") as file:
            file.write("1\n")
        with pytest.raises(FileReplaced, match="written while its parts were read"):
            list(reader.batches())


def test_one_sequence_is_one_part():
    assert extxyz_parts(SourceStream(io.BytesIO((MACE * 3).encode()), "x")) == ("",)


def test_cut_file_keeps_its_whole_frames():
    whole = MACE * 3
    for cut in range(len(MACE), len(whole)):
        reader, batches = frames_of(whole[:cut])
        assert sum(batch.n_frames for batch in batches) == cut // len(MACE)
        assert reader.outcome.n_incomplete == (cut % len(MACE) > 0)
        assert reader.outcome.complete == (cut % len(MACE) == 0)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 4096])
def test_chunk_size_and_line_ends_change_nothing(chunk_bytes):
    (whole,) = frames_of(MACE * 4)[1]
    for text in (MACE * 4, (MACE * 4).replace("\n", "\r\n")):
        (batch,) = frames_of(text, chunk_bytes=chunk_bytes)[1]
        assert np.array_equal(batch.positions_angstrom, whole.positions_angstrom)
        assert np.array_equal(batch.virial_ev, whole.virial_ev)
        assert batch.faults == whole.faults


def test_cut_gzip_is_noted():
    reader, batches = frames_of(gzip.compress((MACE * 2000).encode(), 0)[:-20_000])
    assert sum(batch.n_frames for batch in batches) > 1900
    assert "was cut" in reader.outcome.notes[0]


def test_file_without_a_frame_is_refused():
    with pytest.raises(UnreadableFile, match="no complete frame"):
        frames_of(MACE[:-20])
