"""vaspout.h5: the numbers of real runs, and small synthetic files for what public files do not show."""

import contextlib
import dataclasses
import fcntl
import gzip
import json

import h5py
import numpy as np
import pytest

from lake.readers.outcar import OutcarReader
from lake.readers.vaspout import VaspoutReader
from lake.readers.vasprun import VasprunReader
from schemas.errors import UnreadableFile
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR

STEPS = "intermediate/ion_dynamics"
MD_TAGS = (b"ion-electron   TOTEN    ", b"kinetic energy EKIN     ", b"temperature    TEIN     ")
RELAXATION_TAGS = (b"free energy    TOTEN   ", b"energy without entropy ", b"energy(sigma->0)       ")


def everything_in(reader):
    """All frames of a run as one dictionary of arrays."""
    batches = list(reader.batches())
    names = [field.name for field in dataclasses.fields(batches[0]) if getattr(batches[0], field.name) is not None]
    run = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names if name != "faults"}
    return run | {"faults": [frame for batch in batches for frame in batch.faults]}


@pytest.fixture
def written(tmp_path):
    """A function that writes a synthetic vaspout.h5: one atom of Al, one of Cu, and what is given by its path."""

    def write(values=None, *, n_frames=3, incar=None, tags=RELAXATION_TAGS, name="vaspout.h5"):
        random = np.random.default_rng(7)
        contents = {
            "version/major": 6,
            "version/minor": 5,
            "version/patch": 0,
            "results/positions/ion_types": np.array([b"Al", b"Cu"]),
            "results/positions/number_ion_types": [1, 1],
            f"{STEPS}/lattice_vectors": np.tile(np.diag([4.0, 5.0, 6.0]), (n_frames, 1, 1)),
            f"{STEPS}/position_ions": random.random((n_frames, 2, 3)),
            f"{STEPS}/forces": random.normal(size=(n_frames, 2, 3)),
            f"{STEPS}/stress": random.normal(size=(n_frames, 3, 3)),
            f"{STEPS}/energies": random.normal(size=(n_frames, len(tags))) - 8.0,
            f"{STEPS}/energies_tags": np.array(tags),
        }
        settings = {"SYSTEM": b"synthetic", "IBRION": 2, "NSW": 3, "ISIF": 3, "NELM": 60} | (incar or {})
        contents |= {f"input/incar/{tag}": value for tag, value in settings.items() if value is not None}
        with h5py.File(tmp_path / name, "w") as file:
            for path, value in (contents | (values or {})).items():
                if value is not None:
                    file[path] = value
        return tmp_path / name

    return write


def oszicar(*loops):
    """OSZICAR rows: each loop is a number of electronic steps, the last energy and its last change."""
    rows = [
        [step, energy, change if step == n_steps else 1.0, 0, 0, 0, 0]
        for n_steps, energy, change in loops
        for step in range(1, n_steps + 1)
    ]
    labels = np.array([b"N", b"E", b"dE", b"deps", b"ncg", b"rms", b"rms(c)"])
    return {f"{STEPS}/oszicar": np.array(rows, dtype=float), f"{STEPS}/oszicar_label": labels}


@pytest.mark.parametrize("name", ["si2-h5-v641/vaspout.h5.gz", "ti32-md-h5-derived/vaspout.h5"])
def test_reference_file_gives_its_true_numbers(reference, name):
    index = json.loads((reference / "index.json").read_text())
    truth = next(entry["truth"] for entry in index["files"] if entry["file"] == name)
    run = everything_in(VaspoutReader(reference / name))
    assert len(run["energy_ev"]) == truth["n_frames_complete"]
    assert (run["energy_ev"][0], run["energy_ev"][-1]) == (truth["TOTEN_first"], truth["TOTEN_last"])
    assert np.linalg.norm(run["forces_ev_per_angstrom"], axis=2).sum() == pytest.approx(
        truth["sum_force_norm"], abs=1e-6
    )
    volumes = np.linalg.det(run["cell_angstrom"])
    assert volumes[[0, -1]] == pytest.approx([truth["volume_first"], truth["volume_last"]], abs=1e-6)
    last = [run["virial_ev"][-1][at] for at in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))]
    np.testing.assert_allclose(last, truth["virial_eV_last"], rtol=2e-8, atol=1e-9)


