"""Views of the warehouse on a small synthetic lake whose numbers can be checked by hand."""

import pytest

from lake.delta import Lake
from lake.experiments import write_experiments, write_recipes
from lake.warehouse import publish, query
from schemas.composition import half_l1_at_percent
from schemas.recipes import recipe_named
from schemas.settings import Settings
from schemas.views import VIEWS


def run(lake, run_id, composition, chemical_system, **columns):
    row = {"run_id": run_id, "origin": "aimd", "composition": composition, "chemical_system": chemical_system}
    row |= {"n_frames": 10, "n_accepted": 9, "n_rejected": 1, "synthetic": True, "ensemble": "nvt"}
    row |= {"source_uri": f"file:///{run_id}", "source_sha256": f"sha of {run_id}", "temperature_target_k": 1400.0}
    lake.replace("runs", run_id, [row | columns])


def potential(lake, potential_id, seed, force_rmse):
    row = {"potential_id": potential_id, "recipe": "DP-2", "training_set_id": "set", "seed": seed, "n_steps": 100}
    lake.replace("potentials", potential_id, [row])
    common = {"potential_id": potential_id, "n_frames": 5, "rmse_energy_mev_per_atom": 2.0}
    rmse = [
        common | {"composition": composition, "split": split, "rmse_force_mev_per_angstrom": force_rmse * factor}
        for composition, split, factor in (
            ("all", "test", 1.0),
            ("Al100", "test", 1.0),
            ("Al50Cu25Ni25", "held_out", 1.5),
        )
    ]
    lake.replace("rmse", potential_id, rmse)


def curve(label, abscissa, value, *, run_id, height):
    common = {"run_id": run_id, "composition": "Al50Cu25Ni25", label: "Al-Ni" if label == "pair" else "Al"}
    return [common | {abscissa: 0.1 * k, value: height * k} for k in (1, 2, 3)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("views")
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(home / "lake")})
    lake = Lake(settings.lake)
    write_experiments(lake)
    write_recipes(lake)
    run(lake, "al", "Al100", "Al")
    run(lake, "ternary", "Al60Cu20Ni20", "Al-Cu-Ni")
    run(lake, "away", "Al50Cu25Ni25", "Al-Cu-Ni")
    run(lake, "water", "H66.7O33.3", "H-O", synthetic=False)
    run(lake, "quaternary", "Al25Cu25Fe25Ni25", "Al-Cu-Fe-Ni")
    twin = {"origin": "dnnp", "potential_id": "one", "parent_run_id": "away", "protocol": "twin"}
    run(lake, "twin", "Al50Cu25Ni25", "Al-Cu-Ni", **twin)
    run(lake, "npt", "Al100", "Al", **{**twin, "parent_run_id": "al", "ensemble": "npt", "protocol": "npt"})
    splits = (("al", "train"), ("ternary", "train"), ("away", "held_out"))
    frames = [{"training_set_id": "set", "run_id": run_id, "frame": 0, "split": split} for run_id, split in splits]
    lake.replace("training_set_frames", "set", frames)
    taught = {"compositions": ["Al100", "Al60Cu20Ni20"], "held_out": ["Al50Cu25Ni25"], "type_map": ["Al", "Cu", "Ni"]}
    lake.replace("training_sets", "set", [{"training_set_id": "set", "synthetic": True, "lake_version": 7, **taught}])
    for potential_id, seed, force_rmse in (("one", 1, 70.0), ("two", 2, 90.0), ("three", 3, 75.0)):
        potential(lake, potential_id, seed, force_rmse)
    for run_id, height in (("away", 1.0), ("twin", 1.5)):
        lake.replace("rdf", run_id, curve("pair", "r_angstrom", "g", run_id=run_id, height=height))
        lake.replace("vacf", run_id, curve("element", "lag_fs", "vacf", run_id=run_id, height=height))
    run(lake, "hot", "Al100", "Al", origin="dnnp", potential_id="one", temperature_target_k=1190.1)
    for run_id, temperature_k, density in (
        ("hot", 1190.1, 2.2),
        ("al", 1000.0, 2.4),
        ("npt", 1033.47, 2.3),
        ("ternary", 1400.0, 4.2),
    ):
        averages = {"run_id": run_id, "temperature_k": temperature_k, "density_g_per_cm3": density}
        lake.replace("thermodynamics", run_id, [averages])
    timed = {"potential_id": "one", "hardware": "one GPU", "outcome": "finished", "ns_per_day": 0.5, "n_atoms": 4096}
    lake.replace("performance", "twin", [{"run_id": "twin", "protocol": "performance", **timed}])
    lake.replace("performance", "timed-only", [{"run_id": "timed-only", "potential_id": "one", "outcome": "finished"}])
    curves = [("rdf all", 2.5, "good"), ("vacf Al", 9.0, "undecided")]
    judged = {"run_id": "twin", "aimd_run_id": "away", "potential_id": "one", "composition": "Al50Cu25Ni25"}
    rows = [judged | {"observable": of, "z": z, "verdict": verdict} for of, z, verdict in curves]
    lake.replace("agreement", "twin", rows)
    publish(settings)
    return settings


