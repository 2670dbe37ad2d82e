"""The page in a real browser, inside the embedded Airflow: Debian's chromium, driven by Playwright.

    pytest -m browser tests/browser

With MELTLAKE_SCREENSHOTS=FOLDER it leaves pictures of every page, to be looked at.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lake.delta import Lake
from lake.experiments import write_experiments, write_recipes
from lake.warehouse import publish
from operators.report import report
from operators.scheduling.stack import EmbeddedStack
from schemas.settings import Settings
from tests.test_report import fill

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install meltlake[browser]")
CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]

PAGES = {
    "overview": "",
    "compositions": "compositions",
    "composition": "compositions/Al34Cu33Ni33",
    "composition-potentials": "compositions/Al34Cu33Ni33/potentials",
    "composition-agreement": "compositions/Al34Cu33Ni33/agreement",
    "composition-experiment": "compositions/Al34Cu33Ni33/experiment",
    "potentials": "potentials",
    "potential": "potentials/p1",
    "learning-curve": "potentials/p1/learning-curve",
    "potential-simulations": "potentials/p1/simulations",
    "potential-lineage": "potentials/p1/lineage",
    "runs": "runs",
    "run": "runs/sim2",
    "run-agreement": "runs/sim2/agreement",
    "run-rejected": "runs/toy1/rejected",
    "run-lineage": "runs/sim2/lineage",
    "run-learning-curve": "runs/sim2/learning-curve",
    "sql": "sql",
    "report": "report",
    "data-docs": "docs",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("browser")
    settings = Settings.from_mapping({}, lake=str(home / "lake"), landing=str(home / "landing"))
    lake = Lake(settings.lake)
    write_experiments(lake)
    write_recipes(lake)
    fill(lake)
    publish(settings)
    report(settings)
    return settings


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(settings, port=0) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A window that keeps whom it asked, and what it complained about; it must have asked this machine only."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(120_000)  # of a busy machine
    window = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    window.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.asked = asked
    yield window
    context.close()
    hosts = {urlsplit(url).hostname for url in asked if url.startswith(("http", "ws"))}
    assert hosts <= {"127.0.0.1"}
    assert [text for text in complaints if "Content Security Policy" in text or "meltlake" in text] == []


def _inside(page: Any) -> Any:
    """Our page, inside Airflow's frame."""
    page.wait_for_selector("iframe")
    frame = page.frame_locator("iframe").first
    frame.locator("#main").wait_for()
    return frame


