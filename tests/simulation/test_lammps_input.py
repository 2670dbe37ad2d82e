"""LAMMPS does what the plan says, stops where a guard says, and goes on where it was killed."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from lake.readers.lammps import TRAJECTORY, LammpsReader
from operators.simulations.lammps_input import lammps_input
from operators.simulations.lammps_log import halt_by_collapse, halt_by_guard, lammps_version, last_timing
from operators.simulations.lammps_session import LOG
from operators.simulations.pair_style import PairStyle
from operators.simulations.restart_files import cut_trajectory, latest_restart_step


def frames_of(folder) -> dict[int, bytes]:
    frames = (folder / TRAJECTORY).read_bytes().split(b"ITEM: TIMESTEP\n")[1:]
    steps = [int(frame.split(b"\n", 1)[0]) for frame in frames]
    assert steps == sorted(set(steps))
    return dict(zip(steps, frames, strict=True))


def reasons(melt, plan, pair=None) -> dict[str, str]:
    return {guard.name: guard.reason for guard in melt.guards(plan, pair)}


def test_types_are_named_in_the_order_of_the_type_map(make_plan) -> None:
    pair = PairStyle.deepmd(["potential.pb"], ["Ni", "Al"])
    text = lammps_input(make_plan(), pair, guarded_by=[])
    assert "pair_style      deepmd potential.pb" in text
    assert "pair_coeff      * * Ni Al" in text


def test_velocities_are_made_after_copying_so_that_copies_do_not_move_as_one(make_plan, melt) -> None:
    plan = make_plan(replicate=2, n_equilibration_steps=0, n_production_steps=10)
    melt.simulate(plan)
    melt.card(plan)
    (batch,) = LammpsReader(melt.folder).batches()
    velocities = batch.velocities_angstrom_per_fs[0].reshape(8, 125, 3)
    assert abs(np.corrcoef(velocities[0].ravel(), velocities[1].ravel())[0, 1]) < 0.2


def test_only_frames_after_equilibration_are_saved(simulated) -> None:
    assert list(frames_of(simulated[0].folder)) == [20, 30, 40, 50, 60]


def test_a_timed_run_saves_no_frame(make_plan, melt) -> None:
    lines = melt.simulate(make_plan(protocol="performance", steps_per_frame=1))
    assert last_timing(lines, time_step_fs=1.0).n_steps == 40
    assert not (melt.folder / TRAJECTORY).exists()


def test_constant_pressure_changes_the_volume_and_constant_volume_does_not(make_plan, melt) -> None:
    plan = make_plan(protocol="npt", n_production_steps=100)
    melt.simulate(plan)
    melt.card(plan)
    (batch,) = LammpsReader(melt.folder).batches()
    volume = np.linalg.det(batch.cell_angstrom)
    assert volume[-1] > 1.001 * volume[0]


def test_speed_is_the_one_that_lammps_prints(simulated) -> None:
    _, lines = simulated
    timing = last_timing(lines, time_step_fs=1.0)
    printed = [float(line.split()[1]) for line in lines if line.startswith("Performance:")]
    assert timing.ns_per_day == pytest.approx(printed[-1], rel=1e-4)
    assert timing.n_steps == 40


def test_ten_milliseconds_per_femtosecond_are_8_64_ns_per_day() -> None:
    lines = [
        "Loop time of 9 on 1 procs for 5 steps with 4096 atoms",
        "Loop time of 1 on 1 procs for 100 steps with 8 atoms",
    ]
    assert last_timing(lines, time_step_fs=1.0).ns_per_day == pytest.approx(86.4 / 10)


def test_the_version_is_told(simulated) -> None:
    assert lammps_version(simulated[1]).startswith("22 Jul 2025")


def test_atoms_too_close_stop_the_run_and_the_reason_is_told(make_plan, melt) -> None:
    plan = make_plan(temperature_k=60_000.0, n_production_steps=400)
    halt = halt_by_guard(melt.simulate(plan), reasons(melt, plan))
    assert halt.reason.startswith("two atoms came closer than 1.5 Angstrom at step")
    assert 0 < halt.step < 420


def test_more_neighbours_than_slots_stop_the_run(make_plan, melt) -> None:
    pair = replace(melt.pair, r_cut_angstrom=4.0, neighbour_slots={"Al": 60, "Cu": 1, "Ni": 5})
    plan = make_plan()
    assert set(reasons(melt, plan, pair)) >= {"guard_crowding_Al", "guard_crowding_Ni"}
    halt = halt_by_guard(melt.simulate(plan, pair=pair), reasons(melt, plan, pair))
    assert halt.reason.startswith("an atom had more than the 5 neighbours of Ni")


def test_a_melt_that_bursts_at_constant_pressure_is_stopped(make_plan, melt) -> None:
    plan = make_plan(protocol="npt", pressure_gpa=-60.0, n_production_steps=2000)
    halt = halt_by_guard(melt.simulate(plan), reasons(melt, plan))
    assert "the volume went more than 15% away" in halt.reason


def test_a_melt_in_order_is_not_halted(simulated, make_plan) -> None:
    melt, lines = simulated
    assert halt_by_guard(lines, reasons(melt, make_plan())) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ERROR: Lost atoms: original 500 current 498 (src/src/thermo.cpp:519)", "atoms were lost"),
        ("ERROR: Non-numeric pressure - simulation unstable (src/src/fix_nh.cpp:1046)", "became not a number"),
        ("ERROR on proc 0: Neighbor list overflow, boost neigh_modify one", "collapsed or flew apart"),
    ],
)
def test_an_error_that_atoms_cause_is_an_outcome(line, reason) -> None:
    assert reason in halt_by_collapse(["Setting up Verlet run ...", line]).reason


def test_an_error_in_the_input_is_no_outcome() -> None:
    assert halt_by_collapse(["ERROR: Unrecognized pair style 'deepmd' is part of the plugin"]) is None


def test_a_killed_run_goes_on_as_if_nothing_had_happened(make_plan, melt) -> None:
    plan = make_plan(n_production_steps=300, temperature_k=3000.0)
    melt.simulate(plan)
    whole = frames_of(melt.folder)
    (melt.folder / "restart.300").write_bytes(b"LammpS RestartT and then the machine was switched off")
    assert latest_restart_step(melt.folder) == 200
    cut_trajectory(melt.folder / TRAJECTORY, 200)
    assert list(frames_of(melt.folder))[-1] == 190
    melt.simulate(plan, restart_step=200)
    resumed = frames_of(melt.folder)
    assert list(resumed) == list(whole) == list(range(20, 330, 10))
    assert resumed[190] == whole[190]
    numbers = [np.array(frames[320].split()[-11 * 125 :], float) for frames in (resumed, whole)]
    np.testing.assert_allclose(*numbers, atol=1e-6)


def test_a_restart_file_that_was_cut_is_not_used(melt) -> None:
    (melt.folder / "restart.100").write_bytes(b"LammpS RestartT\0 numbers")
    assert latest_restart_step(melt.folder) is None


def test_cutting_at_a_step_before_the_first_frame_leaves_nothing(simulated, melt) -> None:
    shutil.copy(simulated[0].folder / TRAJECTORY, melt.folder)
    cut_trajectory(melt.folder / TRAJECTORY, 20)
    assert (melt.folder / TRAJECTORY).read_bytes() == b""
    assert (simulated[0].folder / LOG).exists()
