"""ML_AB: the numbers of a real file, and small synthetic files for what scripts write and what damage does."""

import bz2
import gzip
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.readers.containers import SourceStream
from lake.readers.ml_ab import MlAbReader, ml_ab_parts
from lake.readers.ml_ab_blocks import numbers
from schemas.errors import UnreadableFile
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR

STARS, EQUALS, DASHES = "*" * 50, "=" * 50, "-" * 50
STRESS = ((1.0, 2.0, 3.0), (0.1, 0.2, 0.3))


def opened(content, part="", **options):
    return MlAbReader(SourceStream(io.BytesIO(content), "ML_AB"), part, **options)


def everything_in(reader):
    """All frames of a part as one dictionary of arrays."""
    batches = list(reader.batches())
    names = ("ionic_step", "positions_angstrom", "forces_ev_per_angstrom", "energy_ev", "virial_ev", "cell_angstrom")
    run = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names}
    return run | {"faults": [frame for batch in batches for frame in batch.faults]}


def configuration(number, atoms=(("Al", 2), ("Cu", 1)), *, stress=STRESS, indent="     ", ctifor=True, n_rows=None):
    """A synthetic configuration: positions count up from 0, forces count down."""
    n_atoms = sum(count for _, count in atoms) if n_rows is None else n_rows
    values = np.arange(3.0 * n_atoms).reshape(-1, 3) / 7
    sections = [
        ("System name", ["synthetic"]),
        ("The number of atom types", [len(atoms)]),
        ("The number of atoms", [n_atoms]),
        ("Atom types and atom numbers", [f"{name} {count}" for name, count in atoms]),
        *([("CTIFOR", ["2.0E-003"])] if ctifor else []),
        ("Primitive lattice vectors (ang.)", ["4.0 0.0 0.0", "0.0 4.0 0.0", "0.0 0.0 4.0"]),
        ("Atomic positions (ang.)", [" ".join(map(repr, row)) for row in values.tolist()]),
        ("Total energy (eV)", [-3.5 * number]),
        ("Forces (eV ang.^-1)", [" ".join(map(repr, row)) for row in (-values).tolist()]),
    ]
    text = f"{STARS}\n{indent}Configuration num. {number}\n"
    for title, rows in sections:
        text += f"{EQUALS}\n{indent}{title}\n{DASHES}\n" + "".join(f"{indent}{row}\n" for row in rows)
    text += f"{EQUALS}\n{indent}Stress (kbar)\n"
    for title, row in zip(("XX YY ZZ", "XY YZ ZX"), stress, strict=True):
        text += f"{DASHES}\n{indent}{title}\n{DASHES}\n{indent}{' '.join(map(str, row))}\n"
    return text


def ml_ab(*configurations, declared=None, version="1.0 Version", basis="35 2"):
    n_declared = len(configurations) if declared is None else declared
    head = f" {version}\n{STARS}\n     The number of configurations\n{DASHES}\n     {n_declared}\n"
    head += f"{STARS}\n     Basis set for Al\n{DASHES}\n     {basis}\n"
    return (head + "".join(configurations)).encode()


def test_reference_file_gives_its_true_numbers(reference):
    reader = MlAbReader(reference / "h2-mlab/ML_AB")
    run = everything_in(reader)
    assert run["ionic_step"].tolist() == list(range(1, 44))
    assert (run["energy_ev"][0], run["energy_ev"][-1]) == (-6.698149439246976, -6.700614533598497)
    assert np.linalg.norm(run["forces_ev_per_angstrom"], axis=2).sum() == pytest.approx(34.782048, abs=1e-6)
    stress = run["virial_ev"][0] / (512.0 * EV_PER_ANGSTROM3_PER_KBAR)
    np.testing.assert_allclose(np.diag(stress), [-1.755170979781544, -1.755170951351686, -0.3039828470370151])
    assert reader.outcome.complete
    assert reader.outcome.notes == []