def paired(tmp_path, aimd, simulation, **columns):
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")})
    lake = Lake(settings.lake)
    of = {"aimd": {"origin": "aimd"}, "simulation": {"origin": "dnnp", "protocol": "nvt", **columns}}
    for run_id, (target_k, mean_k) in {"aimd": aimd, "simulation": simulation}.items():
        run(lake, run_id, "Al100", "Al", temperature_target_k=target_k, n_atoms=512, **of[run_id])
        lake.replace("thermodynamics", run_id, [{"run_id": run_id, "temperature_k": mean_k}])
    rows = query(settings, "select * from run_pairs where dnnp_run_id = 'simulation'")
    assert len(rows) == 1
    return rows[0]["aimd_run_id"] == "aimd"


@pytest.mark.parametrize(
    ("aimd", "simulation", "pairs"),
    [
        ((1000.0, 1000.0), (1000.0, 1036.0), True),
        ((1000.0, 1000.0), (1000.0, 1037.0), False),
        ((None, 1000.0), (1100.0, 965.0), True),
        ((1000.0, None), (1000.0, 1000.0), False),
        ((1000.0, 1000.0), (1000.0, None), False),
        ((None, None), (None, None), False),
    ],
)
def test_runs_pair_at_one_mean_temperature_whatever_was_set(tmp_path, aimd, simulation, pairs):
    assert paired(tmp_path, aimd, simulation) is pairs


@pytest.mark.parametrize(
    ("protocol", "aimd", "pairs"),
    [("nvt", (1000.0, None), True), ("twin", (None, 700.0), True), ("nvt", (1000.0, 700.0), False)],
)
def test_child_pairs_with_its_parent_unless_it_was_taken_elsewhere(tmp_path, protocol, aimd, pairs):
    assert paired(tmp_path, aimd, (1000.0, 1000.0), parent_run_id="aimd", protocol=protocol) is pairs


def test_every_view_stands_on_an_empty_lake(tmp_path):
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")})
    publish(settings)
    names = {row["view_name"] for row in query(settings, "select view_name from duckdb_views() where not internal")}
    assert {view.name for view in VIEWS} <= names
    assert all(query(settings, f"select * from {view.name}") == [] for view in VIEWS)


def test_every_view_says_what_it_tells(settings):
    rows = query(settings, "select view_name, comment from duckdb_views() where not internal")
    assert {view.name: view.meaning for view in VIEWS}.items() <= {r["view_name"]: r["comment"] for r in rows}.items()


def test_table_1_lists_all_recipes_of_the_paper_in_order(settings):
    rows = query(settings, "select recipe, paper_ns_per_day from table_1 where paper_ns_per_day is not null")
    assert [row["recipe"] for row in rows] == [f"DP-{number}" for number in range(1, 15)]
    assert rows[13]["paper_ns_per_day"] == 0.007


def test_table_1_takes_the_median_over_seeds(settings):
    [row] = query(settings, "select * from table_1 where recipe = 'DP-2'")
    assert (row["n_seeds"], row["rmse_force_mev_per_angstrom"], row["paper_rmse_force_mev_per_angstrom"]) == (
        3,
        75,
        68.1,
    )
    assert row["seed_range_force_mev_per_angstrom"] == 20
    assert (row["ns_per_day"], row["n_atoms"], row["hardware"]) == (0.5, 4096, "one GPU")
    assert (row["chemical_system"], row["synthetic"]) == ("Al-Cu-Ni", True)


def test_table_1_never_mixes_what_was_trained_differently(tmp_path):
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")})
    lake = Lake(settings.lake)
    write_recipes(lake)
    otherwise = ({}, {"recipe_id": "changed since"}, {"init_from": "one"}, {"backend": "pytorch"}, {"n_steps": 200})
    for seed, changes in enumerate(otherwise):
        potential(lake, f"p{seed}", seed, 70.0 + seed)
        [row] = lake.rows("potentials", key=f"p{seed}").to_pylist()
        lake.replace("potentials", f"p{seed}", [row | changes])
    rows = query(settings, "select * from table_1 where recipe = 'DP-2' order by rmse_force_mev_per_angstrom")
    assert [row["rmse_force_mev_per_angstrom"] for row in rows] == [70, 71, 72, 73, 74]
    assert [row["paper_ns_per_day"] for row in rows] == [0.37, None, 0.37, 0.37, 0.37]


