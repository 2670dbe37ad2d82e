"""The toy melt is a liquid at the right temperature and pressure, and its labels are derivatives of its energy."""

from itertools import product

import ase.io
import dpdata
import numpy as np
import pytest
from pydantic import ValidationError

from operators.physics import toy_potential
from operators.toy_melt import ToyMeltRequest, generate
from schemas.errors import MeltlakeError
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_ANGSTROM3_PER_KBAR, GPA_PER_EV_PER_ANGSTROM3

COPIES = np.array(list(product((-1, 0, 1), repeat=3)))


def energy_from_formulas_ev(symbols: list[str], cell: np.ndarray, positions: np.ndarray) -> float:
    """Energy of a periodic cell by direct summation, without LAMMPS and without tables."""
    kinds = np.array(symbols)
    gaps = positions[np.newaxis, :, np.newaxis] - positions[:, np.newaxis, np.newaxis] + COPIES @ cell
    r = np.linalg.norm(gaps, axis=-1)
    near = (r > 0) & (r < toy_potential.CUTOFF_ANGSTROM)
    energy, densities = 0.0, np.zeros(len(kinds))
    for centre, neighbour in product(sorted(set(symbols)), repeat=2):
        block = near & (kinds == centre)[:, np.newaxis, np.newaxis] & (kinds == neighbour)[np.newaxis, :, np.newaxis]
        energy += 0.5 * toy_potential.pair_energy(centre, neighbour, r[block]).sum()
        np.add.at(densities, np.nonzero(block)[0], toy_potential.electron_density(neighbour, r[block]))
    embedding = [toy_potential.embedding_energy(kind, density) for kind, density in zip(kinds, densities, strict=True)]
    return energy + float(np.sum(embedding))


@pytest.fixture(scope="module")
def melt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landing") / "melt"
    return generate(folder, ToyMeltRequest(composition="Al60Cu20Ni20", n_frames=400, source_format="both"))


@pytest.fixture(scope="module")
def frames(melt):
    return ase.io.read(melt / "vasprun.xml", index=":")


def energy_ev(atoms, *, positions=None, strain=None) -> float:
    positions = atoms.positions if positions is None else positions
    deformation = np.eye(3) if strain is None else np.eye(3) + strain
    return energy_from_formulas_ev(atoms.get_chemical_symbols(), atoms.cell[:] @ deformation, positions @ deformation)


def test_energies_are_those_of_the_potential(frames):
    for atoms in frames[::133]:
        assert atoms.get_potential_energy(force_consistent=True) == pytest.approx(energy_ev(atoms), abs=2e-5)
        assert atoms.get_potential_energy() == atoms.get_potential_energy(force_consistent=True)


@pytest.mark.parametrize(("atom", "axis"), [(0, 0), (70, 1), (107, 2)])
def test_forces_are_minus_the_slope_of_the_energy(frames, atom, axis):
    atoms, h = frames[200], 1e-3
    nudge = np.zeros_like(atoms.positions)
    nudge[atom, axis] = h
    slope = (
        energy_ev(atoms, positions=atoms.positions + nudge) - energy_ev(atoms, positions=atoms.positions - nudge)
    ) / (2 * h)
    assert atoms.get_forces()[atom, axis] == pytest.approx(-slope, abs=2e-4)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 2), (0, 1), (1, 2)])
def test_virial_is_minus_the_slope_of_the_energy_with_strain(melt, frames, row, column):
    virial_ev = dpdata.LabeledSystem(str(melt / "OUTCAR"), fmt="vasp/outcar")["virials"][200]
    strain, h = np.zeros((3, 3)), 1e-4
    strain[row, column] = h
    slope = (energy_ev(frames[200], strain=strain) - energy_ev(frames[200], strain=-strain)) / (2 * h)
    assert virial_ev[row, column] == pytest.approx(-slope, abs=2e-3)


def temperatures_k(folder) -> np.ndarray:
    lines = (folder / "OUTCAR").read_text().splitlines()
    return np.array([float(line.split("(temperature")[1].split()[0]) for line in lines if "EKIN_LAT=" in line])


def test_mean_temperature_is_the_target(melt):
    temperatures = temperatures_k(melt)
    assert len(temperatures) == 400
    assert temperatures.mean() == pytest.approx(1400, rel=0.05)
    fluctuation_k = 1400 * np.sqrt(2 / (3 * 107))
    assert temperatures.std() == pytest.approx(fluctuation_k, rel=0.5)


def test_melt_has_about_no_pressure(melt, frames):
    virial_pressure = np.mean([-np.trace(atoms.get_stress(voigt=False)) / 3 for atoms in frames])
    ideal = 108 * BOLTZMANN_EV_PER_K * temperatures_k(melt).mean() / frames[0].get_volume()
    assert (virial_pressure + ideal) * GPA_PER_EV_PER_ANGSTROM3 == pytest.approx(0, abs=1.0)


