"""Energies that are not comparable never have one label, and both files of a run give the same."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.readers import open_run
from lake.readers.vasp_settings import VaspSettings
from lake.readers.vasp_theory import level_of_theory, listed_k_points

PAIRS = [
    "cu1-relax-v541",
    "cu1-relax-v621",
    "ge8-vdw",
    "h2-broken-step0",
    "h2o-md10",
    "nitinb253-aborted",
    "pt111-water-isif0",
    "si1-unconv-v620",
    "si2-h5-v641",
    "ti-o-ti-v6",
    "ti32-aimd-nwrite0",
]
H2O = "functional=PBE ENCUT=800 ISMEAR=0 SIGMA=0.05 ISPIN=1 k-points=1x1x1 PREC=accurate LREAL=auto LASPH=T"
DFT_U_IN_OUTCAR = b"""LEXCH   =     8    internal
 LDA+U is selected, type is set to LDAUTYPE =  2
   angular momentum for each species LDAUL =     2   -1
   U (eV)           for each species LDAUU =   5.3  0.0
   J (eV)           for each species LDAUJ =   0.5  0.0
"""
DFT_U_IN_XML = b"""LDAU"> T </i>
  <v type="int" name="LDAUTYPE">     2</v>
  <v type="int" name="LDAUL">     2    -1</v>
  <v name="LDAUU">      5.30000000      0.00000000</v>
  <v name="LDAUJ">      0.50000000      0.00000000</v>
