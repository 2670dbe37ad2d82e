"""Pages inside Airflow: the report and the gate's data docs as built last. Building them belongs to the verbs."""

import os

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from schemas.settings import Settings

_PREFIX = "/meltlake"
_PAGE = '<!doctype html><title>meltlake</title><p style="font: 1rem sans-serif; margin: 2rem">{}</p>'
_NO_REPORT_YET = (
    "There is no report yet. The Dag <b>report</b> builds one as soon as frames were ingested; "
    "<code>meltlake report</code> does the same by hand."
)
_NOTHING_JUDGED_YET = (
    "Nothing was judged yet. The task <b>gate</b> of the Dag <b>ingest</b> writes these pages for every run that it "
    "stores; <code>meltlake validate</code> does the same by hand."
)
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "Cache-Control": "no-cache",  # the next report has the same addresses
}

# Airflow lets anybody read a plugin's pages unless the plugin asks who it is.
app = FastAPI(title="meltlake", dependencies=[Depends(requires_access_view(AccessView.PLUGINS))])


@app.get("/results", include_in_schema=False)
@app.get("/data_docs", include_in_schema=False)
def with_slash(request: Request) -> Response:
    """The same address as one that relative links can start from."""
    return RedirectResponse(f"{request.url.path}/")


@app.get("/results/{path:path}")
def results_file(path: str) -> Response:
    """A file of the last report."""
    return _file("report", path, instead=_NO_REPORT_YET)


@app.get("/data_docs/{path:path}")
def data_docs_file(path: str) -> Response:
    """A page of what the gate said."""
    return _file("data_docs", path, instead=_NOTHING_JUDGED_YET)


def _file(folder_name: str, path: str, *, instead: str) -> Response:
    """A file below one of the home's folders and nothing outside it; a sentence where its index is not there yet."""
    folder = (Settings.from_mapping(os.environ).home / folder_name).resolve()
    wanted = (folder / (path or "index.html")).resolve()
    if not wanted.is_relative_to(folder):
        raise HTTPException(404)
    if wanted.is_file():
        return FileResponse(wanted, headers=_HEADERS)
    if path in ("", "index.html"):
        return HTMLResponse(_PAGE.format(instead), headers=_HEADERS)
    raise HTTPException(404)


class MeltlakePlugin(AirflowPlugin):
    """Registers the pages: in the navigation, the report on every Dag run, the data docs on every task."""

    name = "meltlake"
    fastapi_apps = [{"app": app, "url_prefix": _PREFIX, "name": "meltlake"}]  # noqa: RUF012 - Airflow's way
    external_views = [  # noqa: RUF012
        {
            "name": "Results",
            "href": f"{_PREFIX}/results/",
            "destination": "nav",
            "url_route": "meltlake-results",
            "nav_top_level": True,
        },
        {
            "name": "Results",
            "href": f"{_PREFIX}/results/",
            "destination": "dag_run",
            "url_route": "meltlake-run-results",
        },
        {
            "name": "Data docs",
            "href": f"{_PREFIX}/data_docs/",
            "destination": "nav",
            "url_route": "meltlake-data-docs",
        },
        {
            "name": "Data docs",
            "href": f"{_PREFIX}/data_docs/",
            "destination": "task_instance",
            "url_route": "meltlake-task-data-docs",
        },
    ]
