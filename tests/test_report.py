"""The static report over an empty lake and over one that holds a synthetic ternary and a real element."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from lake.experiments import write_experiments, write_recipes
from lake.warehouse import publish
from operators.report import report
from operators.report.verdicts import verdict
from schemas.errors import MeltlakeError
from schemas.settings import Settings

VOID = {"meta", "br", "hr", "img", "input", "link"}
PARENTS = {
    "sim1": {"potential_id": "p9", "protocol": "twin", "parent_run_id": "real1"},
    "sim2": {"potential_id": "p1", "protocol": "twin", "parent_run_id": "toy2"},
}


class Page(HTMLParser):
    """Checks that tags nest, and keeps ids, links and the text below each heading."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.sections, self.figures = [], [], [], {}, 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.references += [found[name] for name in ("href", "src") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        self.figures += tag == "figure"
        if tag not in VOID:
            self.open.append((tag, found.get("id")))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        opened, _ = self.open.pop()
        assert opened == tag

    def handle_data(self, data):
        for tag, anchor in self.open:
            if tag == "section":
                self.sections[anchor] = self.sections.get(anchor, "") + data


def fill(lake):
    generator = np.random.default_rng(7)
    for run_id, composition, system, synthetic in (
        ("toy1", "Al100", "Al", True),
        ("toy2", "Al34Cu33Ni33", "Al-Cu-Ni", True),
        ("toy3", "Al50Cu25Ni25", "Al-Cu-Ni", True),
        ("sim2", "Al34Cu33Ni33", "Al-Cu-Ni", True),
        ("real1", "Ti100", "Ti", False),
        ("real2", "Si100", "Si", False),
        ("sim1", "Ti100", "Ti", False),
    ):
        of = {"run_id": run_id, "composition": composition}
        simulated = PARENTS.get(run_id, {})
        row = {"origin": "dnnp" if simulated else "aimd", "chemical_system": system, "synthetic": synthetic}
        row |= {"n_frames": 20, "n_accepted": 19, "n_rejected": 1, "temperature_target_k": 983.0, "ensemble": "nvt"}
        lake.replace("runs", run_id, [of | row | simulated])
        if run_id == "real2":
            continue
        pairs = ("all", "Ti-Ti") if system == "Ti" else ("all",)
        points = [
            {"pair": pair, "r_angstrom": 0.1 * k, "g": k / 9, "g_error": 0.1} for pair in pairs for k in range(10)
        ]
        lake.replace("rdf", run_id, [of | point for point in points])
        lake.replace("vacf", run_id, [of | {"element": "Al", "lag_fs": 5.0 * k, "vacf": 1 - k / 9} for k in range(10)])
        averages = {"n_frames": 20, "n_averaged": 19, "density_g_per_cm3": 2.3}
        averages["temperature_k"] = 1942.0 if run_id == "sim1" else 983.0
        lake.replace("thermodynamics", run_id, [of | averages])
    frames = [("toy1", "train"), ("toy2", "train"), ("toy3", "held_out")]
    rows = [{"training_set_id": "t1", "run_id": run_id, "frame": 0, "split": split} for run_id, split in frames]
    lake.replace("training_set_frames", "t1", rows)
    taught = {"type_map": ["Al", "Cu", "Ni"], "compositions": ["Al100", "Al34Cu33Ni33"], "held_out": ["Al50Cu25Ni25"]}
    lake.replace("training_sets", "t1", [{"training_set_id": "t1", "synthetic": True, **taught}])
    trained = {"potential_id": "p1", "recipe": "DP-2", "training_set_id": "t1", "seed": 1, "n_steps": 100}
    lake.replace("potentials", "p1", [trained])
    splits = (("all", "test"), ("all", "held_out"), ("Al100", "test"), ("Al50Cu25Ni25", "held_out"))
    errors = {"potential_id": "p1", "rmse_energy_mev_per_atom": 2.5, "rmse_force_mev_per_angstrom": 81.5}
    lake.replace("rmse", "p1", [errors | {"composition": of, "split": split, "n_frames": 5} for of, split in splits])
    points = [{"potential_id": "p1", "composition": "Al100", "split": "test", "quantity": "force"} for _ in range(900)]
    lake.replace(
        "parity",
        "p1",
        [row | {"dft": x, "dnnp": x + 0.1} for row, x in zip(points, generator.normal(size=900), strict=True)],
    )
    order = {"run_id": "toy2", "composition": "Al34Cu33Ni33", "pair": "Al-Ni", "warren_cowley": -0.16}
    lake.replace("short_range_order", "toy2", [order | {"first_peak_angstrom": 2.52, "coordination": 4.2}])
    fill_melts(lake)
    curves = [{"potential_id": "p1", "step": step, "rmse_force_mev_per_angstrom": 900 / step} for step in (1, 10, 100)]
    lake.replace("learning_curves", "p1", curves)
    judged = {"aimd_run_id": "toy2", "potential_id": "p1", "composition": "Al34Cu33Ni33", "observable": "rdf all"}
    judged |= {"run_id": "sim2", "l1_percent": 1.8, "floor_percent": 1.5, "z": 1.2, "verdict": "indistinguishable"}
    undecided = {"observable": "vacf Al", "l1_percent": 117.0, "floor_percent": 52.0, "z": None, "verdict": "undecided"}
    lake.replace("agreement", "sim2", [judged, judged | undecided])
    timed = {"run_id": "sim2", "potential_id": "p1", "ns_per_day": 1.9, "n_atoms": 108, "hardware": "one core"}
    lake.replace("performance", "sim2", [timed | {"outcome": "finished", "composition": "Al34Cu33Ni33"}])
    timed |= {"run_id": "timed-only", "protocol": "performance", "ns_per_day": 0.42, "n_atoms": 4096, "n_steps": 500}
    lake.replace("performance", "timed-only", [timed | {"outcome": "finished", "composition": "Al34Cu33Ni33"}])
    rule = {"run_id": "toy1", "expectation": "scf_converged", "success": False, "n_unexpected": 1, "severity": "reject"}
    lake.replace("expectation_results", "toy1", [rule | {"reason": "not the ground state", "observed": "60 steps"}])
    failure = {"key": "k1", "verb": "ingest", "subject": "a <cut> OUTCAR", "cause": "It ends inside its header."}
    lake.replace(
        "task_failures", "k1", [failure | {"failed_at": datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None)}]
    )