@pytest.mark.parametrize(("reader", "name"), [(VasprunReader, "vasprun.xml.gz"), (OutcarReader, "OUTCAR.gz")])
def test_all_three_outputs_of_one_run_agree(reference, reader, name):
    ours, other = VaspoutReader(reference / "si2-h5-v641/vaspout.h5.gz"), reader(reference / "si2-h5-v641" / name)
    run, expected = everything_in(ours), everything_in(other)
    tolerances = {"energy_ev": 1e-7, "energy_sigma0_ev": 1e-7, "energy_without_entropy_ev": 2e-7, "virial_ev": 2e-7}
    tolerances |= {"cell_angstrom": 1e-8, "positions_angstrom": 6e-6, "forces_ev_per_angstrom": 6e-7, "ionic_step": 0}
    for quantity, tolerance in tolerances.items():
        np.testing.assert_allclose(run[quantity], expected[quantity], rtol=0, atol=tolerance, err_msg=quantity)
    assert ours.header.level_of_theory == other.header.level_of_theory
    assert (ours.header.ensemble, ours.header.nelm, ours.header.isif) == ("relaxation", 200, 3)
    assert ours.outcome.complete
    assert run["faults"] == [()] * 3


def test_molecular_dynamics_agrees_with_the_vasprun_it_was_made_from(reference):
    run = everything_in(VaspoutReader(reference / "ti32-md-h5-derived/vaspout.h5"))
    expected = everything_in(VasprunReader(reference / "ti32-aimd-nwrite0/vasprun.xml"))
    assert run["temperature_k"][0] == pytest.approx(499.30, abs=0.005)
    for quantity in ("energy_ev", "forces_ev_per_angstrom", "cell_angstrom", "virial_ev", "positions_angstrom"):
        np.testing.assert_allclose(run[quantity], expected[quantity], rtol=0, atol=1e-7, err_msg=quantity)
    np.testing.assert_allclose(run["temperature_k"], expected["temperature_k"], rtol=0, atol=1e-4)
    assert np.isnan(run["energy_sigma0_ev"]).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"SYSTEM = x\n", "no HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + b"\1" * 900, "unreadable HDF5"),
    ],
)
def test_file_without_sound_hdf5_is_refused_with_a_sentence(tmp_path, content, reason):
    (tmp_path / "vaspout.h5").write_bytes(content)
    with pytest.raises(UnreadableFile, match=reason):
        VaspoutReader(tmp_path / "vaspout.h5")


def test_cut_file_is_refused_with_a_sentence(reference):
    with pytest.raises(UnreadableFile, match="unreadable HDF5: the file was cut"):
        VaspoutReader(reference / "bad-h5-cut/vaspout.h5")


@pytest.mark.parametrize("percent", range(2, 100, 7))
def test_file_cut_anywhere_is_refused_with_a_sentence(written, percent):
    path = written()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * percent // 100])
    with pytest.raises(UnreadableFile, match="unreadable HDF5"):
        VaspoutReader(path)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_give_frames_or_a_sentence(reference, tmp_path, seed):
    random = np.random.default_rng(seed)
    content = bytearray((reference / "ti32-md-h5-derived/vaspout.h5").read_bytes())
    for at in random.integers(8, 9000, size=30):  # the names and types of the values stand before their numbers
        content[at] = random.integers(256)
    (tmp_path / "vaspout.h5").write_bytes(content)
    with contextlib.suppress(UnreadableFile):
        assert sum(batch.n_frames for batch in VaspoutReader(tmp_path / "vaspout.h5").batches()) == 10


def test_other_hdf5_is_told_from_vasp_output(tmp_path):
    with h5py.File(tmp_path / "synthetic.h5", "w") as file:
        file["positions"] = np.zeros((3, 3))
    with pytest.raises(UnreadableFile, match=r"names no atoms .* it was not written by VASP"):
        VaspoutReader(tmp_path / "synthetic.h5")


