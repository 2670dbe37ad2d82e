"""The report as a file in a real browser: values under the pointer, curves that go, files that it hands out.

pytest -m browser tests/browser/test_report_in_browser.py
"""

import csv
import os
import shutil
import struct
from pathlib import Path

import pytest

from lake.warehouse import publish, query
from operators.report import report
from schemas.settings import Settings
from tests.test_report_figures import GROUP, fill

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install meltlake[browser]")
CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = Settings.from_mapping({}, lake=str(tmp_path_factory.mktemp("report") / "lake"))
    fill(settings)
    publish(settings)
    report(settings)
    return settings


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 1920), ("dark", 1920)], ids=str)
def page(chromium, settings, request):
    """The report in one theme at one width; it must have asked for itself only, and complained of nothing."""
    scheme, width = request.param
    window = chromium.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme, accept_downloads=True)
    window.set_default_timeout(60_000)  # of a busy machine
    asked, complaints = [], []
    window.on("request", lambda sent: asked.append(sent.url))
    window.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.scheme, window.stem = scheme, f"report-{width}-{scheme}"
    window.goto((settings.home / "report" / "index.html").as_uri())
    yield window
    window.close()
    assert complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def figure(page, number):
    return page.locator(f"[id='{GROUP}-figure-{number}'] figure").first


def point_at(page, drawn, panel, share):
    """Move over a panel to a share of its width."""
    drawn.scroll_into_view_if_needed()
    svg, box = drawn.locator("svg"), drawn.locator("svg").bounding_box()
    left, top, width, height = map(float, drawn.locator(".plot").nth(panel).get_attribute("data-box").split())
    scale = box["width"] / float(svg.get_attribute("width"))
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.move(box["x"] + scale * (left + share * width), box["y"] + scale * (top + 0.5 * height))


def test_values_under_the_pointer_are_those_of_the_warehouse(page, settings):
    drawn = figure(page, 4)
    point_at(page, drawn, 1, 0.1)
    told = [row.split("\t") for row in drawn.locator(".tip").inner_text().splitlines() if row.count("\t") == 2][1:]
    assert [name.strip() for name, _, _ in told] == ["DP-2", "DP-1", "AIMD"]
    for (_, lag, value), run_id in zip(told, ("two-Al34Cu33Ni33", "one-equal", "aimd-Al34Cu33Ni33"), strict=True):
        rows = query(settings, f"from vacf where run_id = '{run_id}' and element = 'Cu'")
        nearest = min(rows, key=lambda row: abs(row["lag_fs"] - float(lag)))
        assert nearest["lag_fs"] == pytest.approx(float(lag), abs=0.2)
        assert nearest["vacf"] == pytest.approx(float(value.replace("−", "-")), abs=0.005)


def test_a_name_in_the_legend_hides_its_curves_and_brings_them_back(page):
    drawn = figure(page, 5)
    key, hidden = drawn.locator(".key").nth(1), drawn.locator(".series.off")
    key.click()
    assert (hidden.count(), key.get_attribute("aria-pressed")) == (7, "false")
    assert not hidden.first.is_visible()
    key.press("Enter")
    assert (hidden.count(), key.get_attribute("aria-pressed")) == (0, "true")


def test_files_that_a_figure_hands_out_are_what_they_say(page):
    drawn, got = figure(page, 8), {}
    for label in ("PNG", "Data (CSV)"):
        with page.expect_download() as download:
            drawn.get_by_text(label, exact=True).click()
        got[label] = (download.value.suggested_filename, Path(download.value.path()).read_bytes())
    assert {name for name, _ in got.values()} == {f"figure-8-{GROUP}.{kind}" for kind in ("png", "csv")}
    width, height = (float(drawn.locator("svg").get_attribute(name)) for name in ("width", "height"))
    png = got["PNG"][1]
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">II", png[16:24]) == (int(3 * width), int(3 * height))
    assert len(list(csv.reader(got["Data (CSV)"][1].decode().splitlines()))) > 1000
    with page.expect_popup() as popup:  # of a page that is a file, chromium shows what it can show
        drawn.get_by_text("SVG", exact=True).click()
    assert popup.value.locator("svg .plot").count() == 9


def test_the_page_fits_its_window_and_is_readable_in_its_theme(page):
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    title = figure(page, 5).locator(".plot .title").first
    is_light_text = title.evaluate("one => getComputedStyle(one).fill.match(/[0-9]+/g).every(part => part > 128)")
    assert is_light_text == (page.scheme == "dark")
    if folder := os.environ.get("MELTLAKE_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{page.stem}.png"), full_page=True)


def test_the_query_of_a_figure_opens_and_is_copied(page):
    figure(page, 5).get_by_text("SQL", exact=True).click()
    folded = page.locator(f"[id='{GROUP}-figure-5-sql']")
    folded.locator(".copy").click()
    folded.get_by_text("copied").or_(folded.get_by_text("selected")).wait_for()
    assert "from rdf_comparison" in folded.locator("pre").inner_text()
