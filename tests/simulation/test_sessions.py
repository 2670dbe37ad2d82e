"""Sessions of one simulation: what a kill, a full disk or a model that is gone leaves, the next session copes with."""

from pathlib import Path
from shutil import copytree

import pytest

from lake.delta import Lake
from lake.readers.lammps import read_card
from lake.readers.lammps_tables import DEVIATION_TABLE, THERMO_TABLE, pressure_tensors, thermo_rows
from operators.physics import toy_potential
from operators.simulate import simulate
from operators.simulations.driver import still_there
from operators.simulations.lammps_log import halt_by_guard, last_timing
from operators.simulations.lammps_session import LOG, write_card
from operators.simulations.restart_files import go_back_to
from operators.simulations.results import performance_row
from schemas.settings import Settings
from schemas.simulation import SimulationCard, SimulationRequest, StartFrame
from tests.simulation.conftest import TABLE, TYPE_MAP, potential_row

TWIN = SimulationRequest(protocol="twin", composition="Al50Ni50", equilibration_fs=0.0)


@pytest.fixture
def settings(toy_lake, tmp_path) -> Settings:
    """A copy of the lake, to be written to."""
    copytree(Path(toy_lake.lake).parent, tmp_path / "home")
    return Settings(lake=str(tmp_path / "home" / "lake"))


def row_of(settings, answer) -> dict:
    (row,) = Lake(settings.lake).rows("performance", key=answer["run_id"]).to_pylist()
    return row


def test_rows_behind_a_restart_are_taken_away_from_every_table(tmp_path) -> None:
    (tmp_path / THERMO_TABLE).write_text("step,temp\n0,1\n10,2\n20,3\n30,4\n3")
    (tmp_path / DEVIATION_TABLE).write_text("#  step max\n          10 1\n          20 2\n          30 3\n")
    go_back_to(tmp_path, 20)
    assert (tmp_path / THERMO_TABLE).read_text() == "step,temp\n0,1\n10,2\n20,3\n"
    assert (tmp_path / DEVIATION_TABLE).read_text() == "#  step max\n          10 1\n          20 2\n"


def test_rows_that_a_full_disk_cut_are_left_out(tmp_path) -> None:
    whole = ",".join(map(str, range(10)))
    (tmp_path / THERMO_TABLE).write_text(f"{whole}\n1,2,,4,5,6,7,8,9,10\n30 - 1,2,3,4,5,6,7,8,9,10\n2,3\n{whole}\n")
    assert thermo_rows(tmp_path / THERMO_TABLE).tolist() == [list(range(10))] * 2
    (tmp_path / "pressure.csv").write_text("5,1,2,3,4,5,6\n10,1,2,3,4,5,\n")
    assert pressure_tensors(tmp_path)[0].tolist() == [5]


@pytest.mark.parametrize(("text", "value"), [("0.9,", "0.9"), ("1.5.", "1.5"), ("9e4", "9e+04"), ("0.9", "0.9")])
def test_a_value_that_something_is_written_behind_is_read(text, value) -> None:
    lines = [f"Fix halt condition for fix-id guard_distance met on step 20 with value {text} and more"]
    assert halt_by_guard(lines, {"guard_distance": "close"}).reason == f"close at step 20 (value {value})"


def test_moving_atoms_apart_is_not_timed() -> None:
    lines = [
        "Loop time of 2.0 on 1 procs for 57 steps with 108 atoms",
        "Minimization stats:",
        "Loop time of 1e-6 on 1 procs for 0 steps with 108 atoms",
    ]
    assert last_timing(lines, time_step_fs=1.0) is None
    lines.append("Loop time of 1.0 on 1 procs for 10 steps with 108 atoms")
    assert last_timing(lines, time_step_fs=1.0).n_steps == 10


def test_a_session_that_began_at_the_last_step_is_not_timed_by_the_warm_up() -> None:
    warm_up, timed = (f"Loop time of 1.0 on 1 procs for {n} steps with 108 atoms" for n in (200, 1000))
    again = ["LAMMPS (22 Jul 2025)", "Loop time of 1e-6 on 1 procs for 0 steps with 108 atoms"]
    first = ["LAMMPS (22 Jul 2025)", warm_up]
    assert last_timing([*first, *again], time_step_fs=1.0, n_production_steps=1000) is None
    assert last_timing([*first, timed, *again], time_step_fs=1.0, n_production_steps=1000).n_steps == 1000


