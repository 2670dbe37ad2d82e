"""AIMD, potential and experiment on rows with known causes: whose fault a deviation is, when nobody can tell."""

import shutil

import numpy as np
import pytest

from lake.delta import Lake
from lake.experiments import write_experiments
from lake.warehouse import query
from schemas.pairing import allowed_difference_k, is_one_temperature, is_one_temperature_sql
from schemas.settings import Settings

NI_AT_1800 = 7.861 - 0.988e-3 * 72
BULK_GPA = 60.0
"""Of the made-up melt: a pressure of 1 GPa compresses it by a sixtieth."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    lake = tmp_path_factory.mktemp("shipped") / "lake"
    write_experiments(Lake(str(lake)))
    return lake


@pytest.fixture
def settings(shipped, tmp_path):
    shutil.copytree(shipped, tmp_path / "lake")
    return Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")})


def melt(settings, run_id, *, kelvin=1800.0, composition="Ni100", averages=None, **columns):
    lake = Lake(settings.lake)
    row = {"run_id": run_id, "composition": composition, "chemical_system": "Ni", "synthetic": False, "n_atoms": 512}
    row |= {"origin": "aimd" if run_id.startswith("aimd") else "dnnp", "ensemble": "nvt", "n_frames": 100}
    row |= {} if row["origin"] == "aimd" else {"parent_run_id": "aimd", "potential_id": "p1"}
    lake.replace("runs", run_id, [row | columns])
    means = {"run_id": run_id, "composition": composition, "temperature_k": kelvin, "pressure_gpa": 0.0}
    means |= averages or {}
    lake.replace("thermodynamics", run_id, [means])


def state(density, pressure, *, density_error=0.0, pressure_error=0.05):
    return {
        "density_g_per_cm3": density, "density_error_g_per_cm3": density_error, "pressure_gpa": pressure,
        "pressure_error_gpa": pressure_error,
    }  # fmt: skip


def pressure_at(density, equilibrium):
    return BULK_GPA * (density / equilibrium - 1)


def three(settings, *, dft, potential, case=""):
    """An AIMD run at an imposed density, its twin and a prediction, of a DFT and a potential off by so many percent."""
    of_dft, of_potential = (NI_AT_1800 * (1 + percent / 100) for percent in (dft, potential))
    held, parent = NI_AT_1800 * 1.04, {"parent_run_id": f"aimd{case}"}
    melt(settings, f"aimd{case}", averages=state(held, pressure_at(held, of_dft), pressure_error=0.02))
    twin = state(held, pressure_at(held, of_potential), pressure_error=0.02)
    melt(settings, f"twin{case}", protocol="twin", averages=twin, **parent)
    npt = state(of_potential, 0.0, density_error=0.01, pressure_error=0.02)
    melt(settings, f"npt{case}", protocol="npt", ensemble="npt", averages=npt, **parent)


KNOWN_CAUSES = [
    (-6.0, -6.2, "dft"),  # the paper's nickel
    (0.3, -5.0, "potential"),  # a potential without virials
    (-5.0, -10.0, "both"),
    (0.2, -0.3, "agrees"),
    (-6.0, 0.2, "both"),
    (-1.4, -2.8, "both"),
]


@pytest.fixture(scope="module")
def known(shipped, tmp_path_factory):
    lake = tmp_path_factory.mktemp("known") / "lake"
    shutil.copytree(shipped, lake)
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(lake)})
    for case, (dft, potential, _) in enumerate(KNOWN_CAUSES):
        three(settings, dft=dft, potential=potential, case=case)
    return {row["run_id"]: row for row in query(settings, "select * from attribution where protocol = 'npt'")}


@pytest.mark.parametrize(("case", "dft", "potential", "verdict"), [(k, *one) for k, one in enumerate(KNOWN_CAUSES)])
def test_a_known_cause_is_found(known, case, dft, potential, verdict):
    row = known[f"npt{case}"]
    assert row["verdict"] == verdict, row["why"]
    assert row["dnnp_from_experiment_percent"] == pytest.approx(potential, abs=0.01)
    # A melt that is lighter by a tenth is softer by a tenth: so much of the way from one to the other is unknown.
    known_to = 0.02 + 0.12 * abs(potential - dft)
    assert row["aimd_from_experiment_percent"] == pytest.approx(dft, abs=known_to)
    expected = 100 * ((1 + potential / 100) / (1 + dft / 100) - 1)
    assert row["dnnp_from_aimd_percent"] == pytest.approx(expected, abs=known_to)
    assert row["experiment_uncertainty_percent"] == pytest.approx(1.7, abs=0.02)
    assert row["aimd_is"] == "brought to the pressure of the simulation"


def test_errors_that_cancel_or_only_add_up_are_told(known):
    assert "the two cancel" in known["npt4"]["why"]
    assert "each within what experiment sees, not together" in known["npt5"]["why"]


def test_an_aimd_run_at_constant_pressure_is_taken_as_it_is(settings):
    melt(settings, "aimd", ensemble="npt", averages=state(0.94 * NI_AT_1800, 0.0, density_error=0.02))
    averages = state(0.938 * NI_AT_1800, 0.0, density_error=0.01)
    melt(settings, "npt", protocol="npt", ensemble="npt", averages=averages)
    [row] = query(settings, "select * from attribution where run_id = 'npt'")
    assert (row["verdict"], row["aimd_is"]) == ("dft", "as it is")
    assert row["aimd_from_experiment_percent"] == pytest.approx(-6.0, abs=0.01)
    errors = row["dnnp_from_aimd_error_percent"], row["dnnp_from_experiment_error_percent"]
    relative = 0.01 / (0.938 * NI_AT_1800), 0.02 / (0.94 * NI_AT_1800), 0.85e-2
    assert errors == pytest.approx((100 * np.hypot(*relative[:2]), 100 * np.hypot(relative[0], relative[2])), rel=0.02)


def test_where_a_twin_has_no_pressure_of_its_own_the_compressibility_tells(settings):
    """AIMD held at its equilibrium density: potential and DFT agree with each other and with experiment."""
    melt(settings, "aimd", averages=state(0.998 * NI_AT_1800, 0.06, pressure_error=0.03))
    soft = {"compressibility_per_gpa": 1 / BULK_GPA, "compressibility_error_per_gpa": 0.3 / BULK_GPA}
    averages = state(0.999 * NI_AT_1800, 0.0, density_error=0.01, pressure_error=0.02)
    melt(settings, "npt", protocol="npt", ensemble="npt", averages=averages | soft)
    [row] = query(settings, "select * from attribution where run_id = 'npt'")
    assert (row["verdict"], row["aimd_is"]) == ("agrees", "brought to the pressure of the simulation")
    assert row["value_aimd"] == pytest.approx(0.998 * NI_AT_1800 * (1 - 0.06 / BULK_GPA))
    assert row["error_aimd"] == pytest.approx(0.998 * NI_AT_1800 / BULK_GPA * np.hypot(np.hypot(0.03, 0.02), 0.018))
    melt(settings, "aimd", averages=state(1.1 * NI_AT_1800, 9.0, pressure_error=0.03))
    [row] = query(settings, "select * from attribution where run_id = 'npt'")
    assert (row["verdict"], row["value_aimd"]) == ("cannot tell", None)


def test_a_few_kelvin_are_nobodys_fault(settings):
    """Nickel expands by 1.3e-4 per kelvin: 40 K are half a percent, which must not become the potential's."""
    melt(settings, "aimd", kelvin=1760, ensemble="npt", averages=state(7.861 - 0.988e-3 * 32, 0.0, density_error=0.01))
    averages = state(NI_AT_1800, 0.0, density_error=0.01)
    melt(settings, "npt", protocol="npt", ensemble="npt", averages=averages)
    [row] = query(settings, "select * from attribution where run_id = 'npt'")
    assert row["dnnp_from_aimd_percent"] == pytest.approx(0.0, abs=1e-6)
    assert row["verdict"] == "agrees"


