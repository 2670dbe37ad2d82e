"""A committee of two seeds, trained until it holds a melt together, is asked on the way, also after a kill."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from lake.frames import trajectory
from lake.readers.lammps import read_card
from operators.ingest import ingest
from operators.materialize import materialize
from operators.physics.committee import disagreement
from operators.simulate import simulate
from operators.toy_melt import ToyMeltRequest, generate
from operators.train import train
from schemas.recipes import DP_SMALL
from schemas.settings import Settings
from schemas.simulation import SimulationRequest
from schemas.training import TrainingSetRequest

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]

RECIPE = DP_SMALL.model_copy(update={"n_steps": 3000})
NVT = SimulationRequest(protocol="nvt", composition="Al50Ni50", n_steps=1000, equilibration_fs=100.0)
RUN = """if True:
    import sys
    from operators.simulate import simulate
    from schemas.settings import Settings
    from schemas.simulation import SimulationRequest
    request = SimulationRequest.model_validate_json(sys.argv[3])
    simulate(Settings(lake=sys.argv[1]), sys.argv[2], request)
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    root = tmp_path_factory.mktemp("committee")
    settings = Settings(lake=str(root / "lake"))
    run = generate(root / "run", ToyMeltRequest(composition="Al50Ni50", n_atoms=64, n_frames=120, sample_fs=10.0))
    ingest(settings, [str(run)])
    return settings


@pytest.fixture(scope="module")
def seeds(settings) -> list[dict]:
    chosen = materialize(settings, TrainingSetRequest(split="random"))
    made = [train(settings, chosen["training_set_id"], recipe=RECIPE, seed=seed) for seed in (1, 2)]
    return [Lake(settings.lake).rows("potentials", key=one["potential_id"]).to_pylist()[0] for one in made]


@pytest.fixture(scope="module")
def killed(settings, seeds):
    """A simulation that was killed outright after some samples, and then finished."""
    arguments = [settings.lake, seeds[0]["potential_id"], NVT.model_dump_json()]
    victim = subprocess.Popen([sys.executable, "-c", RUN, *arguments])
    deadline = time.monotonic() + 300
    while not any(len(path.read_bytes().splitlines()) > 10 for path in settings.artifacts.rglob("model_devi.out")):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    return simulate(settings, seeds[0]["potential_id"], NVT)


def test_no_sample_is_lost_or_doubled_by_a_kill(settings, killed) -> None:
    assert killed["outcome"] == "finished"
    folder = settings.artifacts / "simulations" / killed["run_id"]
    assert (folder / "log.lammps").read_text().count("LAMMPS (") == 2
    rows = Lake(settings.lake).rows("model_deviations", key=killed["run_id"])
    np.testing.assert_array_equal(rows.column("time_fs").to_numpy(), np.arange(0.0, 1001.0, 50.0))
    np.testing.assert_array_equal(rows.column("frame").to_numpy(), np.arange(0, 101, 5))
    test = read_card(folder).start_test
    assert test.force_difference_mev_per_angstrom < 1e-6
    assert test.force_error_frac < 0.5


def test_the_committee_disagrees_on_the_way_as_it_does_on_the_same_frames_afterwards(settings, killed, seeds) -> None:
    lake = Lake(settings.lake)
    rows = lake.rows("model_deviations", key=killed["run_id"]).to_pylist()
    frames = trajectory(lake, killed["run_id"])
    at = [row["frame"] for row in rows]
    expected = disagreement(
        [
            DeepPotential(row["path"]).predict(
                frames.atomic_numbers, frames.positions_angstrom[at], cells=frames.cell_angstrom[at]
            )
            for row in seeds
        ]
    )
    for name, own in (("max", expected.max_force_ev_per_angstrom), ("mean", expected.mean_force_ev_per_angstrom)):
        told = [row[f"{name}_deviation_force_mev_per_angstrom"] for row in rows]
        np.testing.assert_allclose(told, 1000 * own, rtol=1e-3)
    (row,) = lake.rows("performance", key=killed["run_id"]).to_pylist()
    assert row["committee_ids"] == [one["potential_id"] for one in seeds]
    largest = 1000 * expected.max_force_ev_per_angstrom
    assert row["max_deviation_force_mev_per_angstrom"] == pytest.approx(largest.max(), rel=1e-3)
    assert row["mean_max_deviation_force_mev_per_angstrom"] == pytest.approx(largest.mean(), rel=1e-3)


def test_the_driving_potential_alone_moves_the_atoms(settings, killed, seeds) -> None:
    frames = trajectory(Lake(settings.lake), killed["run_id"])
    driving = DeepPotential(seeds[0]["path"])
    energy, *_ = driving.predict(frames.atomic_numbers, frames.positions_angstrom, cells=frames.cell_angstrom)
    np.testing.assert_allclose(frames.energy_ev, energy, atol=1e-4)


def test_energy_is_conserved_by_a_trained_potential(settings, seeds) -> None:
    request = SimulationRequest(protocol="nve", composition="Al50Ni50", n_steps=2000, equilibration_fs=500.0)
    answer = simulate(settings, seeds[0]["potential_id"], request)
    (row,) = Lake(settings.lake).rows("performance", key=answer["run_id"]).to_pylist()
    assert row["outcome"] == "finished"
    assert abs(row["drift_mev_per_atom_per_ps"]) < 1


def test_a_timed_run_asks_no_committee(settings, seeds) -> None:
    request = SimulationRequest(protocol="performance", composition="Al50Ni50", n_steps=20, replicate=1)
    answer = simulate(settings, seeds[0]["potential_id"], request)
    (row,) = Lake(settings.lake).rows("performance", key=answer["run_id"]).to_pylist()
    assert (row["outcome"], row["committee_ids"]) == ("finished", None)
