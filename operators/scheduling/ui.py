"""The Results pages inside Airflow: the report that was built last. Building it belongs to the verb `report`."""

import os
from pathlib import Path

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from schemas.settings import Settings

_PREFIX = "/meltlake"
_NOTHING_YET = """<!doctype html><title>meltlake</title>
<p style="font: 1rem sans-serif; margin: 2rem">There is no report yet. The Dag <b>report</b> builds one as soon as
frames were ingested; <code>meltlake report</code> does the same by hand.</p>"""
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "Cache-Control": "no-cache",  # the next report has the same addresses
}

# Airflow lets anybody read a plugin's pages unless the plugin asks who it is.
app = FastAPI(title="meltlake", dependencies=[Depends(requires_access_view(AccessView.PLUGINS))])


@app.get("/results", include_in_schema=False)
def results() -> Response:
    """The report's first page, under an address that its relative links can start from."""
    return RedirectResponse(f"{_PREFIX}/results/")


@app.get("/results/{path:path}")
def results_file(path: str) -> Response:
    """A file of the last report; nothing outside its folder."""
    folder = report_folder()
    wanted = (folder / (path or "index.html")).resolve()
    if not wanted.is_relative_to(folder):
        raise HTTPException(404)
    if wanted.is_file():
        return FileResponse(wanted, headers=_HEADERS)
    if path in ("", "index.html"):
        return HTMLResponse(_NOTHING_YET, headers=_HEADERS)
    raise HTTPException(404)


def report_folder() -> Path:
    """Where the verb `report` writes, as the API server was told."""
    return (Settings.from_mapping(os.environ).home / "report").resolve()


class MeltlakePlugin(AirflowPlugin):
    """Registers the pages: once in the navigation, once on every Dag run."""

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
    ]