def test_two_sources_that_differ_are_nobodys_fault_either(settings):
    """A point of another author at the temperature of the AIMD run is no measure of what 40 K do."""
    point = {"quantity": "density_g_per_cm3", "temperature_k": 1760.0, "value": 7.5, "uncertainty": 0.02}
    added(settings, point | {"temperature_min_k": 1760.0, "temperature_max_k": 1760.0}, composition="Ni100")
    melt(settings, "aimd", kelvin=1760, ensemble="npt", averages=state(NI_AT_1800, 0.0, density_error=0.01))
    averages = state(NI_AT_1800, 0.0, density_error=0.01)
    melt(settings, "npt", protocol="npt", ensemble="npt", averages=averages)
    [row] = query(settings, "select * from attribution where run_id = 'npt'")
    assert (row["source"], row["dnnp_from_aimd_percent"]) == ("Assael 2012", pytest.approx(0.0))


COLUMNS = ("parent_run_id", "synthetic", "pressure_target_gpa")
UNKNOWN = [
    ({"kelvin": 2600.0}, "measured from 1728 to 2500 K, the run has 2600 K"),
    ({"composition": "Fe100"}, "nobody measured it"),
    ({"parent_run_id": None, "synthetic": True}, "no AIMD run of this melt"),
    ({"pressure_target_gpa": 5.0}, "simulated at 5 GPa, measured at ambient pressure"),
    ({"without": "twin"}, "simulate its twin with this potential"),
    ({"twin_pressure": 0.05}, "nothing tells what a pressure is worth"),
    ({"pressure_error": 2.5}, "nothing tells what a pressure is worth"),
    ({"pressure_error": 1.5}, "error bars of the runs are too wide"),
    ({"density_error_g_per_cm3": None}, "no error bar"),
    ({"density_error_g_per_cm3": 0.6}, "error bars of the runs are too wide"),
]


