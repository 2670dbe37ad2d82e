"""What each protocol leaves behind: energy that is conserved, pressure between frames, what is told on the way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from lake.delta import Lake
from lake.frames import pressures_between_frames, trajectory, vectors, virials_ev
from lake.readers.lammps import read_card
from operators.observables.stress import stress_of
from operators.physics.viscosity import pressure_tensors_gpa
from operators.simulate import simulate
from operators.simulations import progress
from operators.simulations.lammps_input import START_LABELS
from schemas.elements import masses_amu
from schemas.simulation import SimulationRequest

ROOT = Path(__file__).parents[2]


def request_of(protocol: str, **options) -> SimulationRequest:
    return SimulationRequest(protocol=protocol, composition="Al50Ni50", **options)


def row_of(settings, table: str, answer) -> dict:
    (row,) = Lake(settings.lake).rows(table, key=answer["run_id"]).to_pylist()
    return row


@pytest.fixture(scope="module")
def nve(toy_lake):
    return simulate(toy_lake, "toy", request_of("nve", n_steps=3000, equilibration_fs=500.0))


@pytest.fixture(scope="module")
def nvt(toy_lake):
    return simulate(toy_lake, "toy", request_of("nvt", n_steps=600, equilibration_fs=50.0))


def test_energy_is_conserved_without_a_thermostat(toy_lake, nve) -> None:
    row = row_of(toy_lake, "performance", nve)
    assert (row["outcome"], row["protocol"]) == ("finished", "nve")
    assert abs(row["drift_mev_per_atom_per_ps"]) < 0.5
    run = row_of(toy_lake, "runs", nve)
    assert run["ensemble"] == "nve"
    lake = Lake(toy_lake.lake)
    energies = lake.rows("frames", key=nve["run_id"]).column("conserved_energy_ev").to_numpy()
    assert len(energies) == 301
    assert np.ptp(energies) / 64 < 2e-3


def test_too_long_a_time_step_shows_in_the_drift(toy_lake, nve) -> None:
    coarse = simulate(toy_lake, "toy", request_of("nve", n_steps=1000, equilibration_fs=500.0, time_step_fs=5.0))
    scatter = {}
    for answer in (nve, coarse):
        energies = Lake(toy_lake.lake).rows("frames", key=answer["run_id"]).column("conserved_energy_ev").to_numpy()
        scatter[answer["run_id"]] = energies.std()
    assert scatter[coarse["run_id"]] > 5 * scatter[nve["run_id"]]


def test_a_thermostatted_run_conserves_energy_with_its_thermostat(toy_lake, nvt) -> None:
    frames = Lake(toy_lake.lake).rows("frames", key=nvt["run_id"])
    energies = frames.column("conserved_energy_ev").to_numpy()
    assert np.ptp(energies) < 0.1 * np.ptp(frames.column("energy_ev").to_numpy())


def test_a_run_too_short_for_a_drift_has_none(toy_lake, nvt) -> None:
    assert row_of(toy_lake, "performance", nvt)["drift_mev_per_atom_per_ps"] is None


def test_pressure_between_frames_is_that_of_the_frames(toy_lake, nvt) -> None:
    lake = Lake(toy_lake.lake)
    rows = lake.rows("pressure_tensors", key=nvt["run_id"])
    times = rows.column("time_fs").to_numpy()
    np.testing.assert_allclose(times, np.arange(0.0, 601.0, 5.0))
    frames = trajectory(lake, nvt["run_id"])
    virials = vectors(lake.rows("frames", key=nvt["run_id"]).column("virial_ev"), 3)
    of_frames = pressure_tensors_gpa(
        virials,
        frames.cell_angstrom,
        masses_amu=masses_amu(frames.atomic_numbers),
        velocities=frames.velocities_angstrom_per_fs,
    )
    tensors = vectors(rows.column("pressure_gpa"), 3)
    np.testing.assert_allclose(tensors[np.isin(times, frames.time_fs)], of_frames, atol=1e-4)


def test_what_a_viscosity_integrates_is_sampled_between_frames(toy_lake, nvt) -> None:
    lake = Lake(toy_lake.lake)
    frames, between = trajectory(lake, nvt["run_id"]), pressures_between_frames(lake, nvt["run_id"])
    virials = virials_ev(lake, nvt["run_id"])
    dense, coarse = stress_of(frames, virials, between=between), stress_of(frames, virials)
    assert (dense.lag_fs[1], coarse.lag_fs[1]) == (5.0, 10.0)
    assert dense.gpa2[0] == pytest.approx(coarse.gpa2[0], rel=0.2)


def test_a_timed_run_keeps_no_pressure(toy_lake) -> None:
    answer = simulate(toy_lake, "toy", request_of("performance", n_steps=100, replicate=1))
    assert Lake(toy_lake.lake).n_rows("pressure_tensors", answer["run_id"]) == 0
    row = row_of(toy_lake, "performance", answer)
    assert row["committee_ids"] is None
    assert row["n_steps"] == 100


def test_progress_tells_step_speed_temperature_and_time_left(toy_lake, monkeypatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_EVENTS", 0.0)
    with capture_logs() as lines:
        simulate(toy_lake, "toy", request_of("nvt", n_steps=100, equilibration_fs=50.0, seed=5))
    told = [line for line in lines if "step" in line]
    assert len(told) > 5
    assert {(line["step"], line["n_steps"], line["phase"]) for line in told} >= {(100, 150, "production")}
    assert all(line["ns_per_day"] > 0 and line["time_left"].startswith("0:00:") for line in told)
    assert all(100 < line["temperature_k"] < 10_000 for line in told)


KILLED = """if True:
    import sys
    from operators.simulate import simulate
    from schemas.settings import Settings
    from schemas.simulation import SimulationRequest
    request = SimulationRequest(protocol="nvt", composition="Al50Ni50", n_steps=10_000, equilibration_fs=100.0)
    simulate(Settings(lake=sys.argv[1]), "toy", request)
"""


def test_a_run_that_is_killed_goes_on_with_nothing_lost_or_doubled(toy_lake) -> None:
    request = request_of("nvt", n_steps=10_000, equilibration_fs=100.0)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    victim = subprocess.Popen([sys.executable, "-c", KILLED, toy_lake.lake], cwd=ROOT, env=environment)
    folders = toy_lake.artifacts / "simulations"
    before = {path.name for path in folders.glob("*")}
    try:
        folder = _wait_for(
            lambda: next((p for p in folders.glob("*/pressure.csv") if _is_long(p, before)), None)
        ).parent
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert read_card(folder).outcome == "running"
    answer = simulate(toy_lake, "toy", request)
    assert (answer["outcome"], answer["run_id"]) == ("finished", folder.name)
    times = Lake(toy_lake.lake).rows("pressure_tensors", key=answer["run_id"]).column("time_fs").to_numpy()
    np.testing.assert_array_equal(times, np.arange(0.0, 10_001.0, 5.0))
    assert row_of(toy_lake, "runs", answer)["n_frames"] == 1001
    log = (folder / "log.lammps").read_text()
    assert log.count("LAMMPS (") == 2
    assert log.count(f"\n{START_LABELS} ") == 1, "the start frame is tested once"
    assert read_card(folder).start_test is not None


def _is_long(path: Path, before: set[str]) -> bool:
    return path.parent.name not in before and len(path.read_bytes().splitlines()) > 200


def _wait_for(condition):
    deadline = time.monotonic() + 60
    while (found := condition()) is None:
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
    return found
