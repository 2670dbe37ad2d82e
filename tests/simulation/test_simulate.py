"""A potential drives a melt from a frame of the lake, and its trajectory comes back as a run, once."""

import numpy as np
import pytest

from lake.delta import Lake
from lake.frames import trajectory
from lake.locks import exclusive
from lake.readers.lammps import read_card
from operators.physics.exchange import exchanged
from operators.simulate import simulate
from operators.simulations.plan import resolved
from operators.simulations.start_frame import start_frame
from schemas.composition import atomic_numbers_of, element_counts
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.simulation import SimulationRequest


def request_of(protocol: str = "twin", composition: str = "Al50Ni50", **options) -> SimulationRequest:
    return SimulationRequest(protocol=protocol, composition=composition, **options)


def card_of(settings, answer):
    return read_card(settings.artifacts / "simulations" / answer["run_id"])


@pytest.fixture(scope="module")
def twin(toy_lake):
    return simulate(toy_lake, "toy", request_of(equilibration_fs=50.0))


def test_a_twin_has_the_atoms_temperature_and_time_axis_of_its_aimd_run(toy_lake, twin) -> None:
    lake = Lake(toy_lake.lake)
    runs = {row["origin"]: row for row in lake.rows("runs").to_pylist() if row["protocol"] in (None, "twin")}
    names = ("composition", "formula", "n_atoms", "n_frames", "ensemble", "temperature_target_k", "time_step_fs")
    assert [runs["dnnp"][name] for name in names] == [runs["aimd"][name] for name in names]
    assert runs["dnnp"]["run_id"] == twin["run_id"]
    assert (runs["dnnp"]["parent_run_id"], runs["dnnp"]["potential_id"]) == (runs["aimd"]["run_id"], "toy")
    assert runs["dnnp"]["complete"]


def test_a_twin_keeps_the_cell_of_its_aimd_run(toy_lake, twin) -> None:
    lake = Lake(toy_lake.lake)
    own, aimd = (trajectory(lake, run_id) for run_id in (twin["run_id"], twin["parent_run_id"]))
    np.testing.assert_allclose(own.cell_angstrom[-1], aimd.cell_angstrom[-1], atol=1e-6)
    np.testing.assert_allclose(np.diff(own.time_fs), np.diff(aimd.time_fs))


def test_the_potential_that_made_the_aimd_run_gives_its_energy_again(toy_lake, twin) -> None:
    aimd = trajectory(Lake(toy_lake.lake), twin["parent_run_id"])
    card = card_of(toy_lake, twin)
    assert card.start.frame == 9
    assert card.start_energy_ev == pytest.approx(aimd.energy_ev[9], abs=1e-3)


def test_the_same_request_is_found_and_not_repeated(toy_lake, twin) -> None:
    log_file = toy_lake.artifacts / "simulations" / twin["run_id"] / "log.lammps"
    before = log_file.stat().st_mtime_ns
    again = simulate(toy_lake, "toy", request_of(equilibration_fs=50.0))
    assert again == twin | {"changed": False}
    assert log_file.stat().st_mtime_ns == before


def test_speed_is_recorded_with_its_hardware(toy_lake, twin) -> None:
    (row,) = Lake(toy_lake.lake).rows("performance", key=twin["run_id"]).to_pylist()
    assert row["ns_per_day"] == twin["ns_per_day"] > 0
    assert (row["n_atoms"], row["outcome"], row["protocol"]) == (64, "finished", "twin")
    assert row["hardware"]
    assert row["lammps_version"].startswith("22 Jul 2025")


def test_a_finished_simulation_is_brought_back_after_a_kill_without_running_again(toy_lake, twin) -> None:
    lake = Lake(toy_lake.lake)
    lake.replace("performance", twin["run_id"], [])
    folder = toy_lake.artifacts / "simulations" / twin["run_id"]
    (folder / "in.lammps").unlink()
    assert simulate(toy_lake, "toy", request_of(equilibration_fs=50.0)) == twin
    assert not (folder / "in.lammps").exists()
    assert len(lake.rows("runs", key=twin["run_id"])) == 1


def test_a_simulation_that_runs_already_is_not_started_twice(toy_lake, twin) -> None:
    lock = toy_lake.artifacts / "simulations" / f".{twin['run_id']}.lock"
    with (
        exclusive(lock, doing="simulating"),
        pytest.raises(TryAgainLater, match=f"Another process is simulating {twin['run_id']}"),
    ):
        simulate(toy_lake, "toy", request_of(equilibration_fs=50.0))


