"""Structure factors, environments, expansion and mixing of runs where they are known."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from operators.ingest import ingest
from operators.observe import observe_run
from operators.stale import stale
from schemas.frames import Floats
from schemas.settings import Settings
from schemas.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_ANGSTROM3
from tests.observables.made_runs import Motion, put, rows_of

REFERENCE = Path(__file__).parents[2] / "../shared/vasp-reference"
EDGE = 16.0


def gas(n_frames: int, n_atoms: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(0, EDGE, (n_frames, n_atoms, 3))


def still(n_frames: int, edge: float = 12.0, seed: int = 0) -> Floats:
    """A simple cubic crystal of 64 sites that hardly moves."""
    sites = np.array(list(product(range(4), repeat=3))) * edge / 4
    shaking: Floats = sites + np.random.default_rng(seed).normal(0, 0.01, (n_frames, 64, 3))
    return shaking


def test_an_ideal_mixture_scatters_as_it_should(settings: Settings) -> None:
    put(settings, "gas", Motion(numbers=[13] * 60 + [28] * 40, positions=gas(400, 100), edge=EDGE, step_fs=5.0))
    observe_run(settings, "gas")
    expected = {"faber_ziman": 1.0, "number_number": 1.0, "number_concentration": 0.0}
    expected["concentration_concentration"] = 0.6 * 0.4
    rows = rows_of(settings, "structure_factor", "gas")
    assert {(row["pair"], row["convention"]) for row in rows} == {
        *((pair, "faber_ziman") for pair in ("Al-Al", "Al-Ni", "Ni-Ni")),
        ("all", "number_number"),
        *((element, f"{other}_concentration") for element in ("Al", "Ni") for other in ("number", "concentration")),
    }
    apart = np.array([(float(str(r["s"])) - expected[str(r["convention"])]) / float(str(r["s_error"])) for r in rows])
    assert np.sqrt(np.mean(apart**2)) == pytest.approx(1.0, abs=0.35)
    assert {row["n_frames"] for row in rows} == {400}
    assert 7.9 < max(float(str(row["q_per_angstrom"])) for row in rows) <= 8.0


def test_random_labels_have_the_fluctuations_of_the_null_model(settings: Settings) -> None:
    Lake(settings.lake).replace("potentials", "p", [{"potential_id": "p", "r_cut_angstrom": 5.0}])
    origin = {"origin": "dnnp", "potential_id": "p"}
    put(settings, "gas", Motion(numbers=[13] * 150 + [28] * 150, positions=gas(60, 300), edge=EDGE), **origin)
    observe_run(settings, "gas")
    rows = rows_of(settings, "local_composition", "gas")
    assert [(row["r_cut_angstrom"], row["element"]) for row in rows] == [
        (r_cut, element) for r_cut in (5.0, 6.0, 7.0, 8.0) for element in ("Al", "Ni")
    ]
    for row in rows:
        assert row["reason"] is None
        assert row["n_environments"] == 60 * 300
        assert row["mean_at_percent"] == pytest.approx(50.0, abs=0.5)
        assert row["sigma_at_percent"] == pytest.approx(row["random_at_percent"], rel=0.05)
        assert float(str(row["p999_at_percent"])) <= float(str(row["max_at_percent"]))


def test_a_cell_too_small_for_a_cutoff_gives_a_reason(settings: Settings) -> None:
    put(settings, "small", Motion(numbers=[13] * 32 + [28] * 32, positions=still(10), edge=12.0, step_fs=5.0))
    observe_run(settings, "small")
    rows = rows_of(settings, "local_composition", "small")
    assert [(row["r_cut_angstrom"], row["mean_at_percent"] is None) for row in rows] == [
        (6.0, False), (6.0, False), (7.0, True), (7.0, True), (8.0, True), (8.0, True),
    ]  # fmt: skip
    assert rows[-1]["reason"] == "a cell of 15.2 angstrom between faces was needed, found 12.0"


def test_a_pure_melt_has_neither_environments_nor_concentrations(settings: Settings) -> None:
    put(settings, "pure", Motion(numbers=[13] * 64, positions=still(10), edge=12.0, step_fs=5.0))
    answer = observe_run(settings, "pure")
    assert rows_of(settings, "local_composition", "pure") == []
    conventions = {row["convention"] for row in rows_of(settings, "structure_factor", "pure")}
    assert conventions == {"faber_ziman", "number_number"}
    assert not any("composition" in sentence for sentence in answer["skipped"])


def npt(settings: Settings, run_id: str, temperature_k: float, **columns: object) -> None:
    """64 atoms at constant pressure whose cell widens by 1e-5 of its edge per K, and their energy by 3 k_B."""
    numbers = columns.pop("numbers", [28] * 64)
    assert isinstance(numbers, list)
    n_frames, seed = 300, int(temperature_k)
    edge = 12.0 * (1 + 1e-5 * (temperature_k - 1500)) + np.random.default_rng(seed).normal(0, 1e-4, n_frames)
    energy = float(str(columns.pop("energy", -4.0))) + 1.5 * BOLTZMANN_EV_PER_K * temperature_k
    motion = Motion(
        numbers=numbers,
        positions=still(n_frames, 12.0),
        edge=edge,
        temperature_k=temperature_k,
        energy_ev_per_atom=energy,
        virials_ev=np.zeros((n_frames, 3, 3)),
    )
    of = {"origin": "dnnp", "potential_id": "p", "protocol": "npt", "ensemble": "npt", "pressure_target_gpa": 0.0}
    is_observed = columns.pop("is_observed", True)
    put(settings, run_id, motion, seed=seed, **(of | columns))
    if is_observed:
        observe_run(settings, run_id)


def series(settings: Settings) -> dict[str, object]:
    [row] = [row for row in Lake(settings.lake).rows("thermal_expansion").to_pylist() if row["potential_id"] == "p"]
    return dict(row)


def test_expansion_comes_with_the_third_temperature(settings: Settings) -> None:
    for run_id, temperature_k in (("a", 1400.0), ("b", 1500.0)):
        npt(settings, run_id, temperature_k)
    row = series(settings)
    assert (row["n_points"], row["expansion_per_k"], row["run_ids"]) == (2, None, ["a", "b"])
    assert "needed densities at 3 temperatures, found 2 at 2" in str(row["reason"])
    npt(settings, "other", 1600.0, potential_id="q")
    npt(settings, "solid", 1650.0)
    rule = {"expectation": "melt_diffuses", "success": False, "severity": "flag"}
    Lake(settings.lake).replace("expectation_results", "solid", [rule])
    npt(settings, "c", 1600.0)
    row = series(settings)
    assert (row["run_ids"], row["reason"]) == (["a", "b", "c"], None)
    # Three times the edge's 1e-5 per K, as of the density in the middle.
    assert row["expansion_per_k"] == pytest.approx(3e-5, rel=0.02)
    assert 0 < float(str(row["expansion_error_per_k"])) < 1e-6
    assert row["reference_k"] == pytest.approx(1500, abs=10)


def test_runs_of_a_level_of_theory_that_are_observed_at_the_same_time_all_count(settings: Settings) -> None:
    aimd = {"origin": "aimd", "potential_id": None, "protocol": None, "is_observed": False}
    temperatures = {"a": 1400.0, "b": 1500.0, "c": 1600.0}
    for run_id, temperature_k in temperatures.items():
        npt(settings, run_id, temperature_k, **aimd)
    npt(settings, "otherwise", 1700.0, **(aimd | {"level_of_theory": "PBEsol"}))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda run_id: observe_run(settings, run_id), [*temperatures, "otherwise"]))
    rows = {len(row["run_ids"]): row for row in Lake(settings.lake).rows("thermal_expansion").to_pylist()}
    assert rows.keys() == {1, 3}
    assert (rows[3]["level_of_theory"], rows[3]["run_ids"]) == ("PBE ENCUT=300", ["a", "b", "c"])
    assert rows[3]["expansion_per_k"] == pytest.approx(3e-5, rel=0.02)


def test_mixing_takes_pure_liquids_of_the_same_potential(settings: Settings) -> None:
    alloy = [13] * 32 + [28] * 32
    npt(settings, "alloy", 1500.0, numbers=alloy, energy=-4.6)
    [row] = rows_of(settings, "mixing_enthalpy", "alloy")
    assert (row["mixing_enthalpy_mev_per_atom"], row["pure_run_ids"]) == (None, [])
    assert "needed the enthalpy of pure Al, found none" in str(row["reason"])
    npt(settings, "al", 1500.0, numbers=[13] * 64, energy=-3.0)
    npt(settings, "ni-of-another", 1500.0, energy=-9.0, potential_id="q")
    npt(settings, "ni-hot", 1900.0, energy=-5.0)
    [row] = rows_of(settings, "mixing_enthalpy", "alloy")
    assert "of Al-Ni: needed one temperature, found 1" in str(row["reason"])
    npt(settings, "ni", 1500.0, energy=-5.0)
    [row] = rows_of(settings, "mixing_enthalpy", "alloy")
    assert (row["pure_run_ids"], row["reason"]) == (["al", "ni"], None)
    assert row["mixing_enthalpy_mev_per_atom"] == pytest.approx(-600, abs=1)
    assert 0 < float(str(row["mixing_enthalpy_error_mev_per_atom"])) < 2
    assert rows_of(settings, "mixing_enthalpy", "ni") == []


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference set is not beside the repository")
@pytest.mark.parametrize(("name", "target_gpa"), [("lips84-npt-langevin", 0.0), ("h2o-md10", None)])
def test_only_a_barostat_has_a_pressure_to_hold(settings: Settings, name: str, target_gpa: float | None) -> None:
    ingest(settings, [str(REFERENCE / name)])
    [run] = Lake(settings.lake).rows("runs").to_pylist()
    assert (run["ensemble"] == "npt", run["pressure_target_gpa"]) == (target_gpa is not None, target_gpa)


def test_enthalpy_is_energy_and_motion_and_work(settings: Settings) -> None:
    npt(settings, "npt", 1500.0, pressure_target_gpa=2.0)
    [row] = rows_of(settings, "thermodynamics", "npt")
    volume, kinetic = 12.0**3 / 64, 1.5 * 63 / 64 * BOLTZMANN_EV_PER_K * 1500
    expected = -4.0 + 1.5 * BOLTZMANN_EV_PER_K * 1500 + kinetic + 2.0 / GPA_PER_EV_PER_ANGSTROM3 * volume
    assert row["enthalpy_ev_per_atom"] == pytest.approx(expected, abs=1e-3)
    assert (row["enthalpy_pressure_gpa"], row["pressure_gpa"]) == (2.0, pytest.approx(0.76, abs=0.05))
    assert float(str(row["enthalpy_error_ev_per_atom"])) > 0


def test_runs_of_an_earlier_version_are_observed_once_more(settings: Settings) -> None:
    npt(settings, "npt", 1500.0)
    lake = Lake(settings.lake)
    assert not [item for item in stale(settings) if item.arguments[0] == "observe"]
    [means] = lake.rows("thermodynamics", key="npt").to_pylist()
    lake.replace("thermodynamics", "npt", [means | {"observables_version": None}])
    [due] = [item for item in stale(settings) if item.arguments[0] == "observe"]
    assert due.why == "observing gives more than when it was observed"
    observe_run(settings, "npt")
    assert not [item for item in stale(settings) if item.arguments[0] == "observe"]


def test_a_run_whose_rows_are_not_all_stored_is_not_observed(settings: Settings) -> None:
    lake = Lake(settings.lake)
    put(settings, "gas", Motion(numbers=[13] * 30 + [28] * 30, positions=gas(60, 60), edge=EDGE, step_fs=5.0))
    in_the_way = Path(lake.root) / "transport"
    in_the_way.write_text("where a table should be, so that observing dies in between")
    with pytest.raises(OSError, match="transport"):
        observe_run(settings, "gas")
    assert lake.n_rows("rdf", "gas") > 0
    assert lake.n_rows("thermodynamics", "gas") == 0
    assert ["observe", "--run", "gas"] in [item.arguments for item in stale(settings)]
    in_the_way.unlink()
    assert observe_run(settings, "gas")["rows"]["transport"] == 2
    assert ["observe", "--run", "gas"] not in [item.arguments for item in stale(settings)]