"""


def label(content, read_bytes):
    return read_bytes(content)["header"].level_of_theory.label


@pytest.mark.parametrize("folder", PAIRS)
def test_outcar_and_vasprun_of_one_run_have_one_level_of_theory(reference, folder):
    paths = sorted(path for path in (reference / folder).iterdir() if path.name.startswith(("OUTCAR", "vasprun")))
    one, other = (open_run(path).header.level_of_theory for path in paths)
    assert one.label == other.label
    assert one.potcar_titles == other.potcar_titles


@pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
def test_label_says_what_is_not_at_its_default(reference, read_bytes, name):
    assert label((reference / "h2o-md10" / name).read_bytes(), read_bytes) == H2O


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        (b'name="LDAU"> F', b'name="LDAU"> T', "DFT+U=2:unknown"),
        (b'name="LSORBIT"> F', b'name="LSORBIT"> T', "spins=LSORBIT"),
        (b'name="LNONCOLLINEAR"> F', b'name="LNONCOLLINEAR"> T', "spins=LNONCOLLINEAR"),
        (b'name="LHFCALC"> F', b'name="LHFCALC"> T', "functional=PBE+HF0"),
        (b'name="PREC">a<', b'name="PREC">high<', "PREC=high"),
        (b'name="ROPT">     -0.00025000     -0.00025000', b'name="ROPT"> 0.0 0.0', "LREAL=T"),
    ],
)
def test_setting_of_the_xml_changes_the_label(reference, read_bytes, before, after, part):
    content = (reference / "h2o-md10/vasprun.xml").read_bytes()
    assert before in content
    changed = label(content.replace(before, after), read_bytes)
    assert changed != H2O
    assert part in changed.split()


@pytest.mark.parametrize(
    ("change", "of_label"),
    [
        ((b"LSORBIT =      F", b"LSORBIT =      T"), (" PREC", " spins=LSORBIT PREC")),
        ((b"LREAL  =      T", b"LREAL  =      F"), (" LREAL=auto", "")),
        ((b"LASPH  =      T", b"LASPH  =      F"), (" LASPH=T", "")),
        ((b"PREC   = a ", b"PREC   = n "), (" PREC=accurate", "")),
        ((b"LHFCALC =     F", b"HFSCREEN=    0.2000\n   LHFCALC =     T"), ("=PBE", "=PBE+HF0/0.2")),
    ],
)
def test_setting_of_the_outcar_changes_the_label(reference, read_bytes, change, of_label):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    assert label(content.replace(*change), read_bytes) == H2O.replace(*of_label)


def test_dft_u_is_the_same_in_both_files(reference, read_bytes):
    outcar, xml = ((reference / "h2o-md10" / name).read_bytes() for name in ("OUTCAR", "vasprun.xml"))
    one = label(outcar.replace(b"LEXCH   =     8    internal", DFT_U_IN_OUTCAR), read_bytes)
    other = label(xml.replace(b'LDAU"> F  </i>', DFT_U_IN_XML), read_bytes)
    assert one == other
    assert "DFT+U=2:O(d,U=5.3,J=0.5)" in one.split()


def dft_u(titles, l_numbers, u, j):
    settings = VaspSettings(
        dft_u="T", dft_u_type=2, potcar_titles=titles, dft_u_l=l_numbers, dft_u_u=u, dft_u_j=j, gga="PE"
    )
    return level_of_theory(settings).dft_u


def test_dft_u_belongs_to_elements_and_not_to_their_order():
    one = dft_u(("PAW_PBE Ni", "PAW_PBE O"), (2, -1), (6.2, 0), (0, 0))
    assert one == dft_u(("PAW_PBE Al", "PAW_PBE O", "PAW_PBE Ni"), (-1, -1, 2), (0, 0, 6.2), (0, 0, 0))
    assert one != dft_u(("PAW_PBE Ni", "PAW_PBE O"), (2, -1), (6.4, 0), (0, 0))
    assert dft_u(("PAW_PBE Ni", "PAW_PBE O"), (2, -1), (0, 0), (0, 0)) is None


def test_screened_exchange_is_another_functional():
    hybrid = {"gga": "PE", "hybrid": "T", "exact_exchange": 0.25}
    assert level_of_theory(VaspSettings(**hybrid, screening=0.2)).functional == "PBE+HF0.25/0.2"
    assert level_of_theory(VaspSettings(**hybrid)).functional == "PBE+HF0.25"


@given(st.tuples(*[st.integers(1, 12)] * 3), st.booleans())
def test_mesh_is_recovered_from_its_irreducible_points(mesh, shifted):
    shift = 0.5 if shifted else 0.0
    axes = [[(k + (shift if n % 2 == 0 else 0)) / n for k in range(n)] for n in mesh]
    points = [[round(value - round(value), 6) for value in point] for point in product(*axes)]
    irreducible = {max(tuple(point), tuple(-value + 0.0 for value in point)) for point in points}
    assert listed_k_points(sorted(irreducible), len(points)) == "x".join(map(str, mesh))


@pytest.mark.parametrize("n_mesh_points", [None, 7])
def test_points_that_are_no_whole_mesh_stay_a_list(n_mesh_points):
    assert listed_k_points([[0, 0, 0], [0.1, 0, 0], [0.37, 0.2, 0]], n_mesh_points) == "3 in list"


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("ch4-mlff/OUTCAR", "on the fly"),
        ("h2-mlff-istart0/OUTCAR", "on the fly"),
        ("h2-mlff-istart1/OUTCAR", "on the fly"),
        ("h2o-md10/OUTCAR", None),
    ],
)
def test_part_of_a_force_field_is_known(reference, name, meaning):
    assert open_run(reference / name).header.level_of_theory.machine_learned == meaning


@pytest.mark.parametrize(
    ("mode", "start", "meaning"),
    [
        ("run", None, "run"),
        ("REFIT", 0, "refit"),
        ("RefitBayesian", None, "refit"),
        ("select", None, "select"),
        (None, 2, "run"),
        (None, 4, "refit"),
        (None, None, "on the fly"),
        (None, 9, "unknown"),
    ],
)
def test_mode_of_a_force_field(mode, start, meaning):
    settings = VaspSettings(machine_learning=".TRUE.", machine_learning_mode=mode, machine_learning_start=start)
    assert level_of_theory(settings).machine_learned == meaning


def test_mode_of_a_force_field_in_xml_is_that_of_the_outcar(reference, read_bytes):
    content = (reference / "h2o-md10/vasprun.xml").read_bytes()
    learning = b"""<incar>
  <i type="logical" name="ML_LMLFF"> T  </i>
  <i type="string" name="ML_MODE">run</i>
"""
    run = read_bytes(content.replace(b"<incar>\n", learning, 1))
    assert run["header"].level_of_theory.machine_learned == "run"
    assert run["header"].level_of_theory.label == H2O
