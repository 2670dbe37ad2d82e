"""A simulation that is no melt is kept, says why, and enters nothing: no average, no comparison, no training set."""

from dataclasses import replace

import numpy as np
import pytest

from lake.delta import Lake
from lake.frames import trajectory
from lake.readers.lammps import read_card
from lake.warehouse import query
from operators.export import export
from operators.materialize import materialize
from operators.observe import observe_run
from operators.override import override
from operators.physics import toy_potential
from operators.publish import publish
from operators.report.operations import runs_section
from operators.simulate import simulate
from operators.simulations.lammps_session import simulated
from operators.simulations.pair_style import PairStyle
from operators.simulations.plan import resolved
from operators.simulations.start_frame import start_frame
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.simulation import SimulationCard, SimulationRequest
from schemas.training import TrainingSetRequest
from tests.simulation.conftest import TABLE, TYPE_MAP, potential_row

REQUEST = SimulationRequest(protocol="twin", composition="Al50Ni50", equilibration_fs=0.0)
HOT = SimulationRequest(
    protocol="nvt", composition="Al50Ni50", temperature_k=90_000.0, n_steps=200, equilibration_fs=0.0, sample_fs=1.0
)


def other_potential(settings, tmp_path, name, text) -> str:
    table = tmp_path / TABLE
    table.write_text(text)
    Lake(settings.lake).replace("potentials", name, [potential_row(table)])
    return name


@pytest.fixture
def wrong_unit(toy_lake, tmp_path) -> str:
    """The toy potential in another unit of energy: its pair functions, the last numbers of the table, times 27.2."""
    lines = toy_potential.setfl().split("\n")
    first = len(lines) - 6 * 600 - 1
    scaled = [" ".join(f"{27.2 * float(number):.16e}" for number in line.split()) for line in lines[first:]]
    return other_potential(toy_lake, tmp_path, "wrong_unit", "\n".join([*lines[:first], *scaled]))


@pytest.fixture(scope="module")
def exploded(toy_lake) -> str:
    return simulate(toy_lake, "toy", HOT)["run_id"]


def test_a_wrong_potential_is_found_before_anything_moves(toy_lake, wrong_unit) -> None:
    answer = simulate(toy_lake, wrong_unit, REQUEST)
    assert answer["outcome"] == "unphysical"
    assert answer["reason"].startswith("the potential does not know this melt: on the start frame its forces are off")
    (row,) = Lake(toy_lake.lake).rows("performance", key=answer["run_id"]).to_pylist()
    assert row["start_force_error_frac"] > 1
    assert row["n_steps_done"] <= 100


def test_a_potential_that_gives_the_frames_their_own_forces_passes(toy_lake) -> None:
    answer = simulate(toy_lake, "toy", REQUEST)
    assert answer["outcome"] == "finished"
    (row,) = Lake(toy_lake.lake).rows("performance", key=answer["run_id"]).to_pylist()
    assert row["start_force_error_frac"] < 1e-3


def test_an_overlapping_start_is_unphysical_at_step_zero(toy_lake, tmp_path) -> None:
    start = start_frame(Lake(toy_lake.lake), REQUEST)
    positions = start.positions_angstrom.copy()
    positions[1] = positions[0] + [0.0, 0.8, 0.0]
    about = {"potential_id": "toy", "potential_sha256": "0", "type_map": TYPE_MAP, "n_atoms": 64}
    card = SimulationCard.new(resolved(REQUEST, start), start.origin, counts={"Al": 32, "Ni": 32}, **about)
    overlapping = replace(start, positions_angstrom=positions)
    card = simulated(tmp_path, card, overlapping, PairStyle.eam_alloy(TABLE, TYPE_MAP))
    assert (card.outcome, card.n_steps_done) == ("unphysical", 0)
    assert "0.8 Angstrom apart in the start frame" in card.reason
    assert read_card(tmp_path) == card