def test_every_number_is_the_one_that_float_gives(reference):
    lines = (reference / "h2-mlab/ML_AB").read_text().splitlines()
    run = everything_in(MlAbReader(reference / "h2-mlab/ML_AB"))
    for title, name in (("Atomic positions", "positions_angstrom"), ("Forces (eV", "forces_ev_per_angstrom")):
        tables = [lines[at + 2 : at + 4] for at, line in enumerate(lines) if line.strip().startswith(title)]
        assert np.array_equal(run[name], [[[float(word) for word in row.split()] for row in rows] for rows in tables])


def test_frames_repeat_those_of_the_outcar(reference, read_bytes):
    outcar = read_bytes((reference / "h2-mlff-istart1/OUTCAR").read_bytes())
    run = everything_in(MlAbReader(reference / "h2-mlab/ML_AB"))
    first_dft = int(np.flatnonzero(outcar["label_source"] == "dft")[0])
    match = int(np.abs(run["energy_ev"] - outcar["energy_ev"][first_dft]).argmin())
    assert run["energy_ev"][match] == pytest.approx(outcar["energy_ev"][first_dft], abs=1e-7)
    np.testing.assert_allclose(run["virial_ev"][match], outcar["virial_ev"][first_dft], rtol=0, atol=1e-5)


def test_cut_file_keeps_its_complete_configurations(reference):
    reader = MlAbReader(reference / "bad-mlab-cut/ML_AB")
    assert len(everything_in(reader)["energy_ev"]) == 19
    outcome = reader.outcome
    assert (outcome.complete, outcome.n_ionic_steps, outcome.n_incomplete) == (False, 20, 1)
    assert "The file declares 43 configurations and holds 19 complete ones." in outcome.notes


def test_file_cut_anywhere_gives_no_number_that_the_whole_file_has_not(reference):
    content = (reference / "h2-mlab/ML_AB").read_bytes()[:12000]
    whole = everything_in(MlAbReader(reference / "h2-mlab/ML_AB"))
    for end in range(4400, len(content), 97):
        run = everything_in(opened(content[:end]))
        n_frames = len(run["energy_ev"])
        for name in ("positions_angstrom", "forces_ev_per_angstrom", "energy_ev", "cell_angstrom"):
            assert np.array_equal(run[name], whole[name][:n_frames]), (end, name)
        known = np.isfinite(run["virial_ev"])
        assert np.array_equal(run["virial_ev"][known], whole["virial_ev"][:n_frames][known]), end


def test_every_frame_says_that_its_energy_is_of_unknown_kind():
    reader = opened(ml_ab(configuration(1), configuration(2)))
    batch = next(reader.batches())
    assert batch.faults == (("energy_kind_unknown",),) * 2
    assert batch.label_source.tolist() == ["dft", "dft"]
    assert (reader.header.time_step_fs, reader.header.synthetic) == (None, True)
    assert reader.header.level_of_theory.label == "energy=total energy of an ML_AB"


def test_stress_becomes_a_symmetric_virial():
    (virial,) = everything_in(opened(ml_ab(configuration(1))))["virial_ev"]
    expected = np.array([[1.0, 0.1, 0.3], [0.1, 2.0, 0.2], [0.3, 0.2, 3.0]]) * 64.0 * EV_PER_ANGSTROM3_PER_KBAR
    np.testing.assert_allclose(virial, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "options", [{"indent": ""}, {"ctifor": False}, {"indent": "", "ctifor": False}], ids=["left", "no-ctifor", "both"]
)
@pytest.mark.parametrize("basis", ["35 2", "35", ""])
def test_files_written_by_scripts_give_the_same_numbers(options, basis):
    plain = everything_in(opened(ml_ab(configuration(1), configuration(2))))
    other = everything_in(opened(ml_ab(configuration(1, **options), configuration(2, **options), basis=basis)))
    for name in plain.keys() - {"faults"}:
        assert np.array_equal(plain[name], other[name]), name


def test_line_ends_of_windows_change_no_number():
    content = ml_ab(configuration(1), configuration(2))
    unix, windows = (opened(text) for text in (content, content.replace(b"\n", b"\r\n")))
    runs = everything_in(unix), everything_in(windows)
    for name in runs[0].keys() - {"faults"}:
        assert np.array_equal(runs[0][name], runs[1][name]), name
    assert windows.outcome.complete
    assert unix.head_sha256() == windows.head_sha256()