def fill_melts(lake):
    """What each melt is like by itself, of an AIMD run and the simulation beside it."""
    for run_id in ("toy2", "sim2"):
        of = {"run_id": run_id, "composition": "Al34Cu33Ni33"}
        kinds = (("Al-Ni", "faber_ziman"), ("all", "number_number"), ("Al", "concentration_concentration"))
        factor = [
            of | {"pair": pair, "convention": kind, "q_per_angstrom": 0.1 * k, "s": 1.0, "s_error": 0.1}
            for pair, kind in kinds
            for k in range(9)
        ]
        lake.replace("structure_factor", run_id, factor)
        paths = [of | {"element": "Al", "lag_fs": 100.0 * k, "msd_angstrom2": 0.3 * k} for k in range(9)]
        lake.replace("msd", run_id, paths)
        diffusion = {"element": "Al", "diffusion_angstrom2_per_ps": 0.512, "diffusion_error_angstrom2_per_ps": 0.031}
        reasons = {"diffusion_green_kubo_reason": "it is not flat", "viscosity_reason": "153 ps were needed"}
        lake.replace("transport", run_id, [of | diffusion | reasons | {"temperature_k": 1673.0}])
        sphere = {"element": "Al", "r_cut_angstrom": 6.0, "mean_at_percent": 33.5, "sigma_at_percent": 3.7}
        sphere |= {"random_at_percent": 5.7, "p999_at_percent": 12.0, "max_at_percent": 16.0, "n_environments": 21000}
        lake.replace("local_composition", run_id, [of | sphere])
    series = {"composition": "Al34Cu33Ni33", "origin": "dnnp", "potential_id": "p1", "synthetic": True}
    series |= {"run_ids": ["sim2"], "n_points": 1, "reason": "needed densities at 3 temperatures, found 1 at 1"}
    lake.replace("thermal_expansion", "s1", [series])
    mixed = {"composition": "Al34Cu33Ni33", "mixing_enthalpy_mev_per_atom": -421.3, "temperature_k": 1673.0}
    lake.replace("mixing_enthalpy", "sim2", [mixed])


