"""What VASP prints beside energy and stress: the conserved energy, the pressure, and the POTCARs' cutoffs."""

import re

import numpy as np
import pytest

from lake.frames import staged_rows
from lake.readers import open_run
from lake.readers.vasp_settings import VaspSettings, conserves_energy
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR
from tests.readers.test_bookmarks import content_of, frames_of, opened

MOLECULAR_DYNAMICS = {"ibrion": 0, "nsw": 10, "isif": 2, "tebeg": 300.0, "teend": 300.0, "smass": -3.0}
LAST_DIGIT_OF_A_PRESSURE_KBAR = 0.00501


def quantity(path, name):
    values = [getattr(batch, name) for batch in open_run(path).batches()]
    return None if values[0] is None else np.concatenate(values)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("h2o-md10/OUTCAR", -28.378058, -28.379038),
        ("h2o-md10/vasprun.xml", -28.37805795, -28.37903756),
        ("pt111-water-isif0/OUTCAR", -543.050267, -543.052138),
        ("pt111-water-isif0/vasprun.xml", -543.05026697, -543.05213775),
        ("si64-liquid-2000k/vasprun.xml.gz", -322.02935698, -321.92482013),
        ("ti32-aimd-nwrite0/OUTCAR", -251.154852, -251.153438),
        ("ti32-md-h5-derived/vaspout.h5", -251.15485226, -251.15343845),
    ],
)
def test_conserved_energy_is_the_one_that_is_printed(reference, name, first, last):
    energies = quantity(reference / name, "conserved_energy_ev")
    assert (energies[0], energies[-1]) == (first, last)


@pytest.mark.parametrize(
    "name", ["h2o-md10/vasprun.xml", "pt111-water-isif0/vasprun.xml", "ti32-aimd-nwrite0/vasprun.xml"]
)
def test_conserved_energy_is_the_sum_of_all_energies(reference, name):
    steps = (reference / name).read_text(encoding="latin-1").split("<calculation>")[1:]
    parts = ("kinetic", "lattice kinetic", "nosepot", "nosekinetic")
    printed = [[float(re.findall(rf'"{part}">\s*(\S+)', step)[-1]) for part in parts] for step in steps]
    sums = quantity(reference / name, "energy_ev") + np.sum(printed, axis=1)
    np.testing.assert_allclose(quantity(reference / name, "conserved_energy_ev"), sums, rtol=0, atol=1.1e-8)


@pytest.mark.parametrize(
    "name", ["lips84-npt-langevin/OUTCAR", "lips84-nostress/OUTCAR", "ch4-mlff/OUTCAR", "cu1-relax-v541/OUTCAR.gz"]
)
def test_dynamics_that_conserve_nothing_have_no_conserved_energy(reference, name):
    assert np.isnan(quantity(reference / name, "conserved_energy_ev")).all()


@pytest.mark.parametrize(
    ("settings", "conserved"),
    [
        ({}, True),
        ({"smass": 0.0}, True),
        ({"mdalgo": 2, "smass": 0.5}, True),
        ({"mdalgo": 1, "andersen_prob": 0.0}, True),
        ({"mdalgo": 1, "andersen_prob": 0.1}, False),
        ({"mdalgo": 3}, False),
        ({"mdalgo": 3, "isif": 3}, False),
        ({"mdalgo": 5}, False),
        ({"smass": -1.0}, False),
        ({"smass": 0.0, "teend": 400.0}, False),
        ({"smass": None}, False),
        ({"ibrion": 2}, False),
    ],
)
def test_only_nve_and_nose_conserve_the_energy_that_is_printed(settings, conserved):
    assert conserves_energy(VaspSettings(**MOLECULAR_DYNAMICS | settings)) == conserved


@pytest.mark.parametrize(
    ("name", "first_kbar"),
    [
        ("h2o-md10/OUTCAR", -2.65),
        ("ag32h-v522/OUTCAR", 77.52),
        ("zn2-v46/OUTCAR.gz", -1.60),
        ("li40-relax/OUTCAR.gz", 74.93 + 700.00),
        ("inp216-incomplete/OUTCAR.gz", 46.59 - 7.85),
        ("ch4-mlff/OUTCAR", -1.00 + 1.00),
    ],
)
def test_printed_pressure_has_pstress_added_back(reference, name, first_kbar):
    assert quantity(reference / name, "printed_pressure_kbar")[0] == pytest.approx(first_kbar, abs=1e-9)