def _picture(page: Any, name: str) -> None:
    if folder := os.environ.get("MELTLAKE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_every_tab_is_reached_from_airflows_navigation(stack: EmbeddedStack, page: Any) -> None:
    page.goto(stack.url)
    page.get_by_role("link", name="Results").first.click()
    frame = _inside(page)
    frame.get_by_text("Nothing has failed.").or_(frame.locator(".note.failed")).first.wait_for()
    _picture(page, "airflow-overview")
    for tab in ("Compositions", "Potentials", "Runs", "SQL"):
        frame.get_by_role("link", name=tab, exact=True).first.click()
        frame.locator(".tabs a[aria-current=page]", has_text=tab).first.wait_for()
        frame.get_by_role("heading", name=tab, exact=True).first.wait_for()
    frame.get_by_role("link", name="Report", exact=True).click()
    frame.frame_locator("iframe.framed").get_by_role("heading", name="meltlake report").wait_for()
    assert "/plugin/meltlake-results/meltlake/report" in page.url


@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_readable(stack: EmbeddedStack, page: Any, width: int, theme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    for name, address in PAGES.items():
        answer = page.goto(f"{stack.url}/meltlake/{address}")
        page.wait_for_load_state("networkidle")
        assert answer.status == 200, name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the window"
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert (_lightness(ink) > _lightness(paper)) == (theme == "dark"), name
        _picture(page, f"{name}-{width}-{theme}")


def _lightness(colour: str) -> int:
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(", "))


def test_theme_follows_airflows_without_reloading_and_the_systems_without_airflows(
    stack: EmbeddedStack, page: Any
) -> None:
    page.goto(f"{stack.url}/plugin/meltlake-results")
    frame = _inside(page)
    paper = "getComputedStyle(document.body).backgroundColor"
    inner = frame.locator("body")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.wait_for_timeout(300)
    assert _lightness(inner.evaluate(f"() => {paper}")) < 200
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.wait_for_timeout(300)
    assert _lightness(inner.evaluate(f"() => {paper}")) > 600
    page.evaluate("localStorage.setItem('theme', 'system')")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert _lightness(inner.evaluate(f"() => {paper}")) < 200


def test_every_link_of_every_page_leads_somewhere(stack: EmbeddedStack, page: Any) -> None:
    found: dict[str, str] = {}
    for name, address in PAGES.items():
        page.goto(f"{stack.url}/meltlake/{address}")
        links = page.eval_on_selector_all("a[href]", "all => all.map(one => one.href.baseVal ?? one.href)")
        found |= {str(link).split("#")[0]: name for link in links}
    answers = {link: page.request.get(link if "://" in link else stack.url + link).status for link in found}
    dead = {link: found[link] for link, status in answers.items() if status != 200}
    assert len(answers) > 60
    assert dead == {}


def test_curves_can_be_hidden_and_shown(stack: EmbeddedStack, page: Any) -> None:
    page.goto(f"{stack.url}/meltlake/runs/sim2")
    button = page.locator("button.series").nth(1)
    curve = page.locator(f"figure [data-series='{button.get_attribute('data-series')}']").first
    button.click()
    assert not curve.is_visible()
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    page.keyboard.press("Enter")
    assert curve.is_visible()


def test_compositions_on_the_map_are_links_for_mouse_and_keyboard(stack: EmbeddedStack, page: Any) -> None:
    page.goto(f"{stack.url}/meltlake/")
    page.locator(".map a").filter(has_text="Al34Cu33Ni33").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/compositions/Al34Cu33Ni33")


def test_tabs_can_be_walked_by_keyboard(stack: EmbeddedStack, page: Any) -> None:
    page.goto(f"{stack.url}/meltlake/")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to the content"
    assert reached[1:] == ["Overview", "Compositions", "Potentials", "Runs", "SQL", "Report", "Data docs"]


def test_sql_box_in_the_browser(stack: EmbeddedStack, page: Any) -> None:
    page.goto(f"{stack.url}/plugin/meltlake-results/meltlake/sql")
    frame = _inside(page)
    frame.get_by_role("link", name="Frames by composition").click()
    assert "from runs" in frame.locator("#query").input_value()
    frame.locator("#query").press("Control+Enter")
    frame.locator("#answer table").wait_for()
    assert frame.locator("#answer tbody tr").count() > 3
    _picture(page, "airflow-sql")
    with page.expect_download() as waiting:
        frame.get_by_role("button", name="Download as CSV").click()
    assert Path(waiting.value.path()).read_text().startswith("composition,origin,n_runs")
    frame.locator("#query").fill("drop table runs")
    frame.get_by_role("button", name="Run", exact=True).click()
    frame.locator("#error").wait_for()
    assert "SELECT" in frame.locator("#error").inner_text()
    _picture(page, "airflow-sql-refused")


def test_columns_are_found_by_their_meaning_and_put_into_the_query(stack: EmbeddedStack, page: Any) -> None:
    page.goto(f"{stack.url}/meltlake/sql")
    n_tables = page.locator("#tables details").count()
    page.locator("#filter").fill("noise")
    assert 0 < page.locator("#tables details:visible").count() < n_tables
    page.locator("#filter").fill("standard error from blocks")
    page.locator("#tables details:visible summary").first.click()
    column = page.locator("button.column:visible").first
    name = column.inner_text()
    column.click()
    assert page.locator("#query").input_value() == name


def test_open_page_shows_the_next_warehouse_by_itself(stack: EmbeddedStack, settings: Settings, page: Any) -> None:
    page.goto(f"{stack.url}/meltlake/runs")
    assert page.get_by_text("another-run").count() == 0
    n_asked = len(page.asked)
    of = {"run_id": "another-run", "composition": "Ni100", "chemical_system": "Ni", "origin": "aimd"}
    Lake(settings.lake).replace("runs", "another-run", [of | {"n_frames": 1, "n_accepted": 1, "n_rejected": 0}])
    publish(settings)
    page.get_by_text("another-run").first.wait_for()
    asked = [urlsplit(url).path for url in page.asked[n_asked:]]
    assert asked.count("/meltlake/runs") == 1
    assert set(asked) == {"/meltlake/runs", "/meltlake/version"}


def test_dag_run_and_its_tasks_link_to_what_they_made(stack: EmbeddedStack, page: Any) -> None:
    run_id = stack.api("dags/report/dagRuns", {"logical_date": None})["dag_run_id"]
    deadline = time.monotonic() + 600
    while (state := stack.api(f"dags/report/dagRuns/{run_id}")["state"]) not in {"success", "failed"}:
        assert time.monotonic() < deadline, state
        time.sleep(2)
    assert state == "success"
    page.goto(f"{stack.url}/dags/report/runs/{run_id}/plugin/meltlake-run-results")
    frame = _inside(page)
    assert frame.get_by_text("meltlake publish").count() == 1
    _picture(page, "airflow-dag-run")
    page.goto(f"{stack.url}/dags/report/runs/{run_id}/tasks/report/plugin/meltlake-task-results")
    frame = _inside(page)
    frame.get_by_role("link", name="Report", exact=True).last.click()
    frame.frame_locator("iframe.framed").get_by_role("heading", name="meltlake report").wait_for()
    links = stack.api(f"dags/report/dagRuns/{run_id}/taskInstances/report/links")["extra_links"]
    assert links["Report"] == "/plugin/meltlake-results/meltlake/report"
    page.goto(stack.url + links["Report"])
    assert _inside(page).locator("iframe.framed").count() == 1
