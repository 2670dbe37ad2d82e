"""A simulation comes back as it was: every number of the dump, in the lake's units."""

import json

import numpy as np
import pytest

from lake.readers.lammps import DUMP_COLUMNS, TRAJECTORY, LammpsReader
from lake.readers.lammps_tables import THERMO_COLUMNS, THERMO_TABLE, thermo_rows
from operators.simulations.lammps_log import thermo_step
from schemas.elements import masses_amu
from schemas.errors import UnreadableFile
from schemas.frames import FrameBatch
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_AMU_ANGSTROM2_PER_FS2, EV_PER_ANGSTROM3_PER_BAR


def read(melt) -> tuple[LammpsReader, FrameBatch]:
    reader = LammpsReader(melt.folder)
    (batch,) = reader.batches()
    return reader, batch


def copied(simulated, melt):
    melt.cell = simulated[0].cell
    for name in (TRAJECTORY, THERMO_TABLE, "simulation.json"):
        (melt.folder / name).write_bytes((simulated[0].folder / name).read_bytes())
    return melt


def test_frames_are_the_numbers_of_the_dump(simulated) -> None:
    melt, _ = simulated
    _, batch = read(melt)
    lines = (melt.folder / TRAJECTORY).read_text().splitlines()
    tables = np.array([np.loadtxt(lines[at + 9 : at + 134]) for at in range(0, len(lines), 134)])
    np.testing.assert_array_equal(batch.positions_angstrom, tables[:, :, 2:5])
    np.testing.assert_allclose(batch.velocities_angstrom_per_fs, 1e-3 * tables[:, :, 5:8])
    np.testing.assert_array_equal(batch.forces_ev_per_angstrom, tables[:, :, 8:11])


def test_the_header_tells_where_a_simulation_comes_from(simulated) -> None:
    melt, _ = simulated
    reader, batch = read(melt)
    header, card = reader.header, reader.card
    assert (header.origin, header.ensemble, header.protocol) == ("dnnp", "nvt", "nvt")
    assert (header.run_id, header.potential_id, header.parent_run_id) == (
        card.run_id,
        card.potential_id,
        "0a1b2c3d4e5f",
    )
    assert header.time_step_fs == 10.0
    np.testing.assert_array_equal(batch.ionic_step, [1, 2, 3, 4, 5])
    assert (set(batch.label_source), set(batch.scf_verdict)) == ({"none"}, {"unknown"})
    assert reader.outcome.complete


def test_atoms_are_in_the_order_of_the_start_frame(simulated) -> None:
    melt, _ = simulated
    numbers = {"Al": 13, "Ni": 28}
    np.testing.assert_array_equal(read(melt)[0].header.atomic_numbers, [numbers[symbol] for symbol in melt.symbols])


def test_a_tilted_cell_spans_the_lattice_it_came_from(simulated) -> None:
    melt, _ = simulated
    cell = read(melt)[1].cell_angstrom[0]
    np.testing.assert_allclose(cell @ cell.T, (melt.cell @ melt.cell.T)[[0, 2, 1]][:, [0, 2, 1]], atol=1e-9)


def test_pressure_is_the_virial_and_the_ideal_gas(simulated) -> None:
    melt, lines = simulated
    _, batch = read(melt)
    printed = {found[0]: float(line.split()[6]) for line in lines if (found := thermo_step(line)) is not None}
    volume = abs(np.linalg.det(batch.cell_angstrom[-1]))
    # LAMMPS counts the degrees of freedom that are left when the total momentum is zero.
    kinetic = 124 * BOLTZMANN_EV_PER_K * batch.temperature_k[-1]
    pressure_bar = (np.trace(batch.virial_ev[-1]) / 3 + kinetic) / volume / EV_PER_ANGSTROM3_PER_BAR
    assert pressure_bar == pytest.approx(printed[60], rel=1e-6)