@pytest.fixture(scope="module")
def unknown(shipped, tmp_path_factory):
    lake = tmp_path_factory.mktemp("unknown") / "lake"
    shutil.copytree(shipped, lake)
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(lake)})
    for case, (changed, _) in enumerate(UNKNOWN):
        at = {"kelvin": changed.get("kelvin", 1800.0), "composition": changed.get("composition", "Ni100")}
        error, held = changed.get("pressure_error", 0.02), 1.04 * NI_AT_1800
        melt(settings, f"aimd{case}", **at, averages=state(held, 6.0, pressure_error=error))
        parent = {"parent_run_id": f"aimd{case}"}
        if changed.get("without") != "twin":
            averages = state(held, changed.get("twin_pressure", 6.2), pressure_error=error)
            melt(settings, f"twin{case}", protocol="twin", **at, averages=averages, **parent)
        averages = state(0.94 * NI_AT_1800, 0.0, density_error=0.01, pressure_error=0.02)
        averages |= {name: value for name, value in changed.items() if name in averages}
        columns = parent | {name: changed[name] for name in COLUMNS if name in changed}
        melt(settings, f"npt{case}", protocol="npt", ensemble="npt", **at, averages=averages, **columns)
    return {row["run_id"]: row for row in query(settings, "select * from attribution where protocol = 'npt'")}


@pytest.mark.parametrize(("case", "why"), [(case, why) for case, (_, why) in enumerate(UNKNOWN)])
def test_nobody_can_tell_and_why(unknown, case, why):
    row = unknown[f"npt{case}"]
    assert row["verdict"] == "cannot tell"
    assert why in row["why"]


def test_a_measurement_that_looks_wrong_is_shown_and_not_judged_by(settings):
    melt(settings, "aimd", kelvin=1950, composition="Al50Ni50", ensemble="npt", averages=state(4.7, 0.0))
    npt = {"protocol": "npt", "ensemble": "npt", "kelvin": 1950, "composition": "Al50Ni50"}
    melt(settings, "npt", **npt, averages=state(4.6, 0.0, density_error=0.01))
    [row] = query(settings, "select * from attribution where run_id = 'npt'")
    assert row["value_experiment"] == pytest.approx(4.46 - 1.92e-3 * 37)
    assert (row["verdict"], row["why"]) == (
        "cannot tell", "shown, not to judge by: looks low and noisy beside its neighbours: to look at",
    )  # fmt: skip


def added(settings, *points, table="experiments", composition="Cu100", **columns):
    common = {"element_or_alloy": composition, "source_id": "s1", "source": "Somebody", "citation": "Somebody 2020"}
    common |= {"coverage_factor": 1.0, "added_from": "mine.csv", "preferred": True}
    lake = Lake(settings.lake)
    stored = lake.rows(table, key=composition).to_pylist()
    lake.replace(table, composition, [*stored, *(common | columns | point for point in points)])