def test_tables_of_another_shape_are_refused(written):
    path = written({f"{STEPS}/forces": np.zeros((3, 5, 3))})
    with pytest.raises(UnreadableFile, match=r"needed .*forces of shape \(n, 2, 3\), found \(3, 5, 3\)"):
        VaspoutReader(path)


def test_positions_of_other_atoms_than_those_named_are_refused(written):
    with pytest.raises(
        UnreadableFile, match=r"needed positions of 900 atoms in .*, found a table of shape \(3, 2, 3\)"
    ):
        VaspoutReader(written({"results/positions/number_ion_types": [899, 1]}))


def test_species_that_are_no_elements_are_refused(written):
    with pytest.raises(UnreadableFile, match="needed element symbols in results/positions/ion_types, found Al, Q7"):
        VaspoutReader(written({"results/positions/ion_types": np.array([b"Al", b"Q7"])}))


def test_run_without_an_ionic_step_is_refused(written):
    tables = ("lattice_vectors", "position_ions", "forces", "stress", "energies", "energies_tags")
    reader = VaspoutReader(written({f"{STEPS}/{table}": None for table in tables}))
    with pytest.raises(UnreadableFile, match="killed before the first ionic step"):
        list(reader.batches())


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e308])
def test_broken_cell_and_what_follows_from_it_are_flagged(written, broken):
    cells = np.tile(np.diag([4.0, 5.0, 6.0]), (3, 1, 1))
    cells[1] = broken
    fractional = np.full((3, 2, 3), 0.75)
    path = written({f"{STEPS}/lattice_vectors": cells, f"{STEPS}/position_ions": fractional})
    run = everything_in(VaspoutReader(path))
    assert [bool(frame) for frame in run["faults"]] == [False, True, False]
    assert "positions_not_finite" in run["faults"][1]


def test_slices_join_without_a_gap(written):
    random = np.random.default_rng(3)
    fractional, forces = random.random((2500, 2, 3)), random.normal(size=(2500, 2, 3))
    path = written({f"{STEPS}/position_ions": fractional, f"{STEPS}/forces": forces}, n_frames=2500)
    run = everything_in(VaspoutReader(path))
    assert np.array_equal(run["forces_ev_per_angstrom"], forces)
    np.testing.assert_allclose(run["positions_angstrom"], fractional * [4.0, 5.0, 6.0], rtol=1e-15)
    assert run["ionic_step"].tolist() == list(range(1, 2501))


def test_positions_follow_a_cell_that_is_not_a_box(written):
    random = np.random.default_rng(5)
    cells, fractional = random.normal(size=(3, 3, 3)), random.random((3, 2, 3))
    path = written({f"{STEPS}/lattice_vectors": cells, f"{STEPS}/position_ions": fractional})
    np.testing.assert_allclose(everything_in(VaspoutReader(path))["positions_angstrom"], fractional @ cells, atol=1e-14)


def test_lattice_vectors_are_scaled(written):
    run = everything_in(VaspoutReader(written({f"{STEPS}/scale": 2.0})))
    assert np.diag(run["cell_angstrom"][0]).tolist() == [8.0, 10.0, 12.0]


def test_negative_scale_is_refused(written):
    with pytest.raises(UnreadableFile, match=r"needed a positive scale .* found -60"):
        VaspoutReader(written({"results/positions/scale": -60.0}))


def test_energies_are_found_by_their_tags(written):
    energies = np.array([[1.0, 2.0, 3.0]] * 3)
    reordered = (RELAXATION_TAGS[2], RELAXATION_TAGS[0], RELAXATION_TAGS[1])
    run = everything_in(VaspoutReader(written({f"{STEPS}/energies": energies}, tags=reordered)))
    assert (run["energy_sigma0_ev"][0], run["energy_ev"][0], run["energy_without_entropy_ev"][0]) == (1.0, 2.0, 3.0)


