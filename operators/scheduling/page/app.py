"""The page's addresses. Everybody is asked who they are, as by Airflow itself; what is shown belongs to the tabs."""

from typing import Any
from urllib.parse import quote, urlencode

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response

from operators.scheduling.page import compositions, overview, potentials, runs
from operators.scheduling.page.dag_runs import worked_on
from operators.scheduling.page.questions import MOST_ROWS, Question, answered, facts, filtered
from operators.scheduling.page.reading import note_version, reading, version
from operators.scheduling.page.rendering import HEADERS, STATIC, shown
from operators.scheduling.page.served_files import has_page, served
from operators.scheduling.page.sql_box import router
from operators.scheduling.page.standing import standing
from schemas.errors import MeltlakeError

# Airflow lets anybody read a plugin's pages unless the plugin asks who it is. Pages that describe the interface would
# be open all the same, and fetch their scripts from elsewhere: there are none.
app = FastAPI(
    title="meltlake",
    dependencies=[Depends(requires_access_view(AccessView.PLUGINS)), Depends(note_version)],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)
app.include_router(router)
_READS_DAG = Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))


@app.exception_handler(MeltlakeError)
def told(request: Request, error: Exception) -> Response:
    """What is wrong and what to do, as a page."""
    problem, remedy = (error.problem, error.remedy) if isinstance(error, MeltlakeError) else ("", "")
    return shown(request, "message", {"title": "Nothing to show", "problem": problem, "remedy": remedy})


def _missing(request: Request, what: str, tab: str) -> Response:
    remedy = "It may be newer than the published warehouse: `meltlake publish`, or the Dag report, brings it here."
    content = {"title": what, "problem": f"The published warehouse has no {what}.", "remedy": remedy}
    return shown(request, "message", content, tab=tab, status=404)


@app.get("/version")
def version_now() -> Response:
    """What open pages look at to know that another warehouse was published."""
    return JSONResponse({"version": version()}, headers=HEADERS)


@app.get("/static/{name}")
def static(name: str) -> Response:
    """The stylesheet and the scripts."""
    if name not in {file.name for file in STATIC.iterdir()}:
        raise HTTPException(404)
    return FileResponse(STATIC / name, headers=HEADERS | {"Cache-Control": "no-cache"})


@app.get("/")
def show_overview(request: Request) -> Response:
    """How large the lake is, where its compositions lie, its newest potentials."""
    with reading() as run:
        content = {
            "size": overview.lake_size(run),
            "maps": overview.maps(run),
            "not_drawn": overview.not_drawn(run),
            "latest": answered(run, overview.LATEST),
            "most_latest": overview.MOST_LATEST,
            "worded": overview.WORDED,
        }
    return shown(request, "overview", content)


@app.get("/standing")
def show_standing(request: Request) -> Response:
    """What is stale and what failed, as a part of the overview that may come later than the rest."""
    return shown(request, "standing", {"standing": standing()})


def _listing(
    request: Request, question: Question, tab: str, columns: tuple[str, ...], search: tuple[str, ...]
) -> Response:
    """A list with what it is filtered by; of a single hit that was asked for by a task, its own page."""
    asked = {name: value for name, value in request.query_params.items() if value}
    filters = {name: asked[name] for name in (*columns, "search") if name in asked}
    start = int(asked["from"]) if asked.get("from", "").isdecimal() and len(asked["from"]) < 10 else 0
    sql = filtered(question.sql, filters, search=search)
    with reading() as run:
        grid = answered(
            run, Question(question.anchor, question.title, sql, question.empty, question.about), filters, offset=start
        )
    goal = asked.get("open", "")
    if goal in {"learning-curve", "agreement"} and len(grid.rows) == 1 and not start:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/{grid.rows[0][0].href}/{goal}", 303)
    content = {"grid": grid, "filters": filters, "start": start, "step": MOST_ROWS, "query": urlencode(filters)}
    return shown(request, "listing", content, tab=tab)


@app.get("/compositions")
def list_compositions(request: Request) -> Response:
    """Every composition."""
    return _listing(request, compositions.LIST, "compositions", (), compositions.SEARCHED)


@app.get("/potentials")
def list_potentials(request: Request) -> Response:
    """Every potential."""
    return _listing(request, potentials.LIST, "potentials", potentials.FILTERS, potentials.SEARCHED)


@app.get("/runs")
def list_runs(request: Request) -> Response:
    """Every run, the newest first."""
    return _listing(request, runs.LIST, "runs", runs.FILTERS, runs.SEARCHED)