def diffusion(kelvin, value, uncertainty=0.05):
    return {
        "quantity": "diffusion_angstrom2_per_ps", "element": "Cu", "temperature_k": kelvin, "value": value,
        "uncertainty": uncertainty, "temperature_min_k": kelvin, "temperature_max_k": kelvin,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kelvin", "value", "taken_as"),
    [
        (1400.0, 0.4, "point"),
        (1450.0, 0.45, "interpolated"),
        (1520.0, 0.5, "nearest point"),
        (1780.0, 0.8, "nearest point"),
        (1650.0, None, None),
        (1900.0, None, None),
    ],
)
def test_points_speak_at_and_between_their_temperatures(settings, kelvin, value, taken_as):
    added(settings, *(diffusion(*point) for point in ((1400, 0.4), (1500, 0.5, 0.07), (1800, 0.8))))
    melt(settings, "aimd", kelvin=kelvin, composition="Cu100")
    [row] = query(settings, "select * from experiments_at_runs where quantity like 'diffusion%'")
    assert (row["value"], row["taken_as"]) == (pytest.approx(value), taken_as)
    assert row["why"] == (None if taken_as else f"measured from 1400 to 1800 K, the run has {kelvin:g} K")
    if taken_as == "interpolated":
        assert row["standard_uncertainty"] == 0.07


def test_a_point_keeps_its_own_coverage_factor_and_preference_beside_others_of_its_source(settings):
    added(settings, diffusion(1400, 0.4))
    added(settings, diffusion(1420, 0.4), coverage_factor=2.0, preferred=False)
    melt(settings, "aimd", kelvin=1400.0, composition="Cu100")
    [row] = query(settings, "select * from experiments_at_runs where quantity like 'diffusion%'")
    assert (row["taken_as"], row["standard_uncertainty"], row["to_judge_by"]) == ("point", 0.05, True)


def test_a_point_without_uncertainty_hides_no_line_with_one(settings):
    point = {"quantity": "density_g_per_cm3", "temperature_k": 1400.0, "value": 8.0}
    added(settings, point | {"temperature_min_k": 1400.0, "temperature_max_k": 1400.0})
    melt(settings, "aimd", kelvin=1400.0, composition="Cu100")
    [row] = query(settings, "select * from experiments_at_runs where quantity = 'density_g_per_cm3'")
    assert (row["source"], row["to_judge_by"]) == ("Assael 2010", True)


HELD = [
    ({"averages": {"pressure_gpa": 0.05}}, None),
    ({"averages": {"pressure_gpa": 0.25, "pressure_error_gpa": 0.1}}, None),
    ({"averages": {"pressure_gpa": 1.5, "pressure_error_gpa": 2.0}}, "where its pressure is 1.50 GPa"),
    ({"averages": {"pressure_gpa": 2.0, "density_g_per_cm3": 7.95}}, None),
    ({"averages": {"pressure_gpa": 2.0, "density_g_per_cm3": 8.3}}, "where its pressure is 2.00 GPa"),
    ({"averages": {"pressure_gpa": None, "density_g_per_cm3": 8.3}}, "off the measured one by +4.2 %"),
    ({"averages": {"pressure_gpa": None}}, "may have any pressure"),
    ({"ensemble": "npt", "pressure_target_gpa": 0.05}, None),
    ({"ensemble": "npt", "pressure_target_gpa": 10.0}, "simulated at 10 GPa, measured at ambient pressure"),
]


def test_melts_are_measured_at_ambient_pressure_and_judged_there_only(settings):
    """Copper has 7.962 g/cm3 at 1400 K, to 1.3 percent, and 3.743 mPa s."""
    for case, (columns, _) in enumerate(HELD):
        melt(settings, f"aimd{case}", kelvin=1400.0, composition="Cu100", **columns)
    rows = query(settings, "select * from experiments_at_runs where quantity like 'viscosity%'")
    found = {row["run_id"]: row for row in rows}
    for case, (_, why) in enumerate(HELD):
        row = found[f"aimd{case}"]
        assert row["to_judge_by"] is (why is None), case
        assert row["why"] is None if why is None else why in row["why"]
        assert (row["value"] is None) == (why is not None and "any pressure" not in why)
    densities = query(settings, "select * from experiments_at_runs where quantity like 'density%' order by run_id")
    assert [row["value"] is None for row in densities] == [False] * 8 + [True], "what was imposed stays comparable"


