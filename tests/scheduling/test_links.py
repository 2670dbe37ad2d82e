from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from operators.scheduling.own_pages import OwnPages
from operators.scheduling.page.commands import targets
from operators.scheduling.page.links import LINKS
from operators.scheduling.page.served_files import has_page, served
from operators.scheduling.runner import RunnerOperator
from operators.scheduling.ui import MeltlakePlugin, _guards


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("observe --run 3fa2", ["runs/3fa2"]),
        ("observe --potential 1f", ["potentials/1f", "potentials/1f/learning-curve"]),
        ("validate --require a b", ["runs/a/rejected", "docs?run=a", "runs/b/rejected", "docs?run=b"]),
        ("ingest /landing/one", ["runs?search=%2Flanding%2Fone"]),
        ("train t1 --recipe DP-2 --seed 1", ["potentials?training_set_id=t1&recipe=DP-2&seed=1&open=learning-curve"]),
        (
            "simulate p1 --protocol twin --composition Al100",
            ["runs?potential_id=p1&protocol=twin&composition=Al100&open=agreement"],
        ),
        ("publish", [""]),
        ("report", ["report"]),
        ("materialize --compositions Al100", []),
        ("observe --run ../x?y", ["runs/..%2Fx%3Fy"]),
    ],
)
def test_command_has_the_pages_of_what_it_works_on(command: str, shown: list[str]) -> None:
    assert [target.href for target in targets(command.split(" "))] == shown


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["train", "t1", "--recipe", "DP-2"], {"Learning curve"}),
        (["observe", "--potential", "p1"], {"Result", "Learning curve"}),
        (["validate", "--require", "a"], {"Result", "Data docs"}),
        (["report"], {"Report"}),
        (["publish"], {"Result"}),
        (["materialize"], set()),
    ],
)
def test_task_links_to_what_it_made(arguments: list[str], names: set[str]) -> None:
    task = RunnerOperator(task_id="one", arguments=arguments)
    found = {link.name: link.get_link(task, ti_key=None) for link in task.operator_extra_links}
    assert {name for name, address in found.items() if address} == names
    assert all(address.startswith("/plugin/meltlake-results/meltlake/") for address in found.values() if address)


def test_links_hold_below_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://lab.example/airflow/")
    task = RunnerOperator(task_id="one", arguments=["report"])
    assert LINKS[-1].get_link(task, ti_key=None) == "/airflow/plugin/meltlake-results/airflow/meltlake/report"
    assert not any(view["href"].startswith("/") for view in MeltlakePlugin.external_views)


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MELTLAKE_LAKE", str(tmp_path / "lake"))
    (tmp_path / "report" / "figures").mkdir(parents=True)
    return tmp_path / "report"


def test_missing_pages_are_explained(report: Path) -> None:
    assert b"no report yet" in bytes(served("report", "").body)
    assert b"Nothing was judged yet" in bytes(served("data_docs", "").body)


def test_report_and_data_docs_are_served_with_their_files(report: Path) -> None:
    (report / "index.html").write_text("<h1>results</h1>")
    (report / "figures" / "rdf.svg").write_text("<svg/>")
    (report.parent / "data_docs" / "runs").mkdir(parents=True)
    (report.parent / "data_docs" / "runs" / "a.html").write_text("<h1>a</h1>")
    for folder, path, name in (("report", "", "index.html"), ("report", "figures/rdf.svg", "rdf.svg")):
        answer: Any = served(folder, path)
        assert Path(answer.path).name == name
    assert has_page("data_docs", "runs/a.html")


@pytest.mark.parametrize("path", ["../lake/secret", "figures/../../secret", "/etc/passwd", "absent.html", "a\0b"])
def test_nothing_outside_the_report_is_served(report: Path, path: str) -> None:
    from fastapi import HTTPException

    (report.parent / "secret").write_text("not for you")
    with pytest.raises(HTTPException, match="404"):
        served("report", path)
    assert not has_page("report", path)


@pytest.mark.parametrize(
    ("host", "site", "method", "status"),
    [
        ("127.0.0.1:8080", "none", "GET", 200),
        ("localhost", "same-origin", "POST", 200),
        ("[::1]:8080", "none", "POST", 200),
        ("localhost:8080", "cross-site", "GET", 200),  # a link in a mail
        ("localhost:8080", "cross-site", "POST", 403),
        ("localhost:8080", "same-site", "DELETE", 403),  # another port of this machine
        ("evil.example:8080", "same-origin", "GET", 403),  # a name that leads to 127.0.0.1
        ("127.0.0.1.evil.example", "same-origin", "GET", 403),
        ("", "none", "GET", 403),
    ],
)
def test_an_airflow_without_passwords_answers_its_own_pages_only(
    host: str, site: str, method: str, status: int
) -> None:
    async def airflow(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("done")(scope, receive, send)

    client = TestClient(OwnPages(airflow), base_url="http://127.0.0.1")
    assert client.request(method, "/", headers={"Host": host, "Sec-Fetch-Site": site}).status_code == status


def test_guard_stands_where_airflow_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _guards() == []
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    assert [guard["middleware"] for guard in _guards()] == [OwnPages]


def test_page_is_in_the_navigation_and_on_dag_runs_and_tasks() -> None:
    assert {view["destination"] for view in MeltlakePlugin.external_views} == {"nav", "dag_run", "task_instance"}
    routes = [view["url_route"] for view in MeltlakePlugin.external_views]
    assert len(set(routes)) == len(routes)
