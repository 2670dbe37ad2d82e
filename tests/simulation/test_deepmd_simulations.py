"""Real DeePMD models in LAMMPS: the same numbers as by themselves, a committee on the way, and wrong ones found out."""

from dataclasses import replace
from importlib.util import find_spec
from shutil import copyfile

import numpy as np
import pytest

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from lake.readers.lammps import LammpsReader
from operators.materialize import materialize
from operators.observe import observe_potential
from operators.potential_add import potential_add
from operators.potentials.backends import BACKENDS
from operators.simulate import simulate
from operators.simulations.driver import pair_style
from operators.simulations.lammps_session import simulated
from operators.simulations.plan import resolved
from operators.simulations.start_frame import start_frame
from operators.train import train
from schemas.errors import MeltlakeError
from schemas.recipes import DP_SMALL
from schemas.simulation import SimulationCard, SimulationRequest
from schemas.training import TrainingSetRequest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TWIN = SimulationRequest(protocol="twin", composition="Al50Ni50", equilibration_fs=0.0, n_steps=6)
"""So short that a potential after 50 steps of training keeps its atoms apart."""
RECIPE = DP_SMALL.model_copy(update={"n_steps": 50})


def trained(settings, **options) -> dict:
    """The row of a potential that learnt as much as a test has time for."""
    chosen = materialize(settings, TrainingSetRequest(split="random"))
    made = train(settings, chosen["training_set_id"], recipe=RECIPE, **options)
    (row,) = Lake(settings.lake).rows("potentials", key=made["potential_id"]).to_pylist()
    return row


@pytest.fixture(scope="module")
def potential(toy_lake) -> dict:
    return trained(toy_lake)


@pytest.fixture(scope="module")
def twin(toy_lake, potential):
    return simulate(toy_lake, potential["potential_id"], TWIN)


def test_lammps_and_the_potential_itself_agree_on_the_start_frame(toy_lake, twin) -> None:
    (row,) = Lake(toy_lake.lake).rows("performance", key=twin["run_id"]).to_pylist()
    assert row["outcome"] == "finished"
    assert row["start_energy_difference_mev_per_atom"] < 1e-6
    assert row["start_force_difference_mev_per_angstrom"] < 1e-6
    assert row["start_pressure_difference_gpa"] < 1e-6
    assert row["start_force_error_frac"] < 1


def test_a_potential_that_learnt_next_to_nothing_is_stopped_within_a_hundred_steps(toy_lake, potential) -> None:
    request = SimulationRequest(protocol="performance", composition="Al50Ni50", n_steps=20, replicate=1)
    answer = simulate(toy_lake, potential["potential_id"], request)
    assert answer["outcome"] == "unphysical"
    assert "came closer than" in answer["reason"]
    (row,) = Lake(toy_lake.lake).rows("performance", key=answer["run_id"]).to_pylist()
    assert row["n_steps_done"] <= 100


def test_a_model_trained_elsewhere_is_simulated_like_one_trained_here(toy_lake, potential, twin, tmp_path) -> None:
    model = tmp_path / "graph.pb"
    copyfile(potential["path"], model)
    added = potential_add(toy_lake, model, name="theirs", origin="Doe 2020")
    model.unlink()
    assert [added[name] for name in ("type_map", "r_cut_angstrom", "sel", "precision", "backend", "sha256")] == [
        potential[name] for name in ("type_map", "r_cut_angstrom", "sel", "precision", "backend", "sha256")
    ]
    answer = simulate(toy_lake, added["potential_id"], TWIN)
    assert (answer["outcome"], answer["run_id"] != twin["run_id"]) == ("finished", True)
    lake = Lake(toy_lake.lake)
    rows = [lake.rows("performance", key=run["run_id"]).to_pylist()[0] for run in (answer, twin)]
    assert rows[0]["start_energy_difference_mev_per_atom"] < 1e-6
    assert rows[0]["start_force_error_frac"] == pytest.approx(rows[1]["start_force_error_frac"])
    with pytest.raises(MeltlakeError, match=r"was trained elsewhere \(Doe 2020\): the lake does not have its training"):
        observe_potential(toy_lake, added["potential_id"])
    lake.remove("potentials", added["potential_id"])


