"""What the writers write, dpdata, ASE and our readers read back to the last printed digit."""

import ase.io
import dpdata
import numpy as np
import pytest

from lake.readers import open_run
from lake.writers.facts import FrameFacts, RunFacts, Species
from lake.writers.outcar import outcar_pieces, write_outcar
from lake.writers.vasprun import vasprun_pieces, write_vasprun
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR

WRITERS = {"OUTCAR": write_outcar, "vasprun.xml": write_vasprun}
DPDATA_FORMATS = {"OUTCAR": "vasp/outcar", "vasprun.xml": "vasp/xml"}
POSITION_DIGITS = {"OUTCAR": 5, "vasprun.xml": 6}  # the XML's eight digits are fractional
FORCE_DIGITS = {"OUTCAR": 6, "vasprun.xml": 8}
STRESS_DIGITS = {"OUTCAR": 5, "vasprun.xml": 8}


def run_facts(**changes) -> RunFacts:
    facts = {
        "title": "synthetic test",
        "species": (Species("Al", 4, 3.0), Species("Cu", 3, 11.0), Species("Ni", 2, 10.0)),
        "n_ionic_steps": 6,
        "time_step_fs": 2.5,
        "temperature_k": 1673.0,
    }
    return RunFacts(**facts | changes)


def made_up_frame(step: int, *, scf_steps: int = 7, scf_last_change_ev: float = 5e-7) -> FrameFacts:
    random = np.random.default_rng(step)
    cell = np.array([[7.1, 0, 0], [1.3, 6.9, 0], [-0.8, 0.5, 7.3]]) + 0.01 * step * np.eye(3)
    stress = random.normal(0, 40, (3, 3))
    return FrameFacts(
        cell_angstrom=cell,
        positions_angstrom=random.random((9, 3)) @ cell,
        forces_ev_per_angstrom=random.normal(0, 20, (9, 3)),
        energy_ev=-35.0 + random.normal(),
        energy_without_entropy_ev=-34.7,
        energy_sigma0_ev=-34.9,
        stress_kbar=stress + stress.T,
        kinetic_energy_ev=1.7 + 0.1 * step,
        thermostat_energy_ev=0.01 * step,
        scf_steps=scf_steps,
        scf_last_change_ev=scf_last_change_ev,
    )


FRAMES = [made_up_frame(step) for step in range(6)]
UNCONVERGED = made_up_frame(9, scf_steps=60, scf_last_change_ev=0.02)


@pytest.fixture(params=["OUTCAR", "vasprun.xml"])
def written(request, tmp_path):
    path = tmp_path / request.param
    WRITERS[path.name](path, run_facts(), FRAMES)
    return path


def stack(name: str) -> np.ndarray:
    return np.array([getattr(frame, name) for frame in FRAMES])


def test_dpdata_reads_back_what_was_written(written):
    read = dpdata.LabeledSystem(str(written), fmt=DPDATA_FORMATS[written.name])
    assert read["atom_names"] == ["Al", "Cu", "Ni"]
    assert read["atom_numbs"] == [4, 3, 2]
    np.testing.assert_allclose(read["cells"], stack("cell_angstrom"), atol=1e-8)
    np.testing.assert_allclose(
        read["coords"], stack("positions_angstrom"), atol=0.51 * 10.0 ** -POSITION_DIGITS[written.name]
    )
    np.testing.assert_allclose(
        read["forces"], stack("forces_ev_per_angstrom"), atol=0.51 * 10.0 ** -FORCE_DIGITS[written.name]
    )
    np.testing.assert_allclose(read["energies"], stack("energy_ev"), atol=0.51e-8)