@pytest.mark.parametrize("chunk_bytes", [1, 19, 4096])
def test_chunk_size_changes_no_number(chunk_bytes):
    content = ml_ab(*[configuration(number) for number in range(1, 5)])
    whole, pieces = everything_in(opened(content)), everything_in(opened(content, chunk_bytes=chunk_bytes))
    for name in whole.keys() - {"faults"}:
        assert np.array_equal(whole[name], pieces[name]), name


def test_stress_of_exactly_zero_is_no_stress():
    reader = opened(ml_ab(configuration(1, stress=((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))))
    assert np.isnan(everything_in(reader)["virial_ev"]).all()
    assert reader.outcome.notes == ["1 frames have a stress of exactly zero, so no virial was taken."]


def test_rows_that_do_not_match_the_count_are_flagged():
    reader = opened(ml_ab(configuration(1, n_rows=2), configuration(2)))
    run = everything_in(reader)
    assert "row_count_wrong" in run["faults"][0]
    assert run["faults"][1] == ("energy_kind_unknown",)
    assert np.isnan(run["forces_ev_per_angstrom"][0]).all()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("-3.5\n", "*****.\n", "energy_not_finite"),
        ("     Total energy (eV)", "     Total enrgy", "energy_missing"),
        ("4.0 0.0 0.0\n", "4.0 0.0\n", "cell_missing"),
        ("4.0 0.0 0.0\n", "NaN 0.0 0.0\n", "cell_not_finite"),
        ("     -0.0 -0.14", "     NaN -0.14", "forces_not_finite"),
        ("1.0 2.0 3.0", "1.0 ***** 3.0", "stress_not_finite"),
    ],
)
def test_damaged_value_is_flagged_in_its_frame_only(old, new, fault):
    damaged = configuration(1).replace(old, new, 1)
    run = everything_in(opened(ml_ab(damaged, configuration(2))))
    assert run["faults"] == [("energy_kind_unknown", fault), ("energy_kind_unknown",)]


def test_last_line_without_its_end_is_not_taken():
    reader = opened(ml_ab(configuration(1), configuration(2))[:-1])
    run = everything_in(reader)
    assert np.isfinite(run["virial_ev"][0]).all()
    assert np.isnan(run["virial_ev"][1]).all()
    assert not reader.outcome.complete
    assert "The last line has no end" in reader.outcome.notes[0]


@pytest.mark.parametrize(("declared", "complete"), [(3, False), (2, True), (1, True)])
def test_declared_number_of_configurations_is_compared(declared, complete):
    reader = opened(ml_ab(configuration(1), configuration(2), declared=declared))
    assert len(everything_in(reader)["energy_ev"]) == 2
    assert reader.outcome.complete is complete
    assert bool(reader.outcome.notes) is (declared != 2)


def test_configuration_without_tables_is_counted():
    no_tables = configuration(1).replace("Forces (eV ang.^-1)", "Something else")
    reader = opened(ml_ab(no_tables, configuration(2)))
    assert everything_in(reader)["ionic_step"].tolist() == [2]
    assert (reader.outcome.n_ionic_steps, reader.outcome.n_energy_only) == (2, 1)


def test_part_without_a_frame_is_refused():
    no_tables = configuration(1).replace("Forces (eV ang.^-1)", "Something else")
    with pytest.raises(UnreadableFile, match="no configuration of Al2Cu1 has its tables"):
        list(opened(ml_ab(no_tables, configuration(2, (("Ni", 2),))), "Al2Cu1").batches())


def test_each_sequence_of_atoms_is_a_part():
    orders = [(("Al", 2), ("Cu", 1)), (("Cu", 1), ("Al", 2)), (("Al", 2), ("Cu", 1)), (("Ni", 2),)]
    content = ml_ab(*[configuration(number, atoms) for number, atoms in enumerate(orders, 1)])
    parts = ml_ab_parts(SourceStream(io.BytesIO(content), "ML_AB"))
    assert parts == ("Al2Cu1", "Al2Cu1-2", "Ni2")
    readers = [opened(content, part) for part in parts]
    assert [everything_in(reader)["ionic_step"].tolist() for reader in readers] == [[1, 3], [2], [4]]
    assert [reader.header.atomic_numbers.tolist() for reader in readers] == [[13, 13, 29], [29, 13, 13], [28, 28]]
    assert len({reader.head_sha256() for reader in readers}) == 3


