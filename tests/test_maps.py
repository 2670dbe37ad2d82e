"""Properties over the composition space: which run stands for a melt, and what two, three or four elements show."""

import re
from datetime import datetime

import pytest

from lake.delta import Lake
from lake.warehouse import query, session
from operators.report.maps import maps_section
from operators.report.page import Group
from schemas.composition import parse_composition
from schemas.settings import Settings

JANUARY = datetime(2026, 1, 1)  # noqa: DTZ001 - as the lake stores times


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


def add(settings, composition, density, *, run_id=None, order=None, outcome=None, **columns):
    """A run with its mean density and, where given, the Warren-Cowley parameter of its first two elements."""
    lake, run_id = Lake(settings.lake), run_id or composition
    elements = sorted(parse_composition(composition))
    row = {"run_id": run_id, "origin": "aimd", "composition": composition, "chemical_system": "-".join(elements)}
    row |= {"n_frames": 10, "n_accepted": 10, "synthetic": False, "ensemble": "nvt"}
    lake.replace("runs", run_id, [row | columns])
    means = {"run_id": run_id, "composition": composition, "temperature_k": 1700.0, "n_averaged": 10}
    lake.replace("thermodynamics", run_id, [means | {"density_g_per_cm3": density, "density_error_g_per_cm3": 0.01}])
    if order is not None:
        pairs = {
            "-".join(elements[:2]): order,
            "-".join(elements[1::-1]): order,
            f"{elements[0]}-{elements[0]}": -order,
        }
        rows = [{"run_id": run_id, "composition": composition, "pair": p, "warren_cowley": a} for p, a in pairs.items()]
        lake.replace("short_range_order", run_id, rows)
    if outcome is not None:
        lake.replace(
            "performance", run_id, [{"run_id": run_id, "outcome": outcome, "potential_id": columns["potential_id"]}]
        )


def add_potential(settings, elements, compositions, *, name="p", **columns):
    lake = Lake(settings.lake)
    row = {"training_set_id": f"set-{name}", "type_map": elements, "compositions": compositions, "synthetic": False}
    lake.replace("training_sets", f"set-{name}", [row | {"created_at": JANUARY}])
    row = {"potential_id": name, "training_set_id": f"set-{name}", "recipe": "DP-2", "seed": 1, "created_at": JANUARY}
    lake.replace("potentials", name, [row | {"r_cut_angstrom": 6.0} | columns])


def points(settings, quantity):
    rows = query(settings, f"from map_points where quantity = '{quantity}'")
    return {(row["composition"], row["origin"]): row for row in rows}


def shown(settings, system):
    with session(settings) as run:
        return maps_section(Group(system, synthetic=False), lambda sql: run(sql).to_pylist())


@pytest.fixture
def ternary(settings):
    for composition, density in (("Al100", 2.4), ("Cu100", 7.9), ("Ni100", 7.8)):
        add(settings, composition, density)
    add(settings, "Al60Cu20Ni20", 4.2, order=-0.1)
    add_potential(settings, ["Al", "Cu", "Ni"], ["Al100", "Al60Cu20Ni20"])
    return settings


def test_what_a_melt_is_under_pressure_is_not_on_the_map(ternary):
    driven = {"origin": "dnnp", "potential_id": "p", "ensemble": "npt"}
    add(ternary, "Al100", 2.9, run_id="squeezed", outcome="finished", pressure_target_gpa=10.0, **driven)
    assert ("Al100", "dnnp") not in points(ternary, "density_g_per_cm3")
    add(ternary, "Al100", 2.3, run_id="free", outcome="finished", pressure_target_gpa=0.0, **driven)
    assert points(ternary, "density_g_per_cm3")["Al100", "dnnp"]["run_id"] == "free"


def test_density_is_of_aimd_cells_and_of_constant_pressure_simulations_only(ternary):
    driven = {"origin": "dnnp", "potential_id": "p"}
    add(ternary, "Al100", 2.3, run_id="npt", ensemble="npt", outcome="finished", **driven)
    add(ternary, "Cu100", 7.0, run_id="nvt", outcome="finished", **driven)
    add(ternary, "Ni100", 1.0, run_id="bad", ensemble="npt", outcome="unphysical: lost atoms", **driven)
    found = points(ternary, "density_g_per_cm3")
    assert found["Al100", "aimd"]["value"] == 2.4
    assert found["Al100", "dnnp"]["run_id"] == "npt"
    assert {key for key in found if key[1] == "dnnp"} == {("Al100", "dnnp")}


def test_of_several_runs_the_newest_potentials_then_the_longest_stands_for_the_melt(ternary):
    add_potential(ternary, ["Al", "Cu", "Ni"], ["Al100"], name="newer", created_at=datetime(2026, 2, 1))  # noqa: DTZ001
    for run_id, potential in (("one", "p"), ("two", "newer")):
        add(
            ternary,
            "Al100",
            2.3,
            run_id=run_id,
            ensemble="npt",
            outcome="finished",
            origin="dnnp",
            potential_id=potential,
        )
    assert points(ternary, "density_g_per_cm3")["Al100", "dnnp"]["run_id"] == "two"


