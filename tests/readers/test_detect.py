"""What a file is: told by its content, whatever its name, and refused with a reason where it holds no run."""

import gzip

import pytest

from lake.readers import open_run, parts_of
from lake.readers.detect import source_format
from schemas.errors import UnreadableFile

HEAD = b"melt\n 1.0\n 5 0 0\n 0 5 0\n 0 0 5\n Al\n 1\n"
XYZ = b'1\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\nAl 0 0 0\n'
DUMP = b"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n0 5\n0 5\n0 5\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "vaspout_h5"),
        (b" 1.0 Version\n****", "ml_ab"),
        (HEAD + b"Direct configuration=     1\n 0.5 0.5 0.5\n", "xdatcar"),
        (HEAD + b"Cartesian configuration=     1\n 0.5 0.5 0.5\n", "xdatcar"),
        (HEAD + b" \n 0.5 0.5 0.5\n \n", "xdatcar"),
        (HEAD.replace(b" Al\n", b"") + b"\r\n 0.5 0.5 -0.5\n", "xdatcar"),
        (b"   32   32    1\n  0.1E+02\n  0.0\n  CAR \n melt\n \n 0.1 0.2 0.3\n", "xdatcar"),
        (XYZ, "extxyz"),
        (XYZ.replace(b"\n", b"\r\n"), "extxyz"),
        (DUMP, "lammps_dump"),
        (b"ITEM: UNITS\nmetal\n" + DUMP, "lammps_dump"),
        (b" vasp.5.4.4.18Apr17-6-g9f103f2a35", "outcar"),
        (b"<?xml version='1.0'?>\n<modeling>", "vasprun"),
    ],
)
def test_format_is_told_by_content(tmp_path, content, kind):
    (tmp_path / "POTCAR").write_bytes(content)
    assert source_format(tmp_path / "POTCAR") == kind
    (tmp_path / "OUTCAR").write_bytes(gzip.compress(content))
    assert source_format(tmp_path / "OUTCAR") == kind


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<?xml version='1.0'?><other/>", "not a vasprun.xml"),
        (bytes(500), "binary data"),
        (b"hello\n", "text of an unknown kind"),
        (b"LAMMPS (22 Jul 2025)\n", "log of LAMMPS"),
        (b"a\n       N       E                     dE             d eps\n", "OSZICAR"),
        (HEAD + b"Direct\n 0.5 0.5 0.5\n", "POSCAR or CONTCAR"),
        (b"2\n\nAl 0 0 0\nCu 1 1 1\n", "plain XYZ"),
        (b"ENCUT = 300\nISMEAR = 1\n", "INCAR"),
        (b"1" * 4000 + b"x", "unknown kind"),
        (b"1 " * 4000 + b"x", "bare numbers, as the raw files of DeePMD"),
        (b"-1.019074095099999937e+02\n-1.019380786400000005e+02\n", "bare numbers"),
        (b"0\n1\n", "bare numbers"),
        (b"Na\nK\n", r"list of elements, as in the type_map\.raw"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'}", "NumPy array"),
        (b'[{"structure": {}}]', "JSON"),
        (b'{"energy": -1.5}', "JSON"),
        (b"[melt]\n", "unknown kind"),
    ],
)
def test_what_holds_no_run_is_named(tmp_path, content, reason):
    (tmp_path / "OUTCAR").write_bytes(content)
    with pytest.raises(UnreadableFile, match=reason):
        source_format(tmp_path / "OUTCAR")


def test_folder_is_a_run_only_with_a_card(tmp_path):
    with pytest.raises(UnreadableFile, match=r"without simulation\.json"):
        open_run(tmp_path)
    with pytest.raises(UnreadableFile, match="directory"):
        source_format(tmp_path)


def test_parts_are_named_only_where_atoms_change(tmp_path):
    (tmp_path / "one").write_bytes(XYZ * 2)
    (tmp_path / "two").write_bytes(XYZ + XYZ.replace(b"Al", b"Cu"))
    assert (parts_of(tmp_path / "one"), parts_of(tmp_path / "two")) == (("",), ("Al1", "Cu1"))
    with open_run(tmp_path / "two", part="Cu1") as reader:
        assert reader.header.atomic_numbers.tolist() == [29]
    (tmp_path / "dump").write_bytes(DUMP)
    with pytest.raises(UnreadableFile, match="no part Al1"):
        open_run(tmp_path / "dump", part="Al1")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("h2o-md10/OUTCAR", "outcar"),
        ("cr-vasprun-xz/vasprun.xml.xz", "vasprun"),
        ("si2-h5-v641/vaspout.h5.gz", "vaspout_h5"),
        ("h2-mlab/ML_AB", "ml_ab"),
        ("xdatcar-v4/XDATCAR", "xdatcar"),
        ("xdatcar-bad-fmt/XDATCAR.gz", "xdatcar"),
    ],
)
def test_reference_files_are_told_apart(reference, tmp_path, name, kind):
    (tmp_path / "anything").write_bytes((reference / name).read_bytes())
    assert source_format(tmp_path / "anything") == kind
    with open_run(tmp_path / "anything") as reader:
        assert reader.header.source_format == kind
