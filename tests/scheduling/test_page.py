"""The page of results inside Airflow's own API server, over a small warehouse that `publish` made."""

import csv
import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.utils import db
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from lake.delta import Lake
from lake.warehouse import publish
from operators.scheduling.page import compositions, potentials, runs, sql_box
from operators.scheduling.page.app import app
from operators.scheduling.page.examples import EXAMPLES
from operators.scheduling.page.questions import rows_of
from operators.scheduling.page.reading import note_version, reading, version
from operators.scheduling.page.rendering import shown
from operators.scheduling.page.standing import _last, standing
from schemas.settings import Settings
from tests.test_report import fill

HOSTILE = "<script>alert(1)</script>"
MESSAGE = {"title": "one", "problem": "two", "remedy": "three"}


@pytest.fixture(scope="module")
def airflow() -> FastAPI:
    """Airflow's API server as it is deployed, with our plugin in it."""
    db.initdb()
    from airflow.api_fastapi.app import create_app

    return create_app(apps="core")


@pytest.fixture(scope="module")
def token(airflow: FastAPI) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    assert airflow
    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="someone", role="viewer"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with real and synthetic melts, and with names that would be markup."""
    home = tmp_path_factory.mktemp("page")
    settings = Settings.from_mapping({}, lake=str(home / "lake"))
    lake = Lake(settings.lake)
    fill(lake)
    named = {"run_id": "real2", "composition": "Si100", "chemical_system": "Si", "origin": "aimd", "synthetic": False}
    lake.replace("runs", "real2", [named | {"reason": HOSTILE, "n_frames": 1, "n_accepted": 0, "n_rejected": 1}])
    lake.replace("potentials", "p9", [{"potential_id": "p9", "recipe": HOSTILE, "training_set_id": "t1"}])
    files = {"key": "k", "run_id": "real2", "path": "/raw/OUTCAR", "source_sha256": "ab" * 32}
    lake.replace("raw_files", "k", [files])
    publish(settings)
    return settings


@pytest.fixture
def here(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in filled.environment.items():
        monkeypatch.setenv(name, value)
    return filled


@pytest.fixture
def client(airflow: FastAPI, token: str, here: Settings) -> Iterator[TestClient]:
    with TestClient(airflow, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"}) as logged_in:
        yield logged_in


@pytest.fixture
def stranger(airflow: FastAPI, here: Settings) -> Iterator[TestClient]:
    with TestClient(airflow, base_url="http://127.0.0.1") as anonymous:
        yield anonymous


class Page(HTMLParser):
    """Checks that ids are unique, and keeps links and whatever only scripts and handlers could be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.scripts: list[str | None] = []
        self.inline: list[str] = []
        self.feed(text)
        assert len(set(self.ids)) == len(self.ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [str(found[name]) for name in ("href", "src", "action") if name in found]
        self.ids += [str(found["id"])] if "id" in found else []
        self.scripts += [found.get("src")] if tag == "script" else []
        self.inline += [name for name in found if name.startswith("on") or name == "style"]


def _addresses() -> list[str]:
    subjects = (
        ("compositions", "Al34Cu33Ni33", compositions),
        ("potentials", "p1", potentials),
        ("runs", "sim2", runs),
    )
    parts = [f"{tab}/{name}/{part}".rstrip("/") for tab, name, module in subjects for part in module.TABS]
    fixed = ["", "compositions", "potentials", "runs", "sql", "report", "docs", "version", "static/page.css"]
    of_dags = ["dag_run?dag_id=train&run_id=r", "task?dag_id=train&run_id=r&task_id=train&map_index={MAP_INDEX}"]
    return [*fixed, *parts, *of_dags, "results/", "data_docs/", "runs/toy1/rejected", "runs/real2/lineage"]


def test_whoever_is_not_logged_in_gets_the_answer_of_airflow_itself(stranger: TestClient) -> None:
    assert stranger.get("/api/v2/plugins").status_code == 401
    answers = {address: stranger.get(f"/meltlake/{address}").status_code for address in [*_addresses(), "standing"]}
    assert set(answers.values()) == {401}, answers
    assert {stranger.post(f"/meltlake/{box}").status_code for box in ("sql", "sql.csv")} == {401}
    # What FastAPI would show to everybody, and load from elsewhere.
    assert {stranger.get(f"/meltlake/{page}").status_code for page in ("docs/", "redoc", "openapi.json")} <= {
        401,
        404,
        307,
    }
    assert app.openapi_url is None


@pytest.mark.parametrize("address", _addresses())
def test_every_page_is_sound_and_stays_on_this_machine(client: TestClient, address: str) -> None:
    answer = client.get(f"/meltlake/{address}")
    assert answer.status_code == 200
    if "text/html" in answer.headers["content-type"]:
        page = Page(answer.text)
        assert page.inline == []
        assert set(page.scripts) <= {"/meltlake/static/theme.js", "/meltlake/static/page.js"}
        assert [link for link in page.links if "//" in link.split("?", maxsplit=1)[0]] == []
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'self'" in policy


def test_overview_says_how_large_the_lake_is_and_where_its_melts_lie(client: TestClient) -> None:
    text = client.get("/meltlake/").text
    assert re.search("<b>5</b> compositions", text)
    assert 'href="/meltlake/compositions/Al34Cu33Ni33"' in text
    assert "Al-Cu-Ni" in text
    assert "synthetic" in text


def test_links_of_every_table_lead_somewhere(client: TestClient) -> None:
    found = set()
    for address in ("", "runs/sim2/agreement"):
        found |= {link for link in Page(client.get(f"/meltlake/{address}").text).links if link.startswith("/meltlake")}
    missing = [link for link in sorted(found) if client.get(link).status_code != 200]
    assert len(found) > 20
    assert missing == []


def test_run_shows_agreement_rejected_frames_checksums_and_learning_curve(client: TestClient) -> None:
    assert "indistinguishable" in client.get("/meltlake/runs/sim2/agreement").text
    assert "not the ground state" in client.get("/meltlake/runs/toy1/rejected").text
    assert "ab" * 32 in client.get("/meltlake/runs/real2/lineage").text
    assert client.get("/meltlake/runs/sim2/learning-curve").text.count('<path class="curve') > 1
    assert client.get("/meltlake/runs/sim2").text.count("<figure") > 1


@pytest.mark.parametrize("name", [HOSTILE, "x' or '1'='1", "../../etc/passwd", "a\0b", "%2e%2e", "x" * 3000])
@pytest.mark.parametrize("tab", ["runs", "potentials", "compositions"])
def test_names_in_the_address_find_nothing_and_are_shown_as_text(client: TestClient, tab: str, name: str) -> None:
    for address in (
        f"{tab}/{quote(name, safe='')}",
        f"{tab}?search={quote(name)}&from=-1",
        f"{tab}?recipe={quote(name)}",
    ):
        answer = client.get(f"/meltlake/{address}")
        assert answer.status_code in {200, 404}
        assert HOSTILE not in answer.text


def test_what_the_lake_says_is_text_and_never_markup(client: TestClient) -> None:
    for address in ("runs/real2", "potentials", "potentials/p9", f"sql?query={quote(HOSTILE)}"):
        text = client.get(f"/meltlake/{address}").text
        assert HOSTILE not in text
        assert "&lt;script&gt;" in text


def test_training_task_finds_the_one_potential_that_it_made(client: TestClient) -> None:
    made = "training_set_id=t1&recipe=DP-2&seed=1&open=learning-curve"
    answer = client.get(f"/meltlake/potentials?{made}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/meltlake/potentials/p1/learning-curve")
    later = client.get("/meltlake/potentials?training_set_id=t1&recipe=DP-2&seed=7&open=learning-curve")
    assert "this page looks for it by itself" in later.text.replace("\n", " ")


def test_page_holds_where_airflow_is_served_below_a_path(airflow: FastAPI, token: str, here: Settings) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(airflow, base_url="http://127.0.0.1", headers=headers, root_path="/airflow") as below:
        links = Page(below.get("/airflow/meltlake/runs").text).links
        assert links
        assert {link.split("/")[1] for link in links if link.startswith("/")} == {"airflow"}
        assert below.get("/airflow/meltlake/static/page.css").status_code == 200


def test_version_changes_with_every_published_warehouse_and_only_then(client: TestClient, here: Settings) -> None:
    before = client.get("/meltlake/version").json()
    assert client.get("/meltlake/version").json() == before
    Path(here.warehouse).rename(aside := Path(f"{here.warehouse}.aside"))
    assert client.get("/meltlake/version").json() == {"version": "none"}
    assert "meltlake publish" in client.get("/meltlake/").text
    aside.rename(here.warehouse)
    assert client.get("/meltlake/version").json() == before


def test_page_of_the_warehouse_before_does_not_pass_for_the_new_one(tmp_path: Path, here: Settings) -> None:
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}})
    note_version(request)
    os.utime(here.warehouse, ns=(0, 0))  # while the page is drawn
    assert version() != request.state.version
    assert f'data-version="{request.state.version}"' in bytes(shown(request, "message", MESSAGE).body).decode()


