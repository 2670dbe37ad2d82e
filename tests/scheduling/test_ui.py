from pathlib import Path

import pytest
from fastapi import HTTPException
from fastapi.responses import FileResponse

from operators.scheduling.ui import MeltlakePlugin, app, data_docs_file, results_file


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MELTLAKE_LAKE", str(tmp_path / "lake"))
    (tmp_path / "report" / "figures").mkdir(parents=True)
    return tmp_path / "report"


def test_missing_pages_are_explained(report: Path) -> None:
    assert b"no report yet" in bytes(results_file("").body)
    assert b"Nothing was judged yet" in bytes(data_docs_file("").body)


def test_data_docs_are_served_with_their_pages(report: Path) -> None:
    (report.parent / "data_docs" / "runs").mkdir(parents=True)
    (report.parent / "data_docs" / "runs" / "a.html").write_text("<h1>a</h1>")
    answer = data_docs_file("runs/a.html")
    assert isinstance(answer, FileResponse)
    assert Path(answer.path).name == "a.html"


def test_report_is_served_with_its_files(report: Path) -> None:
    (report / "index.html").write_text("<h1>results</h1>")
    (report / "figures" / "rdf.svg").write_text("<svg/>")
    for path, name in (("", "index.html"), ("figures/rdf.svg", "rdf.svg")):
        answer = results_file(path)
        assert isinstance(answer, FileResponse)
        assert Path(answer.path).name == name


@pytest.mark.parametrize("path", ["../lake/secret", "figures/../../secret", "/etc/passwd", "absent.html"])
def test_nothing_outside_the_report_is_served(report: Path, path: str) -> None:
    (report.parent / "secret").write_text("not for you")
    with pytest.raises(HTTPException, match="404"):
        results_file(path)


def test_pages_ask_who_is_there() -> None:
    assert app.router.dependencies
    destinations = {view["destination"] for view in MeltlakePlugin.external_views}
    assert destinations == {"nav", "dag_run", "task_instance"}