def test_a_file_that_is_no_model_is_refused_with_the_reason(toy_lake, tmp_path) -> None:
    (tmp_path / "bad.pb").write_text("no model")
    with pytest.raises(MeltlakeError, match=r"bad.pb is no model that deepmd-kit can read: .*DecodeError"):
        potential_add(toy_lake, tmp_path / "bad.pb", name="theirs", origin="Doe 2020")


def test_a_type_map_that_is_not_the_models_is_found_before_lammps_starts(toy_lake, potential) -> None:
    lake = Lake(toy_lake.lake)
    lake.replace("potentials", "wrong", [potential | {"type_map": ["Ni", "Al"], "seed": 77}])
    answer = simulate(toy_lake, "wrong", TWIN)
    lake.remove("potentials", "wrong")
    assert answer["outcome"] == "unphysical"
    assert answer["reason"].startswith("the type map is wrong: the lake has Ni, Al for this potential, its model file")
    (row,) = lake.rows("performance", key=answer["run_id"]).to_pylist()
    assert row["n_steps_done"] == 0


def test_types_that_lammps_maps_to_other_elements_are_found_before_anything_moves(
    toy_lake, potential, tmp_path
) -> None:
    lake, start = Lake(toy_lake.lake), start_frame(Lake(toy_lake.lake), TWIN)
    card = card_of(start, potential)
    pair = pair_style(toy_lake, lake, tmp_path, potential, card)
    mixed_up = replace(pair, lines=(pair.lines[0], "pair_coeff      * * Ni Al"))
    card = simulated(tmp_path, card, start, mixed_up)
    assert card.outcome == "unphysical"
    assert "LAMMPS and the potential itself disagree on the start frame" in card.reason
    assert "a wrong type map" in card.reason
    assert card.start_test.force_difference_mev_per_angstrom > 10
    assert card.n_steps_done <= 100
    assert LammpsReader(tmp_path).header.outcome == f"unphysical: {card.reason}"


def card_of(start, potential) -> SimulationCard:
    plan = resolved(TWIN, start)
    about = {"potential_id": potential["potential_id"], "potential_sha256": potential["sha256"]}
    counts = {"Al": 32, "Ni": 32}
    return SimulationCard.new(
        plan, start.origin, type_map=tuple(potential["type_map"]), counts=counts, n_atoms=64, **about
    )


@pytest.mark.parametrize("backend", ["tensorflow", "pytorch"])
def test_lammps_and_deepmd_agree_on_a_trained_potential(toy_lake, backend) -> None:
    if find_spec(BACKENDS[backend].package) is None:
        pytest.skip(f"{BACKENDS[backend].package} is not installed")
    potential = trained(toy_lake, backend=backend)
    answer = simulate(toy_lake, potential["potential_id"], TWIN)
    reader = LammpsReader(toy_lake.artifacts / "simulations" / answer["run_id"])
    (batch,) = reader.batches()
    energy, forces, virial = DeepPotential(potential["path"]).predict(
        reader.header.atomic_numbers, batch.positions_angstrom, cells=batch.cell_angstrom
    )
    np.testing.assert_allclose(batch.energy_ev, energy, atol=1e-5)
    np.testing.assert_allclose(batch.forces_ev_per_angstrom, forces, atol=1e-5)
    np.testing.assert_allclose(batch.virial_ev, virial, atol=1e-3)
    assert reader.card.start_energy_ev == pytest.approx(energy[0], abs=1e-5)
    [row] = Lake(toy_lake.lake).rows("performance", key=answer["run_id"]).to_pylist()
    assert (row["backend"], row["precision"]) == (backend, "float64")