def test_a_density_under_pressure_stands_beside_no_measured_one(settings):
    under = {"protocol": "npt", "ensemble": "npt", "pressure_target_gpa": 10.0}
    melt(settings, "npt", kelvin=1800.0, averages=state(9.0, 10.0), **under)
    [row] = query(settings, "select * from density_vs_experiment")
    assert row["deviation_from_experiment_percent"] is None
    assert row["experiment_why"] == "simulated at 10 GPa, measured at ambient pressure"


def test_a_persons_measurement_comes_before_a_shipped_one(settings):
    point = {"quantity": "density_g_per_cm3", "temperature_k": 1400.0, "value": 8.0, "uncertainty": 0.01}
    added(settings, point | {"temperature_min_k": 1400.0, "temperature_max_k": 1400.0})
    melt(settings, "aimd", kelvin=1400.0, composition="Cu100")
    melt(settings, "aimd-hot", kelvin=1900.0, composition="Cu100")
    melt(settings, "aimd-near", kelvin=1410.0, composition="Cu100")
    sql = "select run_id, source from experiments_at_runs where quantity = 'density_g_per_cm3' order by run_id"
    assert [(row["run_id"], row["source"]) for row in query(settings, sql)] == [
        ("aimd", "Somebody"), ("aimd-hot", "Assael 2010"), ("aimd-near", "Assael 2010"),
    ]  # fmt: skip


def test_lines_to_draw_are_the_measurements(settings):
    rows = query(settings, "select * from experiment_lines where element_or_alloy = 'Al100' and preferred")
    viscosity = [row["value"] for row in rows if row["quantity"] == "viscosity_mpa_s"]
    assert len(viscosity) == 21
    assert viscosity[-1] == pytest.approx(10 ** (-0.7324 + 803.49 / 1270))
    uncertainty = [row["uncertainty"] / row["value"] for row in rows if row["quantity"] == "viscosity_mpa_s"]
    assert uncertainty == pytest.approx([0.137] * 21)


def test_a_measured_curve_stands_beside_those_of_runs(settings):
    places = np.arange(2.0, 6.0, 0.07)
    curve = [
        {
            "pair": "all",
            "temperature_k": 1410.0,
            "r_angstrom": r,
            "g": 2 * r,
            "uncertainty": 0.2,
            "coverage_factor": 2.0,
        }
        for r in places
    ]
    added(settings, *curve, table="experimental_rdf")
    melt(settings, "aimd", kelvin=1400.0, composition="Cu100", chemical_system="Cu")
    melt(settings, "twin", kelvin=1405.0, composition="Cu100", chemical_system="Cu", protocol="twin")
    melt(settings, "aimd-hot", kelvin=1900.0, composition="Cu100", chemical_system="Cu")
    for run_id, factor in (("aimd", 1.9), ("twin", 2.0), ("aimd-hot", 1.8)):
        rows = [
            {"run_id": run_id, "composition": "Cu100", "pair": pair, "r_angstrom": 0.025 + 0.05 * k,
             "g": factor * (0.025 + 0.05 * k)} for pair in ("Cu-Cu", "all") for k in range(160)
        ]  # fmt: skip
        Lake(settings.lake).replace("rdf", run_id, rows)
    rows = query(settings, "select * from rdf_comparison where aimd_run_id = 'aimd' and g_experiment is not null")
    assert {row["pair"] for row in rows} == {"Cu-Cu", "all"}
    assert all(row["g_experiment"] == pytest.approx(2 * row["r_angstrom"]) for row in rows)
    assert {row["experiment_source"] for row in rows} == {"Somebody"}
    assert all(row["g_error_experiment"] == pytest.approx(0.1) for row in rows)
    told = query(settings, "select * from rdf_vs_experiment where pair = 'all' order by run_id")
    assert [(row["run_id"], row["l1_percent"]) for row in told] == [
        ("aimd", pytest.approx(5.0)), ("twin", pytest.approx(0.0, abs=1e-9)),
    ]  # fmt: skip
    assert told[0]["wright_percent"] == pytest.approx(5.0)
    assert told[0]["experiment_l1_percent"] == pytest.approx(100 * 0.1 / 8.0, rel=0.02)