def test_missing_free_energy_is_a_fault(written):
    run = everything_in(VaspoutReader(written(tags=(b"weight          WEIGHT  ",))))
    assert run["faults"] == [("energy_missing",)] * 3


def test_vasp_flag_and_last_change_decide_convergence(written):
    values = oszicar((12, -8.0, 1e-6), (60, -8.0, 1e-6), (60, -8.0, 0.5), (9, -8.0, 1e-6))
    path = written(values | {f"{STEPS}/electronic_step_converged": [[0.0], [0.0], [1.0], [0.0]]}, n_frames=4)
    run = everything_in(VaspoutReader(path))
    assert run["scf_steps"].tolist() == [12, 60, 60, 9]
    assert run["scf_verdict"].tolist() == ["converged", "converged_at_nelm", "unconverged", "converged"]


def test_without_vasp_flag_the_loops_decide(written):
    run = everything_in(VaspoutReader(written(oszicar((12, -8.0, 1e-6), (60, -8.0, 1e-6), (60, -8.0, 0.5)))))
    assert run["scf_verdict"].tolist() == ["converged", "converged_at_nelm", "unconverged"]


def test_without_any_scf_record_nothing_is_claimed(written):
    run = everything_in(VaspoutReader(written()))
    assert run["scf_verdict"].tolist() == ["unknown"] * 3
    assert run["scf_steps"].tolist() == [-1] * 3


def test_run_without_electronic_steps_is_flagged(written):
    run = everything_in(VaspoutReader(written(incar={"ALGO": b"None"})))
    assert run["faults"] == [("no_electronic_steps",)] * 3
    assert set(run["label_source"]) == {"none"}


def test_frames_that_were_never_computed_are_flagged(written):
    energies, forces = np.full((3, 3), -8.0), np.ones((3, 2, 3))
    energies[2], forces[2] = 0.0, 0.0
    run = everything_in(VaspoutReader(written({f"{STEPS}/energies": energies, f"{STEPS}/forces": forces})))
    assert run["faults"] == [(), (), ("energy_and_forces_zero",)]


def test_spoiled_numbers_are_flagged_frame_by_frame(written):
    forces, stress = np.ones((3, 2, 3)), np.ones((3, 3, 3))
    forces[1, 1, 2], stress[2, 0, 0] = np.nan, np.inf
    run = everything_in(VaspoutReader(written({f"{STEPS}/forces": forces, f"{STEPS}/stress": stress})))
    assert run["faults"] == [(), ("forces_not_finite",), ("stress_not_finite",)]
    assert np.isnan(run["forces_ev_per_angstrom"][1]).all()


@pytest.mark.parametrize(
    ("isif", "has_trace", "has_virial"), [(0, False, False), (1, True, False), (2, True, True), (3, True, True)]
)
def test_virial_is_there_only_as_far_as_vasp_computes_the_stress(written, isif, has_trace, has_virial):
    run = everything_in(
        VaspoutReader(written({f"{STEPS}/stress": np.tile(np.eye(3), (3, 1, 1))}, incar={"ISIF": isif}))
    )
    trace = 360.0 * EV_PER_ANGSTROM3_PER_KBAR if has_trace else np.nan
    np.testing.assert_allclose(run["virial_trace_ev"], [trace] * 3, rtol=1e-12)
    expected = np.eye(3) * 120.0 * EV_PER_ANGSTROM3_PER_KBAR if has_virial else np.full((3, 3), np.nan)
    np.testing.assert_allclose(run["virial_ev"][0], expected, rtol=1e-12)


@pytest.mark.parametrize("isif", [1, 2])
def test_stress_of_exactly_zero_is_no_stress(written, isif):
    reader = VaspoutReader(written({f"{STEPS}/stress": np.zeros((3, 3, 3))}, incar={"ISIF": isif}))
    run = everything_in(reader)
    assert np.isnan(run["virial_ev"]).all()
    assert np.isnan(run["virial_trace_ev"]).all()
    assert "stress of exactly zero" in " ".join(reader.outcome.notes)