def settings_at(home: Path) -> Settings:
    return Settings.from_mapping({"MELTLAKE_LAKE": str(home / "lake")})


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = settings_at(tmp_path_factory.mktemp("report"))
    lake = Lake(settings.lake)
    write_experiments(lake)
    write_recipes(lake)
    fill(lake)
    publish(settings)
    return settings


@pytest.fixture(scope="module")
def text(settings):
    return Path(str(report(settings)["index"])).read_text(encoding="utf-8")


def test_empty_lake_gives_a_page_that_says_what_to_do(tmp_path):
    index = Path(str(report(settings_at(tmp_path))["index"]))
    assert index == tmp_path / "report" / "index.html"
    assert "meltlake ingest SOURCE" in Page(index.read_text(encoding="utf-8")).sections["runs"]


def test_page_is_valid_and_its_ids_are_unique(text):
    page = Page(text)
    assert page.figures >= 10
    assert len(page.ids) == len(set(page.ids))


def test_page_needs_nothing_from_outside(text):
    assert all(reference.startswith(("#", "figures/", "../data_docs/")) for reference in Page(text).references)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script[^>]|<link|@import|fetch\(", text)


def test_every_file_that_the_page_offers_is_beside_it(settings, text):
    offered = {reference for reference in Page(text).references if reference.startswith("figures/")}
    folder = settings.home / "report"
    assert {str(path.relative_to(folder)) for path in (folder / "figures").iterdir()} == offered


def test_links_inside_the_page_lead_somewhere(text):
    page = Page(text)
    inner = {reference.removeprefix("#") for reference in page.references if reference.startswith("#")}
    assert inner - set(page.ids) == set()


def test_what_is_missing_is_told_once_for_all_chemical_systems(text):
    [missing] = re.findall(r'<h2 id="missing">.*?</ul>', text, flags=re.DOTALL)
    titles = re.findall(r"<li>(.*?) of ", missing)
    assert len(titles) == len(set(titles)) > 0
    assert text.count('id="missing"') == 1


def test_every_section_with_synthetic_data_wears_the_badge(text):
    sections = Page(text).sections
    shown = [anchor for anchor in sections if anchor.startswith("Al-Cu-Ni-synthetic")]
    assert len(shown) == 17
    assert all("synthetic" in sections[anchor] for anchor in shown)
    assert not [
        anchor for anchor in sections if anchor.startswith("Ti") and "synthetic" in sections[anchor].split("SQL")[0]
    ]


def test_every_figure_of_synthetic_data_says_so_inside_the_drawing(text):
    figures = re.findall(r"<figure .*?</figure>", text, flags=re.DOTALL)
    is_synthetic = ["Al-Cu-Ni-synthetic" in figure for figure in figures]
    assert [">synthetic</text>" in figure for figure in figures] == is_synthetic
    assert set(is_synthetic) == {True, False}


def test_chemical_systems_are_kept_apart(text):
    sections = Page(text).sections
    assert "Ti100" in sections["Ti-map"]
    assert "Al100" not in sections["Ti-map"]
    assert "Ti100" not in sections["Al-Cu-Ni-synthetic-map"]
    assert "Ingested and not yet worked on: Si." in re.sub(r"\s+", " ", text)


def test_table_1_shows_the_paper_beside_ours(text):
    table = Page(text).sections["Al-Cu-Ni-synthetic-table-1"]
    assert all(shown in table for shown in ("DP-14", "150.9", "0.007", "81.5"))


def test_only_our_own_numbers_of_table_1_stand_out(text):
    bold = {anchor for anchor, found in re.findall(r'<section id="([^"]+)">(.*?)</section>', text, flags=re.DOTALL)
            if re.search(r'<td class="[^"]*here', found)}  # fmt: skip
    assert bold == {"Al-Cu-Ni-synthetic-table-1"}


def test_a_table_of_nothing_but_reasons_is_folded(text):
    assert "<summary>Thermal expansion: none yet, and why</summary>" in text
    assert "<h5>Enthalpy of mixing</h5>" in text


def test_verdict_stands_beside_its_noise_floor(text):
    assert "indistinguishable z 1.2 (floor 1.5 %)" in Page(text).sections["Al-Cu-Ni-synthetic-rdf"]


def test_undecided_is_told_with_its_reason_and_not_as_a_failure(text):
    section = Page(text).sections["Al-Cu-Ni-synthetic-vacf"]
    assert "undecided noise floor 52 %, above 25 %" in section
    assert "1 curve undecided: a run too short, or its noise floor too high." in text


@pytest.mark.parametrize(
    ("floor_percent", "reason"),
    [(None, "no noise floor"), (8.0, "run too short (floor 8.0 %)"), (52.0, "noise floor 52 %, above 25 %")],
)
def test_undecided_names_what_is_missing(floor_percent, reason):
    assert reason in verdict({"verdict": "undecided", "floor_percent": floor_percent, "z": None})


def test_melts_at_different_temperatures_are_not_judged(text):
    section = Page(text).sections["Ti-rdf"]
    assert "AIMD run real1 (set 983 K, mean 983 K)" in section
    assert "not judged: simulation at 1942 K, AIMD at 983 K on average" in section


def test_one_element_has_one_panel(text):
    section = Page(text).sections["Ti-rdf"]
    assert "Ti-Ti" in section
    assert "all pairs" not in section


def test_speed_of_a_simulation_without_frames_is_shown(text):
    assert "0.420" in Page(text).sections["Al-Cu-Ni-synthetic-performance"]
    assert "0.420 ns/day with 4,096 atoms on one core (DP-2, 500 steps)." in text


def test_averages_say_how_many_frames_they_are_over_and_where_they_begin(text):
    section = Page(text).sections["Ti-density"]
    assert "framesaveraged" in section
    assert "imposed2019983.0" in section
    assert "from where it is equilibrated" in section


def test_failures_and_rejections_are_told_with_their_reason(text):
    sections = Page(text).sections
    assert "a <cut> OUTCAR" in sections["failures"]
    assert all(told in sections["rejections"] for told in ("not the ground state", "60 steps"))


def test_sql_behind_a_section_is_shown(text):
    assert "from rdf_comparison" in Page(text).sections["Ti-rdf"]


def test_same_lake_gives_the_same_bytes_but_for_the_date(settings, text):
    again = Path(str(report(settings)["index"])).read_text(encoding="utf-8")
    differing = [line for line, other in zip(text.splitlines(), again.splitlines(), strict=True) if line != other]
    assert all('id="date"' in line for line in differing)


def test_report_leads_to_the_data_docs_beside_it_and_to_none_from_elsewhere(settings, text, tmp_path):
    [link] = [reference for reference in Page(text).references if "data_docs" in reference]
    assert (settings.home / "report" / link).resolve().is_file()
    assert "data_docs" not in Path(str(report(settings, out=tmp_path)["index"])).read_text(encoding="utf-8")


def test_nothing_unfinished_is_left_beside_the_page(tmp_path):
    report(settings_at(tmp_path), out=tmp_path / "new" / "folder")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["index.html"]


def test_report_refuses_a_file_as_its_folder(settings, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(MeltlakeError, match="taken is a file"):
        report(settings, out=tmp_path / "taken")


def test_every_melt_is_shown_by_itself_with_what_is_missing(text):
    sections = {
        anchor: told for anchor, told in Page(text).sections.items() if anchor.startswith("Al-Cu-Ni-synthetic-")
    }
    told = {kind: sections[f"Al-Cu-Ni-synthetic-{kind}"] for kind in ("scattering", "motion", "environments", "mixing")}
    assert "all atoms" in told["scattering"]
    assert "0.512 ± 0.031" in told["motion"]
    assert "Green-Kubo: it is not flat; viscosity: 153 ps were needed" in told["motion"]
    assert all(number in told["environments"] for number in ("3.70", "5.70", "12.0", "21,000"))
    assert "found 1 at 1" in told["mixing"]
    assert "-421.3" in told["mixing"]