def test_an_exploding_melt_is_kept_and_called_unphysical(toy_lake) -> None:
    hot = request_of("nvt", temperature_k=90_000.0, n_steps=200, equilibration_fs=0.0, sample_fs=1.0)
    answer = simulate(toy_lake, "toy", hot)
    assert answer["outcome"] == "unphysical"
    assert "closer than 1.5 Angstrom" in answer["reason"]
    (row,) = Lake(toy_lake.lake).rows("runs", key=answer["run_id"]).to_pylist()
    assert row["n_frames"] == card_of(toy_lake, answer).n_steps_done + 1
    assert not row["complete"]
    assert "halted as unphysical" in row["notes"][0]


def test_another_composition_starts_from_the_nearest_one(toy_lake) -> None:
    start = start_frame(Lake(toy_lake.lake), request_of("nvt", "Al25Cu25Ni50"))
    assert start.origin.parent_composition == "Al50Ni50"
    assert element_counts(start.atomic_numbers) == {"Al": 16, "Cu": 16, "Ni": 32}


def test_exchanging_elements_changes_no_more_atoms_than_needed() -> None:
    numbers = atomic_numbers_of(["Al"] * 20 + ["Ni"] * 20)
    out = exchanged(numbers, {"Al": 10, "Cu": 8, "Ni": 22}, seed=3)
    assert element_counts(out) == {"Al": 10, "Cu": 8, "Ni": 22}
    assert (out != numbers).sum() == 10
    np.testing.assert_array_equal(exchanged(numbers, {"Al": 20, "Ni": 20}, seed=3), numbers)


def test_atoms_are_exchanged_for_those_of_like_size() -> None:
    out = exchanged(atomic_numbers_of(["K", "Ni"]), {"Na": 1, "Cu": 1}, seed=1)
    np.testing.assert_array_equal(out, atomic_numbers_of(["Na", "Cu"]))


def test_a_time_step_too_long_for_a_metal_is_divided_and_the_time_axis_kept(toy_lake) -> None:
    plan = resolved(request_of(), start_frame(Lake(toy_lake.lake), request_of()))
    assert (plan.time_step_fs, plan.steps_per_frame, plan.sample_fs) == (pytest.approx(5 / 3), 3, pytest.approx(5.0))
    assert plan.n_production_steps == 27


def test_a_timed_run_has_about_4096_atoms(toy_lake) -> None:
    plan = resolved(request_of("performance"), start_frame(Lake(toy_lake.lake), request_of("performance")))
    assert (64 * plan.replicate**3, plan.n_equilibration_steps) == (4096, 200)


def test_requests_that_come_to_the_same_are_one_simulation(toy_lake) -> None:
    start = start_frame(Lake(toy_lake.lake), request_of())
    asked_for = request_of(composition="Ni50Al50", temperature_k=start.temperature_k, replicate=1, n_steps=10**6)
    assert resolved(asked_for, start) == resolved(request_of(), start).model_copy(
        update={"n_equilibration_steps": resolved(asked_for, start).n_equilibration_steps}
    )


def test_a_twin_needs_aimd_of_its_composition(toy_lake) -> None:
    with pytest.raises(MeltlakeError, match="no molecular dynamics of Al60Ni40"):
        start_frame(Lake(toy_lake.lake), request_of(composition="Al60Ni40"))


def test_a_melt_of_other_elements_is_too_far_to_start_from(toy_lake) -> None:
    with pytest.raises(MeltlakeError, match=r"nearest to Fe100 is 100 at\.% away"):
        start_frame(Lake(toy_lake.lake), request_of("nvt", "Fe100"))


def test_an_element_the_potential_does_not_know_is_refused(toy_lake) -> None:
    with pytest.raises(MeltlakeError, match="knows Al, Cu, Ni; Al50Fe50 has Fe"):
        simulate(toy_lake, "toy", request_of("nvt", "Al50Fe50"))


def test_a_potential_that_is_not_there_is_refused(toy_lake) -> None:
    with pytest.raises(MeltlakeError, match="There is no potential 'none'"):
        simulate(toy_lake, "none", request_of())


def test_a_model_file_that_was_changed_is_refused(toy_lake, tmp_path) -> None:
    lake = Lake(toy_lake.lake)
    (row,) = lake.rows("potentials", key="toy").to_pylist()
    lake.replace("potentials", "changed", [row | {"sha256": "0" * 64}])
    with pytest.raises(MeltlakeError, match="missing or was changed"):
        simulate(toy_lake, "changed", request_of())