def test_only_the_diagonal_of_a_trace_only_stress_can_be_damaged(written):
    stress = np.ones((3, 3, 3))
    stress[0, 0, 1], stress[1, 2, 2] = np.nan, np.nan
    run = everything_in(VaspoutReader(written({f"{STEPS}/stress": stress}, incar={"ISIF": 1})))
    assert run["faults"] == [(), ("stress_not_finite",), ()]
    assert np.isnan(run["virial_trace_ev"]).tolist() == [False, True, False]


@pytest.mark.parametrize("is_enthalpy", [False, True])
def test_pressure_volume_term_is_taken_out_of_the_energy(written, is_enthalpy):
    pressure_volume = 50.0 * 120.0 * EV_PER_ANGSTROM3_PER_KBAR
    energies = np.array([[-8.0, -7.9, -7.95]] * 3) + (pressure_volume if is_enthalpy else 0.0)
    loops = oszicar((9, -8.0, 1e-6), (9, -8.0, 1e-6), (9, -8.0, 1e-6))
    run = everything_in(VaspoutReader(written({f"{STEPS}/energies": energies} | loops, incar={"PSTRESS": 50.0})))
    np.testing.assert_allclose(run["energy_ev"], -8.0, rtol=1e-12)
    np.testing.assert_allclose(run["energy_sigma0_ev"], -7.95, rtol=1e-12)
    assert run["faults"] == [()] * 3


def test_energy_under_pressure_is_ambiguous_without_scf_record(written):
    run = everything_in(VaspoutReader(written(incar={"PSTRESS": 50.0})))
    assert run["faults"] == [("energy_ambiguous",)] * 3
    assert np.isnan(run["energy_ev"]).all()


def test_temperature_is_that_of_the_free_coordinates(written):
    energies = np.array([[-8.0, 0.1, 0.0]] * 3)
    flags = [[1, 1, 0], [0, 0, 0]]
    values = {f"{STEPS}/energies": energies, "input/poscar/selective_dynamics_ions": flags}
    run = everything_in(VaspoutReader(written(values, tags=MD_TAGS, incar={"IBRION": 0})))
    assert run["temperature_k"] == pytest.approx(2 * 0.1 / (2 * 8.617333262e-5))


def test_velocities_are_taken_where_they_are_stored(written):
    velocities = np.random.default_rng(1).normal(size=(3, 2, 3))
    run = everything_in(VaspoutReader(written({f"{STEPS}/ion_velocities": velocities})))
    assert np.array_equal(run["velocities_angstrom_per_fs"], velocities)


def test_velocities_of_some_steps_only_are_not_taken(written):
    reader = VaspoutReader(written({f"{STEPS}/ion_velocities": np.zeros((1, 2, 3))}))
    assert "velocities_angstrom_per_fs" not in everything_in(reader)
    assert "nothing was taken from it" in reader.outcome.notes[0]


@pytest.mark.parametrize("path", ["magnetism/moments", "magnetism/spin_moments/values"])
def test_collinear_moments_are_summed_over_orbitals(written, path):
    moments = np.random.default_rng(2).normal(size=(3, 2, 2, 4))
    run = everything_in(VaspoutReader(written({f"{STEPS}/{path}": moments})))
    np.testing.assert_allclose(run["magnetic_moments_mu_b"], moments[:, 1].sum(axis=2), rtol=1e-12)


def test_noncollinear_moments_are_vectors(written):
    moments = np.random.default_rng(2).normal(size=(3, 4, 2, 4))
    run = everything_in(VaspoutReader(written({f"{STEPS}/magnetism/spin_moments/values": moments})))
    np.testing.assert_allclose(run["magnetic_moments_mu_b"][1, 0], moments[1, 1:, 0].sum(axis=1), rtol=1e-12)


def test_charges_alone_are_no_moments(written):
    run = everything_in(VaspoutReader(written({f"{STEPS}/magnetism/moments": np.ones((3, 1, 2, 4))})))
    assert "magnetic_moments_mu_b" not in run