def test_virials_are_worth_the_difference_of_two_potentials_that_differ_in_them_only(tmp_path):
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")})
    lake = Lake(settings.lake)
    write_recipes(lake)
    ours = {"seed": 1, "n_steps": 100, "training_set_id": "set", "backend": "tensorflow"}
    trained = {"DP-1": (1.35, 71.1, 150.9), "DP-2": (1.74, 68.1, 6.22), "DP-3": (1.6, 70.7, 6.32)}
    names = ("rmse_energy_mev_per_atom", "rmse_force_mev_per_angstrom", "rmse_virial_mev_per_atom")
    for name, errors in trained.items():
        recipe = {"recipe": name, "recipe_id": recipe_named(name).recipe_id}
        lake.replace("potentials", name, [{"potential_id": name, **recipe, **ours}])
        judged = {"potential_id": name, "composition": "all", "split": "test", **dict(zip(names, errors, strict=True))}
        lake.replace("rmse", name, [judged])
    [row] = query(settings, "select * from virials_worth")
    assert (row["recipe"], row["recipe_without"], row["seed"], row["n_steps"]) == ("DP-2", "DP-1", 1, 100)
    assert row["times_the_virial_error"] == pytest.approx(24.26, abs=0.01)
    assert (row["rmse_force_mev_per_angstrom"], row["rmse_force_without_mev_per_angstrom"]) == (68.1, 71.1)


def test_table_1_leaves_untrained_recipes_empty(settings):
    [row] = query(settings, "select * from table_1 where recipe = 'DP-14'")
    assert {row[name] for name in ("rmse_force_mev_per_angstrom", "n_seeds", "ns_per_day", "hardware")} == {None}


def test_distances_are_those_of_the_composition_module(settings):
    rows = query(settings, "select * from composition_distances")
    assert len(rows) == 25
    for row in rows:
        expected = half_l1_at_percent(row["composition"], row["other"])
        assert row["half_l1_at_percent"] == pytest.approx(expected, abs=1e-9)


def test_transferability_names_the_nearest_training_composition(settings):
    [row] = query(settings, "select * from transferability where composition = 'Al50Cu25Ni25' and potential_id = 'one'")
    assert (row["distance_at_percent"], row["nearest_composition"]) == (10.0, "Al60Cu20Ni20")
    assert (row["split"], row["rmse_force_mev_per_angstrom"]) == ("held_out", 105.0)


def test_composition_map_places_alloys_in_their_triangle(settings):
    rows = {row["composition"]: row for row in query(settings, "select * from composition_map")}
    ternary = rows["Al60Cu20Ni20"]
    assert (ternary["map_system"], ternary["split_role"], ternary["n_accepted"]) == ("Al-Cu-Ni", "train", 9)
    assert (ternary["ternary_x"], ternary["ternary_y"]) == pytest.approx((0.3, 0.2 * 3**0.5 / 2))
    assert (rows["Al100"]["map_system"], rows["Al100"]["ternary_x"], rows["Al100"]["ternary_y"]) == ("Al-Cu-Ni", 0, 0)
    assert rows["Al50Cu25Ni25"]["split_role"] == "held_out"


def test_composition_map_takes_other_numbers_of_elements(settings):
    rows = {row["composition"]: row for row in query(settings, "select * from composition_map")}
    binary, quaternary = rows["H66.7O33.3"], rows["Al25Cu25Fe25Ni25"]
    assert (binary["map_system"], binary["ternary_x"], binary["split_role"]) == ("H-O", pytest.approx(0.333), "unused")
    assert (quaternary["map_system"], quaternary["ternary_x"]) == ("Al-Cu-Fe-Ni", None)


@pytest.mark.parametrize(("view", "value"), [("rdf_comparison", "g"), ("vacf_comparison", "vacf")])
def test_curves_of_a_simulation_stand_beside_those_of_its_aimd_run(settings, view, value):
    rows = query(settings, f"select * from {view} order by {value}_aimd")
    assert [(row[f"{value}_aimd"], row[f"{value}_dnnp"]) for row in rows] == [(1, 1.5), (2, 3), (3, 4.5)]
    assert {(row["aimd_run_id"], row["dnnp_run_id"], row["recipe"]) for row in rows} == {("away", "twin", "DP-2")}


