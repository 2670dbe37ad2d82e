"""What settings do to the labels: pressure, stress flags, synthetic runs, species."""

import numpy as np
import pytest

from lake.readers.vasp_settings import VaspSettings, element_of, ensemble_of, scf_verdict, temperature_target_k
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
        ({"ibrion": 0, "mdalgo": 2, "smass": -3.0, "isif": 2}, "nve"),
        ({"ibrion": 0, "mdalgo": 2, "smass": 0.3, "isif": 2}, "nvt"),
        ({"ibrion": 0, "mdalgo": 1, "smass": -3.0, "andersen_prob": 0.1, "isif": 2}, "nvt"),
        ({"ibrion": 0, "mdalgo": 1, "smass": -3.0, "andersen_prob": 0.0, "isif": 2}, "nve"),
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
    ("settings", "target"),
    [
        ({"smass": 0.0}, 300.0),
        ({"mdalgo": 3, "smass": -3.0}, 300.0),
        ({"mdalgo": 1, "andersen_prob": 0.1, "smass": -3.0}, 300.0),
        ({"smass": -3.0}, None),
        ({"smass": -2.0}, None),
        ({"smass": -1.0}, None),
        ({"mdalgo": 1, "andersen_prob": 0.0, "smass": -3.0}, None),
        ({"smass": 0.0, "teend": 400.0}, None),
        ({"smass": 0.0, "nsw": 0}, None),
    ],
)
def test_only_a_thermostat_with_one_temperature_is_a_target(settings, target):
    known = VaspSettings(**{"ibrion": 0, "isif": 2, "tebeg": 300.0, "teend": 300.0} | settings)
    assert temperature_target_k(known, ensemble_of(known)) == target


def test_ramp_is_no_target_and_is_told(reference, read_bytes):
    run = read_bytes((reference / "lips84-nostress/OUTCAR").read_bytes())
    assert run["header"].ensemble == "nvt"
    assert run["header"].temperature_target_k is None
    assert "from 1 to 600 K" in run["outcome"].notes[0]


@pytest.mark.parametrize(("probability", "ensemble", "target"), [(b"0.5", "nvt", 300.0), (b"0.0", "nve", None)])
def test_thermostat_that_is_named_behind_the_first_step_is_known(reference, read_bytes, probability, ensemble, target):
    content = (
        (reference / "h2o-md10/OUTCAR")
        .read_bytes()
        .replace(b"=    0.0;   TEEND  =   0.0", b"=  300.0;   TEEND  = 300.0")
    )
    named = b"\n  MDALGO =   1\n  ANDERSEN_PROB =   " + probability + b"\n\n  ENERGY OF THE ELECTRON-ION-THERMOSTAT"
    header = read_bytes(content.replace(b"\n  ENERGY OF THE ELECTRON-ION-THERMOSTAT", named, 1))["header"]
    assert (header.ensemble, header.temperature_target_k) == (ensemble, target)


@pytest.mark.parametrize(
    ("steps", "change", "told", "version", "verdict"),
    [
        (9, None, "reached", "5.4.4", "converged"),
        (9, None, "", "5.4.4", "unknown"),
        (10, 1e-7, "reached", "5.4.4", "converged_at_nelm"),
        (10, 1e-7, "", None, "converged_at_nelm"),
        (10, -1e-3, "reached", "6.1.2", "unconverged"),
        (10, None, "reached", "6.1", "suspect"),
        (10, None, "reached", "6.2.0", "converged_at_nelm"),
        (10, -1e-3, "reached", "6.10.1", "converged_at_nelm"),
        (10, 1e-7, "not reached", "6.3.0", "unconverged"),
        (3, 1e-9, "not reached", "6.3.0", "unconverged"),
    ],
)
def test_scf_verdict(steps, change, told, version, verdict):
    found = scf_verdict(scf_steps=steps, nelm=10, ediff=1e-6, last_change_ev=change, told=told, version=version)
    assert found == verdict


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