def test_force_field_run_is_told_apart(written):
    reader = VaspoutReader(written(incar={"ML_LMLFF": 1, "ML_MODE": b"RUN", "IBRION": 0}, tags=MD_TAGS))
    assert set(everything_in(reader)["label_source"]) == {"vasp_mlff"}
    assert reader.header.level_of_theory.machine_learned == "run"
    assert "3 frames come from a machine-learned force field." in reader.outcome.notes


def test_steps_of_a_learning_run_that_cannot_be_told_apart_are_flagged(written):
    learning = {"ML_LMLFF": 1, "ML_MODE": b"train", "IBRION": 0}
    reader = VaspoutReader(written(oszicar((9, -8.0, 1e-6)), incar=learning, tags=MD_TAGS))
    run = everything_in(reader)
    assert run["faults"] == [("label_source_unknown",)] * 3
    assert run["scf_steps"].tolist() == [-1] * 3


def test_learning_run_whose_every_step_has_a_loop_is_dft(written):
    learning = {"ML_LMLFF": 1, "ML_MODE": b"train", "IBRION": 0}
    path = written(oszicar(*[(9, -8.0, 1e-6)] * 3), incar=learning, tags=MD_TAGS)
    assert set(everything_in(VaspoutReader(path))["label_source"]) == {"dft"}


def test_table_that_is_a_step_ahead_counts_as_an_incomplete_step(written):
    reader = VaspoutReader(written({f"{STEPS}/position_ions": np.zeros((4, 2, 3))}))
    assert len(everything_in(reader)["energy_ev"]) == 3
    assert (reader.outcome.n_ionic_steps, reader.outcome.n_incomplete, reader.outcome.complete) == (4, 1, False)


@pytest.mark.parametrize(
    ("nsw", "extra", "complete"),
    [
        (3, {}, True),
        (100, {}, False),
        (100, {"results/electron_dos/efermi": 1.0}, True),
        (100, {"results/electron_dos/efermi": 1.0, "input/incar/KBLOCK": 10}, False),
    ],
)
def test_run_is_complete_only_where_the_file_tells_that_vasp_ended(written, nsw, extra, complete):
    reader = VaspoutReader(written(extra, incar={"NSW": nsw}))
    list(reader.batches())
    assert reader.outcome.complete is complete
    assert any("nothing in the file tells that VASP ended" in note for note in reader.outcome.notes) is not complete


def test_settings_are_read_with_the_defaults_of_vasp(written):
    potcar = b"  PAW_PBE Al 04Jan2001\n   TITEL  = PAW_PBE Al 04Jan2001\n   ENMAX  =  240.300; ENMIN  =  180.225 eV\n"
    incar = {"IBRION": 0, "NSW": 3, "POTIM": 2.0, "TEBEG": 1500.0, "SMASS": 0.0, "ISIF": None, "NELM": None}
    header = VaspoutReader(written({"input/potcar/content": potcar}, incar=incar, tags=MD_TAGS)).header
    assert (header.ensemble, header.temperature_target_k, header.time_step_fs) == ("nvt", 1500.0, 2.0)
    assert (header.isif, header.nelm, header.synthetic, header.code_version) == (0, 60, True, "6.5.0")
    assert header.level_of_theory.label == "functional=PBE ENCUT=240.3 ISMEAR=1 SIGMA=0.2 ISPIN=1"
    assert header.level_of_theory.potcar_titles == ("PAW_PBE Al 04Jan2001",)


def test_file_without_its_incar_claims_no_setting(written):
    nothing = dict.fromkeys(("SYSTEM", "IBRION", "NSW", "ISIF", "NELM"))
    header = VaspoutReader(written(incar=nothing)).header
    assert (header.ensemble, header.isif, header.level_of_theory.label) == ("unknown", None, "unknown")