@app.get("/compositions/{composition}")
@app.get("/compositions/{composition}/{part}")
def show_composition(request: Request, composition: str, part: str = "") -> Response:
    """What there is of one melt."""
    return _subject(request, compositions, {"composition": composition}, part)


@app.get("/potentials/{potential_id}")
@app.get("/potentials/{potential_id}/{part}")
def show_potential(request: Request, potential_id: str, part: str = "") -> Response:
    """One potential."""
    return _subject(request, potentials, {"potential_id": potential_id}, part)


@app.get("/runs/{run_id}")
@app.get("/runs/{run_id}/{part}")
def show_run(request: Request, run_id: str, part: str = "") -> Response:
    """One run."""
    return _subject(request, runs, {"run_id": run_id}, part)


def _subject(request: Request, tabs: Any, values: dict[str, str], part: str) -> Response:
    """One composition, potential or run, and one part of what is told of it."""
    tab = tabs.LIST.anchor
    [name] = values.values()
    if part not in tabs.TABS:
        raise HTTPException(404)
    with reading() as run:
        told_of = facts(run, tabs.FACTS, values)
        if told_of is None:
            return _missing(request, f"{tab.removesuffix('s')} {name}", tab)
        grids = [answered(run, question, values) for question in tabs.TABS[part][1]]
        figures = []
        driver = name if tab == "potentials" else _driver(told_of)
        if part == "learning-curve" and driver:
            figures = [potentials.learning_curve(run, driver)]
        elif tab == "runs" and not part:
            figures = runs.observed_curves(run, name)
    content = {
        "subject": tab.removesuffix("s"),
        "name": name,
        "root": f"{tab}/{quote(name, safe='')}",
        "facts": told_of,
        "parts": [(key, title) for key, (title, _) in tabs.TABS.items()],
        "part": part,
        "grids": grids,
        "figures": figures,
        "curve_about": potentials.CURVE_ABOUT if part == "learning-curve" else "",
        "docs": f"docs?run={quote(name, safe='')}"
        if tab == "runs" and has_page("data_docs", f"runs/{name}.html")
        else "",
    }
    return shown(request, "subject", content, tab=tab)


def _driver(told_of: list[tuple[Any, Any]]) -> str:
    """The potential that drove a run; empty for AIMD."""
    return next((cell.text for head, cell in told_of if head.text == "potential id"), "")


@app.get("/dag_run", dependencies=[_READS_DAG])
def show_dag_run(request: Request, session: SessionDep, dag_id: str, run_id: str) -> Response:
    """What the tasks of a Dag run worked on, with links to it."""
    content = {"dag_id": dag_id, "run_id": run_id, "task_id": "", "tasks": worked_on(session, dag_id, run_id)}
    return shown(request, "tasks", content, tab="tasks")


@app.get("/task", dependencies=[_READS_DAG])
def show_task(
    request: Request, session: SessionDep, *, dag_id: str, run_id: str, task_id: str, map_index: str = ""
) -> Response:
    """The same of one task. Airflow leaves the place of a task that is not mapped as it is: `{MAP_INDEX}`."""
    place = int(map_index) if map_index.removeprefix("-").isdecimal() else None
    tasks = worked_on(session, dag_id, run_id, task_id=task_id, map_index=place)
    return shown(
        request, "tasks", {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "tasks": tasks}, tab="tasks"
    )


@app.get("/report")
def show_report(request: Request) -> Response:
    """The report below our tabs."""
    return shown(request, "framed", {"title": "Report", "source": "results/"}, tab="report")


@app.get("/docs")
def show_docs(request: Request, run: str = "") -> Response:
    """The gate's data docs below our tabs: their index, or the page of one run."""
    path = f"runs/{run}.html"
    source = f"data_docs/runs/{quote(run, safe='')}.html" if run and has_page("data_docs", path) else "data_docs/"
    return shown(request, "framed", {"title": "Data docs", "source": source}, tab="docs")


@app.get("/results")
@app.get("/data_docs")
def with_slash(request: Request) -> Response:
    """The same address as one that relative links can start from."""
    return RedirectResponse(f"{request.url.path}/")


@app.get("/results/{path:path}")
def results_file(path: str) -> Response:
    """A file of the last report."""
    return served("report", path)


@app.get("/data_docs/{path:path}")
def data_docs_file(path: str) -> Response:
    """A page of what the gate said."""
    return served("data_docs", path)