def test_atoms_move_as_in_a_liquid(frames):
    fractional = np.array([atoms.get_scaled_positions(wrap=False) for atoms in frames])
    steps = np.diff(fractional, axis=0)
    displacement = (steps - np.rint(steps)).sum(axis=0) @ frames[0].cell[:]
    assert 1.0 < (displacement**2).sum(axis=1).mean() < 40.0  # angstrom^2 after 2 ps; a solid stays below 0.5


def test_conserved_energy_does_not_drift(melt):
    lines = (melt / "OUTCAR").read_text().splitlines()
    totals_ev = [float(line.split("=")[1].split()[0]) for line in lines if "total energy   ETOTAL" in line]
    assert totals_ev[-1] == pytest.approx(totals_ev[0], abs=108 * 1e-4)


def test_outcar_and_vasprun_tell_the_same(melt):
    one, other = (
        dpdata.LabeledSystem(str(melt / name), fmt=fmt)
        for name, fmt in (("OUTCAR", "vasp/outcar"), ("vasprun.xml", "vasp/xml"))
    )
    np.testing.assert_allclose(one["energies"], other["energies"], atol=1e-8)
    np.testing.assert_allclose(one["coords"], other["coords"], atol=6e-6)
    np.testing.assert_allclose(one["forces"], other["forces"], atol=6e-7)
    np.testing.assert_allclose(one["virials"], other["virials"], atol=2e-5)


def test_every_file_says_synthetic(melt):
    outcar, vasprun = ((melt / name).read_text() for name in ("OUTCAR", "vasprun.xml"))
    assert " synthetic" in outcar.splitlines()[0]
    assert " SYSTEM =  synthetic toy melt MLK Al60Cu20Ni20" in outcar
    assert vasprun.count('name="SYSTEM">synthetic toy melt MLK Al60Cu20Ni20') == 2


def test_same_seed_gives_identical_files_and_another_seed_others(tmp_path):
    request = ToyMeltRequest(n_atoms=32, n_frames=5, source_format="both")
    first, again = (generate(tmp_path / name, request) for name in ("first", "again"))
    other = generate(tmp_path / "other", request.model_copy(update={"seed": 2}))
    for name in ("OUTCAR", "vasprun.xml"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()


def test_only_whole_files_that_were_asked_for_appear(tmp_path):
    generate(tmp_path / "landing" / "melt", ToyMeltRequest(composition="Al50Ni50", n_atoms=32, n_frames=2))
    assert [path.name for path in (tmp_path / "landing").rglob("*")] == ["melt", "vasprun.xml"]
    assert (tmp_path / "landing/melt/vasprun.xml").read_text().endswith("</modeling>\n")


def test_saved_frames_are_the_ionic_steps_of_the_file(tmp_path):
    request = ToyMeltRequest(n_atoms=32, n_frames=3, sample_fs=2.5, source_format="both")
    folder = generate(tmp_path / "melt", request)
    assert "   POTIM  = 2.5000    time-step" in (folder / "OUTCAR").read_text()
    assert '<i name="POTIM">      2.50000000</i>' in (folder / "vasprun.xml").read_text()
    velocities = np.diff([atoms.positions for atoms in ase.io.read(folder / "OUTCAR", index=":")], axis=0) / 2.5
    assert 0.001 < np.median(np.abs(velocities)) < 0.02  # angstrom/fs: thermal


def test_faulty_runs_can_be_made_for_tests(tmp_path):
    request = ToyMeltRequest(
        n_atoms=32, n_frames=12, source_format="both", faults={"unconverged": [3, 7], "killed_in_frame": 10}
    )
    folder = generate(tmp_path / "melt", request)
    text = (folder / "OUTCAR").read_text()
    assert [text.count(f"{frame + 1:6d}(  60)") for frame in range(11)] == [int(f in (3, 7)) for f in range(11)]
    assert text.count("TOTAL-FORCE") == 11
    assert text.count("total drift:") == 10
    xml = (folder / "vasprun.xml").read_text()
    assert (xml.count('<varray name="forces" >'), xml.count("</calculation>")) == (11, 10)


def test_an_existing_folder_is_left_alone(tmp_path):
    with pytest.raises(MeltlakeError, match="exists already"):
        generate(tmp_path, ToyMeltRequest(n_atoms=32, n_frames=1))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [({"composition": "Fe50Ni50"}, "not Fe"), ({"n_frames": 3, "faults": {"killed_in_frame": 3}}, "from 0 to 2")],
)
def test_impossible_requests_are_refused(asked, problem):
    with pytest.raises(ValidationError, match=problem):
        ToyMeltRequest(**asked)


def test_stress_is_written_in_kbar(melt, frames):
    lines = (melt / "OUTCAR").read_text().splitlines()
    in_kbar = np.array([line.split()[2:5] for line in lines if line.startswith("  in kB")], dtype=float)
    diagonals = [-np.diag(atoms.get_stress(voigt=False)) / EV_PER_ANGSTROM3_PER_KBAR for atoms in frames]
    np.testing.assert_allclose(in_kbar, diagonals, atol=2e-5)
    assert np.abs(in_kbar).max() < 200