def test_distance_coverage_and_deviation_are_those_of_the_newest_potential(ternary):
    lake = Lake(ternary.lake)
    row = {"training_set_id": "set-p", "composition": "Ni100", "r_cut_angstrom": 6.0, "coverage_frac": 0.2}
    lake.replace("coverage", "set-p", [row | {"split": "unused"}, row | {"r_cut_angstrom": 7.0, "coverage_frac": 0.9}])
    lake.replace("committees", "c", [{"committee_id": "c", "potential_ids": ["p", "q"], "training_set_id": "set-p"}])
    of = {"committee_id": "c", "run_id": "Ni100", "composition": "Ni100"}
    frames = [(0, "unused", 100.0), (1, "unused", 200.0), (2, "train", 9.0)]
    rows = [of | {"frame": n, "split": s, "max_deviation_force_mev_per_angstrom": d} for n, s, d in frames]
    lake.replace("committee_frames", "c", rows)
    assert points(ternary, "distance_at_percent")["Ni100", "dnnp"]["value"] == 80.0
    assert points(ternary, "coverage_frac")["Ni100", "dnnp"]["value"] == 0.2
    assert points(ternary, "max_deviation_force_mev_per_angstrom")["Ni100", "dnnp"]["value"] == 150.0
    add(ternary, "Cu100", 7.0, run_id="sim", outcome="finished", origin="dnnp", potential_id="q")
    add(ternary, "Cu100", 7.0, run_id="bad", outcome="unphysical: lost atoms", origin="dnnp", potential_id="q")
    for run_id, deviation in (("sim", 70.0), ("bad", 9999.0)):
        row = {"run_id": run_id, "composition": "Cu100", "frame": 0, "max_deviation_force_mev_per_angstrom": deviation}
        lake.replace("model_deviations", run_id, [row])
    assert points(ternary, "max_deviation_force_mev_per_angstrom")["Cu100", "dnnp"]["value"] == 70.0


def test_order_is_told_once_for_each_pair_of_unlike_elements(ternary):
    rows = query(ternary, "from map_points where quantity = 'warren_cowley'")
    assert [(row["species"], row["value"], row["split_role"]) for row in rows] == [("Al-Cu", -0.1, "unused")]


def test_diffusion_is_told_for_each_element_in_the_cell_and_corrected_for_it(ternary):
    row = {"run_id": "Al100", "composition": "Al100", "element": "Al", "diffusion_angstrom2_per_ps": 0.5}
    row |= {"diffusion_infinite_cell_angstrom2_per_ps": 0.6, "diffusion_error_angstrom2_per_ps": 0.02}
    Lake(ternary.lake).replace("transport", "Al100", [row])
    [found] = points(ternary, "diffusion_angstrom2_per_ps").values()
    assert (found["species"], found["value"], found["error"]) == ("Al", 0.5, 0.02)
    [corrected] = points(ternary, "diffusion_infinite_cell_angstrom2_per_ps").values()
    assert (corrected["value"], corrected["error"]) == (0.6, None)
    figures = {figure.title: figure.picture for figure in shown(ternary, "Al-Cu-Ni").figures}
    assert "Diffusion of Al (Å²/ps)" in figures["Diffusion of Al"].svg
    assert "Al100, no role: 0.500 ± 0.020 Å²/ps" in figures["Diffusion of Al"].svg


def test_three_elements_have_triangles_with_role_unit_and_source(ternary):
    section = shown(ternary, "Al-Cu-Ni")
    figures = {figure.title: figure for figure in section.figures}
    assert list(figures) == ["Density", "Warren-Cowley of Al-Cu", "Distance to training"]
    assert figures["Density"].below == "4 compositions, AIMD, 1700 to 1700 K"
    assert "potential p" in figures["Distance to training"].below
    svg = figures["Density"].picture.svg
    assert all(word in svg for word in ("Density (g/cm³)", "no role", ">Al<", ">Cu<", ">Ni<"))
    assert "http" not in svg
    assert re.search(r'aria-label="Density \(g/cm³\) at 4 compositions, from 2.4 to 7.9"', svg)
    assert len(section.grids[0].rows) == 4 + 1 + 4


def test_two_elements_have_a_line(settings):
    add(settings, "Al50Cu50", 4.9)
    add(settings, "Al100", 2.4)
    section = shown(settings, "Al-Cu")
    assert "Two elements have a line and no triangle: values over the at.% of Cu." in section.caption
    assert [figure.title for figure in section.figures] == ["Density"]
    assert "Cu (at.%)" in section.figures[0].picture.svg


@pytest.mark.parametrize(
    ("composition", "system", "said"),
    [
        ("Al25Cu25Fe25Ni25", "Al-Cu-Fe-Ni", "4 elements have no triangle: the table alone is shown."),
        ("Al100", "Al", "One element has no map: the table alone is shown."),
    ],
)
def test_other_numbers_of_elements_have_the_table_alone_and_say_so(settings, composition, system, said):
    add(settings, composition, 5.5)
    section = shown(settings, system)
    assert said in section.caption
    assert (len(section.figures), len(section.grids[0].rows)) == (0, 1)
    assert not section.grids[0].folded


def test_nothing_known_is_an_empty_section(settings):
    assert shown(settings, "Al-Cu-Ni").is_empty
