"""What was measured: every shipped number against the reference file, and what a person adds, with its citation."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lake.delta import Lake
from lake.experiments import write_experiments
from lake.measurement_files import read_measurements
from lake.warehouse import query
from operators.experiments import experiments_add, experiments_list, experiments_remove
from operators.publish import publish
from operators.status import status
from schemas.composition import composition
from schemas.errors import MeltlakeError
from schemas.experiments import MEASUREMENTS
from schemas.settings import Settings

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "../shared/design/science/reference_data.json"
SCALES = {"density": ("density_g_per_cm3", 1e-3), "dynamic_viscosity": ("viscosity_mpa_s", 1.0)}
SCALES["self_diffusion_activation_energy"] = ("diffusion_activation_energy_ev", 1e-3)
KARGL = "# citation: A. Nobody, J. Made-up Res. 1, 2 (2020)\n"
POINTS = KARGL + "element_or_alloy,quantity,temperature_k,value,uncertainty\n"
CURVE = KARGL + "# element_or_alloy: Al\n# quantity: rdf\n# temperature_k: 1000\nr_angstrom,g,uncertainty\n"


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({"MELTLAKE_LAKE": str(tmp_path / "lake")})


def written(tmp_path, text, name="mine.csv"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def reference_value(row, kelvin):
    given = row["parameters"]
    if row["form"] == "c1 - c2*(T - Tref)":
        return given["c1"] - given["c2"] * (kelvin - given["Tref"])
    return given["value"] if row["form"] == "value" else 10 ** (-given["a1"] + given["a2"] / kelvin)


def shipped_value(one, kelvin):
    if one.activation_k is not None:
        return one.value * math.exp(one.activation_k * (1 / kelvin - 1 / one.temperature_k))
    return one.value + (one.slope_per_k or 0) * (kelvin - one.temperature_k)


def reference_labels(row):
    shares = {symbol: share if isinstance(share, list) else [share] for symbol, share in row["composition"].items()}
    if all(len(share) == 1 for share in shares.values()):
        return [composition({symbol: round(100 * share) for symbol, [share] in shares.items()})]
    # The ends of a range of compositions: more of one element is less of the other.
    low, high = ({symbol: round(100 * ends[(n + k) % 2]) for k, (symbol, ends) in enumerate(shares.items())}
                 for n in (0, 1))  # fmt: skip
    return [composition(low), composition(high)]


def matches(one, row):
    quantity, _ = SCALES[row["property"]]
    same_series = row.get("series", "") in one.source and ("brillo2016" in row["id"]) == ("Brillo 2016" in one.source)
    at = (row["T_min_K"], row["T_max_K"]) if row["form"] == "value" else one.range_k
    return (one.quantity, one.composition in reference_labels(row), same_series, one.range_k) == (
        quantity, True, True, (pytest.approx(at[0]), pytest.approx(at[1])),
    ) and (row["form"] == "value") == (one.slope_per_k is None and one.activation_k is None)  # fmt: skip


def test_every_shipped_number_is_in_the_reference_file_and_the_other_way_round():
    if not REFERENCE.exists():
        pytest.skip("the reference file is not beside this checkout")
    matched = []
    for row in json.loads(REFERENCE.read_text())["rows"]:
        _, scale = SCALES[row["property"]]
        found = [one for one in MEASUREMENTS if matches(one, row)]
        assert len(found) == len(reference_labels(row)), row["id"]
        for one in found:
            assert one.range_k == pytest.approx((row["T_min_K"], row["T_max_K"])), row["id"]
            for kelvin in (row["T_min_K"], (row["T_min_K"] + row["T_max_K"]) / 2, row["T_max_K"]):
                assert shipped_value(one, kelvin) == pytest.approx(scale * reference_value(row, kelvin), rel=1e-9)
            stated, unit = row["uncertainty"]["value"], row["uncertainty"]["unit"]
            expected = stated and (one.value * stated / 100 if unit == "percent" else stated * scale)
            assert one.uncertainty == (None if stated is None else pytest.approx(expected))
            assert one.coverage_factor == (2 if "95 %" in row["uncertainty"]["kind"] else 1)
            assert (one.preferred, one.confidence) == (row["use_as_gate"], row["confidence"])
            assert row["doi"] is None or row["doi"] in one.citation
            assert set(re.findall(r"\b(?:19|20)\d\d\b", row["citation"])) <= set(re.findall(r"\d{4}", one.citation))
        matched += found
    assert sorted(map(repr, matched)) == sorted(map(repr, MEASUREMENTS))


def test_nothing_that_could_not_be_verified_is_shipped():
    of_motion = [one for one in MEASUREMENTS if one.quantity.startswith("diffusion")]
    assert [(one.quantity, one.composition, one.value) for one in of_motion] == [
        ("diffusion_activation_energy_ev", "Al100", 0.28)
    ]
    assert not [one for one in MEASUREMENTS if "Waseda" in one.citation]


@pytest.mark.parametrize(
    ("composition", "kelvin", "expected"), [("Al100", 943, 1.32), ("Cu100", 1423, 3.61), ("Ni100", 1773, 4.83)]
)
def test_shipped_viscosities_meet_published_values(composition, kelvin, expected):
    [one] = [one for one in MEASUREMENTS if (one.composition, one.quantity) == (composition, "viscosity_mpa_s")]
    assert shipped_value(one, kelvin) == pytest.approx(expected, abs=0.005)


def test_points_are_added_once_and_stay_when_shipped_ones_are_written_again(settings, tmp_path):
    file = written(tmp_path, POINTS + "Al,diffusion_1e-9_m2_per_s,1000,7,10 %\nAl100,density_kg_per_m3,1000,2350,\n")
    assert experiments_add(settings, [file])["files"][0]["n_new"] == 2
    assert experiments_add(settings, [file])["changed"] is False
    assert write_experiments(Lake(settings.lake)) == 0
    rows = query(settings, "select * from experiments where added_from is not null order by quantity")
    assert [(row["quantity"], row["element"], row["value"], row["uncertainty"]) for row in rows] == [
        ("density_g_per_cm3", None, pytest.approx(2.35), None),
        ("diffusion_angstrom2_per_ps", "Al", pytest.approx(0.7), pytest.approx(0.07)),
    ]
    assert {(row["citation"], row["source"]) for row in rows} == {
        ("A. Nobody, J. Made-up Res. 1, 2 (2020)", "A. Nobody 2020")
    }


def test_a_file_that_grew_adds_what_is_new(settings, tmp_path):
    experiments_add(settings, [written(tmp_path, POINTS + "Cu,density_g_per_cm3,1400,7.9,\n")])
    file = written(tmp_path, POINTS + "Cu,density_g_per_cm3,1400,7.9,\nCu,density_g_per_cm3,1500,7.8,\n")
    [answer] = experiments_add(settings, [file])["files"]
    assert (answer["n_new"], answer["n_there"]) == (1, 1)


def test_a_curve_whose_lines_come_in_another_order_is_the_same_curve(settings, tmp_path):
    lines = ["2.40,0.55,0.05\n", "2.45,0.78,0.05\n", "2.50,1.04,0.05\n"]
    experiments_add(settings, [written(tmp_path, CURVE + "".join(lines))])
    [answer] = experiments_add(settings, [written(tmp_path, CURVE + "".join(reversed(lines)))])["files"]
    assert (answer["n_new"], answer["n_there"]) == (0, 3)


def test_another_number_of_the_same_citation_is_refused_and_nothing_is_stored(settings, tmp_path):
    experiments_add(settings, [written(tmp_path, POINTS + "Cu,density_g_per_cm3,1400,7.9,\n")])
    slip = written(tmp_path, POINTS + "Al,density_g_per_cm3,1000,2.3,\nCu,density_g_per_cm3,1400,7.8,\n", "slip.csv")
    with pytest.raises(MeltlakeError, match=r"Cu100, density_g_per_cm3 at 1400 K .* lake has from mine\.csv, found"):
        experiments_add(settings, [slip])
    assert [row["value"] for row in query(settings, "select value from experiments where added_from is not null")] == [
        7.9
    ]


def test_what_was_added_of_a_source_can_be_removed_and_what_is_shipped_cannot(settings, tmp_path):
    file = written(tmp_path, CURVE + "".join(f"{0.1 * k:.1f},{k / 40},0.02\n" for k in range(20, 60)))
    [source_id] = experiments_add(settings, [file])["files"][0]["source_ids"]
    assert experiments_list(settings)["sources"][0]["source_id"] == source_id
    assert [row["added_from"] for row in status(settings)["experiments"]] == ["mine.csv"]
    assert experiments_remove(settings, source_id)["removed"] == {"experimental_rdf": 40}
    assert query(settings, "select * from experimental_rdf") == []
    shipped = experiments_list(settings)["sources"][0]["source_id"]
    for name in (source_id, shipped):
        with pytest.raises(MeltlakeError, match=f"Nothing was added of a source {name}"):
            experiments_remove(settings, name)


def test_columns_may_be_said_once_or_per_line_and_compositions_are_those_of_runs(tmp_path):
    text = "\ufeff# a remark\n# quantity: density_g_per_cm3\n# note: by hand\n\n"
    text += 'temperature_k;value;element_or_alloy;citation\r\n1673;5.6;Ni33.2Al33.4Cu33.4;"Me; 2021"\r\n# end\n'
    [row] = read_measurements(written(tmp_path, text))["experiments"]
    assert (row["element_or_alloy"], row["citation"], row["note"]) == ("Al33Cu33Ni33", "Me; 2021", "by hand")
    assert (row["temperature_min_k"], row["temperature_max_k"], row["preferred"]) == (1673, 1673, True)


def test_partial_curves_keep_their_pair_and_the_pair_of_an_element_is_its_total(tmp_path):
    heading = KARGL + "element_or_alloy,pair,quantity,temperature_k,q_per_angstrom,s\n"
    lines = "Al50Ni50,Ni-Al,structure_factor,1700,2.8,-0.4\nAl,Al-Al,structure_factor,1000,2.7,2.4\n"
    rows = read_measurements(written(tmp_path, heading + lines))["experimental_structure_factor"]
    assert [(row["pair"], row["q_per_angstrom"], row["s"]) for row in rows] == [("Al-Ni", 2.8, -0.4), ("all", 2.7, 2.4)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (POINTS.removeprefix(KARGL) + "Al,density_g_per_cm3,1000,2.3,\n", "line 2: needed a citation, found none"),
        (POINTS.replace("A. Nobody, J. Made-up Res. 1, 2 (2020)", "n/a") + "Al,density_g_per_cm3,1000,2.3,\n",
         "line 3: needed a citation with an author and a year, found 'n/a'"),
        (POINTS + "Al,density_g_per_cm3,1000,2.3,\nAl,density,1000,2.3,\n", "line 4: needed a quantity among density"),
        (POINTS + "Al,density_g_per_cm3,warm,2.3,\n", "line 3: needed a number above 0 as temperature_k, found 'warm'"),
        (POINTS + "Al,density_g_per_cm3,1000,-2.3,\n", "line 3: needed a number above 0 as value, found '-2.3'"),
        (POINTS + "Al,density_g_per_cm3,1000,nan,\n", "line 3: needed a number above 0 as value, found 'nan'"),
        (POINTS + "Al,density_g_per_cm3,1000,2.3,-1\n", "line 3: needed an uncertainty of 0 or more, found '-1'"),
        (POINTS + "Al,density_g_per_cm3,1000,,0.1\n", "line 3: needed a value, found none"),
        (POINTS + "Al,density_g_per_cm3,25000,2.3,\n", "line 3: needed a temperature below 10000 K"),
        (POINTS + "Al,density_g_per_cm3,1000,2,3,\n", "line 3: needed 5 cells, as the heading has, found 6"),
        (POINTS + "Al3Ni,density_g_per_cm3,1000,2.3,\n", "line 3: 'Al3Ni' is not a composition"),
        (POINTS + "Al50Ni50,diffusion_angstrom2_per_ps,1700,0.3,\n", "line 3: needed an element, found none"),
        (POINTS + "Al,density_g_per_cm3,1000,2.3,\nAl100,density_g_per_cm3,1000,2.4,\n", "at 1000 K, found two"),
        (CURVE + "2.5,1.0,\n2.5,1.1,\n", "at 1000 K and 2.5, found two"),
        (CURVE.replace("r_angstrom", "r_angstroms"), "needed a heading of known columns, found 'r_angstroms'"),
        (CURVE.replace("g,unc", "temperature_k,unc"), "needed each column once, found temperature_k twice"),
        (CURVE.replace("# quantity", "# pair: Al-Cu\n# quantity") + "2.5,1.0,\n", "needed a pair of elements of Al100"),
        (POINTS.replace("uncertainty", "slope_per_k") + "Al,density_g_per_cm3,1000,2.3,-3e-4\n",
         "line 3: needed a temperature_min_k, found none"),
        (POINTS.replace("uncertainty", "slope_per_k,temperature_min_k,temperature_max_k")
         + "Al,density_g_per_cm3,500,2.3,-0.01,900,1200\n",
         "line 3: needed a value above 0 in its whole range, found a slope_per_k that ends it by 900 K"),
        (POINTS.replace("uncertainty", "temperature_min_k,temperature_max_k")
         + "Al,density_g_per_cm3,1000,2.3,900,1200\n",
         "line 3: needed slope_per_k or activation_k beside temperature_min_k, found neither"),
        (POINTS + "Al,density_g_per_cm3,1_000,2.3,\n", "needed a number above 0 as temperature_k, found '1_000'"),
        (POINTS, "needed at least one measurement, found none"),
        ("", "needed at least one measurement, found none"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_the_line(settings, tmp_path, text, complaint):
    file = written(tmp_path, text)
    with pytest.raises(MeltlakeError, match=re.escape(complaint)) as refused:
        experiments_add(settings, [file])
    assert refused.value.problem.startswith(str(file))
    assert Lake(settings.lake).version("experiments") == -1


def test_a_file_that_is_no_text_is_refused(settings, tmp_path):
    (tmp_path / "table.xls").write_bytes(b"\xd0\xcf\x11\xe0 not text")
    with pytest.raises(MeltlakeError, match=r"table\.xls: needed text in UTF-8, found byte 0"):
        experiments_add(settings, [tmp_path / "table.xls"])


def test_the_commands_are_typed_as_documented(settings, tmp_path):
    file = written(tmp_path, POINTS + "Al,diffusion_angstrom2_per_ps,1000,0.7,\n")

    def typed(*words):
        command = [sys.executable, "-m", "operators.cli", "experiments", *words, "--json", "--lake", settings.lake]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    answer = json.loads(typed("add", str(file)).stdout)
    assert answer["changed"] is True
    assert "experiments list" in typed("remove", "nobody").stderr
    assert json.loads(typed("list").stdout)["sources"][0]["source_id"] == answer["files"][0]["source_ids"][0]


def test_a_published_warehouse_is_due_again_after_something_was_added(settings, tmp_path):
    publish(settings)
    assert [item["command"] for item in status(settings)["stale"]] == []
    experiments_add(settings, [written(tmp_path, POINTS + "Al,viscosity_mpa_s,1000,1.2,\n")])
    assert [item["command"] for item in status(settings)["stale"]] == ["meltlake publish"]