def test_of_two_measured_curves_the_one_with_an_uncertainty_speaks(settings):
    common = {"pair": "all", "temperature_k": 1400.0}
    for source_id, uncertainty in (("s1", None), ("s2", 0.1), ("s3", None)):
        curve = [common | {"r_angstrom": r, "g": 1.0, "uncertainty": uncertainty} for r in (2.0, 2.1, 2.2)]
        added(settings, *curve, table="experimental_rdf", source_id=source_id, source=source_id)
    melt(settings, "aimd", kelvin=1400.0, composition="Cu100", chemical_system="Cu")
    Lake(settings.lake).replace("rdf", "aimd", [{"run_id": "aimd", "pair": "all", "r_angstrom": 2.05, "g": 1.0}])
    assert [row["source"] for row in query(settings, "select * from experimental_rdf_at_runs")] == ["s2"]


def test_python_and_sql_pair_temperatures_alike(settings):
    sql = is_one_temperature_sql("1000.0", "other_k", n_atoms="n_atoms")
    temperatures = "null, 890.0::double, 964.0, 985.0, 987.1, 1012.0, 1014.0, 1037.0, 1100.0"
    places = f"unnest([1, 32, 512, 4096]) as n_atoms), (select unnest([{temperatures}])"
    rows = query(settings, f"select *, {sql} as pairs from (select {places} as other_k)")
    assert len(rows) == 4 * 9
    for row in rows:
        other_k = float("nan") if row["other_k"] is None else row["other_k"]
        assert row["pairs"] is is_one_temperature(1000.0, other_k, n_atoms=row["n_atoms"])
    assert {row["pairs"] for row in rows if row["n_atoms"] == 512} == {True, False}
    assert allowed_difference_k(1673.0, n_atoms=512) == pytest.approx(60.4, abs=0.1)


def moving(settings, run_id, *, viscosity, diffusion, images=0.05, edge=19.0, **columns):
    """Rows of `transport` of copper; `images` is what the Yeh-Hummer correction adds, None where it is not known."""
    row = {"run_id": run_id, "element": "Cu", "cell_edge_angstrom": edge, "viscosity_error_mpa_s": 0.05}
    row |= {"viscosity_mpa_s": viscosity, "viscosity_reason": None if viscosity else "2.0e+06 fs are needed"}
    row |= {"diffusion_angstrom2_per_ps": diffusion, "diffusion_error_angstrom2_per_ps": 0.005}
    if images is not None:
        row |= {"diffusion_infinite_cell_angstrom2_per_ps": diffusion + images}
        row |= {"diffusion_infinite_cell_error_angstrom2_per_ps": 0.008}
    else:
        row |= {"diffusion_infinite_cell_reason": "a viscosity was needed"}
    Lake(settings.lake).replace("transport", run_id, [row | columns])


def motion(settings, *, quantity, aimd, twin):
    for run_id, row in (("aimd", aimd), ("twin", twin)):
        protocol = {"protocol": "twin"} if run_id == "twin" else {}
        melt(settings, run_id, kelvin=1400.0, composition="Cu100", chemical_system="Cu", **protocol)
        moving(settings, run_id, **row)
    [row] = query(settings, f"select * from attribution where quantity = '{quantity}'")
    assert "LDA comes closer" in row["caveat"]
    return row


@pytest.mark.parametrize(
    ("aimd", "twin", "verdict"),
    [(5.0, 5.1, "dft"), (3.75, 5.0, "potential"), (3.75, 3.8, "agrees"), (5.0, 7.0, "both")],
)
def test_viscosities_are_attributed(settings, aimd, twin, verdict):
    """Copper has 3.743 mPa s at 1400 K, to 6.3 percent at the 95 percent level."""
    rows = [{"viscosity": value, "diffusion": 0.4} for value in (aimd, twin)]
    row = motion(settings, quantity="viscosity_mpa_s", aimd=rows[0], twin=rows[1])
    assert (row["verdict"], row["value_experiment"]) == (verdict, pytest.approx(3.743, abs=0.001))


