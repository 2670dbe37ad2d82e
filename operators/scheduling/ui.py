"""What Airflow's interface gets from us: the page of results in its navigation, on every Dag run and every task."""

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from operators.scheduling.own_pages import OwnPages
from operators.scheduling.page.app import app
from operators.scheduling.page.links import PREFIX, ROUTE

# Without a leading slash, the address is below Airflow's own, wherever that is.
_ROOT = PREFIX.removeprefix("/")
_OF_RUN = "dag_id={DAG_ID}&run_id={RUN_ID}"


def _guards() -> list[dict[str, Any]]:
    """Before all of Airflow, where it asks nobody who they are."""
    is_open = conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False)
    return [{"name": "meltlake", "middleware": OwnPages}] if is_open else []


class MeltlakePlugin(AirflowPlugin):
    """Registers the page."""

    name = "meltlake"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "meltlake"}]  # noqa: RUF012 - Airflow's way
    fastapi_root_middlewares = _guards()
    external_views = [  # noqa: RUF012
        {
            "name": "Results",
            "href": f"{_ROOT}/",
            "destination": "nav",
            "url_route": ROUTE,
            "nav_top_level": True,
        },
        {
            "name": "Data docs",
            "href": f"{_ROOT}/docs",
            "destination": "nav",
            "url_route": "meltlake-data-docs",
        },
        {
            "name": "Results",
            "href": f"{_ROOT}/dag_run?{_OF_RUN}",
            "destination": "dag_run",
            "url_route": "meltlake-run-results",
        },
        {
            "name": "Results",
            "href": f"{_ROOT}/task?{_OF_RUN}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}",
            "destination": "task_instance",
            "url_route": "meltlake-task-results",
        },
    ]
