"""Guards: what is no melt cannot begin, or is stopped within a hundred steps, and the reason is told."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lake.delta import Lake
from lake.frames import trajectory, vectors
from operators.simulations.guards import Contents, Guard, fault_of_start, guards, pair_limit_angstrom
from operators.simulations.lammps_input import lammps_input
from operators.simulations.lammps_log import halt_by_guard, log_lines
from operators.simulations.lammps_session import LOG
from operators.simulations.parent_means import mean_pressure_gpa
from schemas.composition import atomic_numbers_of
from tests.simulation.conftest import start_lammps


def reasons(melt, plan, pair=None) -> dict[str, str]:
    return {guard.name: guard.reason for guard in melt.guards(plan, pair)}


def start_fault(melt, pair=None, **options):
    numbers = atomic_numbers_of(melt.symbols)
    return fault_of_start(pair or melt.pair, numbers, melt.positions, cell=melt.cell, **options)


def test_atoms_that_overlap_cannot_be_a_start(melt) -> None:
    assert start_fault(melt) is None
    melt.nearest_angstrom = 0.7
    assert "are 0.7 Angstrom apart in the start frame, less than 1.5" in start_fault(melt)


def test_atoms_that_overlap_are_stopped_when_they_run_all_the_same(make_plan, melt) -> None:
    melt.nearest_angstrom = 0.7
    plan = make_plan(n_equilibration_steps=0, n_production_steps=200)
    halt = halt_by_guard(melt.simulate(plan), reasons(melt, plan))
    assert halt.step <= 100
    assert halt.reason.startswith("two atoms came closer than 1.5 Angstrom at step")


def test_a_frame_denser_than_the_potential_has_slots_for_cannot_be_a_start(melt) -> None:
    pair = replace(melt.pair, r_cut_angstrom=4.0, neighbour_slots={"Al": 60, "Cu": 1, "Ni": 5})
    assert "neighbours of Ni, more than the 5 that the potential has slots for" in start_fault(melt, pair)
    assert start_fault(melt, pair, is_exchanged=True) is None


def test_pairs_are_kept_as_far_apart_as_training_says(melt) -> None:
    pair = replace(melt.pair, safe_distances_angstrom={"Al-Ni": 2.2, "Al-Al": 4.0, "Ni-Ni": 1.2})
    assert pair_limit_angstrom(pair, "Ni", "Al") == pytest.approx(0.7 * 2.2)
    assert pair_limit_angstrom(pair, "Al", "Al") == pytest.approx(0.7 * 2.42), "a rare pair: covalent radii count"
    assert pair_limit_angstrom(pair, "Ni", "Ni") == 1.5
    melt.nearest_angstrom = 1.6
    assert start_fault(melt) is None
    pair = replace(melt.pair, safe_distances_angstrom=dict.fromkeys(("Al-Al", "Al-Ni", "Ni-Ni"), 2.4))
    assert "are 1.6 Angstrom apart in the start frame, less than 1.68" in start_fault(melt, pair)


def test_a_pair_that_comes_much_closer_than_in_training_stops_the_run(make_plan, melt) -> None:
    pair = replace(melt.pair, safe_distances_angstrom={"Al-Ni": 2.4})
    plan = make_plan(temperature_k=9000.0, n_production_steps=400)
    halt = halt_by_guard(melt.simulate(plan, pair=pair), reasons(melt, plan, pair))
    assert halt.reason.startswith("Al and Ni came closer than 1.68 Angstrom, much closer than in training at step")


def test_forces_that_are_not_numbers_stop_the_run(make_plan, melt) -> None:
    plan = make_plan(n_production_steps=200)
    melt.write()
    text = lammps_input(plan, melt.pair, guarded_by=melt.guards(plan))
    kick = 'variable nothing equal "exp(1000.0) - exp(1000.0)"\nfix kick all addforce v_nothing 0.0 0.0\nrestart '
    (melt.folder / "in.lammps").write_text(text.replace("restart ", kick, 1))
    start_lammps(melt.folder)
    halt = halt_by_guard(log_lines(melt.folder / LOG), reasons(melt, plan))
    assert halt.step <= 100
    assert halt.reason == f"energy, forces or positions were not a number at step {halt.step}"


def test_of_several_guards_at_one_step_the_first_is_the_reason(make_plan, melt) -> None:
    lines = [
        "Fix halt condition for fix-id guard_distance met on step 20 with value 0.9",
        "Fix halt condition for fix-id guard_temperature met on step 20 with value 90000",
    ]
    halt = halt_by_guard(lines, reasons(melt, make_plan()))
    assert halt.reason == "two atoms came closer than 1.5 Angstrom at step 20 (value 0.9)"


def test_positions_that_are_not_numbers_cannot_be_a_start(melt) -> None:
    numbers, positions = atomic_numbers_of(melt.symbols), melt.positions
    positions[3, 1] = np.nan
    assert "not a number" in fault_of_start(melt.pair, numbers, positions, cell=melt.cell)


def volume_guard(make_plan, melt, **contents) -> Guard:
    about = Contents(counts=melt.counts, volume_angstrom3=1000.0, **contents)
    [found] = [guard for guard in guards(make_plan(protocol="npt"), melt.pair, about) if guard.name == "guard_volume"]
    return found


def stops(guard: Guard, volume_angstrom3: float) -> bool:
    """What LAMMPS computes."""
    centre = float(re.search(r"vol / (\S+) -", guard.definition)[1])
    return abs(volume_angstrom3 / centre - 1) > float(guard.condition.removeprefix("> "))


def test_the_volume_stays_within_15_percent_at_like_temperature_and_pressure(make_plan, melt) -> None:
    guard = volume_guard(make_plan, melt, warmed_k=150.0, pressed_gpa=-1.0)
    assert "went more than 15% away from that of the start frame" in guard.reason
    assert [stops(guard, volume) for volume in (840.0, 860.0, 1140.0, 1160.0)] == [True, False, False, True]


@pytest.mark.parametrize(("pressed_gpa", "volume"), [(20.0, 760.0), (-20.0, 1300.0), (40.0, 650.0)])
def test_a_melt_that_is_pressed_or_let_go_may_take_another_volume(make_plan, melt, pressed_gpa, volume) -> None:
    guard = volume_guard(make_plan, melt, pressed_gpa=pressed_gpa)
    assert "below 0.50 or above 2.00 times that of the start frame" in guard.reason
    assert not stops(guard, volume)
    assert [stops(guard, collapsed) for collapsed in (490.0, 2010.0)] == [True, True]


def test_a_melt_that_is_heated_much_may_expand_as_metals_do(make_plan, melt) -> None:
    guard = volume_guard(make_plan, melt, warmed_k=2100.0)
    assert [stops(guard, volume) for volume in (1300.0, 1600.0)] == [False, True]


def test_the_pressure_of_the_parent_run_is_virial_and_kinetic(toy_lake) -> None:
    lake = Lake(toy_lake.lake)
    [run] = [row for row in lake.rows("runs").to_pylist() if row["origin"] == "aimd"]
    found = mean_pressure_gpa(lake, run["run_id"])
    frames = trajectory(lake, run["run_id"])
    virials = vectors(lake.rows("frames", key=run["run_id"]).column("virial_ev"), 3)[frames.averaged]
    kinetic_ev = (run["n_atoms"] - 1) * 8.617333262e-5 * frames.temperature_k[frames.averaged]
    volumes = np.abs(np.linalg.det(frames.cell_angstrom[frames.averaged]))
    expected = 160.2176634 * (np.trace(virials, axis1=1, axis2=2) / 3 + kinetic_ev) / volumes
    assert found == pytest.approx(expected.mean(), abs=1e-3)