def test_same_atoms_in_more_table_rows_are_one_part():
    content = ml_ab(configuration(1, (("Al", 3),)), configuration(2, (("Al", 1), ("Al", 2))))
    assert ml_ab_parts(SourceStream(io.BytesIO(content), "ML_AB")) == ("",)
    assert len(everything_in(opened(content))["energy_ev"]) == 2


def test_reading_without_a_part_is_refused_where_atoms_change():
    content = ml_ab(configuration(1), configuration(2, (("Ni", 2),)))
    with pytest.raises(UnreadableFile, match="the atoms change on the way, from Al2Cu1 to Ni2 in configuration 2"):
        list(opened(content).batches())


def test_unknown_part_is_refused_with_those_there_are():
    with pytest.raises(UnreadableFile, match="has no part Ni2, but Al2Cu1"):
        opened(ml_ab(configuration(1)), "Ni2")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"SYSTEM = x\n" * 9000, "it is not an ML_AB"),
        (ml_ab(), "ends before its first configuration"),
        (ml_ab(configuration(1))[:700], "ends before its first configuration is complete"),
    ],
)
def test_file_without_a_configuration_is_refused_with_its_reason(content, reason):
    with pytest.raises(UnreadableFile, match=reason):
        opened(content)


def test_name_of_a_part_does_not_depend_on_what_was_added():
    few, many = ml_ab(configuration(1)), ml_ab(configuration(1), configuration(2, (("Ni", 2),)), basis="1 2\n 3 4")
    assert opened(few).head_sha256() == opened(many, "Al2Cu1").head_sha256()


def test_long_head_is_passed_in_pieces():
    basis = "     35  2\n" * 20000
    assert len(everything_in(opened(ml_ab(configuration(1), basis=basis)))["energy_ev"]) == 1


@pytest.mark.parametrize(("compress", "cut"), [(gzip.compress, 0), (bz2.compress, 0), (gzip.compress, 9)])
def test_compressed_file_is_read_and_its_damage_told(compress, cut):
    content = compress(ml_ab(configuration(1), configuration(2)))
    reader = opened(content[: len(content) - cut])
    assert everything_in(reader)["ionic_step"].tolist()[0] == 1
    assert reader.outcome.complete is (cut == 0)
    assert ("cut" in " ".join(reader.outcome.notes)) is (cut > 0)


def test_fingerprint_covers_all_parts(tmp_path):
    (tmp_path / "ML_AB").write_bytes(ml_ab(configuration(1), configuration(2, (("Ni", 2),))))
    with MlAbReader(tmp_path / "ML_AB", "Al2Cu1") as reader:
        list(reader.batches())
        assert reader.fingerprint().raw_bytes == (tmp_path / "ML_AB").stat().st_size
        assert reader.bookmark() is None


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_numbers_are_bit_equal_to_those_of_float(values):
    text = "\r\n".join(f"  {value!r}   {value:.16E}" for value in values)
    expected = np.array([float(word) for word in text.split()])
    assert np.array_equal(numbers(text.encode()).view(np.int64), expected.view(np.int64))


@pytest.mark.parametrize(("word", "value"), [(b"1.5D-03", 1.5e-3), (b"+.5", 0.5), (b"7.", 7.0), (b"-0.0", -0.0)])
def test_numbers_take_what_fortran_writes(word, value):
    assert numbers(b" 1.0 " + word).tolist() == [1.0, value]


@pytest.mark.parametrize("word", [b"******", b"1_0", b"0x1F", b"1.0-1.0", b"\xff", b"NaN"])
def test_word_that_is_no_number_is_not_a_number(word):
    assert np.isnan(numbers(b"1.0\n" + word + b"\n2.0")).tolist() == [False, True, False]
