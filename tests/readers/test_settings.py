"""What settings do to the labels: pressure, stress flags, synthetic runs, species."""

import numpy as np
import pytest

from lake.readers.vasp_settings import VaspSettings, element_of, ensemble_of, scf_verdict
from schemas.errors import UnreadableFile
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR


@pytest.mark.parametrize(
    ("title", "element"),
    [
        ("PAW_PBE Cu_pv 06Sep2000", "Cu"),
        ("US H", "H"),
        ("PAW In_d_GW 15Mar2013", "In"),
        ("PAW_PBE H.75 01Jan2001", "H"),
        ("PAW Ni 02Aug2007", "Ni"),
        ("PAW_PBE 123", None),
    ],
)
def test_element_of_a_potcar_title(title, element):
    assert element_of(title) == element


@pytest.mark.parametrize(
    ("settings", "ensemble"),
    [
        ({"ibrion": 0, "smass": -3.0, "isif": 2}, "nve"),
        ({"ibrion": 0, "smass": 0.0, "isif": 2}, "nvt"),
        ({"ibrion": 0, "mdalgo": 2, "smass": -3.0, "isif": 2}, "nvt"),
        ({"ibrion": 0, "mdalgo": 3, "smass": -3.0, "isif": 3}, "npt"),
        ({"ibrion": 0, "smass": 1.0, "isif": 3}, "unknown"),
        ({"ibrion": 2, "isif": 3}, "relaxation"),
        ({"ibrion": 0, "nsw": 0}, "static"),
        ({"ibrion": 11, "isif": 3}, "unknown"),
    ],
)
def test_ensemble_of_settings(settings, ensemble):
    assert ensemble_of(VaspSettings(**settings)) == ensemble


@pytest.mark.parametrize(
    ("steps", "change", "told", "verdict"),
    [
        (9, None, "reached", "converged"),
        (9, None, "", "unknown"),
        (10, 1e-7, "reached", "converged"),
        (10, -1e-3, "reached", "unconverged"),
        (10, None, "reached", "suspect"),
        (3, 1e-9, "not reached", "unconverged"),
    ],
)
def test_scf_verdict(steps, change, told, verdict):
    assert scf_verdict(scf_steps=steps, nelm=10, ediff=1e-6, last_change_ev=change, told=told) == verdict


@pytest.mark.parametrize(
    ("shift_ev", "known"), [(0.0, True), (10.0 * 1000.0 * EV_PER_ANGSTROM3_PER_KBAR, True), (0.5, False)]
)
def test_enthalpy_under_pressure_is_never_taken_for_the_energy(reference, read_bytes, shift_ev, known):
    content = (reference / "h2o-md10/vasprun.xml").read_bytes()
    content = content.replace(b'name="PSTRESS">      0.00000000', b'name="PSTRESS">     10.00000000')
    ionic = b'  <energy>\n   <i name="e_fr_energy">    -28.38622624 </i>'
    shifted = content.replace(ionic, b'  <energy>\n   <i name="e_fr_energy"> %16.8f </i>' % (-28.38622624 + shift_ev))
    run = read_bytes(shifted)
    assert run["faults"][0] == (() if known else ("energy_ambiguous",))
    assert np.array_equal(run["energy_ev"][:1], [-28.38622624 if known else np.nan], equal_nan=True)


def test_isif_1_gives_no_virial_and_says_why(reference, read_bytes):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    run = read_bytes(content.replace(b"ISIF   =      2", b"ISIF   =      1"))
    assert np.isnan(run["virial_ev"]).all()
    assert "ISIF = 1" in run["outcome"].notes[0]
    assert not any(run["faults"])


@pytest.mark.parametrize("line", [b" SYSTEM =  Synthetic Al60Cu20Ni20 ", b" SYSTEM =  AlCuNi"])
def test_synthetic_run_is_marked(reference, read_bytes, line):
    content = (reference / "h2o-md10/OUTCAR").read_bytes().replace(b" SYSTEM =  unknown system", line)
    assert read_bytes(content)["header"].synthetic == (b"Synthetic" in line)


def test_counts_that_do_not_sum_to_the_atoms_are_refused(reference, read_bytes):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    with pytest.raises(UnreadableFile, match="sum to NIONS = 6"):
        read_bytes(content.replace(b"ions per type =               2   4", b"ions per type =               2   3"))