def test_a_run_that_was_stopped_before_its_first_frame_is_kept_with_its_start_and_end(toy_lake) -> None:
    answer = simulate(toy_lake, "toy", HOT.model_copy(update={"equilibration_fs": 500.0}))
    assert answer["outcome"] == "unphysical"
    (row,) = Lake(toy_lake.lake).rows("runs", key=answer["run_id"]).to_pylist()
    assert (row["n_frames"], row["n_accepted"]) == (2, 0)
    assert row["outcome"] == f"unphysical: {answer['reason']}"


def test_no_frame_of_an_unphysical_run_is_averaged(toy_lake, exploded) -> None:
    frames = trajectory(Lake(toy_lake.lake), exploded)
    assert frames.n_frames > 5
    assert frames.n_averaged == 0
    rows = observe_run(toy_lake, exploded)["rows"]
    assert {table for table, n in rows.items() if n} == {"thermodynamics"}
    (row,) = Lake(toy_lake.lake).rows("thermodynamics", key=exploded).to_pylist()
    assert row["n_averaged"] == 0
    assert {value for name, value in row.items() if name.endswith(("_k", "_gpa", "_cm3", "_atom"))} == {None}


def test_no_view_compares_an_unphysical_run(toy_lake, exploded) -> None:
    observe_run(toy_lake, exploded)
    settings = Settings.from_mapping({}, lake=toy_lake.lake)
    publish(settings)
    assert query(settings, f"select * from run_pairs where dnnp_run_id = '{exploded}'") == []
    assert query(settings, f"select * from density_vs_experiment where run_id = '{exploded}'") == []
    (row,) = query(settings, f"select outcome, reason from runs where run_id = '{exploded}'")
    assert row["outcome"].startswith("unphysical: two atoms came closer")
    assert "physical" in row["reason"]


def test_the_report_says_why_a_run_is_no_melt(toy_lake, exploded) -> None:
    settings = Settings.from_mapping({}, lake=toy_lake.lake)
    publish(settings)
    (grid,) = runs_section(lambda sql: query(settings, sql)).grids
    (told,) = [cells for cells in grid.rows if cells[0] == exploded]
    assert any(str(cell).startswith("unphysical: two atoms came closer") for cell in told)


def test_nobody_may_let_an_unphysical_run_pass(toy_lake, exploded) -> None:
    with pytest.raises(MeltlakeError, match="`physical` cannot be overruled: a simulation that a guard stopped"):
        override(toy_lake, exploded, rule="physical", frames=[], because="it looks good")


def test_frames_of_an_unphysical_run_are_not_exported_by_default(toy_lake, exploded, tmp_path) -> None:
    with pytest.raises(MeltlakeError, match="No frame of the lake meets"):
        export(toy_lake, str(tmp_path / "out.xyz"), format_="extxyz", where=f"accepted and run_id = '{exploded}'")


def test_a_simulation_never_becomes_training_data(toy_lake, exploded) -> None:
    finished = simulate(toy_lake, "toy", REQUEST)["run_id"]
    for run_id in (exploded, finished):
        with pytest.raises(MeltlakeError, match=f"no AIMD run of run {run_id}"):
            materialize(toy_lake, TrainingSetRequest(runs=(run_id,)))
    made = materialize(toy_lake, TrainingSetRequest(split="random"))
    rows = Lake(toy_lake.lake).rows("training_set_frames", key=made["training_set_id"]).to_pylist()
    origins = {row["run_id"]: row["origin"] for row in Lake(toy_lake.lake).rows("runs").to_pylist()}
    assert {origins[row["run_id"]] for row in rows} == {"aimd"}


def test_an_unphysical_run_is_found_and_not_repeated(toy_lake, exploded) -> None:
    again = simulate(toy_lake, "toy", HOT)
    assert (again["run_id"], again["outcome"], again["changed"]) == (exploded, "unphysical", False)
    assert np.isfinite(again["n_atoms"])
