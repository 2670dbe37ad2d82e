"""Figures of the report hold the numbers of the warehouse: their drawings and tables are read back."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from lake.delta import Lake
from lake.experiments import write_experiments, write_recipes
from lake.warehouse import publish, query
from operators.experiments import experiments_add
from operators.report import report
from schemas.settings import Settings
from tests.observables.made_runs import Motion, put

SVG = "{http://www.w3.org/2000/svg}"
R, LAG = 0.025 + 0.05 * np.arange(120), 2.0 * np.arange(100)
MELTS = {"Al100": "Al", "Al34Cu33Ni33": "Al-Cu-Ni", "Al50Cu25Ni25": "Al-Cu-Ni"}
GROUP = "Al-Cu-Ni-synthetic"
CURVE = "# element_or_alloy: Al\n# quantity: rdf\n# temperature_k: 1000\n# citation: A. Nobody, Made-up J. 3 (2021)\n"


def curve(run_id, label):
    """g(r) that no other run and pair has."""
    seed = sum(map(ord, run_id + label))
    return (1 - np.exp(-((R / 2.3) ** 12))) * (1 + 0.01 * (seed % 90) * np.exp(-((R - 2.6) ** 2) / 0.1))


def add_run(lake, run_id, composition, *, kelvin=1000.0, **columns):
    system = MELTS[composition]
    of = {"run_id": run_id, "composition": composition}
    row = {"origin": "dnnp" if "potential_id" in columns else "aimd", "chemical_system": system, "synthetic": True}
    row |= {"n_atoms": 256, "n_frames": 50, "n_accepted": 50, "n_rejected": 0, "temperature_target_k": kelvin}
    lake.replace("runs", run_id, [of | row | {"ensemble": "nvt"} | columns])
    means = {"temperature_k": kelvin + 3, "density_g_per_cm3": 2.3 + len(run_id) / 50}
    means |= {"density_error_g_per_cm3": 0.01, "pressure_gpa": 0.0, "pressure_error_gpa": 0.01, "n_averaged": 40}
    lake.replace("thermodynamics", run_id, [of | means])
    elements = system.split("-")
    pairs = [f"{a}-{b}" for place, a in enumerate(elements) for b in elements[place:]]
    rdf = [
        of | {"pair": pair, "r_angstrom": float(r), "g": float(g), "g_error": 0.02}
        for pair in (*pairs, "all")
        for r, g in zip(R, curve(run_id, pair), strict=True)
    ]
    lake.replace("rdf", run_id, rdf)
    vacf = [
        of | {"element": e, "lag_fs": float(t), "vacf": float(np.exp(-t / 50) * np.cos(t / (20 + len(run_id + e))))}
        for e in elements
        for t in LAG
    ]
    lake.replace("vacf", run_id, [row | {"vacf_error": 0.01} for row in vacf])


def add_potential(lake, potential_id, recipe, **columns):
    row = {"potential_id": potential_id, "recipe": recipe, "training_set_id": "t1", "seed": 1, "n_steps": 1000}
    lake.replace("potentials", potential_id, [row | columns])
    errors = {"potential_id": potential_id, "composition": "all", "split": "test", "n_frames": 9}
    errors |= {"rmse_energy_mev_per_atom": 2.0, "rmse_force_mev_per_angstrom": 60.0 + len(recipe)}
    virial = 6.0 if recipe == "DP-2" else 150.0
    lake.replace("rmse", potential_id, [errors | {"rmse_virial_mev_per_atom": virial}])
    rng = np.random.default_rng(len(recipe))
    points = [
        {"potential_id": potential_id, "composition": "Al100", "split": split, "quantity": quantity, "dft": x}
        for quantity in ("energy", "force", "virial")
        for split, n in (("train", 500), ("held_out", 40))
        for x in rng.normal(size=n)
    ]
    lake.replace("parity", potential_id, [row | {"dnnp": row["dft"] * 1.02 + 0.01} for row in points])


def fill(settings):
    lake = Lake(settings.lake)
    write_experiments(lake)
    write_recipes(lake)
    taught = {"type_map": ["Al", "Cu", "Ni"], "compositions": ["Al100", "Al34Cu33Ni33"], "held_out": ["Al50Cu25Ni25"]}
    lake.replace("training_sets", "t1", [{"training_set_id": "t1", "synthetic": True} | taught])
    frames = [("aimd-Al100", "train"), ("aimd-Al34Cu33Ni33", "train"), ("aimd-Al50Cu25Ni25", "held_out")]
    rows = [{"training_set_id": "t1", "run_id": run_id, "frame": 0, "split": split} for run_id, split in frames]
    lake.replace("training_set_frames", "t1", rows)
    recipes = {row["recipe"]: row["recipe_id"] for row in lake.rows("recipes").to_pylist()}
    for name, recipe in (("p1", "DP-1"), ("p2", "DP-2")):
        add_potential(lake, name, recipe, recipe_id=recipes[recipe])
    for melt in MELTS:
        add_run(lake, f"aimd-{melt}", melt)
        add_run(lake, f"two-{melt}", melt, potential_id="p2", protocol="twin", parent_run_id=f"aimd-{melt}")
    equal = "Al34Cu33Ni33"
    add_run(lake, "one-equal", equal, potential_id="p1", protocol="twin", parent_run_id=f"aimd-{equal}")
    add_run(lake, "hot", "Al100", kelvin=1200.0, potential_id="p2", protocol="nvt")
    for name in ("p1", "p2"):
        for kelvin in (1000.0, 1100.0):
            add_run(
                lake, f"{name}-{kelvin:g}", "Al100", kelvin=kelvin, potential_id=name, protocol="npt", ensemble="npt"
            )
    positions = np.random.default_rng(1).uniform(0, 20, size=(2, 400, 3))
    put(settings, "big", Motion(numbers=[13] * 300 + [28] * 100, positions=positions, edge=20.0),
        origin="dnnp", potential_id="p2", protocol="nvt", synthetic=True)  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    home = tmp_path_factory.mktemp("figures")
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(home / "lake")})
    fill(settings)
    file = home / "al.csv"
    points = "".join(f"{r:.2f},{g:.4f},0.03\n" for r, g in zip(R, 1.05 * curve("x", "y"), strict=True))
    file.write_text(f"{CURVE}r_angstrom,g,uncertainty\n{points}")
    experiments_add(settings, [file])
    publish(settings)
    report(settings)
    return settings


@dataclass
class Panel:
    """A panel as it is drawn: its points in values of its axes, by the words of the legend."""

    series: dict[str, np.ndarray]
    bars: dict[str, int]
    x_step: float
    y_step: float
    """What a tenth of a unit of the drawing is."""


def ends(text):
    low, high, *kind = text.split()
    return float(low), float(high), bool(kind)


def value(share, scale):
    low, high, is_logarithmic = scale
    return low * (high / low) ** share if is_logarithmic else low + share * (high - low)


def read_panel(plot, words):
    left, top, width, height = map(float, plot.get("data-box").split())
    across, up = ends(plot.get("data-x")), ends(plot.get("data-y"))
    series, bars = {}, {}
    for group in plot.iter(f"{SVG}g"):
        if group.get("class") != "series":
            continue
        paths = {path.get("class"): path.get("d") for path in group.iter(f"{SVG}path")}
        shape = paths.get("line") or paths.get("dots") or paths["marks"]
        found = re.findall(r"(-?[\d.]+),(-?[\d.]+)" if "line" in paths else r"M(-?[\d.]+),(-?[\d.]+)", shape)
        places = np.array(found, dtype=float)
        raised = float(group.get("data-raised", "0"))
        x = value((places[:, 0] - left) / width, across)
        y = value((top + height - places[:, 1]) / height, up) - raised
        label = words[group.get("data-key")] + (f" +{raised:g}" if raised else "")
        series[label] = np.stack([x, y], axis=1)
        bars[label] = paths.get("bars", "").count("M")
    return Panel(series, bars, 0.06 * (across[1] - across[0]) / width, 0.06 * (up[1] - up[0]) / height)


def panels(settings, name):
    root = ET.parse(settings.home / "report" / "figures" / f"{name}.svg").getroot()
    groups = list(root.iter(f"{SVG}g"))
    words = {g.get("data-key"): g.find(f"{SVG}text").text for g in groups if g.get("class") == "key"}
    return {g.get("data-title"): read_panel(g, words) for g in groups if g.get("class") == "plot"}


def table(settings, name):
    with (settings.home / "report" / "figures" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_drawn(panel, label, rows, *, x, y):
    expected = np.array([[row[x], row[y]] for row in rows])
    assert len(expected) > 1
    assert panel.series[label].shape == expected.shape
    np.testing.assert_allclose(panel.series[label][:, 0], expected[:, 0], atol=panel.x_step)
    np.testing.assert_allclose(panel.series[label][:, 1], expected[:, 1], atol=panel.y_step)


def assert_told(settings, name, panel, label, rows, *, columns):
    told = [row for row in table(settings, name) if (row["panel"], row["series"]) == (panel, label)]
    x, y = [key for key in told[0] if key not in ("panel", "series", "x is", "y is", "error")]
    found = [(float(row[x]), float(row[y]), float(row["error"])) for row in told]
    np.testing.assert_allclose(found, [[row[key] for key in columns] for row in rows], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.array(found)[:, :2], [[row[k] for k in columns[:2]] for row in rows], rtol=1e-5)


def rdf(settings, run_id, pair):
    return query(settings, f"from rdf where run_id = '{run_id}' and pair = '{pair}' order by r_angstrom")


def vacf(settings, run_id, element):
    return query(settings, f"from vacf where run_id = '{run_id}' and element = '{element}' order by lag_fs")


def test_figure_1_has_every_composition_at_its_place_with_its_frames_and_role(settings):
    svg = (settings.home / "report" / "figures" / f"figure-1-{GROUP}.svg").read_text()
    for row in query(settings, "from composition_map"):
        role = {"train": "trained on", "held_out": "held out"}[row["split_role"]]
        place = f'data-at="{row["ternary_x"]:.6f} {row["ternary_y"]:.6f}"'
        assert re.search(rf'data-tip="{row["composition"]}, {role}: {row["n_frames"]} frames, [^"]*" {place}', svg)
    told = {row["composition"]: row["role"] for row in table(settings, f"figure-1-{GROUP}")}
    assert told["Al50Cu25Ni25"] == "held_out"
    assert len(told) == len(re.findall('class="place"', svg)) == 3


def test_figure_2_has_every_atom_of_the_last_frame_of_the_largest_simulation(settings):
    [frame] = query(settings, "from frames where run_id = 'big' order by frame desc limit 1")
    told = table(settings, f"figure-2-{GROUP}")
    positions = [[float(row[f"{axis} (Å)"]) for axis in "xyz"] for row in told]
    np.testing.assert_allclose(positions, np.reshape(frame["positions_angstrom"], (-1, 3)), atol=1e-4)
    svg = (settings.home / "report" / "figures" / f"figure-2-{GROUP}.svg").read_text()
    assert (svg.count("Al-shine)"), len(re.findall(rf'<use href="#figure-2-{GROUP}-Al"', svg))) == (1, 300)
    assert len(re.findall(rf'<use href="#figure-2-{GROUP}-Ni"', svg)) == 100


@pytest.mark.parametrize(("panel", "quantity"), [("a  energy (eV/atom)", "energy"), ("c  virial (eV/atom)", "virial")])
def test_figure_3_has_a_dot_for_every_prediction_and_none_without(settings, panel, quantity):
    drawn = panels(settings, f"figure-3-p2-{GROUP}")[panel]
    for label, split in (("trained on", "train"), ("held out", "held_out")):
        where = f"potential_id = 'p2' and quantity = '{quantity}' and split = '{split}'"
        rows = query(settings, f"from parity where {where}")
        points = np.array([[row["dft"], row["dnnp"]] for row in rows])
        apart = np.abs(points[:, None] - drawn.series[label][None]) / (drawn.x_step, drawn.y_step) * 0.06
        # Dots of a cloud lie on halves of a unit; at most 0.25 and rounding away from their values.
        assert (apart.max(axis=2).min(axis=0) < 0.32).all()
        assert (apart.max(axis=2).min(axis=1) < 0.32).all()
        told = [row for row in table(settings, f"figure-3-p2-{GROUP}") if row["panel"] == panel]
        assert sum(row["series"] == label for row in told) == len(rows)


def test_figure_4_has_several_potentials_against_aimd_at_the_equiatomic_melt(settings):
    drawn = panels(settings, f"figure-4-{GROUP}")
    assert list(drawn) == ["a  Al", "b  Cu", "c  Ni"]
    for title, panel in drawn.items():
        element = title.split()[1]
        for label, run_id in (("AIMD", "aimd-Al34Cu33Ni33"), ("DP-1", "one-equal"), ("DP-2", "two-Al34Cu33Ni33")):
            assert_drawn(panel, label, vacf(settings, run_id, element), x="lag_fs", y="vacf")
    rows = vacf(settings, "one-equal", "Cu")
    columns = ("lag_fs", "vacf", "vacf_error")
    assert_told(settings, f"figure-4-{GROUP}", "b  Cu", "DP-1", rows, columns=columns)


def test_figure_5_has_every_pair_of_every_melt_that_was_trained_on(settings):
    drawn = panels(settings, f"figure-5-{GROUP}")
    titles = [title.split("  ")[1] for title in drawn]
    assert titles[0] == "Al100 Al-Al"
    assert titles[1:] == [f"Al34Cu33Ni33 {pair}" for pair in ("Al-Al", "Al-Cu", "Al-Ni", "Cu-Cu", "Cu-Ni", "Ni-Ni")]
    for title, panel in drawn.items():
        melt, pair = title.split("  ")[1].split()
        assert_drawn(panel, "AIMD", rdf(settings, f"aimd-{melt}", pair), x="r_angstrom", y="g")
        assert_drawn(panel, "DP-2", rdf(settings, f"two-{melt}", pair), x="r_angstrom", y="g")


def test_figure_6_moves_hotter_melts_up_and_has_what_was_measured(settings):
    [panel] = panels(settings, f"figure-6-{GROUP}").values()
    assert_drawn(panel, "AIMD", rdf(settings, "aimd-Al100", "Al-Al"), x="r_angstrom", y="g")
    *_, hottest = [label for label in panel.series if label.startswith("DP-2 +")]
    assert_drawn(panel, hottest, rdf(settings, "hot", "Al-Al"), x="r_angstrom", y="g")
    measured = query(settings, "from experimental_rdf where pair = 'Al-Al' or pair = 'all' order by r_angstrom")
    g = np.interp(
        panel.series["A. Nobody 2021"][:, 0], *zip(*[(m["r_angstrom"], m["g"]) for m in measured], strict=True)
    )
    np.testing.assert_allclose(panel.series["A. Nobody 2021"][:, 1], g, atol=0.02)
    assert panel.bars["A. Nobody 2021"] == len(g) > 10


def test_figure_7_has_densities_with_bars_and_shows_what_virials_are_worth(settings):
    drawn = panels(settings, f"figure-7-{GROUP}")
    for title, label, potential_id in (
        ("a  Al100", "DP-2", "p2"),
        ("b  Al100: virials in the loss", "DP-2, with virials", "p2"),
        ("b  Al100: virials in the loss", "DP-1, without virials", "p1"),
    ):
        rows = query(
            settings,
            f"""select * from thermodynamics join runs using (run_id)
            where ensemble = 'npt' and potential_id = '{potential_id}' order by temperature_k""",
        )
        assert_drawn(drawn[title], label, rows, x="temperature_k", y="density_g_per_cm3")
        assert drawn[title].bars[label] == 2
    lines = query(settings, "from experiment_lines where source = 'Assael 2006' and quantity = 'density_g_per_cm3'")
    assert_drawn(drawn["a  Al100"], "Assael 2006", lines, x="temperature_k", y="value")


def test_figure_8_has_structure_and_motion_of_a_melt_that_was_held_out(settings):
    drawn = panels(settings, f"figure-8-{GROUP}")
    assert [title.split()[1] for title in drawn][-4:] == ["Ni-Ni", "Al", "Cu", "Ni"]
    for title, panel in drawn.items():
        label = title.split("  ")[1]
        curves, x, y = (rdf, "r_angstrom", "g") if "-" in label else (vacf, "lag_fs", "vacf")
        assert_drawn(panel, "AIMD", curves(settings, "aimd-Al50Cu25Ni25", label), x=x, y=y)
        assert_drawn(panel, "DP-2", curves(settings, "two-Al50Cu25Ni25", label), x=x, y=y)


def test_bands_are_as_wide_as_the_errors(settings):
    svg = (settings.home / "report" / "figures" / f"figure-4-{GROUP}.svg").read_text()
    height = float(re.search(r'data-box="\S+ \S+ \S+ (\S+)"', svg)[1])
    low, high, _ = ends(re.search(r'data-y="([^"]+)"', svg)[1])
    [band] = re.findall(r'class="band" d="([^"]+)"', svg)[:1]
    edges = np.array(re.findall(r"(-?[\d.]+),(-?[\d.]+)", band), dtype=float)[:, 1]
    width = (edges[::-1][: len(LAG)] - edges[: len(LAG)]) / height * (high - low)
    np.testing.assert_allclose(width, 2 * 0.01, atol=0.11 / height * (high - low))


def test_every_drawing_of_synthetic_data_says_so_and_stands_by_itself(settings):
    for path in (settings.home / "report" / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        root = ET.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert (">synthetic</text>" in text) == ("synthetic" in path.stem)
        assert "var(" not in text


def test_query_of_each_figure_runs_as_it_stands(settings):
    text = Path(settings.home / "report" / "index.html").read_text(encoding="utf-8")
    queries = re.findall(r'class="sql" id="([^"]+)-sql">.*?<pre>(.*?)</pre>', text, flags=re.DOTALL)
    entities = {"&lt;": "<", "&gt;": ">", "&#39;": "'", "&#34;": '"', "&amp;": "&"}
    asked = {name: re.sub("|".join(entities), lambda found: entities[found[0]], sql) for name, sql in queries}
    assert {f"{GROUP}-figure-{number}" for number in (2, 4, 5, 6, 8)} <= asked.keys()
    assert all(query(settings, sql) for name, sql in asked.items() if "figure" in name)