def test_a_refused_start_is_refused_also_after_a_kill(settings, tmp_path) -> None:
    """The verdict is on the card before LAMMPS, which does not wait, is stopped: the card is what a kill leaves."""
    table = tmp_path / TABLE
    lines = toy_potential.setfl().split("\n")
    scaled = [" ".join(f"{27.2 * float(number):.16e}" for number in line.split()) for line in lines[-3601:]]
    table.write_text("\n".join([*lines[:-3601], *scaled]))
    lake = Lake(settings.lake)
    lake.replace("potentials", "wrong", [potential_row(table)])
    answer = simulate(settings, "wrong", TWIN)
    folder = settings.artifacts / "simulations" / answer["run_id"]
    card = read_card(folder)
    assert (card.outcome, card.is_refused) == ("unphysical", True)
    for table_name in ("performance", "runs"):
        lake.remove(table_name, answer["run_id"])
    (folder / "trajectory.lammpstrj").unlink(missing_ok=True)
    (folder / LOG).unlink()
    write_card(folder, card.model_copy(update={"n_steps_done": 0, "lammps_version": None, "hardware": None}))
    again = simulate(settings, "wrong", TWIN)
    assert (again["outcome"], again["reason"]) == ("unphysical", answer["reason"])
    assert not (folder / LOG).exists(), "LAMMPS was not started"
    assert lake.rows("runs", key=answer["run_id"]).to_pylist()[0]["n_frames"] >= 1


def test_programs_that_did_not_agree_are_asked_again(settings) -> None:
    answer = simulate(settings, "toy", TWIN)
    lake, folder = Lake(settings.lake), settings.artifacts / "simulations" / answer["run_id"]
    reason = "LAMMPS and the potential itself disagree on the start frame, by 1 meV/atom"
    refused = {"outcome": "unphysical", "reason": reason, "is_refused": True}
    write_card(folder, read_card(folder).model_copy(update=refused))
    lake.replace("performance", answer["run_id"], [row_of(settings, answer) | {"outcome": f"unphysical: {reason}"}])
    again = simulate(settings, "toy", TWIN)
    assert (again["outcome"], again["changed"]) == ("finished", True)
    assert simulate(settings, "toy", TWIN) == again | {"changed": False}


def test_a_simulation_goes_on_without_a_sibling_that_is_gone(settings, tmp_path) -> None:
    lake = Lake(settings.lake)
    (tmp_path / "gone.pb").write_bytes(b"a model")
    lake.replace("potentials", "gone", [potential_row(tmp_path / "gone.pb")])
    (tmp_path / "gone.pb").unlink()
    assert still_there(settings, lake, ["toy", "gone", "never"]) == ("toy",)


def test_a_session_that_goes_on_leaves_a_sibling_out_that_is_gone(settings) -> None:
    answer = simulate(settings, "toy", TWIN)
    lake, folder = Lake(settings.lake), settings.artifacts / "simulations" / answer["run_id"]
    card = read_card(folder).model_copy(update={"outcome": "running", "start_energy_ev": None, "committee": ("gone",)})
    write_card(folder, card)
    lake.remove("performance", answer["run_id"])
    assert simulate(settings, "toy", TWIN)["outcome"] == "finished"
    assert (read_card(folder).committee, read_card(folder).committee_left_out) == ((), ("gone",))
    assert row_of(settings, answer)["committee_ids"] == ["toy", "gone"]


def test_a_sibling_that_was_asked_until_it_was_gone_is_named(settings) -> None:
    answer = simulate(settings, "toy", TWIN)
    folder = settings.artifacts / "simulations" / answer["run_id"]
    card = read_card(folder).model_copy(update={"committee": ("two",), "committee_left_out": ("three",)})
    row = performance_row(folder, card, {"backend": "x", "precision": "x", "compressed": False})
    assert row["committee_ids"] == ["toy", "two", "three"]


def test_whether_atoms_were_exchanged_is_told_by_the_atoms(make_plan) -> None:
    about = {"potential_id": "p", "potential_sha256": "0", "type_map": TYPE_MAP, "n_atoms": 108}
    start = StartFrame(parent_run_id="r", frame=1, parent_composition="Al69Cu20Ni10")
    plan = make_plan(composition="Al70Cu20Ni10")
    counts = {"Al": 75, "Cu": 22, "Ni": 11}
    card = SimulationCard.new(plan, start, counts=counts, n_exchanged=0, **about)
    assert not card.is_exchanged
    assert card.composition == "Al69Cu20Ni10"
    assert SimulationCard.new(plan, start, counts=counts, n_exchanged=3, **about).is_exchanged
    assert SimulationCard.new(plan, start, counts=counts, **about).is_exchanged, "older cards go by labels"


def test_what_is_stored_of_a_simulation_has_the_label_of_its_atoms(settings) -> None:
    odd = SimulationRequest(protocol="nvt", composition="Al51Ni49", n_steps=20, equilibration_fs=0.0)
    answer = simulate(settings, "toy", odd)
    lake = Lake(settings.lake)
    labels = {
        table: set(lake.rows(table, key=answer["run_id"]).column("composition").to_pylist())
        for table in ("runs", "performance", "pressure_tensors")
    }
    own = "Al52Ni48"  # 33 and 31 of 64 atoms
    assert labels == {"runs": {own}, "performance": {own}, "pressure_tensors": {own}}
    assert answer["composition"] == own


def test_exchanged_atoms_of_a_timed_run_are_moved_apart_too(settings) -> None:
    request = SimulationRequest(protocol="performance", composition="Al40Ni60", n_steps=10, replicate=1)
    answer = simulate(settings, "toy", request)
    folder = settings.artifacts / "simulations" / answer["run_id"]
    assert "minimize" in (folder / "in.lammps").read_text()
    assert row_of(settings, answer)["n_steps"] == 10
