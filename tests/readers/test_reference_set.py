"""Every file of the reference set gives the numbers that its index says are right."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from lake.readers import open_run
from schemas.errors import UnreadableFile
from tests.readers.conftest import REFERENCE
from tests.readers.grade import READ, differences, read, truth_of

ENTRIES = (
    [entry for entry in json.loads((REFERENCE / "index.json").read_text())["files"] if entry["format"] in READ]
    if (REFERENCE / "index.json").exists()
    else []
)
GRADED = [entry for entry in ENTRIES if truth_of(entry)["n_frames_complete"]]
EMPTY = [entry for entry in ENTRIES if not truth_of(entry)["n_frames_complete"]]


def content_of(reference: Path, name: str) -> bytes:
    raw = (reference / name).read_bytes()
    opened = {b"\x1f\x8b": gzip.decompress, b"BZ": bz2.decompress, b"\xfd7": lzma.decompress}.get(raw[:2])
    return raw if opened is None else opened(raw)


def named(entry: dict[str, str]) -> str:
    return str(entry["file"])


@pytest.mark.parametrize("entry", GRADED, ids=named)
def test_reference_file_gives_its_true_numbers(reference, entry):
    found, truth = read(reference / entry["file"], entry["format"]), truth_of(entry)
    assert found["n_frames_complete"] == truth["n_frames_complete"]
    assert list(differences(found, truth)) == []


@pytest.mark.parametrize("entry", EMPTY, ids=named)
def test_file_without_a_frame_is_refused_with_its_reason(reference, entry):
    with pytest.raises(
        UnreadableFile, match=r"killed before the first (ionic|electronic) step|the file is empty|unreadable HDF5"
    ):
        list(open_run(reference / entry["file"]).batches())


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if "bad" in entry["tags"] and entry not in EMPTY], ids=named
)
def test_damaged_file_keeps_exactly_its_usable_frames(reference, entry):
    manual = entry["expected"]["manual"]
    usable = manual.get("n_frames_usable", truth_of(entry)["n_frames_complete"])
    batches = list(open_run(reference / entry["file"]).batches())
    # Which energy an ML_AB holds is never told, damaged or not.
    faults = [tuple(fault for fault in frame if fault != "energy_kind_unknown") for b in batches for frame in b.faults]
    assert sum(not frame for frame in faults) == usable
    if "bad_step_1based" in manual:
        assert faults[manual["bad_step_1based"] - 1] == ("forces_not_finite",)


@pytest.mark.parametrize("entry", [entry for entry in GRADED if "scf_hit_nelm_steps" in truth_of(entry)], ids=named)
def test_scf_verdict_separates_nelm_from_convergence(reference, entry):
    truth = entry["truth"]
    verdicts = np.concatenate([batch.scf_verdict for batch in open_run(reference / entry["file"]).batches()])
    for step in truth["scf_certainly_unconverged_steps"]:
        assert verdicts[step] == "unconverged"
    for step in truth["scf_hit_nelm_but_dE_below_EDIFF_steps"]:
        assert verdicts[step] == "converged_at_nelm"
    steps_below_nelm = set(range(len(verdicts))) - set(truth["scf_hit_nelm_steps"])
    assert {str(verdicts[step]) for step in steps_below_nelm} <= {"converged"}


def test_virial_has_the_sign_of_the_external_pressure(reference):
    batch = next(open_run(reference / "h2o-md10/OUTCAR").batches())
    assert np.trace(batch.virial_ev[0]) == pytest.approx(-4.970688, abs=1e-5)


def test_machine_learned_frames_are_kept_apart(reference, read_bytes):
    run = read_bytes((reference / "ch4-mlff/OUTCAR").read_bytes())
    learned = run["label_source"] == "vasp_mlff"
    assert (learned.sum(), (~learned).sum()) == (10, 4)
    assert run["ionic_step"][~learned].tolist() == [1, 2, 3, 6]
    assert run["ionic_step"][learned].tolist() == list(range(1, 11))
    assert run["faults"][0] == ("energy_and_forces_zero",)
    assert run["header"].ensemble == "npt"


def test_nwrite_0_counts_energies_without_positions(reference, read_bytes):
    run = read_bytes((reference / "ti32-aimd-nwrite0/OUTCAR").read_bytes())
    assert run["outcome"].n_energy_only == 8
    assert run["ionic_step"].tolist() == [1, 10]
    assert "NWRITE = 0" in run["outcome"].notes[0]


def test_joined_runs_become_segments(reference, read_bytes):
    run = read_bytes((reference / "concat-restart/OUTCAR").read_bytes())
    assert run["segment"].tolist() == [0, 0, 0, 1, 1, 1]
    assert run["ionic_step"].tolist() == [1, 2, 3, 1, 2, 3]


def test_line_ends_of_windows_change_no_number(reference, read_bytes):
    unix = read_bytes((reference / "lips84-npt-langevin/OUTCAR").read_bytes())
    windows = read_bytes((reference / "crlf-outcar/OUTCAR").read_bytes())
    for name in ("positions_angstrom", "forces_ev_per_angstrom", "energy_ev", "virial_ev", "temperature_k"):
        assert np.array_equal(unix[name], windows[name]), name


def test_glued_stress_is_separated(reference, read_bytes):
    run = read_bytes((reference / "bad-outcar-kB-glued/OUTCAR").read_bytes())
    volume = np.abs(np.linalg.det(run["cell_angstrom"][3]))
    xx, yy, zz, xy, yz, zx = (
        value * volume * 6.241509074e-4
        for value in (123456.78901, -123456.78901, -234567.89012, -11111.11111, -22222.22222, -33333.33333)
    )
    np.testing.assert_allclose(run["virial_ev"][3], [[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]], rtol=1e-12)


@pytest.mark.parametrize(
    "name", ["lips84-nostress/OUTCAR", "pt111-water-isif0/vasprun.xml", "h2o-md3-novirial/vasprun.xml"]
)
def test_missing_stress_is_not_a_number_and_no_fault(reference, read_bytes, name):
    run = read_bytes((reference / name).read_bytes())
    assert np.isnan(run["virial_ev"]).all()
    assert not any(run["faults"])


def test_cut_gzip_gives_its_frames_and_says_so(reference):
    reader = open_run(reference / "bad-outcar-gz-cut/OUTCAR.gz")
    assert sum(batch.n_frames for batch in reader.batches()) == 5
    assert not reader.outcome.complete
    assert "cut" in reader.outcome.notes[0]


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "lips84-npt-langevin/OUTCAR", "cu1-relax-v621/OUTCAR.gz"])
def test_outcar_agrees_with_ase(reference, read_bytes, tmp_path, name):
    ase_io = pytest.importorskip("ase.io")
    content = content_of(reference, name)
    (tmp_path / "OUTCAR").write_bytes(content)
    run, frames = read_bytes(content), ase_io.read(tmp_path / "OUTCAR", index=":", format="vasp-out")
    assert np.array_equal(run["positions_angstrom"], [frame.positions for frame in frames])
    assert np.array_equal(run["forces_ev_per_angstrom"], [frame.get_forces(apply_constraint=False) for frame in frames])
    assert np.array_equal(run["energy_ev"], [frame.calc.results["free_energy"] for frame in frames])
    stress = [-frame.get_stress(voigt=False) * frame.get_volume() for frame in frames]
    np.testing.assert_allclose(run["virial_ev"], stress, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "fmt"), [("ti32-aimd-nwrite0/vasprun.xml", "vasp/xml"), ("h2o-md10/OUTCAR", "vasp/outcar")]
)
def test_sizes_agree_with_dpdata(reference, read_bytes, name, fmt):
    dpdata = pytest.importorskip("dpdata")
    run, peer = read_bytes((reference / name).read_bytes()), dpdata.LabeledSystem(str(reference / name), fmt=fmt)
    np.testing.assert_allclose(run["energy_ev"], peer["energies"], rtol=0, atol=1e-9)
    # dpdata rotates the cell, so only what a rotation leaves alone can be compared.
    np.testing.assert_allclose(
        np.linalg.norm(run["forces_ev_per_angstrom"], axis=2), np.linalg.norm(peer["forces"], axis=2), atol=1e-9
    )
    np.testing.assert_allclose(
        np.trace(run["virial_ev"], axis1=1, axis2=2), np.trace(peer["virials"], axis1=1, axis2=2), rtol=1e-7
    )