def test_a_simulation_that_meets_experiment_has_no_fault(settings):
    """The potential is off by more than experiment sees, and AIMD by less, to the other side."""
    aimd, twin = (
        {"viscosity": 3.743 * factor, "diffusion": 0.4, "viscosity_error_mpa_s": 0.01} for factor in (0.94, 1.0)
    )
    row = motion(settings, quantity="viscosity_mpa_s", aimd=aimd, twin=twin)
    assert row["dnnp_from_aimd_percent"] > row["experiment_uncertainty_percent"]
    assert row["verdict"] == "agrees"
    assert row["why"].endswith("the simulation agrees with experiment all the same")


@pytest.mark.parametrize(
    ("of_aimd", "of_simulation", "why"),
    [
        (state(7.96, 0.0), state(7.96, 0.0), None),
        (state(7.96, 0.0), state(7.7, 0.0), None),
        (state(7.96, 2.0), state(7.7, 0.0), "simulation and AIMD differ by -3.3 % in density"),
        (state(8.3, 3.0), state(8.3, 0.0), "AIMD: held at a volume where its pressure is 3.00 GPa"),
        (state(8.3, 3.0), state(8.3, 3.0), "held at a volume where its pressure is 3.00 GPa"),
    ],
)
def test_motion_is_judged_between_melts_at_one_density_or_pressure(settings, of_aimd, of_simulation, why):
    for run_id, averages in (("aimd", of_aimd), ("twin", of_simulation)):
        protocol = {"protocol": "twin"} if run_id == "twin" else {}
        melt(settings, run_id, kelvin=1400.0, composition="Cu100", averages=averages, **protocol)
        moving(settings, run_id, viscosity=5.0, diffusion=0.4)
    [row] = query(settings, "select * from attribution where quantity = 'viscosity_mpa_s'")
    assert row["verdict"] == ("cannot tell" if why else "dft")
    assert why is None or why in row["why"]


def test_a_viscosity_that_aimd_is_too_short_for_leaves_both_possible(settings):
    aimd, twin = {"viscosity": None, "diffusion": 0.4}, {"viscosity": 5.0, "diffusion": 0.4}
    row = motion(settings, quantity="viscosity_mpa_s", aimd=aimd, twin=twin)
    assert (row["verdict"], row["why"]) == ("cannot tell", "2.0e+06 fs are needed")
    assert row["dnnp_from_experiment_percent"] == pytest.approx(100 * (5.0 / 3.743 - 1), abs=0.1)


@pytest.mark.parametrize(
    ("aimd", "verdict", "aimd_is"),
    [
        ({"images": None, "viscosity": None}, "dft", "corrected for images of its cell as the simulation is"),
        ({"images": 0.04, "viscosity": 4.0}, "dft", "as it is"),
        ({"images": None, "viscosity": None, "edge": 24.0}, "cannot tell", None),
    ],
)
def test_diffusion_is_attributed_without_the_images_of_the_cell(settings, aimd, verdict, aimd_is):
    added(settings, diffusion(1400.0, 0.33, 0.02))
    row = motion(settings, quantity="diffusion_angstrom2_per_ps", aimd={"diffusion": 0.41, **aimd},
                 twin={"viscosity": 3.0, "diffusion": 0.42})  # fmt: skip
    assert row["verdict"] == verdict
    assert row["value_dnnp"] == pytest.approx(0.47)
    if aimd_is:
        assert (row["aimd_is"], row["value_aimd"]) == (aimd_is, pytest.approx(0.41 + (aimd["images"] or 0.05)))
    else:
        assert row["why"] == "the cells of simulation and AIMD differ in size"