def test_whoever_asks_for_status_when_many_wait_is_not_kept(here: Settings) -> None:
    with ThreadPoolExecutor() as pool:
        with _last.lock:
            waiting = [pool.submit(standing) for _ in range(4)]
            while _last.waiting.acquire(blocking=False):
                _last.waiting.release()
            assert "asked for others" in standing().problem
        assert [one.result().problem for one in waiting] == [""] * 4


def test_empty_lake_says_what_to_do_next(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    publish(empty)
    monkeypatch.setenv("MELTLAKE_LAKE", empty.lake)
    monkeypatch.setenv("MELTLAKE_WAREHOUSE", empty.warehouse)
    assert "meltlake ingest SOURCE" in client.get("/meltlake/").text
    for tab in ("compositions", "potentials", "runs"):
        assert 'class="empty"' in client.get(f"/meltlake/{tab}").text
    with reading() as run:
        assert {name: isinstance(rows_of(run, sql), list) for name, sql in EXAMPLES.items()} == dict.fromkeys(
            EXAMPLES, True
        )


def test_sql_box_answers_and_tells_every_column(client: TestClient) -> None:
    sent = {"query": "select composition, n_frames, [1, 2] as pair from runs order by run_id limit 2"}
    text = client.post("/meltlake/sql", data=sent).text
    assert "2 rows" in text
    assert "Ti100" in text
    assert "whole at.% label, elements sorted" in text
    download = client.post("/meltlake/sql.csv", data=sent)
    assert download.headers["content-disposition"] == 'attachment; filename="answer.csv"'
    assert list(csv.reader(io.StringIO(download.text)))[1] == ["Ti100", "20", "[1, 2]"]


@pytest.mark.parametrize(
    "query",
    [
        "drop table runs",
        "select * from read_text('/etc/passwd')",
        "",
        f"select '{HOSTILE}' from nowhere",
    ],
)
def test_sql_box_reads_the_warehouse_and_nothing_else(client: TestClient, query: str) -> None:
    answer = client.post("/meltlake/sql", data={"query": query})
    assert answer.status_code == 400
    assert 'id="error"' in answer.text
    assert "root:" not in answer.text
    assert HOSTILE not in answer.text


def test_sql_box_takes_no_form_of_another_site(client: TestClient) -> None:
    from_elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/meltlake/sql", data={"query": "select 1"}, headers=from_elsewhere).status_code == 403
    assert client.post("/meltlake/sql", data={"query": "x" * 200_000}).status_code == 413


def test_every_table_of_the_sql_box_has_its_columns_told(here: Settings) -> None:
    with reading() as run:
        tables = sql_box.schema(run)
    assert {"runs", "frames", "table_1", "lineage"} <= {name for name, _, _ in tables}
    untold = [name for name, about, columns in tables if not about or not columns]
    assert untold == []


def test_status_is_asked_of_the_lake_as_it_is(client: TestClient) -> None:
    text = client.get("/meltlake/standing").text
    assert "a &lt;cut&gt; OUTCAR" in text
    assert "meltlake observe" in text