def test_printed_pressure_is_a_third_of_the_trace_in_every_outcar(reference):
    n_compared = 0
    for path in sorted(reference.glob("*/OUTCAR*")):
        if path.parent.name in {"bad-empty", "bad-outcar-kB-glued", "h2-broken-step0", "nitinb253-aborted"}:
            continue
        printed, trace_ev = quantity(path, "printed_pressure_kbar"), quantity(path, "virial_trace_ev")
        volumes = np.abs(np.linalg.det(quantity(path, "cell_angstrom")))
        gaps = np.abs(trace_ev / volumes / EV_PER_ANGSTROM3_PER_KBAR / 3 - printed)
        assert np.isnan(printed).tolist() == np.isnan(trace_ev).tolist()
        assert not (gaps > LAST_DIGIT_OF_A_PRESSURE_KBAR).any(), path
        n_compared += int(np.isfinite(gaps).sum())
    assert n_compared > 150


@pytest.mark.parametrize("name", ["h2o-md10/vasprun.xml", "ti32-md-h5-derived/vaspout.h5", "h2-mlab/ML_AB"])
def test_formats_that_print_no_pressure_have_none(reference, name):
    assert quantity(reference / name, "printed_pressure_kbar") is None


def test_asterisks_in_either_line_are_no_fault(reference, read_bytes):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    content = content.replace(b"external pressure =       -1.52", b"external pressure = ***********")
    content = content.replace(b"ETOTAL =       -28.386537", b"ETOTAL = ****************")
    run = read_bytes(content)
    assert np.flatnonzero(np.isnan(run["printed_pressure_kbar"])).tolist() == [1]
    assert np.flatnonzero(np.isnan(run["conserved_energy_ev"])).tolist() == [2]
    assert not any(run["faults"])


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "h2o-md10/vasprun.xml"])
def test_frame_whose_conserved_energy_is_not_there_yet_is_not_final(reference, name):
    content = content_of(reference / name)
    before = content.rindex(b"ETOTAL =" if name.endswith("OUTCAR") else b'<i name="total">')
    first = opened(content[:before])
    kept = frames_of(list(first.batches()))[: first.bookmark().n_frames]
    assert len(kept) == 9
    assert kept + frames_of(list(opened(content, bookmark=first.bookmark()).batches())) == frames_of(
        list(opened(content).batches())
    )


@pytest.mark.parametrize(
    ("name", "enmax_ev"),
    [
        ("h2o-md10/OUTCAR", 400.0),
        ("cuni4-relax-spin/OUTCAR.gz", 295.446),
        ("inp216-incomplete/OUTCAR.gz", 278.582),
        ("si2-h5-v641/vaspout.h5.gz", 245.345),
        ("li40-relax/OUTCAR.gz", None),
        ("ti-o-ti-v6/OUTCAR", None),
        ("cu1-relax-v541/vasprun.xml.gz", None),
    ],
)
def test_enmax_is_the_potcars_and_not_the_cutoff(reference, name, enmax_ev):
    assert open_run(reference / name).header.enmax_ev == enmax_ev


def test_enmax_is_unknown_where_one_potcar_does_not_tell(reference):
    content = content_of(reference / "cuni4-relax-spin/OUTCAR.gz")
    assert opened(content.replace(b"   ENMAX  =  269.532", b"   EXMAX  =  269.532")).header.enmax_ev is None


def test_both_are_stored_with_their_units(reference):
    reader = open_run(reference / "h2o-md10/OUTCAR")
    batch = next(iter(reader.batches()))
    rows = staged_rows(batch, reader.header, first_frame=0, time_fs=np.zeros(batch.n_frames))
    assert rows["conserved_energy_ev"][0].as_py() == -28.378058
    assert rows["printed_pressure_gpa"][0].as_py() == pytest.approx(-0.265)
    lacking = open_run(reference / "h2-mlab/ML_AB")
    batch = next(iter(lacking.batches()))
    rows = staged_rows(batch, lacking.header, first_frame=0, time_fs=np.zeros(batch.n_frames))
    assert rows["conserved_energy_ev"].null_count == rows["printed_pressure_gpa"].null_count == batch.n_frames