@pytest.mark.parametrize(
    ("aimd", "twin", "uncertainty", "verdict"),
    [
        (1.05, 1.051, 0.02, "dft"),
        (1.001, 1.05, 0.02, "potential"),
        (1.05, 1.15, 0.02, "both"),
        (1.001, 1.002, 0.02, "agrees"),
        (1.05, 1.051, None, "cannot tell"),
    ],
)
def test_radial_distribution_functions_are_attributed(settings, aimd, twin, uncertainty, verdict):
    """Curves that are everywhere so much higher than the measured one, with a noise floor of 0.4 percent."""
    places = [0.025 + 0.05 * k for k in range(40, 120)]
    curve = {"pair": "all", "temperature_k": 1400.0, "uncertainty": uncertainty, "coverage_factor": 2.0}
    added(settings, *(curve | {"r_angstrom": r, "g": 1.0} for r in places), table="experimental_rdf")
    for run_id, height in (("aimd", aimd), ("twin", twin)):
        protocol = {"protocol": "twin"} if run_id == "twin" else {}
        melt(settings, run_id, kelvin=1400.0, composition="Cu100", chemical_system="Cu", **protocol)
        rows = [{"run_id": run_id, "composition": "Cu100", "pair": "all", "r_angstrom": r, "g": height} for r in places]
        Lake(settings.lake).replace("rdf", run_id, rows)
    judged = {"run_id": "twin", "aimd_run_id": "aimd", "observable": "rdf all", "measure": "l1", "floor_percent": 0.4}
    judged |= {"l1_percent": 100 * (twin / aimd - 1)}
    Lake(settings.lake).replace("agreement", "twin", [judged])
    [row] = query(settings, "select * from attribution where quantity = 'rdf'")
    assert (row["verdict"], row["element"], row["source"]) == (verdict, "all", "Somebody")
    assert row["aimd_from_experiment_percent"] == pytest.approx(100 * (aimd - 1))
    assert row["dnnp_from_aimd_error_percent"] == pytest.approx(0.4)


def curves_of_copper(settings, **judged):
    """AIMD meets the measured curve, the twin lies 10 percent higher."""
    places = [0.025 + 0.05 * k for k in range(40, 120)]
    curve = {"pair": "all", "temperature_k": 1400.0, "uncertainty": 0.02, "coverage_factor": 2.0}
    added(settings, *(curve | {"r_angstrom": r, "g": 1.0} for r in places), table="experimental_rdf")
    for run_id, height in (("aimd", 1.0), ("twin", 1.1)):
        protocol = {"protocol": "twin"} if run_id == "twin" else {}
        melt(settings, run_id, kelvin=1400.0, composition="Cu100", chemical_system="Cu", **protocol)
        rows = [{"run_id": run_id, "composition": "Cu100", "pair": "all", "r_angstrom": r, "g": height} for r in places]
        Lake(settings.lake).replace("rdf", run_id, rows)
    common = {"run_id": "twin", "aimd_run_id": "aimd", "observable": "rdf all", "measure": "l1", "l1_percent": 10.0}
    if judged:
        Lake(settings.lake).replace("agreement", "twin", [common | judged])
    [row] = query(settings, "select * from attribution where quantity = 'rdf'")
    return row


@pytest.mark.parametrize(
    ("judged", "verdict", "why"),
    [
        ({"floor_percent": 0.4, "verdict": "disagrees"}, "potential", "potential +10.0 % from AIMD"),
        ({"floor_percent": 0.0, "verdict": "undecided", "reason": "run too short"}, "cannot tell", "run too short"),
        ({}, "cannot tell", "its curve was not compared with that of the AIMD run"),
    ],
)
def test_what_agreement_leaves_undecided_nobody_is_blamed_for(settings, judged, verdict, why):
    row = curves_of_copper(settings, **judged)
    assert row["verdict"] == verdict
    assert row["why"].startswith(why)


@pytest.mark.parametrize("ratio", [1 / 8, 1.0, 4.0])
def test_the_larger_sample_has_the_smaller_share_of_the_noise_floor(settings, ratio):
    """An AIMD run of as many atoms as an eighth of a simulation scatters more by the square root of eight."""
    row = curves_of_copper(settings, floor_percent=0.4, verdict="disagrees", sample_ratio=ratio)
    known = row["experiment_uncertainty_percent"] / 2
    own, its = (np.sqrt(row[f"{name}_from_experiment_error_percent"] ** 2 - known**2) for name in ("dnnp", "aimd"))
    assert np.hypot(own, its) == pytest.approx(0.4)
    assert own / its == pytest.approx(np.sqrt(ratio))