def test_density_is_compared_at_the_temperature_of_the_run(settings):
    [row] = query(settings, "select * from density_vs_experiment where run_id = 'npt'")
    expected = 2.37723 - 0.311e-3 * (1033.47 - 933.47)
    assert row["experiment_density_g_per_cm3"] == pytest.approx(expected)
    assert row["deviation_from_experiment_percent"] == pytest.approx(100 * (2.3 / expected - 1))
    assert row["density_is"] == "predicted"
    assert "Assael" in row["citation"]


def test_density_has_an_aimd_partner_only_at_its_temperature(settings):
    rows = {row["run_id"]: row for row in query(settings, "select * from density_vs_experiment")}
    assert rows["npt"]["deviation_from_aimd_percent"] == pytest.approx(100 * (2.3 / 2.4 - 1))
    assert rows["hot"]["aimd_run_id"] is None


def test_experiment_is_silent_outside_its_range(settings):
    [row] = query(settings, "select * from density_vs_experiment where run_id = 'hot'")
    assert (row["density_g_per_cm3"], row["experiment_density_g_per_cm3"], row["citation"]) == (2.2, None, None)
    assert row["experiment_why"] == "measured from 933 to 1190 K, the run has 1190.1 K"


def test_lineage_of_a_simulated_curve_ends_at_raw_files(settings):
    rows = query(settings, "select * from lineage where observable = 'rdf' and run_id = 'twin'")
    assert {(row["role"], row["source_sha256"]) for row in rows} == {
        ("measured_on", "sha of twin"),
        ("started_from", "sha of away"),
        ("trained_on", "sha of al"),
        ("trained_on", "sha of ternary"),
        ("held_out", "sha of away"),
    }
    assert {(row["training_set_id"], row["lake_version"]) for row in rows} == {("set", 7)}


def test_lineage_of_a_fine_tuned_potential_leads_to_what_its_parents_were_trained_on(tmp_path):
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")})
    lake = Lake(settings.lake)
    for name, init_from in (("first", None), ("second", "first"), ("third", "second")):
        run(lake, f"run-{name}", "Al100", "Al")
        frame = {"training_set_id": f"of-{name}", "run_id": f"run-{name}", "frame": 0, "split": "train"}
        lake.replace("training_set_frames", f"of-{name}", [frame])
        row = {"potential_id": name, "training_set_id": f"of-{name}", "init_from": init_from}
        lake.replace("potentials", name, [row])
    lake.replace("rmse", "third", [{"potential_id": "third", "composition": "all", "split": "test"}])
    rows = query(settings, "select source_run_id, role from lineage where observable = 'rmse' order by role, 1")
    assert [(row["source_run_id"], row["role"]) for row in rows] == [
        ("run-first", "parent_trained_on"),
        ("run-second", "parent_trained_on"),
        ("run-third", "trained_on"),
    ]


def test_lineage_of_a_timed_simulation_keeps_its_potential(settings):
    rows = query(settings, "select * from lineage where observable = 'performance' and run_id = 'timed-only'")
    assert {row["potential_id"] for row in rows} == {"one"}
    assert {(row["role"], row["source_sha256"]) for row in rows} == {
        ("trained_on", "sha of al"),
        ("trained_on", "sha of ternary"),
        ("held_out", "sha of away"),
    }


def test_transferability_takes_no_evidence_from_an_undecided_curve(settings):
    [row] = query(settings, "select * from transferability where composition = 'Al50Cu25Ni25' and potential_id = 'one'")
    assert row["largest_z"] == 2.5


def test_at_most_one_measurement_is_preferred_at_a_temperature(settings):
    rows = query(settings, "select * from experiments where preferred and quantity = 'density_g_per_cm3'")
    assert len({row["element_or_alloy"] for row in rows}) == len(rows) == 21


@pytest.mark.parametrize(
    ("metal", "temperature_k", "expected"), [("Al", 983, 2.3618), ("Cu", 1423, 7.9436), ("Ni", 1773, 7.8165)]
)
def test_shipped_densities_meet_published_values(settings, metal, temperature_k, expected):
    sql = "select value + slope_per_k * ({} - temperature_k) as density from experiments where preferred"
    sql += " and quantity = 'density_g_per_cm3' and element_or_alloy = '{}100'"
    [row] = query(settings, sql.format(temperature_k, metal))
    assert row["density"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("write", [write_experiments, write_recipes])
def test_shipped_rows_are_written_once(tmp_path, write):
    lake = Lake(str(tmp_path / "lake"))
    assert write(lake) > 0
    assert write(lake) == 0