def test_dpdata_finds_the_virial_with_its_sign(written):
    read = dpdata.LabeledSystem(str(written), fmt=DPDATA_FORMATS[written.name])
    volumes = np.array([frame.volume_angstrom3 for frame in FRAMES])
    virials_ev = stack("stress_kbar") * EV_PER_ANGSTROM3_PER_KBAR * volumes[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(read["virials"], virials_ev, atol=1e-5)


def test_ase_reads_back_what_was_written(written):
    read = ase.io.read(written, index=":")
    assert [atoms.get_chemical_formula() for atoms in read] == ["Al4Cu3Ni2"] * 6
    for atoms, frame in zip(read, FRAMES, strict=True):
        assert atoms.get_potential_energy(force_consistent=True) == pytest.approx(frame.energy_ev, abs=0.51e-8)
        assert atoms.get_potential_energy() == pytest.approx(frame.energy_sigma0_ev, abs=0.51e-8)
        forces_atol = 0.51 * 10.0 ** -FORCE_DIGITS[written.name]
        np.testing.assert_allclose(atoms.get_forces(), frame.forces_ev_per_angstrom, atol=forces_atol)
        stress_kbar = -atoms.get_stress(voigt=False) / EV_PER_ANGSTROM3_PER_KBAR
        np.testing.assert_allclose(stress_kbar, frame.stress_kbar, atol=2e-5)


def test_our_readers_read_back_what_was_written(written):
    reader = open_run(written)
    batches = list(reader.batches())
    positions = np.concatenate([batch.positions_angstrom for batch in batches])
    forces = np.concatenate([batch.forces_ev_per_angstrom for batch in batches])
    digits = POSITION_DIGITS[written.name], FORCE_DIGITS[written.name]
    np.testing.assert_allclose(positions, stack("positions_angstrom"), atol=0.51 * 10.0 ** -digits[0])
    np.testing.assert_allclose(forces, stack("forces_ev_per_angstrom"), atol=0.51 * 10.0 ** -digits[1])
    for name in ("energy_ev", "energy_sigma0_ev", "energy_without_entropy_ev"):
        np.testing.assert_allclose(np.concatenate([getattr(batch, name) for batch in batches]), stack(name), atol=1e-8)


def test_our_readers_know_a_written_run(written):
    reader = open_run(written)
    batches = list(reader.batches())
    header = reader.header
    assert header.synthetic
    assert (header.ensemble, header.code_version, header.nelm) == ("nvt", "6.4.2", 60)
    assert (header.time_step_fs, header.temperature_target_k, header.ediff_ev) == (2.5, 1673.0, 1e-6)
    assert header.level_of_theory.label == "functional=PBE ENCUT=300 ISMEAR=0 SIGMA=0.01 ISPIN=1 k-points=1x1x1"
    assert reader.outcome.complete
    temperatures = np.concatenate([batch.temperature_k for batch in batches])
    np.testing.assert_allclose(temperatures, [frame.temperature_k for frame in FRAMES], atol=0.01)
    virials = np.concatenate([batch.virial_ev for batch in batches])
    expected = [f.stress_kbar * EV_PER_ANGSTROM3_PER_KBAR * f.volume_angstrom3 for f in FRAMES]
    np.testing.assert_allclose(virials, expected, atol=1e-5)
    conserved = np.concatenate([batch.conserved_energy_ev for batch in batches])
    np.testing.assert_allclose(conserved, stack("conserved_energy_ev"), atol=0.51e-6)
    if written.name == "OUTCAR":
        pressures = np.concatenate([batch.printed_pressure_kbar for batch in batches])
        np.testing.assert_allclose(pressures, np.trace(stack("stress_kbar"), axis1=1, axis2=2) / 3, atol=0.0051)


@pytest.mark.filterwarnings("ignore:The following structures were unconverged")
@pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
def test_a_step_that_ran_into_nelm_is_seen_as_unconverged(name, tmp_path):
    WRITERS[name](tmp_path / name, run_facts(), [*FRAMES[:3], UNCONVERGED, *FRAMES[3:]])
    read = dpdata.LabeledSystem(str(tmp_path / name), fmt=DPDATA_FORMATS[name])
    np.testing.assert_allclose(read["energies"], stack("energy_ev"), atol=1e-8)
    verdicts = [verdict for batch in open_run(tmp_path / name).batches() for verdict in batch.scf_verdict]
    assert verdicts == ["converged"] * 3 + ["unconverged"] + ["converged"] * 3


def test_old_vasp_says_converged_when_it_is_not():
    texts = {
        version: "".join(outcar_pieces(run_facts(version=version), [UNCONVERGED])) for version in ("5.4.4", "6.4.2")
    }
    assert "aborting loop because EDIFF is reached" in texts["5.4.4"]
    assert "aborting loop EDIFF was not reached (unconverged)" in texts["6.4.2"]


def test_vasp_5_shifts_the_labels_of_the_ionic_energies():
    frame = FRAMES[0]
    for version, labels in (
        ("5.4.4", (frame.energy_sigma0_ev, frame.energy_ev - frame.energy_without_entropy_ev)),
        ("6.4.2", (frame.energy_without_entropy_ev, frame.energy_sigma0_ev)),
    ):
        calculation = list(vasprun_pieces(run_facts(version=version), [frame]))[1]
        ionic = calculation[calculation.index("</structure>") :]
        assert f'<i name="e_wo_entrp">{labels[0]:16.8f} </i>' in ionic
        assert f'<i name="e_0_energy">{labels[1]:16.8f} </i>' in ionic


def test_outcar_pressures_add_up():
    frame = FRAMES[2]
    piece = list(outcar_pieces(run_facts(), [frame]))[1]
    external = float(piece.split("external pressure =")[1].split()[0])
    kinetic = float(piece.split("(ideal gas correction) =")[1].split()[0])
    total = float(piece.split("total pressure  =")[1].split()[0])
    assert external == pytest.approx(np.trace(frame.stress_kbar) / 3, abs=0.006)
    assert total == pytest.approx(external + kinetic, abs=0.011)
    assert kinetic * frame.volume_angstrom3 * EV_PER_ANGSTROM3_PER_KBAR == pytest.approx(
        2 / 3 * frame.kinetic_energy_ev, rel=1e-3
    )


@pytest.mark.parametrize("pieces_of", [outcar_pieces, vasprun_pieces])
def test_frames_are_written_one_at_a_time(pieces_of):
    taken = []
    frames = (taken.append(step) or made_up_frame(step) for step in range(1000))
    pieces = pieces_of(run_facts(), frames)
    for _ in range(4):
        next(pieces)
    assert taken == [0, 1, 2]


@pytest.mark.parametrize("pieces_of", [outcar_pieces, vasprun_pieces])
def test_every_written_head_says_synthetic(pieces_of):
    head = next(pieces_of(run_facts(), FRAMES))
    assert "synthetic: written by meltlake, not by VASP" in "".join(head.splitlines()[:6])
    assert head.count("synthetic test") >= 2


def test_a_run_that_does_not_say_synthetic_is_refused():
    with pytest.raises(ValueError, match="needed to begin with 'synthetic', found 'Al melt'"):
        run_facts(title="Al melt")


@pytest.mark.parametrize("pieces_of", [outcar_pieces, vasprun_pieces])
def test_a_run_without_frames_is_refused(pieces_of):
    with pytest.raises(ValueError, match="at least one frame"):
        next(pieces_of(run_facts(), []))