@pytest.mark.parametrize(
    ("weights", "points", "label"),
    [
        ([1 / 8, 3 / 8, 3 / 8, 1 / 8], [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]], "2x2x2"),
        ([1.0], [[0, 0, 0]], "1x1x1"),
        ([0.5, 0.5], [[0, 0, 0], [0.1, 0.2, 0.3]], "2 in list"),
    ],
)
def test_mesh_is_told_from_its_irreducible_points(written, weights, points, label):
    place = "results/electron_eigenvalues"
    values = {f"{place}/kpoint_coords": np.array(points, float), f"{place}/kpoints_symmetry_weight": weights}
    assert VaspoutReader(written(values | {"input/kpoints/mode": b"g"})).header.level_of_theory.k_points == label


def test_mesh_of_the_kpoints_file_is_taken_as_it_is(written):
    values = {"input/kpoints/mode": b"m"} | {
        f"input/kpoints/nkp{axis}": n for axis, n in zip("xyz", (2, 3, 4), strict=True)
    }
    assert VaspoutReader(written(values)).header.level_of_theory.k_points == "2x3x4"


def test_name_of_a_run_does_not_depend_on_how_far_it_has_come(written):
    short, long = (VaspoutReader(written(n_frames=n, name=f"{n}.h5")) for n in (2, 5))
    other = VaspoutReader(written(incar={"ENCUT": 500.0}, name="other.h5"))
    assert short.head_sha256() == long.head_sha256() != other.head_sha256()


def test_compressed_file_is_the_same_run(written, tmp_path):
    plain = written()
    (tmp_path / "vaspout.h5.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with VaspoutReader(plain) as one, VaspoutReader(tmp_path / "vaspout.h5.gz") as other:
        runs = everything_in(one), everything_in(other)
        assert one.head_sha256() == other.head_sha256()
        assert one.fingerprint().content_sha256 == other.fingerprint().content_sha256
        assert one.fingerprint().raw_bytes == plain.stat().st_size
    assert np.array_equal(runs[0]["positions_angstrom"], runs[1]["positions_angstrom"])


def test_temporary_copy_of_a_compressed_file_is_removed(written, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (tmp_path / "vaspout.h5.gz").write_bytes(gzip.compress(written().read_bytes()))
    with VaspoutReader(tmp_path / "vaspout.h5.gz") as reader:
        list(reader.batches())
        assert not list(scratch.iterdir())


def test_file_that_vasp_holds_open_for_writing_is_refused(written):
    path = written()
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)  # as HDF5 does for a file that it may change
        with pytest.raises(UnreadableFile, match="holds the file open for writing"):
            VaspoutReader(path)


def test_file_must_be_read_as_a_whole_when_it_has_grown(written):
    assert VaspoutReader(written()).bookmark() is None


def _external(file, place, secret):
    file.create_dataset(place, (1,), dtype="S14", external=[(str(secret), 0, 14)])


def _linked(file, place, secret):
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other["told"] = np.array([secret.read_bytes()])
    file[place] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "/told")


def _linked_behind_a_link(file, place, secret):
    _linked(file, "behind", secret)
    file[place] = h5py.SoftLink("/behind")


def _virtual(file, place, secret):
    _linked(file, "beside", secret)
    layout = h5py.VirtualLayout((1,), dtype="S14")
    layout[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "told", (1,))
    file.create_virtual_dataset(place, layout)


@pytest.mark.parametrize("place", ["version/patch", "results/positions/ion_types", "input/incar/ALGO"])
@pytest.mark.parametrize("lead_away", [_external, _linked, _linked_behind_a_link, _virtual])
def test_values_of_another_file_are_refused_and_not_told(written, tmp_path, place, lead_away):
    (tmp_path / "secret").write_text("not-to-be-told")
    path = written({place: None})
    with h5py.File(path, "r+") as file:
        lead_away(file, place, tmp_path / "secret")
    with pytest.raises(UnreadableFile, match="found a link to another place") as refused:
        VaspoutReader(path)
    assert "not-to-be-told" not in str(refused.value)


def test_a_list_that_is_longer_than_any_melt_is_refused_early(written):
    path = written()
    with h5py.File(path, "r+") as file:
        file.create_dataset("input/incar/MAGMOM", (10**9,), dtype="i1", chunks=(10**6,))
    with pytest.raises(UnreadableFile, match="a list of 1000000000 values"):
        VaspoutReader(path)