def test_the_virial_pushes_outward_in_a_compressed_melt(simulated) -> None:
    _, batch = read(simulated[0])
    assert np.trace(batch.virial_ev[0]) > 0
    np.testing.assert_allclose(batch.virial_ev, batch.virial_ev.transpose(0, 2, 1))


def test_temperature_is_that_of_the_velocities(simulated) -> None:
    reader, batch = read(simulated[0])
    mass = masses_amu(reader.header.atomic_numbers)
    kinetic = 0.5 * EV_PER_AMU_ANGSTROM2_PER_FS2 * np.einsum("a,fax->f", mass, batch.velocities_angstrom_per_fs**2)
    np.testing.assert_allclose(kinetic / (1.5 * 124 * BOLTZMANN_EV_PER_K), batch.temperature_k, rtol=1e-5)


def test_a_frame_cut_by_a_kill_is_counted_and_the_others_are_read(simulated, melt) -> None:
    dump = copied(simulated, melt).folder / TRAJECTORY
    dump.write_bytes(dump.read_bytes()[:-40])
    reader, batch = read(melt)
    assert (batch.n_frames, reader.outcome.n_incomplete, reader.outcome.n_ionic_steps) == (4, 1, 5)
    assert not reader.outcome.complete


def test_a_simulation_that_still_runs_is_not_complete(simulated, melt) -> None:
    copied(simulated, melt)
    card = json.loads((melt.folder / "simulation.json").read_text())
    (melt.folder / "simulation.json").write_text(json.dumps(card | {"outcome": "running"}))
    reader, batch = read(melt)
    assert batch.n_frames == 5
    assert not reader.outcome.complete


def test_a_frame_without_its_row_in_the_table_is_flagged(simulated, melt) -> None:
    table = copied(simulated, melt).folder / THERMO_TABLE
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    _, batch = read(melt)
    assert batch.faults == ((), (), (), (), ("energy_missing",))
    assert np.isnan(batch.virial_ev[-1]).all()


def test_damaged_numbers_are_flagged_and_the_frame_is_kept(simulated, melt) -> None:
    dump = copied(simulated, melt).folder / TRAJECTORY
    lines = dump.read_text().split("\n")
    lines[134 + 9] = "1 1 ******** " + " ".join(lines[134 + 9].split()[3:])
    dump.write_text("\n".join(lines))
    _, batch = read(melt)
    assert batch.n_frames == 5
    assert batch.faults[1] == ("positions_not_finite", "forces_not_finite")


def test_the_later_row_of_a_step_counts(melt) -> None:
    row = ",".join(["10", *["1.0"] * (len(THERMO_COLUMNS) - 1)])
    (melt.folder / THERMO_TABLE).write_text(f"step,and so on\n{row}\nstep,and so on\n{row.replace('1.0', '2.0')}\n10,3")
    rows = thermo_rows(melt.folder / THERMO_TABLE)
    np.testing.assert_array_equal(rows[:, 1], [1.0, 2.0])


def test_the_fingerprint_is_that_of_the_dump(simulated) -> None:
    reader, _ = read(simulated[0])
    assert reader.fingerprint().raw_bytes == (simulated[0].folder / TRAJECTORY).stat().st_size


def test_a_dump_of_other_columns_is_refused(simulated, melt) -> None:
    dump = copied(simulated, melt).folder / TRAJECTORY
    dump.write_text(dump.read_text().replace(DUMP_COLUMNS, "id type x y z"))
    with pytest.raises(UnreadableFile, match="no complete frame of columns id type xu"):
        LammpsReader(melt.folder)


def test_a_folder_with_a_card_and_no_trajectory_is_refused(melt, make_plan) -> None:
    melt.card(make_plan(protocol="performance"))
    with pytest.raises(UnreadableFile, match=r"needed the trajectory trajectory\.lammpstrj"):
        LammpsReader(melt.folder)


def test_a_card_that_is_not_ours_is_refused(melt) -> None:
    (melt.folder / "simulation.json").write_text('{"run_id": 1}')
    with pytest.raises(UnreadableFile, match="is not the card of a simulation"):
        LammpsReader(melt.folder)
