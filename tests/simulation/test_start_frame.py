"""Which frame a simulation starts from, and what other compositions are made of."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.frames import trajectory
from lake.lammps_data import lower_triangular, rotation
from operators.ingest import ingest
from operators.simulate import simulate
from operators.simulations.exchanged_volume import VolumeRatio, are_apart, volume_ratio
from operators.simulations.pair_style import PairStyle
from operators.simulations.plan import resolved
from operators.simulations.start_frame import _last_as_warm, start_frame
from operators.simulations.start_test import beside_dft, fault_of_forces
from operators.toy_melt import ToyMeltRequest, generate
from schemas.composition import atomic_numbers_of
from schemas.settings import Settings
from schemas.simulation import SimulationRequest, StartTest
from schemas.tables import FRAMES
from tests.simulation.conftest import TABLE, potential_row

NOISE = np.random.default_rng(4).normal(0, 60, 2000)


def request_of(composition: str, protocol: str = "nvt", **options) -> SimulationRequest:
    return SimulationRequest(protocol=protocol, composition=composition, **options)


@pytest.fixture(scope="module")
def two_metals(tmp_path_factory, toy_lake) -> Settings:
    """A lake with Al and Ni, the toy potential, and no alloy of them."""
    root = tmp_path_factory.mktemp("two_metals")
    settings = Settings(lake=str(root / "lake"))
    runs = [
        generate(root / name, ToyMeltRequest(composition=name, n_atoms=54, n_frames=4, temperature_k=1800.0))
        for name in ("Al100", "Ni100")
    ]
    ingest(settings, [str(run) for run in runs])
    table = Path(toy_lake.lake).parent / TABLE
    Lake(settings.lake).replace("potentials", "toy", [potential_row(table)])
    return settings


def test_of_a_run_at_one_temperature_the_last_frame_is_taken() -> None:
    frames = np.arange(400, 2000)
    assert _last_as_warm(frames, 1600 + NOISE, wanted_k=1600.0, n_atoms=512) > 1900
    assert _last_as_warm(frames, np.full(2000, 1600.0), wanted_k=1600.0, n_atoms=512) == 1999


@pytest.mark.parametrize(("wanted_k", "frame"), [(1000.0, 0), (1500.0, 1000), (1900.0, 1800)])
def test_of_a_run_that_is_heated_a_frame_as_warm_as_wanted_is_taken(wanted_k, frame) -> None:
    heated = np.linspace(1000.0, 2000.0, 2000) + NOISE
    found = _last_as_warm(np.arange(2000), heated, wanted_k=wanted_k, n_atoms=512)
    assert abs(found - frame) < 150


def test_a_run_without_temperatures_gives_its_last_usable_frame() -> None:
    assert _last_as_warm(np.array([3, 8]), np.full(10, np.nan), wanted_k=1000.0, n_atoms=64) == 8


def test_frames_before_equilibrium_and_rejected_ones_are_no_start(toy_lake) -> None:
    lake = Lake(toy_lake.lake)
    start = start_frame(lake, request_of("Al50Ni50"))
    frames = trajectory(lake, start.origin.parent_run_id)
    assert frames.accepted[start.origin.frame]
    assert frames.time_fs[start.origin.frame] >= frames.equilibrated_from_fs
    np.testing.assert_array_equal(start.positions_angstrom, frames.positions_angstrom[start.origin.frame])


def test_exchanged_atoms_take_the_volume_that_the_lake_gives_them(two_metals) -> None:
    lake = Lake(two_metals.lake)
    volumes = {row["composition"]: volume_of(lake, row["run_id"]) for row in lake.rows("runs").to_pylist()}
    start = start_frame(lake, request_of("Al20Ni80"))
    assert start.origin.parent_composition == "Ni100"
    found = abs(np.linalg.det(start.cell_angstrom)) / 54
    n_al = int((start.atomic_numbers == 13).sum())
    assert found == pytest.approx((n_al * volumes["Al100"] + (54 - n_al) * volumes["Ni100"]) / 54, rel=1e-9)
    assert found > 1.05 * volumes["Ni100"]
    assert are_apart(start.atomic_numbers, start.positions_angstrom, cell=start.cell_angstrom)


def volume_of(lake, run_id) -> float:
    frames = trajectory(lake, run_id)
    return abs(np.linalg.det(frames.cell_angstrom[0])) / frames.n_atoms


def test_a_lake_that_cannot_tell_an_elements_volume_asks_its_crystal(toy_lake) -> None:
    found = ratio_in(toy_lake, ["Al"] * 3 + ["Ni"] * 7)
    assert found.is_guessed
    assert found.ratio == pytest.approx((3 * 16.6 + 7 * 10.9) / (5 * 16.6 + 5 * 10.9), rel=1e-9)


def test_where_no_crystal_is_known_either_the_cell_stays_as_it_is(toy_lake) -> None:
    assert ratio_in(toy_lake, ["Al"] * 3 + ["Si"] * 7) == VolumeRatio(1.0, is_guessed=True)


def ratio_in(settings, symbols) -> VolumeRatio:
    lake = Lake(settings.lake)
    rows = [row for row in lake.rows("runs").to_pylist() if row["origin"] == "aimd"]
    before = atomic_numbers_of(["Al"] * 5 + ["Ni"] * 5)
    return volume_ratio(lake, rows, before=before, after=atomic_numbers_of(symbols))


def test_a_twin_of_a_run_at_constant_pressure_has_the_mean_volume_of_it(toy_lake, tmp_path) -> None:
    copytree(toy_lake.lake, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    [run] = [row for row in lake.rows("runs").to_pylist() if row["origin"] == "aimd"]
    rows = lake.rows("frames", key=run["run_id"]).to_pylist()
    for row, factor in zip(rows, np.linspace(1.02, 0.98, len(rows)), strict=True):
        row["cell_angstrom"] = [factor * value for value in row["cell_angstrom"]]
    partition = {name: run[name] for name in ("composition", "run_id")}
    batch = pa.Table.from_pylist(rows, schema=FRAMES.file_schema)
    lake.replace_batches("frames", partition, batch.to_batches())
    constant_volume = start_frame(lake, request_of("Al50Ni50", "twin"))
    lake.replace("runs", run["run_id"], [run | {"ensemble": "npt"}])
    frames = trajectory(lake, run["run_id"])
    volumes = np.abs(np.linalg.det(frames.cell_angstrom[frames.averaged]))
    start = start_frame(lake, request_of("Al50Ni50", "twin"))
    assert abs(np.linalg.det(start.cell_angstrom)) == pytest.approx(volumes.mean(), rel=1e-9)
    assert start.origin.scale_to_mean > 1.005
    assert constant_volume.origin.scale_to_mean is None
    fractions = [one.positions_angstrom @ np.linalg.inv(one.cell_angstrom) for one in (start, constant_volume)]
    np.testing.assert_allclose(*fractions, atol=1e-9)


def test_exchanged_atoms_are_equilibrated_for_five_picoseconds_however_short_the_run(two_metals) -> None:
    lake = Lake(two_metals.lake)
    asked_for = request_of("Al50Ni50", n_steps=100)
    plan = resolved(asked_for, start_frame(lake, asked_for))
    assert plan.n_equilibration_steps * plan.time_step_fs == 5000


def test_exchanged_atoms_are_moved_apart_and_then_simulated(two_metals) -> None:
    answer = simulate(two_metals, "toy", request_of("Al40Ni60", n_steps=200, temperature_k=1900.0))
    assert answer["outcome"] == "finished"
    frames = trajectory(Lake(two_metals.lake), answer["run_id"])
    assert frames.n_frames == 21
    np.testing.assert_allclose(np.diff(frames.time_fs), 10.0)
    assert frames.temperature_k.mean() == pytest.approx(1900, rel=0.25)


def test_atoms_and_forces_turn_with_the_cell() -> None:
    cell = np.array([[7.0, 1.0, 0.5], [0.3, -0.8, 8.0], [-0.5, 6.0, 1.0]])  # left-handed
    turn = rotation(cell)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    positions = np.array([[0.2, 0.3, 0.1], [1.2, 0.4, 2.1]])
    turned, inside = lower_triangular(cell, positions)
    apart = np.linalg.solve(turned.T, (inside - positions @ turn).T)
    np.testing.assert_allclose(apart, np.rint(apart), atol=1e-9)


def test_no_forces_at_all_have_an_error_of_their_own_size() -> None:
    forces = np.random.default_rng(1).normal(0, 1.0, (20, 3))
    assert beside_dft(np.zeros((20, 3)), forces).force_error_frac == pytest.approx(1.0)
    assert beside_dft(-forces, forces).force_error_frac == pytest.approx(2.0)
    assert beside_dft(forces, forces).force_rmse_ev_per_angstrom == 0.0
    assert beside_dft(forces, None).force_error_frac is None
    assert beside_dft(forces, np.full((20, 3), 1e-4)).force_error_frac is None, "a crystal at rest tells nothing"


def test_a_potential_much_worse_than_its_training_was_is_another_one() -> None:
    test = beside_dft(np.zeros((20, 3)), np.full((20, 3), 0.3)).model_copy(update={"force_error_frac": 0.3})
    pair = replace(PairStyle((), ("Al", "Ni")), force_rmse_ev_per_angstrom=0.05, trained_on=("al100",))
    assert "off by 0.3 eV/Angstrom, where they were off by 0.05" in fault_of_forces(test, pair, "al100")
    assert fault_of_forces(test, pair, "ni100") is None, "it may be worse where it learnt nothing"
    assert fault_of_forces(test, replace(pair, force_rmse_ev_per_angstrom=0.1), "al100") is None


def test_a_sound_potential_may_err_more_on_hotter_frames_than_it_did_in_training() -> None:
    hot = StartTest(force_rmse_ev_per_angstrom=0.040, force_error_frac=0.03)
    pair = replace(PairStyle((), ("Al",)), force_rmse_ev_per_angstrom=0.005, trained_on=("al100",))
    assert fault_of_forces(hot, pair, "al100") is None
    bad = hot.model_copy(update={"force_error_frac": 0.4})
    assert "this is not the potential that was trained" in fault_of_forces(bad, pair, "al100")
    assert fault_of_forces(bad, pair, "al100-hotter") is None, "its composition was learnt, this run was not"
